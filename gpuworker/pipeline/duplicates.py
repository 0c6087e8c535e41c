"""Two tracks on one person: found and merged."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.intervals import meeting
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DIFFERENT = 1.0  # nats that looks must say against one person
WATCHED = 3.0  # times the distance of duplicates: tracks that come closer are watched
SERIALS = 32  # bits of a track's serial in the key of a pair


class Duplicates:
    """Watches tracks that are close, and finds those that are on one person."""

    def __init__(self, settings: TrackerSettings, likelihood: LikelihoodRatio) -> None:
        """Begin with no tracks."""
        self._settings = settings
        self._likelihood = likelihood
        self._pair = np.zeros(0, dtype=np.int64)  # serials of two tracks that are close, sorted
        self._apart_s = np.zeros(0)  # since one frame showed them in two boxes; infinite for never

    def survivors(self, tracks: Tracks, shown: Bools, dt_s: float) -> Ints:
        """Give for each track (n,) the index of the track that goes on in its place, itself for most.

        Two tracks are one person when they stand in one place, no frame has shown them as two for a while, and
        their looks do not speak against it. The one that was published goes on, or the older one.

        Args:
            tracks: in order of their serials.
            shown: (f, n) whom the frames of this tick show.
            dt_s: since the tick before.
        """
        s = self._settings
        into = np.arange(len(tracks))
        first, second, away_m = _close(tracks.mean[:, :2], WATCHED * s.duplicate_m)
        pair = (tracks.serial[first] << SERIALS) | tracks.serial[second]
        place = np.minimum(np.searchsorted(self._pair, pair), max(len(self._pair) - 1, 0))
        apart_s = np.full(len(pair), np.inf)
        if len(self._pair):
            known = self._pair[place] == pair
            apart_s[known] = self._apart_s[place[known]] + dt_s
        apart_s[(shown[:, first] & shown[:, second]).any(axis=0)] = 0.0
        self._pair, self._apart_s = pair, apart_s
        for k in np.flatnonzero((away_m < s.duplicate_m) & (apart_s > s.duplicate_apart_s)).tolist():
            a, b = int(first[k]), int(second[k])
            if into[a] != a or into[b] != b or self._differ(tracks.look[a], tracks.look[b]):
                continue
            keep, drop = (b, a) if tracks.number[a] == NO_ID != tracks.number[b] else (a, b)
            into[drop] = keep
        return into

    def _differ(self, look: Floats, other: Floats) -> bool:
        """Say whether two settled looks (d,) are of different people."""
        if not (look.any() and other.any()):
            return False
        similarity = np.array([unit(look) @ unit(other)])
        return bool(self._likelihood.evidence(similarity, np.inf)[0] < -DIFFERENT)


def _close(place_m: Floats, reach_m: float) -> tuple[Ints, Ints, Floats]:
    """Give the pairs of places (n, 2) that are closer than ``reach_m``: two indices in order, and the distance, m."""
    known = np.isfinite(place_m[:, 0])
    span = np.where(known, place_m[:, 0], 0.0), np.where(known, place_m[:, 0], -1.0)  # nobody's span is empty
    everywhere = np.zeros(len(place_m), dtype=np.int64)
    first, second = meeting(*span, everywhere, span[0] - reach_m, span[1] + reach_m, everywhere)
    off = place_m[first] - place_m[second]
    away_m = np.sqrt(off[:, 0] ** 2 + off[:, 1] ** 2)
    close = ((first < second) & (away_m < reach_m)).nonzero()[0]
    close = close[np.lexsort((second[close], first[close]))]
    return first[close], second[close], away_m[close]
