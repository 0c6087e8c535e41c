"""How far off each camera's calibration is, learned from people whom several cameras see."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.observation import BOTTOM, MID, TOP
from gpuworker.pipeline.settings import BiasSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class CameraBias:
    """Estimates a shift (u, v) px for each camera: what its boxes show beside what the others say.

    A camera that nobody shares stays at no shift; a shift common to all cameras cannot be seen.
    """

    def __init__(self, cameras: int, settings: BiasSettings) -> None:
        """Begin with no shift."""
        self._settings = settings
        self._weight = np.full((cameras, 2), settings.prior_px**-2.0)
        self._shift = np.zeros((cameras, 2))

    @property
    def shift_px(self) -> Floats:
        """Give the shift of each camera's boxes, (c, 2) px right and down."""
        return self._shift.copy()

    def correct(self, camera: int, z: Floats) -> Floats:
        """Take the shift off measurements (n, 3) of u_mid, v_bottom, v_top."""
        u, v = self._shift[camera]
        return np.asarray(z - np.array([u, v, v]))

    def learn(self, camera: int, residual: Floats, variance: Floats, valid: Bools) -> None:
        """Take in corrected measurements minus what the other cameras say, (n, 3), with variances px^2.

        Source: recursive least squares with a prior and a bounded memory.
        """
        s = self._settings
        weight = np.where(valid, 1.0 / (variance * s.people_alike), 0.0)
        pull = weight * np.where(valid, residual, 0.0)
        columns = ([MID], [BOTTOM, TOP])
        gained = np.array([weight[:, c].sum() for c in columns])
        pulled = np.array([pull[:, c].sum() for c in columns])
        total = self._weight[camera] + gained
        # the prior pulls to no shift for ever, what was learned fades
        pulled -= s.prior_px**-2.0 * self._shift[camera] * gained / total
        shift = self._shift[camera] + pulled / total
        self._shift[camera] = np.clip(shift, -s.limit_px, s.limit_px)
        self._weight[camera] = np.minimum(total, s.memory_px**-2.0)
