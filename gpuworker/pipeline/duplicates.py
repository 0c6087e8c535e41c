"""Two tracks on one person: found and merged."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID

Ints = NDArray[np.int64]


def survivors(tracks: Tracks, settings: TrackerSettings) -> Ints:
    """Give for each track (n,) the index of the track that goes on in its place, itself for most.

    Two tracks are one person when they stand in one place and no frame has shown them as two for a while.
    The one that was published goes on, or the older one.
    """
    s, n = settings, len(tracks)
    into = np.arange(n)
    off = tracks.mean[:, None, :2] - tracks.mean[None, :, :2]
    close = (off**2).sum(axis=-1) < s.duplicate_m**2
    first, second = np.nonzero(np.triu(close & (tracks.apart_s > s.duplicate_apart_s), k=1))
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if into[a] != a or into[b] != b:
            continue
        keep, drop = (b, a) if tracks.number[a] == NO_ID != tracks.number[b] else (a, b)
        into[drop] = keep
    return into
