"""How far off each camera's calibration is, learned from people whom several cameras see."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.settings import BiasSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

RIGHT, DOWN, TURN = range(3)


class CameraBias:
    """Estimates for each camera how its boxes lie beside what the other cameras say.

    Three numbers of px for each camera: a shift right and down in the middle of the picture, and how far a turn
    of the picture moves the middle of its right edge down. A camera that nobody shares stays at none of these;
    what is common to all cameras cannot be seen.
    """

    def __init__(self, cameras: Sequence[CameraModel], settings: BiasSettings) -> None:
        """Begin with calibrations that are right."""
        s = self._settings = settings
        size = np.array([[c.width, c.height] for c in cameras], dtype=np.float64).reshape(-1, 2)
        self._middle, self._half = size / 2, size[:, :1] / 2
        self._prior = np.diag(np.array([s.prior_px, s.prior_px, s.prior_turn_px]) ** 2)
        self._off = np.zeros((len(size), 3))
        self._covariance = np.tile(self._prior, (len(size), 1, 1))

    @property
    def shift_px(self) -> Floats:
        """Give the shift of each camera's boxes, (c, 2) px right and down, in the middle of its picture."""
        return self._off[:, :2].copy()

    @property
    def std_px(self) -> Floats:
        """Give how sure the shifts are, (c,) px, of the less sure direction."""
        variance = np.diagonal(self._covariance, axis1=1, axis2=2)[:, :2]
        return np.asarray(np.sqrt(variance.max(axis=1, initial=0.0)))

    def correct(self, camera: Ints, z: Floats) -> Floats:
        """Take what is off from measurements (n, 3) of u_mid, v_bottom, v_top by cameras (n,)."""
        return np.asarray(z - (self._effect(camera, z) @ self._off[camera, :, None])[..., 0])

    def learn(
        self, camera: int, z: Floats, residual: Floats, variance: Floats, valid: Bools, dt_s: float
    ) -> None:
        """Take in corrected measurements minus what the other cameras say.

        Args:
            camera: index.
            z, residual, variance, valid: (n, 3) measurement, what is left of it, px^2, and which count.
            dt_s: since the camera's frame before.

        Source: Kalman filter of an Ornstein-Uhlenbeck process, which forgets towards its prior.
        """
        s = self._settings
        keep = np.exp(-dt_s / s.memory_s)
        covariance = keep**2 * self._covariance[camera] + (1 - keep**2) * self._prior
        effect = self._effect(np.full(len(z), camera), z)[valid]  # (k, 3)
        weighted = effect.T / (variance[valid] * s.people_alike)
        told, pull = weighted @ effect, weighted @ residual[valid]
        covariance = np.linalg.inv(np.linalg.inv(covariance) + told)
        off = keep * self._off[camera] + covariance @ pull
        self._off[camera] = self._bounded(camera, off)
        self._covariance[camera] = (covariance + covariance.T) / 2

    def jump(self, camera: int, way_px: Floats) -> None:
        """Shift a camera by (2,) px more, and learn afresh from there."""
        self._off[camera] = self._bounded(camera, self._off[camera] + np.append(way_px, 0.0))
        self._covariance[camera] = self._prior

    def _bounded(self, camera: int, off: Floats) -> Floats:
        limit_px = 2 * self._settings.limit * self._half[camera]
        return np.clip(off, -limit_px, limit_px)

    def _effect(self, camera: Ints, z: Floats) -> Floats:
        """Give the derivative of measurements (n, 3) by cameras (n,) by what may be off, (n, 3, 3)."""
        off = (z - self._middle[camera][:, [0, 1, 1]]) / self._half[camera]  # 1 at the right edge
        effect = np.zeros((len(z), 3, 3))
        effect[:, 0, RIGHT] = effect[:, 1:, DOWN] = 1.0
        # the middle of the box lies between its lower and its upper edge
        effect[:, 0, TURN], effect[:, 1:, TURN] = (off[:, 1] + off[:, 2]) / -2, off[:, :1]
        return effect
