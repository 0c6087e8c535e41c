"""Which frames make one tick: the newest of every camera that is due, without waiting for a slow one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gpuworker.pipeline.values import Frame
from gpuworker.sinks.rate_limit import RateLimit

LONGEST_WAIT_S = 0.05  # for the other cameras of a tick
SMOOTHING = 0.2  # share of the newest interval in the expected one
IDLE_S = 0.5

TakeFrame = Callable[[], Frame | None]


@dataclass(slots=True)
class _Feed:
    """One camera's frames; times are monotonic seconds.

    Attributes:
        interval_s: usual time between two frames taken.
        arrived_s: when the last one was.
        captured_at: of the last one.
    """

    take: TakeFrame
    pace: RateLimit
    interval_s: float
    arrived_s: float = float("-inf")
    captured_at: datetime | None = None

    def receive(self, now_s: float) -> Frame | None:
        frame = self.take() if self.pace.is_due(now_s) else None
        if frame is not None:
            gap_s = now_s - self.arrived_s
            # an outage says nothing about the usual interval
            if gap_s < 3 * self.interval_s:
                self.interval_s += SMOOTHING * (gap_s - self.interval_s)
            self.arrived_s, self.captured_at = now_s, frame.captured_at
        return frame

    def is_expected(self, *, since_s: float, until_s: float, captured_at: datetime) -> bool:
        """Say whether the next frame should come in time, captured within half an interval of an instant.

        One that is long overdue is not expected any more, and one of the next tick is not waited for.
        """
        if self.captured_at is None:
            return False
        half_s, expected_s = self.interval_s / 2, self.arrived_s + self.interval_s
        apart_s = (self.captured_at - captured_at).total_seconds() + self.interval_s
        return since_s - half_s <= expected_s <= until_s and abs(apart_s) <= half_s


class Gather:
    """Collects the frames of one session's cameras into ticks.

    A tick is opened by the first frame that is due and waits, for half an interval at most, for cameras whose
    next frame is expected by then: synchronous cameras fall in one tick, others have ticks of their own.
    """

    def __init__(self, cameras: Mapping[str, tuple[TakeFrame, float]]) -> None:
        """Begin with cameras by key: how to take the newest frame, and the frames a second wanted."""
        self._feeds = {key: _Feed(take, RateLimit(fps), 1.0 / fps) for key, (take, fps) in cameras.items()}
        self._pending: dict[str, Frame] = {}
        self._opened_s = 0.0
        self._deadline_s = 0.0

    def collect(self, now_s: float) -> list[Frame]:
        """Give the frames of a tick that is complete; nothing while it is not."""
        for key, feed in self._feeds.items():
            frame = None if key in self._pending else feed.receive(now_s)
            if frame is None:
                continue
            if not self._pending:
                self._opened_s = now_s
                self._deadline_s = now_s + min(feed.interval_s / 2, LONGEST_WAIT_S)
            self._pending[key] = frame
        if not self._pending or (now_s < self._deadline_s and self._is_expecting()):
            return []
        for key in self._pending:
            # by the time of the tick, so that its cameras keep in step
            self._feeds[key].pace.pass_one(self._opened_s)
        frames, self._pending = list(self._pending.values()), {}
        return frames

    def wait_s(self, now_s: float) -> float:
        """Give how long nothing happens here unless a frame arrives."""
        if self._pending:
            return max(self._deadline_s - now_s, 0.0)
        later = [feed.pace.ready_s - now_s for feed in self._feeds.values() if feed.pace.ready_s > now_s]
        return min([IDLE_S, *later])

    def _is_expecting(self) -> bool:
        captured_at = next(iter(self._pending.values())).captured_at
        return any(
            feed.is_expected(since_s=self._opened_s, until_s=self._deadline_s, captured_at=captured_at)
            for key, feed in self._feeds.items()
            if key not in self._pending
        )
