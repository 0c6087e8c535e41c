"""How well each camera agrees with the others: what its boxes are off by, and how many nobody explains."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import HealthSettings
from gpuworker.pipeline.values import CameraHealth

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class HealthMeters:
    """Keeps fading means of the cameras of a site."""

    def __init__(self, cameras: int, settings: HealthSettings) -> None:
        """Begin knowing nothing."""
        self._settings = settings
        self._off = np.zeros((cameras, 2))  # squared innovations over their variances, and how many
        self._stray = np.zeros((cameras, 2))  # boxes of nobody, and all boxes

    def compare(self, camera: int, residual: Floats, variance: Floats, valid: Bools) -> None:
        """Take in boxes minus what prediction and other cameras say, (n, 3), with variances and what was measured.

        What lies outside the limit is an edge that was hidden, and no measurement.

        Source: normalised innovation squared, Bar-Shalom, Li, Kirubarajan, Estimation with Applications to
        Tracking, section 5.4.2, by component.
        """
        ratio = residual**2 / variance
        used = valid & (ratio < self._settings.limit)
        self._off[camera] += ratio[used].sum(), used.sum()

    def count(self, camera: int, explained: Bools, elapsed_s: float) -> None:
        """Take in which boxes (n,) of a frame belong to somebody; what is older fades by the time gone by."""
        kept = np.exp(-elapsed_s / self._settings.memory_s)
        self._off[camera] *= kept
        self._stray[camera] = self._stray[camera] * kept + ((~explained).sum(), len(explained))

    def of(self, camera: int) -> CameraHealth:
        """Give how a camera is doing."""
        return CameraHealth(
            innovation=self._mean(self._off[camera]), unexplained=self._mean(self._stray[camera])
        )

    def _mean(self, total: Floats) -> float | None:
        value, count = total.tolist()
        return value / count if count >= self._settings.least else None
