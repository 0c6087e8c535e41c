"""Where people will be in a few seconds, and how surely."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import PredictionSettings
from gpuworker.pipeline.values import People

Floats = NDArray[np.float64]


def predict_paths(
    people: People, horizons_s: Sequence[float] | Floats, settings: PredictionSettings | None = None
) -> tuple[Floats, Floats]:
    """Give where n people will be after h times: positions (n, h, 2) in m and covariances (n, h, 2, 2) in m^2.

    Velocities fade as people turn and stop: an Ornstein-Uhlenbeck process.

    Args:
        people: where they are now.
        horizons_s: (h,) seconds from now, not negative.
        settings: how fast velocities fade.

    Raises:
        ValueError: a horizon is negative or not finite.

    Source: Gillespie, Exact numerical simulation of the Ornstein-Uhlenbeck process and its integral,
    Phys. Rev. E 54 (1996) 2084; memory from the truth of several places, see DECISIONS.md.
    """
    s = settings or PredictionSettings()
    t = np.asarray(horizons_s, dtype=np.float64)
    if t.ndim != 1 or not (np.isfinite(t) & (t >= 0)).all():
        raise ValueError(f"horizons_s: expected seconds from 0, got {horizons_s!r}")
    memory = s.velocity_memory_s
    faded = -np.expm1(-t / memory)  # share of the velocity that is gone
    reach_s = memory * faded
    # what random turns add to the position; faded (2 - faded) is 1 - exp(-2 t / memory)
    spread = memory**2 * (t - 2 * reach_s + memory / 2 * faded * (2 - faded)) * s.acceleration_psd
    place, velocity = people.state[:, None, :2], people.state[:, None, 2:]
    p = people.covariance[:, None]  # (n, 1, 4, 4)
    a = reach_s[:, None, None]  # (h, 1, 1)
    covariance = p[..., :2, :2] + a * (p[..., :2, 2:] + p[..., 2:, :2]) + a**2 * p[..., 2:, 2:]
    return place + reach_s[:, None] * velocity, covariance + spread[:, None, None] * np.eye(2)
