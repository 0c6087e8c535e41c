"""Which box of a frame belongs to which track: one score for all, in nats.

The score of a pair is the log odds that the box shows the track's person rather than nobody known:
likelihood of the box over the density of boxes of nobody known, what the confidence and the look of the
box say, and the odds that the person exists and is detected. Pairs above 0 are matched, by Hungarian. Only
boxes near the place where a person should be are ever paired, so cost grows with neighbours.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpuworker.pipeline.intervals import meeting
from gpuworker.pipeline.observation import BOTTOM, FEET_HIDDEN, HYPOTHESES, MID, TOP, WHOLE, Measured
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.views import NOWHERE_PX

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LOG_2PI = float(np.log(2 * np.pi))

MIN_BOX_SHARE = 0.2  # a box lower than this share of the person is no view of the person
UNCERTAIN_SIDE = 2.5  # standard deviations that a hidden edge may lie on the wrong side
REACH = 1.25  # gates around a prediction in which boxes are looked at: other frames may move it
MANY = 150  # pairs: fewer are solved in one table
DENSE = 64  # rows of connected pairs that are solved in one table


@dataclass(frozen=True)
class Pairs:
    """Boxes with tracks that they may show, p of them in order of boxes.

    Attributes:
        frame: (p,) of the box.
        box: (p,) index of the box among those of all frames.
        track: (p,) index of the track.
        z, valid: (p, 3) of the box.
        constant: (p, 2) what speaks for each hypothesis whatever is predicted, nats: prior and density of boxes of
            nobody known; -inf where a box cannot be a view of a person under it.
    """

    frame: Ints
    box: Ints
    track: Ints
    z: Floats
    valid: Bools
    constant: Floats

    def __len__(self) -> int:
        return len(self.box)

    @cached_property
    def known(self) -> Floats:
        """Give which components the boxes measure, (3, p) as 0 or 1."""
        return self.valid.T.astype(np.float64)

    def part(self, which: slice) -> "Pairs":
        """Give a run of pairs."""
        return Pairs(
            self.frame[which],
            self.box[which],
            self.track[which],
            self.z[which],
            self.valid[which],
            self.constant[which],
        )


def near(
    measured: Measured,
    predicted: Floats,
    spread: Floats,
    size_px: Floats,
    log_prior: Floats,
    picture_px: Floats,
    settings: TrackerSettings,
) -> Pairs:
    """Pair boxes with the tracks whose prediction they lie near.

    Args:
        measured: boxes of f frames.
        predicted, spread: (f, t, 3) and (f, t, 3, 3) of the box that each track should give.
        size_px: (f, t) height of each track's person in the picture.
        log_prior: (f, t, 2) of the hypotheses.
        picture_px: (f, 2) width and height.
    """
    frames, tracks = size_px.shape
    reach = REACH * np.sqrt(settings.gate_chi2 * np.diagonal(spread, axis1=2, axis2=3))  # (f, t, 3)
    low, high = predicted[..., MID] - reach[..., MID], predicted[..., MID] + reach[..., MID]
    middle, known = measured.z[:, MID], measured.valid[:, MID]
    box, place = meeting(
        np.where(known, middle, -NOWHERE_PX),
        np.where(known, middle, NOWHERE_PX),
        measured.frame,
        low.ravel(),
        high.ravel(),
        np.arange(frames).repeat(tracks),
    )
    fits = np.zeros(len(box), dtype=bool)
    for edge in (BOTTOM, TOP):
        # what is not measured fits nowhere
        there = np.where(measured.valid[:, edge], measured.z[:, edge], np.nan)
        fits |= np.abs(there[box] - predicted[..., edge].ravel()[place]) <= reach[..., edge].ravel()[place]
    box, place = box[fits], place[fits]
    order = (box * (frames * tracks) + place).argsort(kind="stable")
    box, place = box[order], place[order]
    z, valid, size = measured.z[box], measured.valid[box], size_px.ravel()[place]
    width, height = np.log(picture_px[measured.frame[box]]).T
    constant = log_prior.reshape(-1, len(HYPOTHESES))[place]
    middle_only = valid[:, MID] * (width - LOG_2PI / 2) - np.log(settings.clutter_per_frame)
    side = height - LOG_2PI / 2
    bottom, top = valid[:, BOTTOM], valid[:, TOP]
    tall = np.abs(z[:, BOTTOM] - z[:, TOP]) > MIN_BOX_SHARE * size
    both = (np.log(size) - LOG_2PI / 2) * (bottom & top)
    constant += (middle_only + side)[:, None]
    constant[:, WHOLE] += both
    constant[~(bottom | top), WHOLE] = -np.inf
    constant[~(top & tall), FEET_HIDDEN] = -np.inf
    return Pairs(measured.frame[box], box, place % max(tracks, 1), z, valid, constant)


def fit(pairs: Pairs, predicted: Floats, spread: Floats, settings: TrackerSettings) -> tuple[Floats, Ints]:
    """Compare boxes with tracks by place and height.

    Args:
        pairs: p of them.
        predicted, spread: (p, 3) and (p, 3, 3) of the box that the track should give.
        settings: tuning values.

    Returns:
        Best log likelihood ratio over the hypotheses, (p,), -inf outside the gate; and which one it was, (p,).
    """
    middle, bottom, top = pairs.known
    r0, r1, r2 = (pairs.z - predicted).T
    # the Cholesky factors of what is measured, one component after the other: middle, top, bottom
    s01, s02 = spread[:, 0, 1], spread[:, 0, 2]
    d0, s1 = spread[:, 0, 0], spread[:, 1, 1]
    half = middle / d0
    k1, k2 = half * s01, half * s02
    d2, e2 = spread[:, 2, 2] - k2 * s02, r2 - k2 * r0  # of the top, given the middle
    cross = spread[:, 1, 2] - k2 * s01
    k12 = top * cross / d2
    d1 = s1 - k1 * s01 - k12 * cross  # of the bottom, given the middle and the top
    e1 = r1 - k1 * r0 - k12 * e2
    log0, log1, log2 = np.log([d0, d1, d2])
    hidden2, volume = half * r0 * r0 + e2 * e2 / d2, middle * log0
    whole2 = half * r0 * r0 + top * (e2 * e2 / d2) + bottom * (e1 * e1 / d1)
    gate, constant = settings.gate_chi2, pairs.constant
    whole = constant[:, WHOLE] - 0.5 * (whole2 + volume + top * log2 + bottom * log1)
    whole[whole2 > gate] = -np.inf
    hidden = constant[:, FEET_HIDDEN] - 0.5 * (hidden2 + volume + log2)
    # a hidden edge lies inside the person
    hidden[(hidden2 > gate) | (r1 >= UNCERTAIN_SIDE * np.sqrt(s1))] = -np.inf
    return np.maximum(whole, hidden), np.where(hidden > whole, FEET_HIDDEN, WHOLE)


def clutter_volume(
    measured: Bools,
    size_px: Floats,
    picture_px: tuple[Floats | float, Floats | float],
    settings: TrackerSettings,
) -> Floats:
    """Give the log of one over the density of boxes of nobody known, by components (..., 3).

    They lie anywhere in the picture, with a height like that of a person there.
    """
    bottom, top = measured[..., BOTTOM], measured[..., TOP]
    volume = measured[..., MID] * np.log(picture_px[0]) + (bottom | top) * np.log(picture_px[1])
    return np.asarray(volume + (bottom & top) * np.log(size_px) - np.log(settings.clutter_per_frame))


def assign(score: Floats, row: Ints, column: Ints) -> Ints:
    """Match rows with columns one to one; only pairs above 0, the best sum.

    Args:
        score: (p,) of the pairs.
        row, column: (p,) not negative, no pair twice; all other pairs are worth nothing.

    Returns:
        (m,) indices of the pairs that are matched, sorted.

    Source: Kuhn's Hungarian method in the form of Crouse, On implementing 2D rectangular assignment (2016), for each
    connected component of pairs.
    """
    good = (score > 0).nonzero()[0]
    if len(good) == 0:
        return good
    weight, i, j = score[good], row[good], column[good]
    chosen = np.zeros(len(good), dtype=bool)
    rest = np.arange(len(good))
    if len(good) > MANY:
        # worth more than the best that its row and its column could have instead
        chosen = weight > _best_other(weight, i) + _best_other(weight, j)
        rest = (~(_among(i, i[chosen]) | _among(j, j[chosen]))).nonzero()[0]
    for part in _parts(i[rest], j[rest]):
        some = rest[part]
        chosen[some[_solve(weight[some], _ranks(i[some]), _ranks(j[some]))]] = True
    return good[chosen]


def _parts(row: Ints, column: Ints) -> list[Ints | slice]:
    """Split pairs (p,) that may be solved apart."""
    if len(row) <= MANY:
        return [slice(None)] if len(row) else []
    i, j = _ranks(row), _ranks(column)
    rows, columns = int(i.max()) + 1, int(j.max()) + 1
    graph = coo_array((np.ones(len(i)), (i, rows + j)), shape=(rows + columns, rows + columns))
    _, label = connected_components(graph, directed=False)
    part = (np.cumsum(np.bincount(label[:rows])) // DENSE)[label[i]]
    order = part.argsort(kind="stable")
    return [*np.split(order, np.flatnonzero(np.diff(part[order])) + 1)]


def _best_other(weight: Floats, group: Ints) -> Floats:
    """Give for each of (p,) the best weight of another one of its group, 0 for none."""
    order = group.argsort(kind="stable")
    ranked, of = weight[order], group[order]
    first = np.append(True, of[1:] != of[:-1]).nonzero()[0]
    size = np.append(first[1:], len(of)) - first
    best = np.maximum.reduceat(ranked, first).repeat(size)
    is_best = ranked == best
    second = np.maximum.reduceat(np.where(is_best, 0.0, ranked), first).repeat(size)
    alone = np.add.reduceat(is_best.astype(np.int64), first).repeat(size) == 1
    other = np.empty_like(weight)
    other[order] = np.where(is_best & alone, second, best)
    return other


def _among(values: Ints, some: Ints) -> Bools:
    """Say which of values (p,) are among some of them (q,)."""
    there = np.zeros(int(values.max()) + 1, dtype=bool)
    there[some] = True
    return there[values]


def _ranks(values: Ints) -> Ints:
    """Count values (n,) anew from 0, without gaps."""
    used = np.zeros(int(values.max()) + 1, dtype=bool)
    used[values] = True
    return np.asarray((np.cumsum(used) - 1)[values])


def _solve(score: Floats, row: Ints, column: Ints) -> Ints:
    """Give the indices (m,) of the matched ones of pairs that are above 0."""
    table = np.zeros((int(row.max()) + 1, int(column.max()) + 1))
    table[row, column] = score
    rows, columns = linear_sum_assignment(table, maximize=True)
    other = np.full(len(table), -1)
    other[rows] = columns
    return np.flatnonzero(other[row] == column)
