"""New people: boxes that no track explains, gathered over the cameras."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from gpuworker.pipeline.association import LOG_2PI, clutter_volume
from gpuworker.pipeline.observation import BOTTOM, FEET_HIDDEN, HYPOTHESES, MID, TOP, Measured
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.values import NO_ID
from gpuworker.pipeline.views import MEASURED, STATE, Look, Views, look

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PLACE_STD_M = 100.0  # before the first box nothing is known of the place
ITERATIONS = 3
FEET_HIDDEN_PENALTY = 1.0  # nats by which hidden feet must explain a box better than a whole person
CROWDING_FLOOR = 1e-4  # chance of a person in the very place of another
MAX_RANGE_M = 80.0  # a box that would stand further away than this is on the horizon


@dataclass(frozen=True, slots=True)
class Leftover:
    """Boxes that no track explains, over all frames of a tick.

    Attributes:
        frame: (n,) index of the frame.
        box: (n,) index in the frame's detections.
        projection, sees_height: (n, 3, 4) and (n,) of the frame's camera.
        dt_s: (n,) capture time of the frame minus the tick, s.
        picture_px: (n, 2) width and height.
        z, valid, evidence: as in Measured.
    """

    frame: Ints
    box: Ints
    projection: Floats
    sees_height: Bools
    dt_s: Floats
    picture_px: Floats
    z: Floats
    valid: Bools
    evidence: Floats

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, index: Ints) -> "Leftover":
        """Give the boxes at an index array, which may hold one twice."""
        return Leftover(*(getattr(self, f.name)[index] for f in fields(self)))


def leftover(
    views: Views, camera: Ints, dt_s: Floats, measured: Sequence[Measured], owners: Sequence[Ints]
) -> Leftover:
    """Collect the boxes of frames (f,) that have no owner."""
    free = [np.flatnonzero((o == NO_ID) & m.valid.any(axis=1)) for o, m in zip(owners, measured, strict=True)]
    frame = np.repeat(np.arange(len(free)), [len(f) for f in free])
    box = np.concatenate([np.zeros(0, dtype=np.int64), *free])
    z = np.concatenate([np.zeros((0, MEASURED)), *(m.z[f] for m, f in zip(measured, free, strict=True))])
    valid = [np.zeros((0, MEASURED), bool), *(m.valid[f] for m, f in zip(measured, free, strict=True))]
    evidence = [np.zeros(0), *(m.evidence[f] for m, f in zip(measured, free, strict=True))]
    size = np.array([[c.width, c.height] for c in views.cameras], dtype=np.float64).reshape(-1, 2)
    index = camera[frame]
    return Leftover(
        frame=frame,
        box=box,
        projection=views.projection[index],
        sees_height=views.sees_height[index],
        dt_s=dt_s[frame],
        picture_px=size[index],
        z=z,
        valid=np.concatenate(valid),
        evidence=np.concatenate(evidence),
    )


def best_chance(left: Leftover, settings: TrackerSettings) -> float:
    """Give log odds that no new person shown by leftover boxes, at least one, can exceed."""
    s = settings
    others = len(set(left.frame.tolist())) - 1
    nobody_near = float(np.log1p(CROWDING_FLOOR))
    return float(left.evidence.max()) + s.birth_logit + nobody_near + others * s.hit_limit


@dataclass(frozen=True, slots=True)
class Seeds:
    """For each leftover box the person it would show.

    Attributes:
        mean: (n, 5), covariance: (n, 5, 5); NaN where the box tells no place.
        valid: (n, 3) components that were used.
        misfit: (n,) squared distance of box and height from what a standing person gives.
    """

    mean: Floats
    covariance: Floats
    valid: Bools
    misfit: Floats


def prior_inverse(n: int, settings: TrackerSettings) -> Floats:
    """Give the inverse covariance (n, 5, 5) of somebody of whom nothing is known."""
    s = settings
    std = np.array([PLACE_STD_M, PLACE_STD_M, s.birth_speed_mps, s.birth_speed_mps, s.height_std_m])
    return np.tile(np.diag(std**-2.0), (n, 1, 1))


def seed(left: Leftover, settings: TrackerSettings) -> Seeds:
    """Place each leftover box on the floor by itself: as whole, or with hidden feet where that fits better."""
    n = len(left)
    # both ways at once: the arrays are small, so it is the number of calls that costs
    valid = np.concatenate([left.valid, left.valid & HYPOTHESES[FEET_HIDDEN]])
    mean, covariance, misfit = _fit_alone(left.take(np.tile(np.arange(n), 2)), valid, settings)
    whole, hidden = misfit[:n], misfit[n:]
    unlikely = 2 * FEET_HIDDEN_PENALTY
    with np.errstate(invalid="ignore"):
        use_hidden = np.isfinite(hidden) & (~np.isfinite(whole) | (whole > hidden + unlikely))
    pick = np.arange(n) + n * use_hidden
    return Seeds(mean=mean[pick], covariance=covariance[pick], valid=valid[pick], misfit=misfit[pick])


def _fit_alone(left: Leftover, valid: Bools, settings: TrackerSettings) -> tuple[Floats, Floats, Floats]:
    """Give mean (n, 5), covariance (n, 5, 5) and misfit (n,) of each box alone; NaN where it cannot be."""
    n = len(left)
    start = np.zeros((n, STATE))
    start[:, :2] = _start(left, valid, settings)
    start[:, 4] = settings.height_m
    usable = np.isfinite(start).all(axis=1) & valid[:, MID] & valid[:, 1:].any(axis=1)
    prior = np.where(usable[:, None], start, 0.0)
    inverse = prior_inverse(n, settings)
    mean = prior
    for _ in range(ITERATIONS):
        seen = look(left.projection, left.sees_height, mean, left.dt_s, settings)
        residual = left.z - seen.z
        matrix, vector = kalman.information(seen.jacobian, seen.noise, residual, valid)
        vector = vector + (inverse @ (prior - mean)[..., None])[..., 0]
        # what is left after the last shift is second order, so the misfit is taken before it
        shift, covariance = kalman.correct(inverse, matrix, vector)
        after = residual - (seen.jacobian @ shift[..., None])[..., 0]
        mean = mean + shift
    variance = np.diagonal(seen.noise, axis1=1, axis2=2)
    misfit = (np.where(valid, after, 0.0) ** 2 / variance).sum(axis=1)
    misfit += ((mean[:, 4] - settings.height_m) / settings.height_std_m) ** 2
    bad = ~usable | ~np.isfinite(mean).all(axis=1) | ~(seen.depth <= MAX_RANGE_M)
    mean[bad], covariance[bad], misfit[bad] = np.nan, np.nan, np.nan
    return mean, covariance, misfit


def _start(left: Leftover, valid: Bools, settings: TrackerSettings) -> Floats:
    """Give a first place (n, 2): under the foot point, else under the head at the usual height."""
    use_foot = valid[:, BOTTOM]
    height = np.where(use_foot, 0.0, settings.height_m)
    v = np.where(use_foot, left.z[:, BOTTOM], left.z[:, TOP])
    p = left.projection
    plane = np.stack([p[..., 0], p[..., 1], p[..., 2] * height[:, None] + p[..., 3]], axis=-1)  # (n, 3, 3)
    pixel = np.column_stack([left.z[:, MID], v, np.ones(len(left))])
    try:
        point = np.linalg.solve(plane, pixel[..., None])[..., 0]
    except np.linalg.LinAlgError:  # a camera exactly at head height
        return np.full((len(left), 2), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        # the third coordinate is one over the depth: not positive above the horizon
        return np.where(point[:, 2:] > 1e-9, point[:, :2] / point[:, 2:], np.nan)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Which leftover box would show the person of which seed, in another frame.

    Attributes:
        seed, box: (m,) indices into the leftovers.
        evidence: (m,) log likelihood ratio.
        valid: (m, 3) components that fit.
    """

    seed: Ints
    box: Ints
    evidence: Floats
    valid: Bools


def pair(left: Leftover, seeds: Seeds, settings: TrackerSettings) -> Pairs:
    """Compare each seed with the leftover boxes of the other frames."""
    near = _near(left, seeds)
    i, j = np.nonzero(near)
    if len(i) == 0:
        return Pairs(i, j, np.zeros(0), np.zeros((0, MEASURED), dtype=bool))
    mean, covariance = seeds.mean[i], seeds.covariance[i]
    seen = look(left.projection[j], left.sees_height[j], mean, left.dt_s[j], settings)
    spread = seen.jacobian @ covariance @ np.swapaxes(seen.jacobian, 1, 2) + seen.noise
    residual = left.z[j] - seen.z
    best = np.full(len(i), -np.inf)
    used = np.zeros((len(i), 3), dtype=bool)
    priors = (0.0, -2.0 * FEET_HIDDEN_PENALTY)
    for hypothesis, log_prior in zip(HYPOTHESES[:2], priors, strict=True):
        valid = left.valid[j] & hypothesis
        ratio = log_prior + _log_ratio(residual, spread, valid, seen, left.picture_px[j], settings)
        better = ratio > best
        best[better] = ratio[better]
        used[better] = valid[better]
    good = best > 0
    return Pairs(i[good], j[good], best[good], used[good])


def _near(left: Leftover, seeds: Seeds) -> Bools:
    """Say (n, n) which seeds could be one person by place alone, in different frames."""
    place, cov = seeds.mean[:, :2], seeds.covariance[:, :2, :2]
    off = place[:, None] - place[None]
    reach2 = np.trace(cov, axis1=1, axis2=2)
    with np.errstate(invalid="ignore"):
        near = (off**2).sum(axis=-1) < 16.0 * (reach2[:, None] + reach2[None]) + 0.25
    return np.asarray(near & (left.frame[:, None] != left.frame[None]))


def _log_ratio(
    residual: Floats, spread: Floats, valid: Bools, seen: Look, picture_px: Floats, settings: TrackerSettings
) -> Floats:
    both = valid[:, :, None] & valid[:, None, :]
    part = np.where(both, spread, kalman.IDENTITY)
    off = np.where(valid, residual, 0.0)
    distance2 = (off * np.linalg.solve(part, off[..., None])[..., 0]).sum(axis=1)
    ratio = clutter_volume(valid, seen.size_px, (picture_px[:, 0], picture_px[:, 1]), settings)
    ratio -= 0.5 * (valid.sum(axis=1) * LOG_2PI + np.log(np.linalg.det(part)) + distance2)
    usable = (distance2 <= settings.gate_chi2) & valid[:, 1:].any(axis=1)
    return np.where(usable, ratio, -np.inf)


@dataclass(frozen=True, slots=True)
class Births:
    """New people.

    Attributes:
        mean: (b, 5), covariance: (b, 5, 5), logit: (b,) of existence.
        birth, box: (m,) which leftover boxes show which of them.
    """

    mean: Floats
    covariance: Floats
    logit: Floats
    birth: Ints
    box: Ints


def gather(
    left: Leftover, seeds: Seeds, pairs: Pairs, prior_logit: Floats, misses: Floats, settings: TrackerSettings
) -> Births:
    """Gather leftover boxes into new people, the surest first, one box a frame for each.

    Args:
        prior_logit: (n,) odds of a new person at each seed before its evidence; -inf for no seed.
        misses: (n, f) what a frame without a box of that person says, nats, not positive.
    """
    n, frames = misses.shape
    evidence = np.full((n, n), -np.inf)
    sure = left.evidence[pairs.box]
    # a doubtful box speaks less, a sure one never more than the limit
    gain = np.minimum(pairs.evidence + np.maximum(sure, 0.0), settings.hit_limit) + np.minimum(sure, 0.0)
    evidence[pairs.seed, pairs.box] = gain
    shape = np.maximum(-0.5 * np.maximum(seeds.misfit - 1.0, 0.0), -settings.shape_limit)
    alone = prior_logit + left.evidence + shape + misses.sum(axis=1) - misses[np.arange(n), left.frame]
    free = np.isfinite(alone)
    members: list[list[int]] = []
    logits: list[float] = []
    taken: list[int] = []
    while free.any():
        open_ = np.where(free[None], evidence, -np.inf)
        best_box, gain = _best_per_frame(open_, left.frame, frames, misses)
        logit = np.where(free, alone + gain.sum(axis=1) + _crowding(seeds.mean, taken, settings), -np.inf)
        i = int(np.argmax(logit))
        if logit[i] < settings.birth_drop_logit:
            break
        chosen = [i, *(int(b) for b in best_box[i] if b >= 0)]
        members.append(chosen)
        logits.append(float(logit[i]))
        taken.append(i)
        free[chosen] = False
    return _fuse(left, seeds, members, logits, settings)


def _best_per_frame(evidence: Floats, frame: Ints, frames: int, misses: Floats) -> tuple[Ints, Floats]:
    """Give for each seed and frame the best box (n, f), -1 for none, and what it adds over a miss (n, f)."""
    n = len(evidence)
    best_box = np.full((n, frames), -1, dtype=np.int64)
    gain = np.zeros((n, frames))
    for f in range(frames):
        columns = np.flatnonzero(frame == f)
        if len(columns) == 0:
            continue
        pick = np.argmax(evidence[:, columns], axis=1)
        value = evidence[np.arange(n), columns[pick]]
        found = value > 0
        best_box[found, f] = columns[pick[found]]
        gain[found, f] = value[found] - misses[found, f]
    return best_box, gain


def _crowding(mean: Floats, taken: list[int], settings: TrackerSettings) -> Floats:
    return crowding(mean[:, :2], mean[taken, :2], settings)


def crowding(place_m: Floats, others_m: Floats, settings: TrackerSettings) -> Floats:
    """Give what other people near by say against a person at each place (n, 2), nats, (n,), not positive."""
    if len(others_m) == 0:
        return np.zeros(len(place_m))
    d2 = ((place_m[:, None] - others_m[None]) ** 2).sum(axis=-1).min(axis=1)
    return np.asarray(np.log(1.0 - np.exp(-0.5 * d2 / settings.crowding_m**2) + CROWDING_FLOOR))


def _fuse(
    left: Leftover, seeds: Seeds, members: list[list[int]], logits: list[float], settings: TrackerSettings
) -> Births:
    """Estimate each new person from all boxes together, by Gauss-Newton."""
    if not members:
        none = np.zeros(0, dtype=np.int64)
        return Births(np.zeros((0, STATE)), np.zeros((0, STATE, STATE)), np.zeros(0), none, none)
    box = np.array([b for group in members for b in group], dtype=np.int64)
    birth = np.array([k for k, group in enumerate(members) for _ in group], dtype=np.int64)
    first = np.array([group[0] for group in members], dtype=np.int64)
    mean = seeds.mean[first]
    inverse = prior_inverse(len(members), settings)
    prior = mean.copy()
    prior[:, 2:4], prior[:, 4] = 0.0, settings.height_m
    valid = seeds.valid[box]
    for _ in range(ITERATIONS):
        seen = look(left.projection[box], left.sees_height[box], mean[birth], left.dt_s[box], settings)
        matrix, vector = kalman.information(seen.jacobian, seen.noise, left.z[box] - seen.z, valid)
        total = np.zeros((len(members), STATE, STATE))
        pull = (inverse @ (prior - mean)[..., None])[..., 0]
        np.add.at(total, birth, matrix)
        np.add.at(pull, birth, vector)
        shift, covariance = kalman.correct(inverse, total, pull)
        mean = mean + shift
    return Births(mean, covariance, np.array(logits), birth, box)
