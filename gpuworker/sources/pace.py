"""When recorded and simulated frames are due."""

import threading
from datetime import UTC, datetime, timedelta

LONGEST_WAIT_S = 1.0  # a source gives up waiting after this, and is asked again


class Pace:
    """The clock of a source whose frames have a time since ``started_at``, the start of the session.

    All sources of a session share ``started_at``: what they show at one moment belongs together. When
    ``paced``, a frame is due when the wall clock reaches its time; otherwise it is always due.
    """

    def __init__(self, started_at: datetime, *, paced: bool) -> None:
        self.started_at, self.paced = started_at, paced
        self._stopped = threading.Event()

    def at(self, elapsed_s: float) -> datetime:
        """Give the instant so many seconds after the start."""
        return self.started_at + timedelta(seconds=elapsed_s)

    def elapsed_s(self) -> float:
        """Give the seconds since the start, never negative; 0 when not paced."""
        if not self.paced:
            return 0.0
        return max(0.0, (datetime.now(UTC) - self.started_at).total_seconds())

    def late_s(self, elapsed_s: float) -> float:
        """Give how long ago a frame was due; 0 for one that is not yet due or when not paced."""
        return max(0.0, self.elapsed_s() - elapsed_s)

    def wait(self, elapsed_s: float) -> bool:
        """Wait until a frame is due; False when it still is not after a second, or after ``stop``."""
        if not self.paced:
            return not self._stopped.is_set()
        left_s = (self.at(elapsed_s) - datetime.now(UTC)).total_seconds()
        if left_s > 0:
            self._stopped.wait(min(left_s, LONGEST_WAIT_S))
        return left_s <= LONGEST_WAIT_S and not self._stopped.is_set()

    def stop(self) -> None:
        """End any waiting at once."""
        self._stopped.set()
