"""How likely a camera's detector shows a person who is there; learned from tracks that others confirm."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.visibility import Visibility

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 5
"""Bins of the visible share of a person: 0 to 1 in fifths."""

PRIOR_HAD = np.array([0.25, 0.50, 0.70, 0.85, 0.93])
PRIOR_NOT = np.array([0.10, 0.20, 0.35, 0.50, 0.65])
"""Probability of a detection by visible share, when the camera had the person a frame ago and when not."""

PRIOR_COUNT = 20.0
OUTSIDE = 0.05
MIN_DETECTION, MAX_DETECTION = 0.01, 0.97
MEMORY = 400.0  # sightings per bin after which old ones fade


class Detectability:
    """Count detections and misses of people known to be there, per camera."""

    def __init__(self, cameras: int) -> None:
        """Start from the prior for each camera."""
        prior = np.stack([PRIOR_NOT, PRIOR_HAD])  # (2, bins)
        self._hits = np.tile(prior * PRIOR_COUNT, (cameras, 1, 1))  # (c, 2, bins)
        self._total = np.full((cameras, 2, BINS), PRIOR_COUNT)

    def probability(self, camera: NDArray[np.int64], shares: Visibility, had: Bools) -> Floats:
        """Give the probability of a detection, (f, n), by camera (f,), visibility and ``had`` (f, n)."""
        seen = (self._hits / self._total)[camera[:, None], had.astype(np.int64), _bins(shares.body)]
        # a person predicted outside the picture may stand a little inside it
        chance: Floats = seen * np.maximum(shares.inside, OUTSIDE)
        return np.minimum(np.maximum(chance, MIN_DETECTION), MAX_DETECTION)

    def learn(self, camera: NDArray[np.int64], share: Floats, had: Bools, detected: Bools) -> None:
        """Count people (n,) who others confirm to be there."""
        where = (camera, had.astype(np.int64), _bins(share))
        np.add.at(self._total, where, 1.0)
        np.add.at(self._hits, where, detected.astype(np.float64))
        fade = np.minimum(1.0, MEMORY / self._total)
        self._total *= fade
        self._hits *= fade


def _bins(share: Floats) -> NDArray[np.int64]:
    return np.minimum((share * BINS).astype(np.int64), BINS - 1)
