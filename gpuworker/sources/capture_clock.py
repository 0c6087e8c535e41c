"""When a live frame was captured, from its presentation time stamp and its arrival."""

JUMP_S = 2.0  # a step of the time stamps beyond what arrival explains by more than this is a new timeline
DRIFT = 1e-3  # the camera's clock may run this much fast or slow
MIN_STEP_S = 1e-3


class CaptureClock:
    """Turns the camera's time stamps into wall-clock time.

    A frame cannot arrive before it was captured, so the smallest difference seen between arrival and time
    stamp is the best offset: capture times follow the even time stamps, not the jitter of the network.
    What remains is the shortest delay between sensor and arrival, which no receiver can see. Capture times
    always increase.
    """

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_pts_s = self._last_arrival_s = 0.0
        self._last_capture_s = float("-inf")

    def capture_s(self, pts_s: float | None, arrival_s: float) -> float:
        """Give the capture time of the next frame in seconds of the arrival clock; no time stamp: arrival."""
        captured_s = arrival_s
        if pts_s is not None:
            captured_s = pts_s + self._follow(pts_s, arrival_s)
        self._last_capture_s = max(captured_s, self._last_capture_s + MIN_STEP_S)
        return self._last_capture_s

    def _follow(self, pts_s: float, arrival_s: float) -> float:
        offset_s = arrival_s - pts_s
        if self._offset_s is not None:
            step_s, waited_s = pts_s - self._last_pts_s, arrival_s - self._last_arrival_s
            if 0.0 <= step_s <= max(waited_s, 0.0) + JUMP_S:
                offset_s = min(offset_s, self._offset_s + DRIFT * max(waited_s, 0.0))
        self._offset_s, self._last_pts_s, self._last_arrival_s = offset_s, pts_s, arrival_s
        return offset_s
