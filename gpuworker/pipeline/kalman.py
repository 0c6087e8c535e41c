"""Kalman filtering of many tracks at once, in arrays; state (x, y, vx, vy, height)."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

IDENTITY = np.eye(3)
CYCLE = np.array([0, 1, 2, 0, 1])


def invert(matrices: Floats) -> Floats:
    """Give the inverses of matrices (..., k, k)."""
    return np.asarray(np.linalg.inv(matrices), dtype=np.float64)


def invert3(matrices: Floats) -> tuple[Floats, Floats]:
    """Give the inverses of matrices (..., 3, 3) and their determinants (...), by cofactors."""
    m = matrices[..., CYCLE[:, None], CYCLE]  # (..., 5, 5): rows and columns go round
    cofactors = m[..., 1:4, 1:4] * m[..., 2:, 2:] - m[..., 1:4, 2:] * m[..., 2:, 1:4]
    determinant = np.vecdot(m[..., 0, :3], cofactors[..., 0, :])
    return np.swapaxes(cofactors, -1, -2) / determinant[..., None, None], determinant


def transition(dt_s: float | Floats) -> Floats:
    """Give the matrices (..., 5, 5) of constant velocity over ``dt_s`` (...) seconds."""
    f = np.zeros((*np.shape(dt_s), 5, 5))
    f[...] = np.eye(5)
    f[..., 0, 2] = f[..., 1, 3] = dt_s
    return f


def process_noise(dt_s: float | Floats, acceleration_psd: float) -> Floats:
    """Give the noise (..., 5, 5) of white acceleration of ``acceleration_psd`` m^2/s^3 over ``dt_s`` (...) seconds.

    Heights do not change.

    Source: Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking, eq. 6.2.2-12.
    """
    dt = np.asarray(dt_s)
    q = np.zeros((*dt.shape, 5, 5))
    q[..., 0, 0] = q[..., 1, 1] = dt**3 / 3
    q[..., 0, 2] = q[..., 2, 0] = q[..., 1, 3] = q[..., 3, 1] = dt**2 / 2
    q[..., 2, 2] = q[..., 3, 3] = dt
    return q * acceleration_psd


def predict(mean: Floats, cov: Floats, dt_s: float, acceleration_psd: float) -> tuple[Floats, Floats]:
    """Move states (n, 5) with covariances (n, 5, 5) ``dt_s`` seconds on."""
    f = transition(dt_s)
    return mean @ f.T, f @ cov @ f.T + process_noise(dt_s, acceleration_psd)


def information(
    jacobian: Floats, noise: Floats, residual: Floats, measured: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Give what measurements tell about states: matrices (n, 5, 5) and vectors (n, 5).

    Args:
        jacobian: (n, m, 5) of the measurement by the state.
        noise: (n, m, m) covariance of the measurement.
        residual: (n, m) measured minus predicted.
        measured: (n, m) which components were measured; the others tell nothing.
    """
    # where nothing was measured, neither side of the inverse lets anything through
    both = measured[:, :, None] & measured[:, None, :]
    weight = np.linalg.inv(np.where(both, noise, np.eye(noise.shape[-1])))
    told = jacobian * measured[..., None]
    gain = np.swapaxes(told, 1, 2) @ weight  # (n, 5, m)
    residual = np.where(measured, residual, 0.0)
    return gain @ told, (gain @ residual[..., None])[..., 0]


def correct(cov_inverse: Floats, matrix: Floats, vector: Floats) -> tuple[Floats, Floats]:
    """Give the shift (n, 5) of the mean and the covariance (n, 5, 5) after information is added.

    Source: the information filter, Bar-Shalom et al., section 7.2.
    """
    inverse = invert(cov_inverse + matrix)
    cov = (inverse + np.swapaxes(inverse, 1, 2)) / 2
    return (cov @ vector[..., None])[..., 0], cov
