"""People who walk about a simulated place, and the truth of where they are. Pure NumPy, no pictures.

The world advances in ticks of 1 / RATE_HZ seconds and depends on nothing but its seed, its population
and its layout. Between two ticks everybody walks straight on, so that the truth at any instant is exact.

Points on the floor are complex numbers inside (x + iy): distance is ``abs``, turning is a product.

So that any moment can be reached in bounded time however long a place has been simulated, the world has
opening hours: in the last minute of every hour all people leave, and the next hour begins afresh.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gpuworker.sources.sim.layout import PLAZA, Layout

Floats = NDArray[np.float64]
Complexes = NDArray[np.complexfloating]

RATE_HZ = 10
HOUR_TICKS = 3600 * RATE_HZ
CLOSING_TICKS = 60 * RATE_HZ
IDS_PER_HOUR = 100_000

ABSENT, ENTERING, ROAMING, LEAVING, PASSING = range(5)
NOBODY = -1

RELAX_S = 0.5  # time in which somebody takes up the velocity they want
ACCELERATION_MPS2 = 2.5
LOOK_AHEAD_S = 0.4
PUSH_MPS2, PUSH_RANGE_M = 2.2, 0.25
KEEP_RIGHT = 1 - 0.4j  # people who meet head-on both step aside to the same hand
BODY_M = 0.25  # half the width that somebody takes up
ARRIVED_M = 0.35
WALL_MARGIN_M = 0.3
GATE_INSIDE_M, GATE_OUTSIDE_M = 0.9, 1.2
ENTRY_CHANCE = 0.05  # a tick, while fewer people are there than should be
PAUSE_CHANCE = 0.4
GROUP_SIZES, GROUP_CHANCES = (1, 2, 3), (0.72, 0.22, 0.06)


@dataclass(frozen=True, slots=True)
class Truth:
    """Where everybody is at one instant.

    Attributes:
        time_s: since the world began.
        ids: (n,) int64; every entry is a new id, but see ``returning`` of :class:`World`.
        position_m: (n, 2) on the floor.
        velocity_mps: (n, 2).
        heading_rad: (n,) where the body faces, counter-clockwise from x.
        height_m: (n,) standing height.
        walked_m: (n,) distance walked since entering.
    """

    time_s: float
    ids: NDArray[np.int64]
    position_m: Floats
    velocity_mps: Floats
    heading_rad: Floats
    height_m: Floats
    walked_m: Floats

    def select(self, index: NDArray) -> "Truth":
        """Give the people at an index or mask array."""
        return Truth(
            self.time_s,
            self.ids[index],
            self.position_m[index],
            self.velocity_mps[index],
            self.heading_rad[index],
            self.height_m[index],
            self.walked_m[index],
        )

    def earlier(self, by_s: float) -> "Truth":
        """Give the truth a part of a tick earlier; exact, for nobody turns between ticks."""
        return replace(
            self,
            time_s=self.time_s - by_s,
            position_m=self.position_m - by_s * self.velocity_mps,
            walked_m=self.walked_m - by_s * np.hypot(*self.velocity_mps.T),
        )


class World:
    """A place with about ``people`` people in it, who never stop coming and going.

    ``returning`` is the chance that somebody who enters is somebody who left before in this hour and
    keeps their id, height and look; 0 makes every entry a new id.

    Raises:
        ValueError: a negative population or seed, or a chance outside [0, 1].
    """

    def __init__(
        self, seed: int = 7, people: int = 10, *, layout: Layout = PLAZA, returning: float = 0.0
    ) -> None:
        if people < 0 or seed < 0:
            raise ValueError(f"people and seed: expected 0 or more, got {people} and {seed}")
        if not 0.0 <= returning <= 1.0:
            raise ValueError(f"returning: expected a chance in [0, 1], got {returning}")
        self.seed, self.people, self.layout, self.returning = seed, people, layout, returning
        circles = layout.circles()
        self._round = circles[:, 0] + 1j * circles[:, 1]
        self._round_reach = circles[:, 2] + BODY_M
        self._inner = [complex(*layout.gate_point(g, GATE_INSIDE_M)) for g in layout.gates]
        self._outer = [complex(*layout.gate_point(g, -GATE_OUTSIDE_M)) for g in layout.gates]
        x_min, y_min, x_max, y_max = layout.bounds_m
        self._middle = complex(x_min + x_max, y_min + y_max) / 2
        self._half = complex(x_max - x_min, y_max - y_min) / 2 - (1 + 1j) * WALL_MARGIN_M
        self._low, self._high = self._middle - self._half, self._middle + self._half
        slots, obstacles = people + max(GROUP_SIZES), len(circles)
        self._nowhere = 1e6 * (1 + np.arange(slots)) + 0j  # absent people are too far away to matter
        self._slots = np.arange(slots)
        self._reach = np.concatenate([np.full(slots, 2 * BODY_M), self._round_reach])
        self._self = np.eye(slots, slots + obstacles) * 1e6
        self._begin_hour(0)

    def step_to(self, tick: int) -> None:
        """Advance to a tick.

        Raises:
            ValueError: the tick is past; time does not run backwards.
        """
        if tick < self.tick:
            raise ValueError(f"the world is at tick {self.tick} and cannot go back to {tick}")
        if tick // HOUR_TICKS > self.tick // HOUR_TICKS:
            self._begin_hour(tick // HOUR_TICKS)
        while self.tick < tick:
            self._step()

    def truth(self) -> Truth:
        """Give where everybody is now."""
        here = np.flatnonzero(self._stage != ABSENT)
        position, velocity = self._p[here], self._v[here]
        return Truth(
            time_s=self.tick / RATE_HZ,
            ids=self._id[here],
            position_m=np.column_stack([position.real, position.imag]),
            velocity_mps=np.column_stack([velocity.real, velocity.imag]),
            heading_rad=np.angle(self._face[here]),
            height_m=self._height[here],
            walked_m=self._walked[here],
        )

    def _begin_hour(self, hour: int) -> None:
        slots = len(self._nowhere)
        self.tick = hour * HOUR_TICKS
        self._rng = np.random.default_rng([self.seed, hour])
        self._next_id = hour * IDS_PER_HOUR + 1
        self._gone: list[tuple[int, float]] = []  # id and height of those who left
        self._p = self._nowhere.copy()
        self._goal = self._nowhere.copy()
        self._v = np.zeros(slots, complex)
        self._face = np.ones(slots, complex)
        self._pull = np.zeros(slots, complex)  # acceleration that they chose
        self._offset = np.zeros(slots, complex)  # of a follower from the leader of the group
        self._speed, self._height, self._walked = np.ones(slots), np.ones(slots), np.zeros(slots)
        self._id = np.full(slots, NOBODY, np.int64)
        self._stage = np.full(slots, ABSENT)
        self._leader = self._slots.copy()
        self._gate = np.zeros(slots, int)
        self._legs = np.zeros(slots, int)  # goals before leaving
        self._wait_until = np.zeros(slots, int)
        self._deadline = np.zeros(slots, int)
        while self._count() < self.people:
            self._place_group(self._free_point(), ROAMING)

    def _step(self) -> None:
        self.tick += 1
        closing = self.tick % HOUR_TICKS >= HOUR_TICKS - CLOSING_TICKS
        if closing and self.tick % RATE_HZ == 0:
            for i in np.flatnonzero(self._stage == ROAMING).tolist():
                self._leave(i)
        elif not closing and self._rng.random() < ENTRY_CHANCE and self._count() < self.people:
            gate = int(self._rng.integers(len(self._outer)))
            self._place_group(self._outer[gate], ENTERING, gate)
        if self.tick % 2:  # people look around five times a second: all that the speed aimed at allows
            self._arrive()
        else:
            self._decide()
        self._walk()

    def _count(self) -> int:
        return int(np.count_nonzero(self._stage))

    def _arrive(self) -> None:
        stage, tick = self._stage, self.tick
        leads = (self._leader == self._slots) | (stage == ENTERING)
        there = (np.abs(self._goal - self._p) < ARRIVED_M) | (tick > self._deadline)
        for i in np.flatnonzero(there & leads & (stage != ABSENT) & (tick >= self._wait_until)).tolist():
            if stage[i] == PASSING:
                self._remove(i)
            elif stage[i] == LEAVING:
                stage[i] = PASSING
                self._head_for(i, self._outer[self._gate[i]])
            elif self._legs[i] > 0:
                self._roam(i)
            else:
                self._leave(i)

    def _decide(self) -> None:
        """Choose everybody's acceleration, from where they want to go and what they have to avoid."""
        p, v = self._p, self._v
        follows = (self._leader != self._slots) & (self._stage == ROAMING)
        beside = p[self._leader] + self._offset + LOOK_AHEAD_S * v[self._leader]
        gap = np.where(follows, beside, self._goal) - p
        distance = np.abs(gap) + 1e-9
        pace = self._speed * np.minimum(distance / 0.6, np.where(follows, 1.25, 1.0))
        wanted = np.where(self.tick < self._wait_until, 0.0, gap * (pace / distance))
        pull = (wanted - v) / RELAX_S + self._push()
        self._pull = pull * np.minimum(1.0, ACCELERATION_MPS2 / (np.abs(pull) + 1e-9))
        self._face = (0.7 + 0.01j) * self._face + np.where(np.abs(v) > 0.2, 0.4 * v, 0.0)
        self._face /= np.abs(self._face)

    def _push(self) -> Complexes:
        """Give the acceleration that keeps people from each other and from what stands about.

        Source: Helbing & Molnar, Social force model for pedestrian dynamics (1995), eq. 3, on positions
        a moment ahead.
        """
        ahead = self._p + LOOK_AHEAD_S * self._v
        away = ahead[:, None] - np.concatenate([ahead, self._round])[None]  # (n, n + m)
        distance = np.abs(away) + self._self + 1e-9
        strength = PUSH_MPS2 * np.exp(np.minimum((self._reach - distance) / PUSH_RANGE_M, 1.0))
        push: Complexes = (strength / distance * away).sum(axis=1) * KEEP_RIGHT
        return np.where(self._stage == PASSING, 0.2 * push, push)

    def _walk(self) -> None:
        dt = 1.0 / RATE_HZ
        v = self._v + dt * self._pull
        v *= np.minimum(1.0, 1.3 * self._speed / (np.abs(v) + 1e-9))
        moved = self._kept_out(self._p + dt * v)
        self._v = np.where(self._stage == ABSENT, 0.0, (moved - self._p) / dt)
        self._p = self._p + dt * self._v
        self._walked += dt * np.abs(self._v)

    def _kept_out(self, moved: Complexes) -> Complexes:
        """Move points out of obstacles and, but for those in a gate, inside the walls."""
        away = moved[:, None] - self._round[None]  # (n, m)
        distance = np.abs(away)
        inside = np.maximum(self._round_reach - distance, 0.0)
        moved = moved + (inside / np.maximum(distance, 1e-9) * away).sum(axis=1)
        off = self._p - self._middle
        walled = (np.abs(off.real) <= self._half.real + 1e-6) & (np.abs(off.imag) <= self._half.imag + 1e-6)
        walled &= self._stage != PASSING
        low, high = self._low, self._high
        moved.real = np.where(walled, np.maximum(np.minimum(moved.real, high.real), low.real), moved.real)
        moved.imag = np.where(walled, np.maximum(np.minimum(moved.imag, high.imag), low.imag), moved.imag)
        return moved

    def _place_group(self, at: complex, stage: int, gate: int = 0) -> None:
        rng = self._rng
        size = min(int(rng.choice(GROUP_SIZES, p=GROUP_CHANCES)), self.people - self._count())
        free = np.flatnonzero(self._stage == ABSENT)[:size]
        away = at - self._inner[gate]
        back = away / abs(away) if stage == ENTERING else 1j  # out of the gate, one behind the other
        turn = np.exp(2j * np.pi * rng.random())
        for rank, i in enumerate(free):
            self._id[i], self._height[i] = self._somebody()
            self._speed[i] = np.clip(rng.normal(1.2, 0.22), 0.6, 1.7)
            self._p[i] = at + rank * 0.8 * back
            self._v[i], self._walked[i], self._wait_until[i] = 0.0, rng.random(), 0
            self._face[i] = -back
            self._stage[i], self._gate[i] = stage, gate
            self._leader[i] = free[0]
            self._offset[i] = turn * (0.0, 0.8, -0.8)[rank]
            self._legs[i] = rng.integers(2, 7)
            self._head_for(i, self._inner[gate] if stage == ENTERING else self._free_point())
        self._speed[free] = self._speed[free].min()

    def _somebody(self) -> tuple[int, float]:
        rng = self._rng
        if self._gone and self.returning and rng.random() < self.returning:
            return self._gone.pop(int(rng.integers(len(self._gone))))
        self._next_id += 1
        return self._next_id - 1, float(np.clip(rng.normal(1.72, 0.09), 1.5, 1.95))

    def _roam(self, i: int) -> None:
        rests = self._stage[i] == ROAMING and self._rng.random() < PAUSE_CHANCE
        self._stage[i] = ROAMING
        self._legs[i] -= 1
        self._head_for(i, self._free_point())
        if rests:
            wait = int(self._rng.uniform(2.0, 12.0) * RATE_HZ)
            group = (self._leader == i) & (self._stage == ROAMING)
            self._wait_until[group] = self.tick + wait
            self._deadline[group] += wait

    def _leave(self, i: int) -> None:
        self._stage[i] = LEAVING
        self._gate[i] = self._rng.integers(len(self._inner))
        self._head_for(i, self._inner[self._gate[i]])

    def _head_for(self, i: int, goal: complex) -> None:
        self._goal[i] = goal
        needs_s = 5.0 + 2.5 * abs(goal - self._p[i]) / self._speed[i]
        self._deadline[i] = self.tick + int(needs_s * RATE_HZ)

    def _remove(self, i: int) -> None:
        if self.returning:
            self._gone.append((int(self._id[i]), float(self._height[i])))
        for follower in np.flatnonzero((self._leader == i) & (self._slots != i)).tolist():
            self._leader[follower] = follower
            self._stage[follower], self._gate[follower] = LEAVING, self._gate[i]
            self._head_for(follower, self._inner[self._gate[i]])
        self._stage[i], self._id[i], self._leader[i] = ABSENT, NOBODY, i
        self._p[i] = self._goal[i] = self._nowhere[i]
        self._v[i] = 0.0

    def _free_point(self) -> complex:
        """Give a random point away from walls and from everything that stands about."""
        while True:
            x, y = self._rng.uniform(-1.0, 1.0, 2)
            half = self._half - (0.9 + 0.9j)
            point = self._middle + complex(x * half.real, y * half.imag)
            if (np.abs(point - self._round) > self._round_reach + 0.4).all():
                return point
