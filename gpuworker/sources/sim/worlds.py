"""Simulated worlds that several cameras look at together."""

import math
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakValueDictionary

from environments.geometry import CameraModel
from gpuworker.sources.sim.backdrop import Backdrop, floor_texture, render_backdrop
from gpuworker.sources.sim.draw import CameraView
from gpuworker.sources.sim.ground import Image
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.world import RATE_HZ, Truth, World

REMEMBERED_TICKS = 60 * RATE_HZ


@dataclass(frozen=True, slots=True)
class WorldKey:
    """What makes two cameras look at the same world at the same time."""

    started_at: datetime
    people: int
    seed: int
    returning: float


class SharedWorld:
    """One world for several threads, each of which asks for its own moments, roughly in step.

    The last minute is remembered; who asks for an older moment makes the world begin again, which gives
    the same truth, only later.
    """

    def __init__(self, *, people: int, seed: int, returning: float = 0.0) -> None:
        self._people, self._seed, self._returning = people, seed, returning
        self._lock = threading.Lock()
        self._restart()

    def truth_at(self, time_s: float) -> Truth:
        """Give the truth so many seconds after the world began."""
        tick = max(0, math.ceil(time_s * RATE_HZ - 1e-6))
        with self._lock:
            if tick < self._first:
                self._restart()
            self._advance(tick)
            truth = self._truths[tick - self._first]
        ahead_s = tick / RATE_HZ - time_s
        return truth.earlier(ahead_s) if ahead_s > 1e-6 else truth

    def _restart(self) -> None:
        self._world = World(self._seed, self._people, returning=self._returning)
        self._first = 0
        self._truths = deque([self._world.truth()], maxlen=REMEMBERED_TICKS)

    def _advance(self, tick: int) -> None:
        if tick - self._world.tick > REMEMBERED_TICKS:
            self._world.step_to(tick - REMEMBERED_TICKS)
            self._truths.clear()
        while self._world.tick < tick:
            self._world.step_to(self._world.tick + 1)
            self._truths.append(self._world.truth())
        self._first = self._world.tick - len(self._truths) + 1


class Worlds:
    """All simulated worlds of one worker; a world lives as long as a camera looks at it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worlds: WeakValueDictionary[WorldKey, SharedWorld] = WeakValueDictionary()
        self._drawing = threading.Lock()
        self._floor: Image | None = None
        self._backdrops: dict[str, Backdrop] = {}

    def world(self, key: WorldKey) -> SharedWorld:
        """Give the world of a key, the same one to everybody who asks."""
        with self._lock:
            world = self._worlds.get(key)
            if world is None:
                world = SharedWorld(people=key.people, seed=key.seed, returning=key.returning)
                self._worlds[key] = world
            return world

    def view(self, camera: CameraModel, seed: int) -> CameraView:
        """Give the view of one of the plaza's cameras, with people dressed by the seed.

        Each empty view is drawn once, which takes most of a second; connecting again does not.
        """
        with self._drawing:
            if self._floor is None:
                self._floor = floor_texture(PLAZA)
            backdrop = self._backdrops.get(camera.camera_id)
            if backdrop is None:
                backdrop = self._backdrops[camera.camera_id] = render_backdrop(camera, PLAZA, self._floor)
        return CameraView(camera, backdrop, seed=seed)
