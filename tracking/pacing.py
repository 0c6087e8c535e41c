"""How much one viewer can take, decided from its acks: which frames to send it, and in which tier.

Nothing queues: of each camera only the newest frame waits for room, and not for long.
"""

from dataclasses import dataclass, field
from statistics import median
from typing import Generic, TypeVar

from tracking.live import TIER_ORDER, TIERS
from tracking.window import ByteWindow, Sent

WINDOW_FRAMES = 8  # unacked frames of one camera
FIRST_WINDOW_FRAMES = 2  # the same while the viewer has never acked: it may not know how
STALE_S = 0.5  # a frame unacked for this long stops its camera until acks come
FORGET_S = 2.0  # a frame unacked for this long is taken for lost, and its camera is tried again
HELD_S = 0.2  # a frame that waited longer for room is left out

SLOW_S = 0.3  # of waiting on the way, in the middle of a second
SKIPPED_SHARE = 0.2
MOSTLY_SKIPPED_SHARE = 0.5
BAD_SECONDS = 2  # in a row, before a lower tier; one in which most was left out is enough
PATIENCE_S = 8.0  # of prompt acks, before a better tier
MAX_PATIENCE_S = 120.0
TRIAL_S = 20.0  # a better tier that fails within this doubles the patience, one that lasts resets it

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Offer(Generic[Item]):
    """A frame that could be sent."""

    camera: str
    seq: int
    size: int
    item: Item


@dataclass(slots=True)
class Counts:
    """Frames of one camera since the last look."""

    sent: int = 0
    skipped: int = 0


@dataclass(slots=True)
class _Camera(Generic[Item]):
    """What is on its way of one camera (by seq, oldest first), and what waits for room."""

    flight: dict[int, Sent] = field(default_factory=dict)
    held: Offer[Item] | None = None
    held_since: float = 0.0
    sent_at: float = float("-inf")
    counts: Counts = field(default_factory=Counts)


class Pacer(Generic[Item]):
    """Admits frames by camera and chooses the tier of everything that adapts.

    The tier and the room on the way are one for all cameras of a viewer, because its line and its screen are.
    """

    def __init__(self, *, now: float) -> None:
        self.tier = "medium"
        self._cameras: dict[str, _Camera[Item]] = {}
        self._holding: dict[str, _Camera[Item]] = {}
        self._window = ByteWindow(now=now)
        self._has_acked = False
        self._period = _Period()
        self._bad_seconds = 0
        self._good_since = now
        self._raised_at: float | None = None
        self._patience_s = PATIENCE_S

    def offer(self, offer: Offer[Item], *, now: float) -> list[Offer[Item]]:
        """Take a frame in place of an older one that still waits for room; give what is to be sent now."""
        camera = self._cameras.get(offer.camera)
        if camera is None:
            camera = self._cameras[offer.camera] = _Camera()
        if camera.held is not None:
            self._skip(camera)
        camera.held, camera.held_since = offer, now
        self._holding[offer.camera] = camera
        return self.release(now=now)

    def ack(self, camera: str, seq: int, *, now: float) -> bool:
        """Note that a frame, and so all before it, was shown; say whether that frame was waited for."""
        known = self._cameras.get(camera)
        if known is None or seq not in known.flight:
            return False
        for earlier in list(known.flight):
            sent = known.flight.pop(earlier)
            if earlier == seq:
                self._period.waits_s.append(self._window.acknowledge(sent, now=now))
                self._period.delays_s.append(now - sent.at)
                break
            self._window.forget(sent)
        self._has_acked = True
        return True

    def release(self, *, now: float) -> list[Offer[Item]]:
        """Give what waited and is to be sent now: first of the camera that had nothing for longest."""
        released: list[Offer[Item]] = []
        if not self._holding:
            return released
        for name, camera in sorted(self._holding.items(), key=_last_sent):
            offer = camera.held
            if offer is None:
                continue
            if now - camera.held_since > HELD_S:
                self._drop(name)
                self._skip(camera)
            elif self._may_send(camera, now):
                if not self._has_room(offer.size, now):
                    break  # or small pictures would go before a large one for ever
                self._drop(name)
                self._send(camera, offer, now)
                released.append(offer)
        return released

    def hold_back(self, camera: str) -> None:
        """Note a frame as left out, whatever there is room for."""
        self._skip(self._cameras.setdefault(camera, _Camera()))

    def forget(self, camera: str) -> None:
        """Drop what is on its way and what waits of a camera that is no longer watched."""
        known = self._cameras.pop(camera, None)
        self._holding.pop(camera, None)
        if known is not None:
            self._lose(known)

    def take_counts(self) -> dict[str, Counts]:
        """Give by camera the numbers of frames sent and left out since the last call."""
        counts = {}
        for name, camera in self._cameras.items():
            counts[name], camera.counts = camera.counts, Counts()
        return counts

    @property
    def is_behind(self) -> bool:
        """Say whether in the last second the viewer could not take what it was to get."""
        return self._bad_seconds > 0

    @property
    def delay_s(self) -> float | None:
        """Give the middle time from sending to ack of late; None without acks."""
        return self._period.latest_delay_s

    def adapt(self, *, now: float, best: str) -> bool:
        """Look at the time since the last call, about a second ago, and say whether the tier changed.

        ``best`` is the best tier that any camera of the viewer could use.
        """
        period, self._period = self._period, _Period(delay_s=self._period.latest_delay_s)
        if period.is_idle:
            self._good_since, self._bad_seconds = now, 0
            return False
        if period.is_bad:
            self._good_since = now
            self._bad_seconds += BAD_SECONDS if period.is_mostly_skipped else 1
            return self._bad_seconds >= BAD_SECONDS and self._lower(now=now)
        self._bad_seconds = 0
        if self._raised_at is not None and now - self._raised_at >= TRIAL_S:
            self._patience_s = PATIENCE_S
        if now - self._good_since < self._patience_s or _rank(self.tier) <= _rank(best):
            return False
        self.tier = TIER_ORDER[_rank(self.tier) - 1]
        self._raised_at = self._good_since = now
        return True

    def _may_send(self, camera: _Camera[Item], now: float) -> bool:
        """Say whether a camera is not too far ahead of its acks."""
        if not camera.flight:
            return True
        age_s = now - _oldest(camera)
        if age_s >= FORGET_S:
            self._lose(camera)
            return True
        most = WINDOW_FRAMES if self._has_acked else FIRST_WINDOW_FRAMES
        return len(camera.flight) < most and age_s < STALE_S

    def _has_room(self, size: int, now: float) -> bool:
        if self._window.has_room(size, now=now):
            return True
        for camera in self._cameras.values():
            if camera.flight and now - _oldest(camera) >= FORGET_S:
                self._lose(camera)
        return self._window.has_room(size, now=now)

    def _send(self, camera: _Camera[Item], offer: Offer[Item], now: float) -> None:
        flight = camera.flight
        if offer.seq in flight:  # a source that began again counts again
            self._window.forget(flight.pop(offer.seq))
        flight[offer.seq] = self._window.send(offer.size, now=now)
        camera.sent_at = now
        camera.counts.sent += 1
        self._period.sent += 1

    def _lose(self, camera: _Camera[Item]) -> None:
        """Wait no longer for acks of what is on its way of a camera."""
        for sent in camera.flight.values():
            self._window.forget(sent)
        camera.flight.clear()

    def _drop(self, name: str) -> None:
        self._holding.pop(name).held = None

    def _skip(self, camera: _Camera[Item]) -> None:
        camera.counts.skipped += 1
        self._period.skipped += 1

    def _lower(self, *, now: float) -> bool:
        if self.tier == TIER_ORDER[-1]:
            return False
        self._bad_seconds = 0
        self.tier = TIER_ORDER[_rank(self.tier) + 1]
        self._window.restart(now=now)
        if self._raised_at is not None and now - self._raised_at < TRIAL_S:
            self._patience_s = min(2 * self._patience_s, MAX_PATIENCE_S)
        self._raised_at = None
        return True


@dataclass(slots=True)
class _Period:
    """About a second; ``delay_s`` is what was known before it."""

    sent: int = 0
    skipped: int = 0
    waits_s: list[float] = field(default_factory=list)
    delays_s: list[float] = field(default_factory=list)
    delay_s: float | None = None

    @property
    def latest_delay_s(self) -> float | None:
        return median(self.delays_s) if self.delays_s else self.delay_s

    @property
    def is_idle(self) -> bool:
        return self.sent + self.skipped == 0

    @property
    def is_bad(self) -> bool:
        if self.skipped > SKIPPED_SHARE * (self.sent + self.skipped):
            return True
        return bool(self.waits_s) and median(self.waits_s) > SLOW_S

    @property
    def is_mostly_skipped(self) -> bool:
        return self.skipped > MOSTLY_SKIPPED_SHARE * (self.sent + self.skipped)


class MessageAllowance:
    """Counts messages against a sustained rate with room for a burst."""

    def __init__(self, *, per_s: float, burst: float, now: float) -> None:
        self.per_s = per_s
        self.burst = burst
        self._left = burst
        self._at = now

    def take(self, *, now: float) -> bool:
        """Count one message; False when the rate is exceeded."""
        self._left = min(self.burst, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def coarser(first: str, second: str) -> str:
    """Give the lower of two tiers."""
    return max(first, second, key=_rank)


def finer(first: str, second: str) -> str:
    """Give the better of two tiers."""
    return min(first, second, key=_rank)


def widest_useful_tier(max_width: int | None) -> str:
    """Give the smallest tier that fills pictures shown this wide (px), the best one for None."""
    if max_width is None:
        return TIER_ORDER[0]
    fitting = [name for name in TIER_ORDER if TIERS[name].max_width >= max_width]
    return fitting[-1] if fitting else TIER_ORDER[0]


def _rank(tier: str) -> int:
    return TIER_ORDER.index(tier)


def _oldest(camera: _Camera[Item]) -> float:
    """Give when the first of what is on its way of a camera was sent."""
    return next(iter(camera.flight.values())).at


def _last_sent(entry: tuple[str, _Camera[Item]]) -> float:
    return entry[1].sent_at
