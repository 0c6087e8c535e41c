"""What it takes to predict and correct many tracks: in arrays, and with one filterpy object each."""

from time import perf_counter, process_time
from typing import Any

import numpy as np
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from tests.benchmarks.contest import percentiles

Floats = NDArray[np.float64]

TRACKS, ROUNDS = 100, 300
DT_S, ACCELERATION_PSD = 0.1, 0.18
STATE, MEASURED = 5, 3


def filters(tracks: int = TRACKS, rounds: int = ROUNDS) -> dict[str, Any]:
    """Time both on the same numbers, one after the other, and compare what they give."""
    rng = np.random.default_rng(5)
    mean = rng.normal(0, 3, (tracks, STATE))
    root = rng.normal(0, 1, (tracks, STATE, STATE))
    covariance = root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(STATE)
    jacobian, residual = rng.normal(0, 1, (tracks, MEASURED, STATE)), rng.normal(0, 1, (tracks, MEASURED))
    noise = np.tile(np.diag([0.5, 1.0, 2.0]), (tracks, 1, 1))
    measured = np.ones((tracks, MEASURED), dtype=bool)
    spent: dict[str, list[tuple[float, float]]] = {"arrays": [], "filterpy": []}
    for _ in range(rounds):
        cpu, wall = process_time(), perf_counter()
        ahead, spread = kalman.predict(mean, covariance, DT_S, ACCELERATION_PSD)
        shift, ours = kalman.update(spread, jacobian, noise, residual, measured)
        spent["arrays"].append((process_time() - cpu, perf_counter() - wall))
    f, q = kalman.transition(DT_S), kalman.process_noise(DT_S, ACCELERATION_PSD)
    z = residual + (jacobian @ ahead[..., None])[..., 0]
    for _ in range(rounds):
        objects = _objects(mean, covariance)
        cpu, wall = process_time(), perf_counter()
        for i, one in enumerate(objects):
            one.predict(F=f, Q=q)
            one.update(z[i], R=noise[i], H=jacobian[i])
        spent["filterpy"].append((process_time() - cpu, perf_counter() - wall))
    apart = max(
        float(np.abs(ahead + shift - [one.x for one in objects]).max()),
        float(np.abs(ours - [one.P for one in objects]).max()),
    )
    return {
        "tracks": tracks,
        "rounds": rounds,
        "largest_difference": apart,
        **{name: _times(np.array(pairs)) for name, pairs in spent.items()},
    }


def _objects(mean: Floats, covariance: Floats) -> list[KalmanFilter]:
    objects = []
    for x, p in zip(mean, covariance, strict=True):
        one = KalmanFilter(dim_x=STATE, dim_z=MEASURED)
        one.x, one.P = x.copy(), p.copy()
        objects.append(one)
    return objects


def _times(spent_s: Floats) -> dict[str, dict[str, float]]:
    return {"cpu_ms": percentiles(1e3 * spent_s[:, 0]), "wall_ms": percentiles(1e3 * spent_s[:, 1])}
