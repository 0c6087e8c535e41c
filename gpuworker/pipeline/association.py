"""Which box of a frame belongs to which track: one score for all, in nats.

The score of a pair is the log odds that the box shows the track's person rather than nobody known:
likelihood of the box over the density of boxes of nobody known, what the confidence and the look of the
box say, and the odds that the person exists and is detected. Pairs above 0 are matched, by Hungarian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gpuworker.pipeline.observation import BOTTOM, FEET_HIDDEN, HYPOTHESES, MID, TOP, TOP_CUT, Measured
from gpuworker.pipeline.settings import TrackerSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LOG_2PI = float(np.log(2 * np.pi))
BITS = np.array([1, 2, 4])
MIN_BOX_SHARE = 0.2  # a box lower than this share of the person is no view of the person
UNCERTAIN_SIDE = 2.5  # standard deviations that a hidden edge may lie on the wrong side


@dataclass(frozen=True, slots=True)
class Fit:
    """How well boxes fit tracks.

    Attributes:
        evidence: (d, t) best log likelihood ratio over the hypotheses, -inf outside the gate.
        hypothesis: (d, t) which hypothesis that was.
    """

    evidence: Floats
    hypothesis: Ints


def fit(
    measured: Measured,
    predicted: Floats,
    covariance: Floats,
    size_px: Floats,
    log_prior: Floats,
    picture_px: tuple[float, float],
    settings: TrackerSettings,
) -> Fit:
    """Compare boxes with tracks.

    Args:
        measured: d boxes.
        predicted, covariance: (t, 3) and (t, 3, 3) of the box that each track should give.
        size_px: (t,) height of each track's person in the picture.
        log_prior: (t, 3) of the hypotheses.
        picture_px: width and height.
    """
    innovation = measured.z[:, None, :] - predicted  # (d, t, 3)
    codes = (HYPOTHESES & measured.valid[:, None, :]) @ BITS  # (d, 3 hypotheses)
    plausible = _plausible(measured, innovation, covariance, size_px)  # (d, t, 3)
    best = np.full(innovation.shape[:2], -np.inf)
    which = np.zeros(innovation.shape[:2], dtype=np.int64)
    for code in np.unique(codes):
        if code == 0:
            continue
        index = np.flatnonzero(code & BITS)
        ratio = _log_ratio(index, innovation, covariance, size_px, picture_px, settings)  # (d, t)
        for hypothesis in np.flatnonzero((codes == code).any(axis=0)):
            score = ratio + log_prior[:, hypothesis]
            allowed = plausible[..., hypothesis] & (codes[:, hypothesis] == code)[:, None]
            better = allowed & (score > best)
            best[better] = score[better]
            which[better] = hypothesis
    return Fit(best, which)


def _plausible(measured: Measured, innovation: Floats, covariance: Floats, size_px: Floats) -> Bools:
    """Say (d, t, 3) which hypotheses a box may have: a hidden edge lies inside the person."""
    spread = UNCERTAIN_SIDE * np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))  # (t, 3)
    allowed = np.ones(innovation.shape, dtype=bool)
    tall = np.abs(measured.z[:, BOTTOM] - measured.z[:, TOP])[:, None] > MIN_BOX_SHARE * size_px
    allowed[..., FEET_HIDDEN] = tall & (innovation[..., BOTTOM] < spread[:, BOTTOM])
    allowed[..., TOP_CUT] = tall & (innovation[..., TOP] > -spread[:, TOP])
    return allowed


def _log_ratio(
    index: Ints,
    innovation: Floats,
    covariance: Floats,
    size_px: Floats,
    picture_px: tuple[float, float],
    settings: TrackerSettings,
) -> Floats:
    """Give the log likelihood ratio (d, t) by the components at ``index`` alone; -inf outside the gate."""
    part = covariance[:, index[:, None], index]  # (t, m, m)
    inverse = np.linalg.inv(part)
    off = innovation[..., index]  # (d, t, m)
    weighted = np.matmul(off.transpose(1, 0, 2), inverse).transpose(1, 0, 2)
    distance2 = np.einsum("dtm,dtm->dt", weighted, off)
    log_det = np.log(np.linalg.det(part))
    density = np.full(len(size_px), -np.log(settings.clutter_per_frame))  # of boxes of nobody known
    if MID in index:
        density = density + np.log(picture_px[0])
    if BOTTOM in index or TOP in index:
        density = density + np.log(picture_px[1])
    if BOTTOM in index and TOP in index:
        density = density + np.log(size_px)
    ratio = density - 0.5 * (len(index) * LOG_2PI + log_det + distance2)
    return np.where(distance2 <= settings.gate_chi2, ratio, -np.inf)


def assign(score: Floats) -> Ints:
    """Match boxes (rows) to tracks (columns) one to one; only pairs above 0, the best sum; (d,) column or -1.

    Source: Kuhn's Hungarian method in the form of Crouse, On implementing 2D rectangular assignment (2016).
    """
    gain = np.where(score > 0, score, 0.0)
    matched = np.full(len(score), -1, dtype=np.int64)
    rows, columns = linear_sum_assignment(-gain)
    good = gain[rows, columns] > 0
    matched[rows[good]] = columns[good]
    return matched
