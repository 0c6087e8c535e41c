"""New people: boxes that no track explains, gathered over the cameras."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from gpuworker.pipeline.association import LOG_2PI, clutter_volume
from gpuworker.pipeline.intervals import meeting
from gpuworker.pipeline.observation import BOTTOM, FEET_HIDDEN, HYPOTHESES, MID, TOP, Measured
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.values import NO_ID
from gpuworker.pipeline.views import MEASURED, STATE, Look, Views, look

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PLACE_STD_M = 100.0  # before the first box nothing is known of the place
ALONE, TOGETHER = 2, 3  # iterations of a fit
FEET_HIDDEN_PENALTY = 1.0  # nats by which hidden feet must explain a box better than a whole person
CROWDING_FLOOR = 1e-4  # chance of a person in the very place of another
TIE = (
    1e-6  # of boxes that are equally good up to limits the better one comes first, in whatever order they are
)
FAR = 6.0  # spreads of crowding beyond which people do not crowd
MAX_RANGE_M = 80.0  # a box that would stand further away than this is on the horizon


@dataclass(frozen=True, slots=True)
class Leftover:
    """Boxes that no track explains, over all frames of a tick.

    Attributes:
        frame: (n,) index of the frame.
        box: (n,) index among the boxes of all frames.
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


def leftover(views: Views, camera: Ints, dt_s: Floats, measured: Measured, owner: Ints) -> Leftover:
    """Collect the boxes of frames (f,) that have no owner (n,)."""
    box = np.flatnonzero((owner == NO_ID) & measured.valid.any(axis=1))
    frame = measured.frame[box]
    index = camera[frame]
    size = np.array([[c.width, c.height] for c in views.cameras], dtype=np.float64).reshape(-1, 2)
    return Leftover(
        frame=frame,
        box=box,
        projection=views.projection[index],
        sees_height=views.sees_height[index],
        dt_s=dt_s[frame],
        picture_px=size[index],
        z=measured.z[box],
        valid=measured.valid[box],
        evidence=measured.evidence[box],
    )


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


def best_chance(alone_logit: Floats, left: Leftover, settings: TrackerSettings) -> float:
    """Give log odds that no new person can exceed whom leftover boxes, at least one, give alone (n,)."""
    others = len(set(left.frame.tolist())) - 1
    return float(alone_logit.max()) + others * (settings.hit_limit + TIE * settings.gate_chi2)


def chances(left: Leftover, seeds: Seeds, others_m: Floats, settings: TrackerSettings) -> Floats:
    """Give log odds (n,) of a new person by each leftover box alone, beside others (m, 2); -inf where there is no place."""
    s = settings
    shape = np.maximum(-0.5 * np.maximum(seeds.misfit - 1.0, 0.0), -s.shape_limit)
    logit = s.birth_logit + crowding(seeds.mean[:, :2], others_m, s) + left.evidence + shape
    return np.where(np.isfinite(seeds.mean).all(axis=1), logit, -np.inf)


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
    for _ in range(ALONE):
        seen = look(left.projection, left.sees_height, mean, left.dt_s, settings)
        residual = left.z - seen.z
        matrix, vector = kalman.information(seen.jacobian, seen.noise, residual, valid)
        vector = vector + (inverse @ (prior - mean)[..., None])[..., 0]
        # what is left after the last shift is second order, so the misfit is taken before it
        shift, covariance = kalman.correct(inverse + matrix, vector)
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
    with np.errstate(divide="ignore", invalid="ignore"):  # a camera exactly at head height
        point = (kalman.invert3(plane)[0] @ pixel[..., None])[..., 0]
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
    i, j = _near(left, seeds)
    if len(i) == 0:
        return Pairs(i, j, np.zeros(0), np.zeros((0, MEASURED), dtype=bool))
    mean, covariance = seeds.mean[i], seeds.covariance[i]
    seen = look(left.projection[j], left.sees_height[j], mean, left.dt_s[j], settings)
    spread = kalman.through(seen.jacobian, covariance) + seen.noise
    residual = left.z[j] - seen.z
    best = np.full(len(i), -np.inf)
    used = np.zeros((len(i), 3), dtype=bool)
    priors = (0.0, -2.0 * FEET_HIDDEN_PENALTY)
    for hypothesis, log_prior in zip(HYPOTHESES, priors, strict=True):
        valid = left.valid[j] & hypothesis
        ratio = log_prior + _log_ratio(residual, spread, valid, seen, left.picture_px[j], settings)
        better = ratio > best
        best[better] = ratio[better]
        used[better] = valid[better]
    good = best > 0
    return Pairs(i[good], j[good], best[good], used[good])


def _near(left: Leftover, seeds: Seeds) -> tuple[Ints, Ints]:
    """Give which seeds could be one person by place alone, in different frames: both ways, in order."""
    known = np.flatnonzero(np.isfinite(seeds.mean[:, 0]))
    place, cov = seeds.mean[known, :2], seeds.covariance[known, :2, :2]
    reach2 = cov[:, 0, 0] + cov[:, 1, 1]
    wide = 4.0 * np.sqrt(reach2) + 0.25
    everywhere = np.zeros(len(known), dtype=np.int64)
    span = place[:, 0] - wide, place[:, 0] + wide, everywhere
    i, j = meeting(*span, *span)
    away2 = ((place[i] - place[j]) ** 2).sum(axis=1)
    near = (away2 < 16.0 * (reach2[i] + reach2[j]) + 0.25) & (left.frame[known[i]] != left.frame[known[j]])
    i, j = known[i[near]], known[j[near]]
    order = np.argsort(i * len(left) + j, kind="stable")
    return i[order], j[order]


def _log_ratio(
    residual: Floats, spread: Floats, valid: Bools, seen: Look, picture_px: Floats, settings: TrackerSettings
) -> Floats:
    both = valid[:, :, None] & valid[:, None, :]
    inverse, determinant = kalman.invert3(np.where(both, spread, kalman.IDENTITY))
    off = np.where(valid, residual, 0.0)
    distance2 = (off * (inverse @ off[..., None])[..., 0]).sum(axis=1)
    ratio = clutter_volume(valid, seen.size_px, (picture_px[:, 0], picture_px[:, 1]), settings)
    ratio -= 0.5 * (valid.sum(axis=1) * LOG_2PI + np.log(determinant) + distance2)
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
    left: Leftover, seeds: Seeds, pairs: Pairs, alone_logit: Floats, misses: Floats, settings: TrackerSettings
) -> Births:
    """Gather leftover boxes into new people, the surest first, one box a frame for each.

    Args:
        alone_logit: (n,) odds of a new person by each box alone, as of ``chances``.
        misses: (n, f) what a frame without a box of that person says, nats, not positive.
    """
    sure = left.evidence[pairs.box]
    # a doubtful box speaks less, a sure one never more than the limit
    gain = np.minimum(pairs.evidence + np.maximum(sure, 0.0), settings.hit_limit) + np.minimum(sure, 0.0)
    gain += TIE * (pairs.evidence + sure)
    alone = alone_logit + misses.sum(axis=1)
    alone -= misses[np.arange(len(left)), left.frame] + TIE * seeds.misfit
    choice = _Choice(
        left, seeds, pairs, gain, gain - misses[pairs.seed, left.frame[pairs.box]], alone, settings
    )
    members, logits = [], []
    while (best := choice.take()) is not None:
        members.append(best[0])
        logits.append(best[1])
    return _fuse(left, seeds, members, logits, settings)


class _Choice:
    """Boxes that are still free, and what each seed is worth with the best of them."""

    def __init__(
        self,
        left: Leftover,
        seeds: Seeds,
        pairs: Pairs,
        gain: Floats,
        added: Floats,
        alone: Floats,
        settings: TrackerSettings,
    ) -> None:
        """Begin with all boxes; ``added`` is what the box of a pair adds over a miss in its frame."""
        self._settings = settings
        self._place = np.where(np.isfinite(alone)[:, None], seeds.mean[:, :2], np.inf)
        self._free = np.isfinite(alone).tolist()
        self._alone = np.where(np.isnan(alone), -np.inf, alone)
        self._gained = np.zeros(len(left))
        self._nearest2 = np.full(len(left), np.inf)  # to those taken, m^2
        self._crowded = np.zeros(len(left))
        good = np.flatnonzero(gain > 0)
        good = good[np.lexsort((pairs.box[good], -gain[good], pairs.seed[good]))]
        self._boxes: dict[
            int, list[tuple[int, int, float]]
        ] = {}  # seed -> box, its frame, what it adds; best first
        self._seeds: dict[int, list[int]] = {}  # box -> seeds
        frames = left.frame[pairs.box[good]]
        columns = (pairs.seed[good], pairs.box[good], frames, added[good])
        for seed_, box, frame, more in zip(*(c.tolist() for c in columns), strict=True):
            self._boxes.setdefault(seed_, []).append((box, frame, more))
            self._seeds.setdefault(box, []).append(seed_)
        for seed_ in self._boxes:
            self._weigh(seed_)
        self._logit = self._alone + self._gained

    def take(self) -> tuple[list[int], float] | None:
        """Give the boxes of the surest person that is left, the seed first, with its log odds; None for nobody."""
        i = int(np.argmax(self._logit)) if len(self._logit) else 0
        if len(self._logit) == 0 or not self._logit[i] >= self._settings.birth_drop_logit:
            return None
        logit = float(self._logit[i])
        chosen = [i, *(box for box, _ in self._best(i))]
        for box in chosen:
            self._free[box] = False
        self._alone[chosen] = -np.inf
        for seed_ in {s for box in chosen for s in self._seeds.get(box, ()) if self._free[s]}:
            self._weigh(seed_)
        away2 = ((self._place - self._place[i]) ** 2).sum(axis=1)
        closer = np.flatnonzero(away2 < np.minimum(self._nearest2, (FAR * self._settings.crowding_m) ** 2))
        self._nearest2[closer] = away2[closer]
        self._crowded[closer] = _crowded(away2[closer], self._settings)
        self._logit = self._alone + self._gained + self._crowded
        return chosen, logit

    def _best(self, seed_: int) -> list[tuple[int, float]]:
        """Give the best free box of each frame for a seed, with what it adds."""
        best: dict[int, tuple[int, float]] = {}
        for box, frame, more in self._boxes.get(seed_, ()):
            if frame not in best and self._free[box]:
                best[frame] = (box, more)
        return list(best.values())

    def _weigh(self, seed_: int) -> None:
        self._gained[seed_] = sum(more for _, more in self._best(seed_))


def crowding(place_m: Floats, others_m: Floats, settings: TrackerSettings) -> Floats:
    """Give what other people near by say against a person at each place (n, 2), nats, (n,), not positive."""
    if len(others_m) == 0:
        return np.zeros(len(place_m))
    off = place_m[:, None] - others_m
    return _crowded((off[..., 0] ** 2 + off[..., 1] ** 2).min(axis=1), settings)


def _crowded(away2: Floats, settings: TrackerSettings) -> Floats:
    return np.asarray(np.log(1.0 - np.exp(-0.5 * away2 / settings.crowding_m**2) + CROWDING_FLOOR))


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
    for _ in range(TOGETHER):
        seen = look(left.projection[box], left.sees_height[box], mean[birth], left.dt_s[box], settings)
        matrix, vector = kalman.information(seen.jacobian, seen.noise, left.z[box] - seen.z, valid)
        total = np.zeros((len(members), STATE, STATE))
        pull = (inverse @ (prior - mean)[..., None])[..., 0]
        np.add.at(total, birth, matrix)
        np.add.at(pull, birth, vector)
        shift, covariance = kalman.correct(inverse + total, pull)
        mean = mean + shift
    return Births(mean, covariance, np.array(logits), birth, box)
