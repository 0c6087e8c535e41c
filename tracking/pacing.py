"""How much one viewer can take, decided from its acks: which frames to send it, and in which tier.

Nothing waits in a queue: a frame for which there is no room is left out, and the next one is newer anyway.
"""

from dataclasses import dataclass, field
from statistics import median

from tracking.live import TIER_ORDER, TIERS

WINDOW_FRAMES = 8  # unacked frames of one camera
FIRST_WINDOW_FRAMES = 2  # the same while the viewer has never acked: it may not know how
STALE_S = 0.5  # a frame unacked for this long stops its camera until acks come
FORGET_S = 2.0  # a frame unacked for this long is taken for lost, and its camera is tried again

SLOW_ACK_S = 0.4
SKIPPED_SHARE = 0.2
BAD_SECONDS = 2  # in a row, before a lower tier
PATIENCE_S = 8.0  # of prompt acks, before a better tier
MAX_PATIENCE_S = 120.0
TRIAL_S = 20.0  # a better tier that fails within this doubles the patience, one that lasts resets it


class Pacer:
    """Admits frames by camera and chooses the tier of everything that adapts.

    The tier is one for all cameras of a viewer, because its line and its screen are.
    """

    def __init__(self, *, now: float) -> None:
        self.tier = "medium"
        self.sent = 0
        self.skipped = 0
        self._in_flight: dict[str, dict[int, float]] = {}  # camera -> seq -> when sent, oldest first
        self._has_acked = False
        self._period = _Period()
        self._bad_seconds = 0
        self._good_since = now
        self._raised_at: float | None = None
        self._patience_s = PATIENCE_S

    def admit(self, camera: str, seq: int, *, now: float) -> bool:
        """Say whether to send a frame now, and note it as sent if so."""
        flight = self._in_flight.setdefault(camera, {})
        oldest = next(iter(flight.values()), now)
        if now - oldest >= FORGET_S:
            flight.clear()
            oldest = now
        window = WINDOW_FRAMES if self._has_acked else FIRST_WINDOW_FRAMES
        if len(flight) >= window or now - oldest >= STALE_S:
            self.skipped += 1
            self._period.skipped += 1
            return False
        flight.pop(seq, None)  # a source that began again counts again
        flight[seq] = now
        self.sent += 1
        self._period.sent += 1
        return True

    def ack(self, camera: str, seq: int, *, now: float) -> bool:
        """Note that a frame, and so all before it, was shown; say whether that frame was waited for."""
        flight = self._in_flight.get(camera, {})
        sent_at = flight.get(seq)
        if sent_at is None:
            return False
        for earlier in list(flight):
            del flight[earlier]
            if earlier == seq:
                break
        self._has_acked = True
        self._period.ack_ages_s.append(now - sent_at)
        return True

    def forget(self, camera: str) -> None:
        """Drop what is in flight of a camera that is no longer watched."""
        self._in_flight.pop(camera, None)

    def take_counts(self) -> tuple[int, int]:
        """Give the numbers of frames sent and left out since the last call."""
        counts = self.sent, self.skipped
        self.sent = self.skipped = 0
        return counts

    def adapt(self, *, now: float, best: str) -> bool:
        """Look at the time since the last call, about a second ago, and say whether the tier changed.

        ``best`` is the best tier that any camera of the viewer could use.
        """
        period, self._period = self._period, _Period()
        if period.is_idle:
            self._good_since = now
            return False
        if period.is_bad:
            self._good_since = now
            self._bad_seconds += 1
            return self._bad_seconds >= BAD_SECONDS and self._lower(now=now)
        self._bad_seconds = 0
        if self._raised_at is not None and now - self._raised_at >= TRIAL_S:
            self._patience_s = PATIENCE_S
        if now - self._good_since < self._patience_s or _rank(self.tier) <= _rank(best):
            return False
        self.tier = TIER_ORDER[_rank(self.tier) - 1]
        self._raised_at = self._good_since = now
        return True

    def _lower(self, *, now: float) -> bool:
        self._bad_seconds = 0
        if self.tier == TIER_ORDER[-1]:
            return False
        self.tier = TIER_ORDER[_rank(self.tier) + 1]
        if self._raised_at is not None and now - self._raised_at < TRIAL_S:
            self._patience_s = min(2 * self._patience_s, MAX_PATIENCE_S)
        self._raised_at = None
        return True


@dataclass(slots=True)
class _Period:
    sent: int = 0
    skipped: int = 0
    ack_ages_s: list[float] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        return self.sent + self.skipped == 0

    @property
    def is_bad(self) -> bool:
        if self.skipped > SKIPPED_SHARE * (self.sent + self.skipped):
            return True
        return bool(self.ack_ages_s) and median(self.ack_ages_s) > SLOW_ACK_S


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
