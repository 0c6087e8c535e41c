"""When recorded and simulated frames are due."""

import threading
from datetime import UTC, datetime, timedelta

LONGEST_WAIT_S = 1.0  # a source gives up waiting after this, and is asked again


class Pace:
    """The clock of a source whose frames have a time since the beginning of the recording, ``elapsed_s``.

    All sources of a session share ``started_at``, when the wall clock shows the beginning, and ``speed``:
    what they show at one moment belongs together. When ``paced``, a frame is due when the wall clock
    reaches its time; otherwise it is always due.
    """

    def __init__(self, started_at: datetime, *, paced: bool, speed: float = 1.0) -> None:
        if not 0.0 < speed < float("inf"):
            raise ValueError(f"speed: expected more than 0, got {speed}")
        self.started_at, self.paced, self.speed = started_at, paced, speed
        self._stopped = threading.Event()

    def at(self, elapsed_s: float) -> datetime:
        """Give the instant at which a frame is due."""
        return self.started_at + timedelta(seconds=elapsed_s / self.speed)

    def elapsed_s(self) -> float:
        """Give the place in the recording that is due now, never negative; 0 when not paced."""
        if not self.paced:
            return 0.0
        return max(0.0, (datetime.now(UTC) - self.started_at).total_seconds() * self.speed)

    def late_s(self, elapsed_s: float) -> float:
        """Give how long ago a frame was due; 0 for one that is not yet due or when not paced."""
        return max(0.0, self.elapsed_s() - elapsed_s) / self.speed

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
