"""How fast and how fresh: figures over the last seconds."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

import numpy as np


class Window:
    """The values of the last ``span_s`` seconds; elapsed time is monotonic."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._values: deque[tuple[float, float]] = deque()

    def add(self, now_s: float, value: float) -> None:
        """Remember a value."""
        self._values.append((now_s, value))
        self._trim(now_s)

    def rate(self, now_s: float) -> float:
        """Give how many values came a second."""
        self._trim(now_s)
        if len(self._values) < 2:
            return 0.0
        # from the first value on, so that a window that is not full yet does not read too low
        return (len(self._values) - 1) / max(now_s - self._values[0][0], 1e-3)

    def percentiles(self, now_s: float, shares: Iterable[float]) -> list[float] | None:
        """Give the percentiles (0 to 100) of the values; None when there is none."""
        self._trim(now_s)
        if not self._values:
            return None
        values = [value for _, value in self._values]
        return [float(p) for p in np.percentile(values, list(shares))]

    def count(self, now_s: float) -> int:
        """Give how many values there are."""
        self._trim(now_s)
        return len(self._values)

    @classmethod
    def joined(cls, windows: Iterable["Window"]) -> "Window":
        """Give the values of several windows in one, which never forgets."""
        joined = cls(float("inf"))
        for window in windows:
            joined._values.extend(window._values)
        return joined

    def _trim(self, now_s: float) -> None:
        while self._values and now_s - self._values[0][0] > self._span_s:
            self._values.popleft()


class Stages:
    """How long each stage of a tick took."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._windows: dict[str, Window] = {}

    def add(self, now_s: float, stages_ms: Mapping[str, float]) -> None:
        """Remember one tick's stages."""
        for stage, elapsed_ms in stages_ms.items():
            self._windows.setdefault(stage, Window(self._span_s)).add(now_s, elapsed_ms)

    def percentiles(self, now_s: float, shares: Sequence[int]) -> dict[str, dict[str, float]]:
        """Give by stage ``{"p50": ..., "p95": ...}``."""
        table = {stage: window.percentiles(now_s, shares) for stage, window in self._windows.items()}
        return {stage: named(values, shares) for stage, values in table.items() if values is not None}


def named(values: Sequence[float] | None, shares: Sequence[int]) -> dict[str, float]:
    """Give percentiles by name, ``{"p50": ...}``; nothing for none."""
    return {} if values is None else {f"p{s}": round(v, 2) for s, v in zip(shares, values, strict=True)}
