"""Calibrate a camera from point pairs, robustly, and say what the result is worth."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from environments.geometry.camera import CameraModel
from environments.geometry.consensus import OFF_CHI2, agreeing
from environments.geometry.homography import facing, fit_directly, is_singular, mirrors
from environments.geometry.lens import Lens
from environments.geometry.pair_warnings import PairsWarning, contradiction, warnings_of
from environments.geometry.pairs import MIN_PAIRS, ClickNoise, PointPairs
from environments.geometry.shapes import FitKind, Frame, HomographyShape, PoseShape, Shape, Solved, solve
from environments.polygons import Floats, GeometryError

Bools = NDArray[np.bool_]

LEAST_AGREEING = 5  # any four pairs agree on some homography
LEAST_PAIRS = {FitKind.HOMOGRAPHY: 4, FitKind.POSE: 6, FitKind.LENS: 8}
USUAL_WEIGHT = 4.0  # how many squared errors the usual exactness of clicks counts as
WORST_CHI2 = 100.0  # what one pair left out counts at most, when kinds are compared
LENS_MUST = 0.75  # by what a distorting lens must lower the error of pairs left out, to be believed
FREE = 1e-6  # of a pair that fixes the camera alone, nothing is left over


@dataclass(frozen=True)
class PairsFit:
    """A camera fitted to point pairs.

    Attributes:
        kind: what was fitted.
        model: the camera.
        errors_m, errors_px: (n,) distance of each pair's place from where the camera puts it; NaN for sky.
        left_out_m, left_out_px: (n,) the same by a camera fitted without that pair; NaN where that is none.
        inliers: (n,) bool, False for a pair left out as an outlier.
        noise_px: how exactly was clicked, standard deviation in px.
        scores: typical error in px of pairs left out, by kind that could be fitted; NaN with four pairs.
        refused: why, by kind that could not.
        warnings: what to look at.
    """

    kind: FitKind
    model: CameraModel
    errors_m: Floats
    errors_px: Floats
    left_out_m: Floats
    left_out_px: Floats
    inliers: Bools
    noise_px: float
    scores: Mapping[FitKind, float]
    refused: Mapping[FitKind, str]
    warnings: tuple[PairsWarning, ...]
    _shape: Shape = field(repr=False)
    _theta: Floats = field(repr=False)
    _covariance: Floats = field(repr=False)

    def floor_covariance(self, points_m: ArrayLike, sigma_px: float = 2.0) -> Floats:
        """Say how exactly a foot at floor points (n, 2) would be placed, (n, 2, 2) m^2.

        From both what the pairs leave open of the camera and ``sigma_px`` of the foot point in the picture; NaN
        where the camera does not look.
        """
        points = np.asarray(points_m, dtype=np.float64).reshape(-1, 2)
        px = self.model.to_picture(points)
        _, covariance = self.model.to_floor_with_covariance(
            px, np.broadcast_to(sigma_px**2 * np.eye(2), (len(px), 2, 2))
        )
        for above, below in self._neighbours:
            way = above.to_floor(px) - below.to_floor(px)  # (n, 2) for one standard deviation
            covariance = covariance + way[:, :, None] * way[:, None, :]
        return covariance

    @cached_property
    def _neighbours(self) -> list[tuple[CameraModel, CameraModel]]:
        """Give the cameras half a standard deviation on either side, along each axis of the covariance."""
        variance, axes = np.linalg.eigh(self._covariance)
        found = []
        for std, axis in zip(np.sqrt(np.maximum(variance, 0.0)), axes.T, strict=True):
            step = 0.5 * std * axis
            found.append((self._shape.model(self._theta + step), self._shape.model(self._theta - step)))
        return found


def fit_pairs(
    points_px: ArrayLike,
    points_m: ArrayLike,
    *,
    width: int,
    height: int,
    camera_id: str = "",
    lens: Lens | None = None,
    kind: FitKind | None = None,
    noise: ClickNoise | None = None,
) -> PairsFit:
    """Calibrate a camera from pairs of recorded pixels (n, 2) and floor places (n, 2), n >= 4.

    Pairs that disagree with the others are left out, from six on. Without a ``kind``, a pose (from 6 pairs)
    and a pose with radial distortion (from 8) are tried beside the homography, and what places pairs best
    that it was not fitted to is taken. A known ``lens`` is taken off the pixels first.

    Raises:
        GeometryError: fewer than four pairs, values that are not numbers, points on one line, pairs that
            contradict each other, a kind that they cannot give.
    """
    frame = Frame(camera_id, width, height, lens)
    recorded = PointPairs.create(points_px, points_m)
    pairs = recorded if lens is None else PointPairs.create(lens.undistort(recorded.px), recorded.m)
    noise = noise or ClickNoise(px=2.0 * max(1.0, width / 1920))
    inliers, scale, agreed = _consensus(pairs, noise)
    noise = noise * scale
    homography = _Candidate.homography(frame, pairs, inliers, noise)
    if agreed:
        homography = _polished(homography)
    candidates, refused = _candidates(homography)
    chosen = _choice(candidates, refused, kind)
    return _result(chosen, recorded, candidates, refused, agreed=agreed)


def _consensus(pairs: PointPairs, noise: ClickNoise) -> tuple[Bools, float, bool]:
    """Give the pairs to fit, how many times the usual noise they have, and whether they agree."""
    n = len(pairs)
    inliers, scale = agreeing(pairs, noise)
    count = int(inliers.sum())
    if n == MIN_PAIRS or count == n:
        return np.ones(n, dtype=bool), scale, True
    if count >= LEAST_AGREEING and 2 * count >= n:
        return inliers, scale, True
    if n <= LEAST_AGREEING + 1:
        return np.ones(n, dtype=bool), scale, False
    raise GeometryError(
        f"only {count} of the {n} point pairs agree within {noise.px * scale * OFF_CHI2**0.5:.0f} px: "
        "check the pairs, some are probably swapped"
    )


@dataclass(frozen=True)
class _Candidate:
    """One kind of camera fitted to the pairs that agree."""

    frame: Frame
    pairs: PointPairs
    inliers: Bools
    noise: ClickNoise
    shape: Shape
    solved: Solved

    @classmethod
    def homography(cls, frame: Frame, pairs: PointPairs, inliers: Bools, noise: ClickNoise) -> "_Candidate":
        used = pairs.only(inliers)
        h = fit_directly(used.px, used.m, np.ones(len(used)))
        if is_singular(h):
            raise GeometryError(
                "no homography fits these point pairs: three of the four are on one line, or pairs are swapped"
            )
        h = facing(h, used.m)
        if (used.m @ h[2, :2] + h[2, 2] <= 0).any():  # some of the floor behind the camera
            raise GeometryError(
                "the point pairs contradict each other: two of them are probably swapped, or one is above the horizon"
            )
        shape = HomographyShape.around(frame, used, h)
        return cls.of(frame, pairs, inliers, noise, shape, shape.start)

    @classmethod
    def of(
        cls, frame: Frame, pairs: PointPairs, inliers: Bools, noise: ClickNoise, shape: Shape, start: Floats
    ) -> "_Candidate":
        used = pairs.only(inliers)
        solved = solve(shape, start, used, lambda h: noise.whitening(h, used.m))
        return cls(frame, pairs, inliers, noise, shape, solved)

    @cached_property
    def variance(self) -> float:
        """Give by how much errors are larger than the noise assumed, squared; with few pairs about 1."""
        free = max(0, 2 * int(self.inliers.sum()) - len(self.solved.theta))
        return (USUAL_WEIGHT + self.solved.cost) / (USUAL_WEIGHT + free)

    @cached_property
    def left_over(self) -> Floats:
        """Give I - H by pair, (k, 2, 2): what of its error is not its own doing; NaN where there is none."""
        s = self.solved
        own = s.slope @ s.covariance @ np.swapaxes(s.slope, 1, 2)
        rest = np.eye(2) - own
        alone = np.linalg.eigvalsh(rest)[:, :1, None] < FREE
        return np.where(alone, np.nan, rest)

    @cached_property
    def left_out_chi2(self) -> Floats:
        """Give the squared standardised error of each pair used by a camera fitted without it, (k,)."""
        e = (self.solved.white @ self.solved.error[..., None])[..., 0]
        rest = np.where(np.isnan(self.left_over), np.eye(2), self.left_over)
        chi2 = np.einsum("ni,ni->n", e, np.linalg.solve(rest, e[..., None])[..., 0])
        return np.where(np.isnan(self.left_over[:, 0, 0]), np.nan, chi2)

    @cached_property
    def others_chi2(self) -> Floats:
        """Give the squared standardised error of each pair that was left out as an outlier, (n - k,)."""
        others = self.pairs.only(~self.inliers)
        theta, shape = self.solved.theta, self.shape
        white = self.noise.whitening(shape.h_world_to_image(theta), others.m)
        e = (white @ (others.px - shape.predict(theta, others.m))[..., None])[..., 0]
        steps = 1e-6 * np.maximum(np.abs(theta), 1e-3)
        slope = np.stack(
            [
                (shape.predict(theta + d, others.m) - shape.predict(theta - d, others.m)) / (2 * h)
                for d, h in zip(np.diag(steps), steps, strict=True)
            ],
            axis=-1,
        )  # (k, 2, p)
        slope = white @ slope
        spread = np.eye(2) + slope @ self.solved.covariance @ np.swapaxes(slope, 1, 2)
        beyond = ~(np.isfinite(e).all(axis=1) & np.isfinite(spread).all(axis=(1, 2)))
        spread[beyond], e[beyond] = np.eye(2), 0.0
        chi2 = np.einsum("ni,ni->n", e, np.linalg.solve(spread, e[..., None])[..., 0])
        return np.where(beyond, np.inf, chi2)

    @cached_property
    def left_out_theta(self) -> list[Floats | None]:
        """Give the numbers fitted without each pair used, by one Gauss-Newton step."""
        s = self.solved
        e = (s.white @ s.error[..., None])[..., 0]
        found: list[Floats | None] = []
        for i in range(len(e)):
            if np.isnan(self.left_over[i, 0, 0]):
                found.append(None)
                continue
            step = s.covariance @ s.slope[i].T @ np.linalg.solve(self.left_over[i], e[i])
            found.append(s.theta - step)
        return found

    @cached_property
    def score(self) -> float:
        """Give the typical error of pairs left out, in px: compared between kinds."""
        own = self.noise.px
        theta = [t for t in self.left_out_theta if t is not None]
        if not theta or len(theta) < len(self.left_out_theta):
            return float("nan")
        used = self.pairs.only(self.inliers)
        white = self.solved.white
        total = 0.0
        for i, t in enumerate(theta):
            e = white[i] @ (used.px[i] - self.shape.predict(t, used.m[i : i + 1])[0])
            total += min(float(e @ e), WORST_CHI2)
        return own * float(np.sqrt(total / len(theta) / 2))


def _polished(candidate: _Candidate) -> _Candidate:
    """Leave out the pairs that the others contradict, and take back those that they do not."""
    c = candidate
    for _ in range(len(c.pairs)):
        inliers = c.inliers.copy()
        chi2 = np.nan_to_num(c.left_out_chi2, nan=0.0)
        back = np.flatnonzero(~inliers)[c.others_chi2 < OFF_CHI2] if not inliers.all() else np.zeros(0, int)
        if len(back):
            inliers[back] = True
        elif chi2.max(initial=0.0) > 2 * OFF_CHI2 and inliers.sum() > LEAST_AGREEING:
            inliers[np.flatnonzero(inliers)[int(np.argmax(chi2))]] = False
        else:
            break
        c = _Candidate.homography(c.frame, c.pairs, inliers, c.noise)
    return c


def _candidates(homography: _Candidate) -> tuple[dict[FitKind, _Candidate], dict[FitKind, str]]:
    """Fit the other kinds to the pairs that agree on a homography."""
    found, refused = {FitKind.HOMOGRAPHY: homography}, {}
    c, count = homography, int(homography.inliers.sum())
    used = c.pairs.only(c.inliers)
    h = facing(c.shape.h_world_to_image(c.solved.theta), used.m)
    mirrored = mirrors(h, used.m)
    kinds = [FitKind.POSE] if c.frame.lens is not None else [FitKind.POSE, FitKind.LENS]
    for kind in kinds:
        if count < LEAST_PAIRS[kind]:
            refused[kind] = f"needs {LEAST_PAIRS[kind]} pairs that agree, there are {count}"
            continue
        shape = PoseShape(c.frame, mirrored, kind)
        known = found.get(FitKind.POSE)
        starts = [known.solved.theta] if known else PoseShape(c.frame, mirrored).starts(h)
        tried = [
            _Candidate.of(c.frame, c.pairs, c.inliers, c.noise, shape, shape.begin(start)) for start in starts
        ]
        best = min(tried, key=lambda t: t.solved.cost)
        try:
            _check(best, used)
        except GeometryError as error:
            refused[kind] = str(error)
        else:
            found[kind] = best
    return found, refused


def _check(candidate: _Candidate, used: PointPairs) -> None:
    """Refuse a pose that no camera has.

    Raises:
        GeometryError: it stands below the floor, does not look at its pairs, or folds them.
    """
    model = candidate.shape.model(candidate.solved.theta)
    if model.position_m[2] <= 0:
        raise GeometryError("the camera would stand below the floor")
    if not np.isfinite(model.to_picture(used.m)).all() or not np.isfinite(model.to_floor(used.px)).all():
        raise GeometryError("the camera would not see its own points")


def _choice(
    candidates: Mapping[FitKind, _Candidate], refused: Mapping[FitKind, str], kind: FitKind | None
) -> _Candidate:
    if kind is not None:
        if kind not in candidates:
            raise GeometryError(
                f"these point pairs give no {kind}: it {refused.get(kind, 'has a known lens')}"
            )
        return candidates[kind]
    return min(candidates.values(), key=_penalised)


def _penalised(candidate: _Candidate) -> float:
    score = candidate.score / (LENS_MUST if candidate.shape.kind is FitKind.LENS else 1.0)
    return score if np.isfinite(score) else np.inf


def _result(
    chosen: _Candidate,
    recorded: PointPairs,
    candidates: Mapping[FitKind, _Candidate],
    refused: Mapping[FitKind, str],
    *,
    agreed: bool,
) -> PairsFit:
    shape, theta = chosen.shape, chosen.solved.theta
    model = shape.model(theta)
    n = len(recorded)
    left_out = np.full((2, n), np.nan)
    used = iter(chosen.left_out_theta)
    for i in range(n):
        t = next(used) if chosen.inliers[i] else theta
        if t is not None:
            left_out[:, i] = _errors(shape, t, recorded.only([i]))[:, 0]
    errors_m, errors_px = _errors(shape, theta, recorded)
    h = facing(shape.h_world_to_image(theta), chosen.pairs.m[chosen.inliers])
    warnings = warnings_of(chosen.pairs, chosen.inliers, h, chosen.frame, errors_m)
    if not agreed:
        warnings = (contradiction(errors_m), *warnings)
    return PairsFit(
        kind=shape.kind,
        model=model,
        errors_m=errors_m,
        errors_px=errors_px,
        left_out_m=left_out[0],
        left_out_px=left_out[1],
        inliers=chosen.inliers,
        noise_px=chosen.noise.px * float(np.sqrt(chosen.variance)),
        scores={kind: c.score for kind, c in candidates.items()},
        refused=refused,
        warnings=warnings,
        _shape=shape,
        _theta=theta,
        _covariance=chosen.solved.covariance * chosen.variance,
    )


def _errors(shape: Shape, theta: Floats, pairs: PointPairs) -> Floats:
    """Give the errors (2, n) of a camera at pairs of recorded pixels: metres, px; NaN for sky."""
    try:
        model = shape.model(theta)
    except GeometryError:
        return np.full((2, len(pairs)), np.nan)
    return np.stack(
        [
            np.linalg.norm(model.to_floor(pairs.px) - pairs.m, axis=1),
            np.linalg.norm(model.to_picture(pairs.m) - pairs.px, axis=1),
        ]
    )
