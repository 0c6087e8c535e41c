"""Which box of a frame belongs to which track: one score for all, in nats.

The score of a pair is the log odds that the box shows the track's person rather than nobody known:
likelihood of the box over the density of boxes of nobody known, what the confidence and the look of the
box say, and the odds that the person exists and is detected. Pairs above 0 are matched, by Hungarian.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from gpuworker.pipeline.kalman import IDENTITY, invert3
from gpuworker.pipeline.observation import BOTTOM, FEET_HIDDEN, HYPOTHESES, MID, TOP, TOP_CUT, Measured
from gpuworker.pipeline.settings import TrackerSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LOG_2PI = float(np.log(2 * np.pi))
BITS = np.array([1, 2, 4])
MASKS: Bools = (np.arange(8)[:, None] & BITS) != 0
"""(8, 3): the components that each sum of bits stands for."""

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
    used = HYPOTHESES & measured.valid[:, None, :]  # (d, 3 hypotheses, 3 components)
    codes = used @ BITS  # (d, 3 hypotheses)
    present = np.bincount(codes.ravel(), minlength=len(MASKS)) > 0
    ratio = _log_ratio(MASKS[present], innovation, covariance, size_px, picture_px, settings)  # (k, d, t)
    which = (np.cumsum(present) - 1)[codes]
    score = ratio[which, np.arange(len(measured))[:, None]]  # (d, 3, t)
    score = np.swapaxes(score, 1, 2) + log_prior  # (d, t, 3)
    score[~_plausible(measured, innovation, covariance, size_px)] = -np.inf
    return Fit(score.max(axis=2), score.argmax(axis=2))


def _plausible(measured: Measured, innovation: Floats, covariance: Floats, size_px: Floats) -> Bools:
    """Say (d, t, 3) which hypotheses a box may have: a hidden edge lies inside the person."""
    spread = UNCERTAIN_SIDE * np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))  # (t, 3)
    allowed = np.ones(innovation.shape, dtype=bool)
    tall = np.abs(measured.z[:, BOTTOM] - measured.z[:, TOP])[:, None] > MIN_BOX_SHARE * size_px
    allowed[..., FEET_HIDDEN] = tall & (innovation[..., BOTTOM] < spread[:, BOTTOM])
    allowed[..., TOP_CUT] = tall & (innovation[..., TOP] > -spread[:, TOP])
    return allowed


def _log_ratio(
    masks: Bools,
    innovation: Floats,
    covariance: Floats,
    size_px: Floats,
    picture_px: tuple[float, float],
    settings: TrackerSettings,
) -> Floats:
    """Give the log likelihood ratio (k, d, t) by the components in each mask (k, 3); -inf outside the gate."""
    both = (masks[:, :, None] & masks[:, None, :])[:, None]  # (k, 1, 3, 3)
    part = np.where(both, covariance, IDENTITY)  # (k, t, 3, 3)
    inverse, determinant = invert3(part)
    weight = np.where(both, inverse, 0.0)
    off = np.swapaxes(innovation, 0, 1)  # (t, d, 3)
    distance2 = np.swapaxes(np.vecdot(off @ weight, off), 1, 2)  # (k, d, t)
    constant = clutter_volume(masks[:, None], size_px, picture_px, settings)  # (k, t)
    constant -= 0.5 * (masks.sum(axis=1)[:, None] * LOG_2PI + np.log(determinant))
    placed = np.any(masks[:, 1:], axis=1, keepdims=True)[..., None]  # (k, 1, 1)
    return np.where(
        (distance2 <= settings.gate_chi2) & placed, constant[:, None, :] - 0.5 * distance2, -np.inf
    )


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
