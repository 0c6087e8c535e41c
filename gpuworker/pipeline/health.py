"""How well each camera agrees with the others: what its boxes are off by, and how many nobody explains."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import HealthSettings
from gpuworker.pipeline.values import CameraHealth

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class HealthMeters:
    """Keeps fading means of the cameras of a site."""

    def __init__(self, cameras: int, settings: HealthSettings) -> None:
        """Begin knowing nothing."""
        self._settings = settings
        self._off = np.zeros((cameras, 2))  # squared innovations over their variances, and how many
        self._stray = np.zeros((cameras, 2))  # boxes of nobody, and all boxes

    def compare(self, camera: Ints, residual: Floats, variance: Floats, valid: Bools) -> None:
        """Take in boxes minus what prediction and other cameras say, (n, 3), with variances and what was measured.

        What lies outside the limit is an edge that was hidden, and no measurement.

        Args:
            camera: (n,) index of each box's camera.
            residual, variance, valid: (n, 3).

        Source: normalised innovation squared, Bar-Shalom, Li, Kirubarajan, Estimation with Applications to
        Tracking, section 5.4.2, by component.
        """
        ratio = residual**2 / variance
        used = valid & (ratio < self._settings.limit)
        count = len(self._off)
        self._off[:, 0] += np.bincount(camera, np.where(used, ratio, 0.0).sum(axis=1), count)
        self._off[:, 1] += np.bincount(camera, used.sum(axis=1), count)

    def count(self, camera: Ints, elapsed_s: Floats, frame: Ints, explained: Bools) -> None:
        """Take in which boxes (n,) of frames belong to somebody; what is older fades by the time gone by.

        Args:
            camera, elapsed_s: (f,) of the frames, and since the frame before.
            frame, explained: (n,) index of each box's frame, and whether it belongs to somebody.
        """
        kept = np.exp(-elapsed_s / self._settings.memory_s)
        every = np.bincount(frame, minlength=len(camera))
        stray = np.bincount(frame[~explained], minlength=len(camera))
        for f, c in enumerate(camera.tolist()):
            self._off[c] *= kept[f]
            self._stray[c] = self._stray[c] * kept[f] + (stray[f], every[f])

    def of(self, camera: int) -> CameraHealth:
        """Give how a camera is doing."""
        return CameraHealth(
            innovation=self._mean(self._off[camera]), unexplained=self._mean(self._stray[camera])
        )

    def _mean(self, total: Floats) -> float | None:
        value, count = total.tolist()
        return value / count if count >= self._settings.least else None
