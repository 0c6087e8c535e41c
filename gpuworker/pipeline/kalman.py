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
    return cofactors.swapaxes(-1, -2) / determinant[..., None, None], determinant


def turned(matrices: Floats) -> Floats:
    """Transpose matrices (..., m, n), laid out so that products with them are quick."""
    return np.ascontiguousarray(matrices.swapaxes(-1, -2))


def through(jacobian: Floats, covariance: Floats) -> Floats:
    """Propagate covariances (..., n, n) through derivatives (..., m, n), (..., m, m)."""
    return np.asarray(jacobian @ covariance @ turned(jacobian))


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
    mean, cov = mean.copy(), cov.copy()
    mean[:, :2] += dt_s * mean[:, 2:4]
    # the transition from the left and from the right
    cov[:, :2] += dt_s * cov[:, 2:4]
    cov[:, :, :2] += dt_s * cov[:, :, 2:4]
    cov += process_noise(dt_s, acceleration_psd)
    return mean, cov


def information(
    jacobian: Floats, noise: Floats, residual: Floats, measured: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Give what measurements tell about states: matrices (n, 5, 5) and vectors (n, 5).

    Args:
        jacobian: (n, 3, 5) of the measurement by the state.
        noise: (n, 3, 3) covariance of the measurement.
        residual: (n, 3) measured minus predicted.
        measured: (n, 3) which components were measured; the others tell nothing.
    """
    gain = turned(jacobian) @ weights(noise, measured)  # (n, 5, 3)
    return gain @ jacobian, (gain @ np.where(measured, residual, 0.0)[..., None])[..., 0]


def weights(covariance: Floats, measured: NDArray[np.bool_]) -> Floats:
    """Give the inverses (n, 3, 3) of covariances (n, 3, 3) of the components measured (n, 3), 0 for the others."""
    if measured.all():
        return invert3(covariance)[0]
    both = measured[:, :, None] & measured[:, None, :]
    return np.where(both, invert3(np.where(both, covariance, IDENTITY))[0], 0.0)


def update(
    cov: Floats, jacobian: Floats, noise: Floats, residual: Floats, measured: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Give the shift (n, 5) of the mean and the covariance (n, 5, 5) after one measurement of each state.

    With less than no noise, a measurement that was taken in is taken out again.

    Args:
        cov: (n, 5, 5) before.
        jacobian, noise, residual, measured: as in ``information``.

    Source: Kalman filter, Bar-Shalom et al., eq. 5.2.3-17.
    """
    reach = cov @ turned(jacobian)  # (n, 5, 3)
    gain = reach @ weights(jacobian @ reach + noise, measured)
    shift = gain @ np.where(measured, residual, 0.0)[..., None]
    return shift[..., 0], cov - gain @ turned(reach)


def correct(matrix: Floats, vector: Floats) -> tuple[Floats, Floats]:
    """Give the shift (n, 5) of the mean and the covariance (n, 5, 5) that information adds up to.

    Args:
        matrix: (n, 5, 5) inverse covariance before, and what measurements tell.
        vector: (n, 5) what they tell.

    Source: the information filter, Bar-Shalom et al., section 7.2.
    """
    inverse = invert(matrix)
    cov = (inverse + inverse.swapaxes(1, 2)) / 2
    return (cov @ vector[..., None])[..., 0], cov
