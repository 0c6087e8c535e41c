"""Whether a person is really there: log odds from hits, misses and time."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import TrackerSettings

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def log_odds_detected(logit: Floats, detection: Floats) -> Floats:
    """Give log odds (f, n) that people of log odds (n,) exist and are detected with probability (f, n)."""
    p = detection / (1.0 + np.exp(-logit))
    return np.asarray(np.log(np.maximum(p, 1e-9)) - np.log1p(-p))


def survived(logit: Floats, dt_s: float, settings: TrackerSettings) -> Floats:
    """Give log odds (n,) after ``dt_s`` seconds in which people may have left."""
    p = settings.survival_per_s**dt_s / (1.0 + np.exp(-logit))
    return np.asarray(np.log(p) - np.log1p(-p))


def judged(
    logit: Floats,
    fit: Floats,
    confidence: Floats,
    hit: Bools,
    height_m: Floats,
    detection: Floats,
    elapsed_s: Floats,
    since_s: Floats,
    settings: TrackerSettings,
) -> Floats:
    """Give log odds (n,) after the frames of a tick.

    What a camera shows again and again, person or thing, says little more than once, so what a hit can say grows
    with the time since that camera last showed the person, up to a bound. That misses come in a row is in the
    chances of a detection.

    Args:
        logit: (n,) before.
        fit: (f, n) log likelihood ratio of the box that shows the person.
        confidence: (f, n) what its confidence says; a doubtful box speaks less, a sure one not more.
        hit: (f, n) whether there is one.
        height_m: (n,) of the persons; boxes of a thing too low or too tall say less.
        detection: (f, n) probability that the frame shows the person.
        elapsed_s: (f,) since the camera's frame before.
        since_s: (f, n) since the frame's camera last showed the person, infinite for never.
    """
    s = settings
    share = np.minimum(np.maximum(elapsed_s[:, None], since_s) / s.evidence_s, 1.0)
    odd = np.abs(height_m - s.height_m) > s.odd_height_std * s.height_std_m
    limit = np.where(odd, s.odd_hit_limit, s.hit_limit)
    gain = np.minimum(fit + np.log(detection) + np.maximum(confidence, 0.0), limit)
    gain = gain + np.minimum(confidence, 0.0)
    gain = np.maximum(gain, 0.0) * share
    loss = np.maximum(np.log1p(-detection), -s.miss_limit_per_s * np.minimum(elapsed_s, 1.0)[:, None])
    total = logit + np.where(hit, gain, loss).sum(axis=0)
    return np.asarray(np.clip(total, -2 * s.logit_limit, s.logit_limit))
