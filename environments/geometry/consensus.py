"""Which point pairs agree: the largest set that one homography explains."""

from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from environments.geometry.homography import fit_directly
from environments.geometry.pairs import MIN_PAIRS, ClickNoise, PointPairs, errors_px
from environments.polygons import Floats

Bools = NDArray[np.bool_]

OFF_CHI2 = 13.8  # of two degrees of freedom, 99.9 %
MOST_SAMPLES = 400
REFINED = 24  # of the samples, the best, each widened to all that agree
WIDENING = (4.0, 2.0, 1.0)  # four pairs fix a homography badly: at first, more may be off
SCALES = (1.0, 2.0, 4.0)  # some people click less exactly
SEED = 1


def agreeing(pairs: PointPairs, noise: ClickNoise) -> tuple[Bools, float]:
    """Give which pairs (n,) agree on one homography, and how many times the noise was assumed for that.

    What is likelier: few that agree well, or more that agree less well; who does not agree may lie anywhere.
    Source: Chum, Matas, Kittler, Locally Optimized RANSAC (2003), with all samples of four where they are few;
    Torr, Zisserman, MLESAC (2000), eq. 17, for the likelihood of a noise.
    """
    weights = _samples(len(pairs))
    samples = fit_directly(pairs.px, pairs.m, weights)
    anywhere = 2.0 * np.log(max(float(pairs.px.std(axis=0).max()) / noise.px, 1.0))
    best, best_scale, best_worth = np.ones(len(pairs), dtype=bool), 1.0, -np.inf
    for scale in SCALES:
        off = _best_of(samples, pairs, noise * scale)
        inliers = off <= OFF_CHI2
        free = 2 * max(int(inliers.sum()) - MIN_PAIRS, 0)
        worth = -free * np.log(scale) - off[inliers].sum() / 2 - anywhere * (~inliers).sum()
        if worth > best_worth:
            best, best_scale, best_worth = inliers, scale, worth
    return best, best_scale


def _samples(n: int) -> Floats:
    """Give weights (s, n) that are 1 for the four pairs of each sample."""
    if comb(n, MIN_PAIRS) <= MOST_SAMPLES:
        chosen = np.array(list(combinations(range(n), MIN_PAIRS)))
    else:
        rng = np.random.default_rng(SEED)
        chosen = np.argsort(rng.random((MOST_SAMPLES, n)), axis=1)[:, :MIN_PAIRS]
    weights = np.zeros((len(chosen), n))
    np.put_along_axis(weights, chosen, 1.0, axis=1)
    return weights


def _best_of(samples: Floats, pairs: PointPairs, noise: ClickNoise) -> Floats:
    """Give the squared errors (n,) of the homography that most pairs agree on."""
    off = _squared_errors(samples, pairs, noise)  # (s, n)
    best = np.argsort(np.minimum(off, WIDENING[0] ** 2 * OFF_CHI2).sum(axis=1), kind="stable")[:REFINED]
    off = off[best]
    for times in WIDENING:
        near = off <= np.maximum(times**2 * OFF_CHI2, np.sort(off, axis=1)[:, MIN_PAIRS - 1, None])
        off = _squared_errors(fit_directly(pairs.px, pairs.m, near.astype(np.float64)), pairs, noise)
    winner = int(np.argmin(np.minimum(off, OFF_CHI2).sum(axis=1)))
    return np.asarray(off[winner])


def _squared_errors(h: Floats, pairs: PointPairs, noise: ClickNoise) -> Floats:
    """Give squared errors in units of the noise, (s, n); infinite where a pair lies beyond the horizon."""
    m1 = np.column_stack([pairs.m, np.ones(len(pairs))])
    side = np.sign(h[:, 2] @ m1.T)  # (s, n)
    usual = np.sign(side.sum(axis=1, keepdims=True))
    white = (noise.whitening(h, pairs.m) @ errors_px(h, pairs)[..., None])[..., 0]
    off = (white**2).sum(axis=-1)
    return np.where((side != usual) | ~np.isfinite(off), np.inf, off)
