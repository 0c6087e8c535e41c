"""Two tracks on one person: found and merged."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DIFFERENT = 1.0  # nats that looks must say against one person


def survivors(tracks: Tracks, settings: TrackerSettings, likelihood: LikelihoodRatio) -> Ints:
    """Give for each track (n,) the index of the track that goes on in its place, itself for most.

    Two tracks are one person when they stand in one place, no frame has shown them as two for a while, and
    their looks do not speak against it. The one that was published goes on, or the older one.
    """
    s, n = settings, len(tracks)
    into = np.arange(n)
    off = tracks.mean[:, None, :2] - tracks.mean[None, :, :2]
    close = (off**2).sum(axis=-1) < s.duplicate_m**2
    first, second = np.nonzero(np.triu(close & (tracks.apart_s > s.duplicate_apart_s), k=1))
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if into[a] != a or into[b] != b or _differ(tracks.look[a], tracks.look[b], likelihood):
            continue
        keep, drop = (b, a) if tracks.number[a] == NO_ID != tracks.number[b] else (a, b)
        into[drop] = keep
    return into


def _differ(look: Floats, other: Floats, likelihood: LikelihoodRatio) -> bool:
    """Say whether two settled looks (d,) are of different people."""
    if not (look.any() and other.any()):
        return False
    similarity = np.array([unit(look) @ unit(other)])
    return bool(likelihood.evidence(similarity, np.inf)[0] < -DIFFERENT)
