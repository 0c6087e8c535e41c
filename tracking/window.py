"""How much may be on its way to one viewer: as much as their line carries, not as much as it would store."""

from collections import deque
from dataclasses import dataclass

FIRST_BYTES = 32_000
LEAST_BYTES = 8_000
MOST_BYTES = 4_000_000
PROMPT_S = 0.05  # of waiting on the way: the line carries more
CROWDED_S = 0.12  # of waiting on the way: it carries less
LATE_S = 0.4  # an answer that takes this long is late, whatever waits
DISTANT_S = 0.2  # but where the way alone takes this long
CUT = 0.6
CAUTION = 0.05  # of what arrived promptly is added to a bound that was too much before
WAY_MEMORY_S = 30.0  # the shortest time to an answer is remembered for once to twice this


@dataclass(frozen=True, slots=True)
class Sent:
    """Bytes on their way; ``alone`` where nothing else was when they were sent."""

    at: float
    size: int
    alone: bool


class ByteWindow:
    """A bound on unacknowledged bytes that follows how long acknowledgements take.

    What is sent beyond what a line carries waits somewhere on the way, and grows old there. The time to an
    acknowledgement, less that of what went alone, is how long things wait: where that is little the bound grows, by
    what was acknowledged, and where it is much the bound shrinks. Whatever the bound, one message may always be on its
    way. Where nothing went alone for long, everything is let arrive once. After the ideas of TCP Vegas (Brakmo and
    Peterson, 1995) and BBR (Cardwell et al., 2016).
    """

    def __init__(self, *, now: float) -> None:
        self.bound = float(FIRST_BYTES)
        self.in_flight = 0
        self._too_much = float("inf")
        self._was_short = self._must_measure = False
        self._cut_at = self._alone_at = now
        self._shortest: deque[tuple[float, float]] = deque([(now, float("inf"))], maxlen=2)

    def restart(self, *, now: float) -> None:
        """Begin with little: what is sent from now on is smaller, and how long its way is has to be seen anew."""
        self.bound = float(LEAST_BYTES)
        self._too_much = float("inf")
        self._must_measure = True
        self._shortest.clear()
        self._shortest.append((now, float("inf")))

    def has_room(self, size: int, *, now: float) -> bool:
        """Say whether so many bytes may be sent now."""
        if self.in_flight == 0:
            return True
        self._must_measure = self._must_measure or now - self._alone_at > WAY_MEMORY_S
        if self._must_measure:
            return False
        fits = self.in_flight + size <= self.bound
        self._was_short = self._was_short or not fits
        return fits

    def send(self, size: int, *, now: float) -> Sent:
        """Note bytes as sent."""
        alone = self.in_flight == 0
        self.in_flight += size
        if alone:
            self._alone_at = now
        return Sent(now, size, alone)

    def forget(self, sent: Sent) -> None:
        """Note bytes as gone: overtaken, lost, or no longer waited for."""
        self.in_flight -= sent.size

    def acknowledge(self, sent: Sent, *, now: float) -> float:
        """Note bytes as arrived, and give how long they waited on the way (s)."""
        self.in_flight -= sent.size
        took_s = now - sent.at
        if sent.alone:
            self._note_way(took_s, now)
        way_s = min(took_s, *(way for _, way in self._shortest))
        waited_s = took_s - way_s
        if waited_s > CROWDED_S or (took_s > LATE_S and way_s < DISTANT_S):
            if sent.at >= self._cut_at:  # once for all that was on its way
                self.bound = self._too_much = max(float(LEAST_BYTES), self.bound * CUT)
                self._cut_at = now
        elif self._was_short and waited_s < PROMPT_S:
            share = 1.0 if self.bound < self._too_much else CAUTION
            self.bound = min(float(MOST_BYTES), self.bound + share * sent.size)
            self._was_short = False
        return waited_s

    def _note_way(self, took_s: float, now: float) -> None:
        self._must_measure = False
        begun, shortest = self._shortest[-1]
        if now - begun > WAY_MEMORY_S:
            self._shortest.append((now, took_s))
        elif took_s < shortest:
            self._shortest[-1] = (begun, took_s)
