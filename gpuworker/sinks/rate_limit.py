"""At most so often a second, evenly."""


class RateLimit:
    """Lets things through at a rate, forgiving half an interval of jitter so that an even stream passes whole."""

    def __init__(self, per_s: float) -> None:
        self._interval_s = 1.0 / per_s
        self._due_s = float("-inf")

    @property
    def ready_s(self) -> float:
        """Give the monotonic second from which the next thing may pass."""
        return self._due_s - self._interval_s / 2

    def is_due(self, now_s: float) -> bool:
        """Say whether something may pass now."""
        return now_s >= self.ready_s

    def pass_one(self, now_s: float) -> None:
        """Note that something passed."""
        self._due_s = max(self._due_s + self._interval_s, now_s + self._interval_s / 2)
