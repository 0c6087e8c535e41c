"""How good predicted and stored paths are against the truth, on the floor.

A path is scored from a published position that matches a truth within a metre, against that very truth later on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gpuworker.pipeline.prediction import predict_paths
from gpuworker.pipeline.values import People, Points
from gpuworker.scoring import MATCH_M, Positions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HORIZONS_S = (1, 3, 5)
CHI2_90 = 4.605  # of two degrees of freedom
PROTOCOL = (
    "paths from each position that matches; ade_m is the mean distance from the truth at all ticks up to the "
    "horizon, fde_m that at the horizon, still: of who is predicted to stay"
)

ByHorizon = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class PathScores:
    """What predicted paths are worth by horizon in seconds, and stored ones; None where nothing can be compared.

    Attributes:
        ade_m, fde_m: mean distance from the truth over the time up to the horizon, and at the horizon.
        ade_still_m, fde_still_m: the same if everybody stayed where they are.
        inside_90: share of the truth inside the 90 % ellipse at the horizon.
        motp_stored_m, motp_live_m: mean distance from the truth of the points to be stored, and of what was published
            of the same people at the same instants.
    """

    ade_m: ByHorizon
    fde_m: ByHorizon
    ade_still_m: ByHorizon
    fde_still_m: ByHorizon
    inside_90: ByHorizon
    motp_stored_m: float | None
    motp_live_m: float | None


class PathScorer:
    """Compares what each tick published with the truth later on."""

    def __init__(
        self, truth: Sequence[Positions], bounds_m: tuple[float, float, float, float], fps: float
    ) -> None:
        """Take the truth, tick by tick, the scored area, and the ticks a second."""
        ids = np.unique(np.concatenate([np.zeros(0, np.int64), *(t.ids for t in truth)]))
        self._steps = np.array([max(1, round(h * fps)) for h in HORIZONS_S])
        ahead = int(self._steps.max())
        # by person and tick; nobody is anywhere after the end
        self._truth = np.full((len(ids), len(truth) + ahead, 2), np.nan)
        for tick, there in enumerate(truth):
            self._truth[np.searchsorted(ids, there.ids), tick] = there.xy_m
        self._bounds_m = bounds_m
        self._times_s = np.arange(1, ahead + 1) / fps
        self._sums = np.zeros((3, ahead))  # of distances, of those of who stays, and of ones
        self._inside = np.zeros(len(HORIZONS_S))
        self._matched: dict[tuple[datetime, int], Floats] = {}  # truth and published, by instant and track
        self._stored_m: list[Floats] = []  # distances of stored and published

    def add(self, tick: int, people: People, settled: Points) -> None:
        """Take in what a tick published, and points that were published before."""
        true, row = self._match(tick, people)
        both = np.stack([self._truth[true, tick], people.state[row, :2]], axis=1)
        for track, places in zip(people.track[row].tolist(), both, strict=True):
            self._matched[people.at, track] = places
        self.add_stored(settled)
        if len(row) == 0:
            return
        place, covariance = (each[row] for each in predict_paths(people, self._times_s))
        later = self._truth[true, tick + 1 : tick + 1 + len(self._times_s)]
        off = later - place  # (m, h, 2), NaN where the truth is not known
        known = np.isfinite(off).all(axis=-1)
        still = later - people.state[row, None, :2]
        distances = np.linalg.norm([off, still], axis=-1)
        self._sums += np.where(known, [*distances, np.ones(known.shape)], 0.0).sum(axis=1)
        at = self._steps - 1
        ellipse = np.linalg.solve(covariance[:, at], off[:, at, :, None])[..., 0]
        self._inside += ((off[:, at] * ellipse).sum(axis=-1) < CHI2_90).sum(axis=0)

    def add_stored(self, points: Points) -> None:
        """Take in points of instants that were published before."""
        for at, track, place in zip(points.at, points.track.tolist(), points.state[:, :2], strict=True):
            matched = self._matched.pop((at, track), None)
            if matched is not None:
                self._stored_m.append(np.linalg.norm(matched[0] - [place, matched[1]], axis=-1))

    def scores(self) -> PathScores:
        """Give what came out."""
        at = self._steps - 1
        ade, ade_still, n = self._sums.cumsum(axis=1)[:, at]
        fde, fde_still, last = self._sums[:, at]
        stored, live = np.mean(self._stored_m, axis=0).tolist() if self._stored_m else (None, None)
        return PathScores(
            ade_m=_by_horizon(ade, n),
            fde_m=_by_horizon(fde, last),
            ade_still_m=_by_horizon(ade_still, n),
            fde_still_m=_by_horizon(fde_still, last),
            inside_90=_by_horizon(self._inside, last),
            motp_stored_m=stored,
            motp_live_m=live,
        )

    def _match(self, tick: int, people: People) -> tuple[Ints, Ints]:
        """Give pairs (m,) of indices of truths and of people who stand within a metre, nearest overall."""
        published = np.arange(len(people))
        inside = Positions(published, people.state[:, :2]).inside(self._bounds_m)
        here = np.flatnonzero(np.isfinite(self._truth[:, tick, 0]))
        true = Positions(here, self._truth[here, tick]).inside(self._bounds_m)
        distance = np.linalg.norm(true.xy_m[:, None] - inside.xy_m[None], axis=-1)
        i, j = linear_sum_assignment(np.where(distance <= MATCH_M, distance, 1e3))
        near = distance[i, j] <= MATCH_M
        return true.ids[i[near]], inside.ids[j[near]]


def _by_horizon(total: Floats, count: Floats) -> ByHorizon:
    values = zip(HORIZONS_S, total.tolist(), count.tolist(), strict=True)
    return {str(h): t / n if n else None for h, t, n in values}
