"""What to look at in point pairs, in words that say what to do."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry.homography import mirrors
from environments.geometry.pairs import MIN_PAIRS, PointPairs
from environments.geometry.shapes import Frame
from environments.polygons import Floats

SAME_PX = 1.0  # two clicks on one place
SAME_M = 0.001
CLUSTERED_SHARE = 0.05  # of the part of the picture that shows floor
THIN = 0.06  # smallest over largest extent: nearly a line


@dataclass(frozen=True, slots=True)
class PairsWarning:
    """Something about pairs that a person should look at.

    Attributes:
        code: few, outlier, contradiction, clustered, collinear, horizon, mirrored or duplicate.
        message: a sentence without its full stop.
        pairs: indices of the pairs that it is about; empty for all.
        is_fatal: whether nobody should save this.
    """

    code: str
    message: str
    pairs: tuple[int, ...] = ()
    is_fatal: bool = False


def warnings_of(
    pairs: PointPairs, inliers: NDArray[np.bool_], h_world_to_image: Floats, frame: Frame, errors_m: Floats
) -> tuple[PairsWarning, ...]:
    """Look at pairs (undistorted px) and the homography, positive where the camera looks, fitted to the inliers."""
    used = pairs.only(inliers)
    found = _horizon(pairs, h_world_to_image)
    told = {i for warning in found for i in warning.pairs}
    found += [_outlier(i, errors_m[i]) for i in np.flatnonzero(~inliers).tolist() if i not in told]
    found += _duplicates(pairs)
    if mirrors(h_world_to_image, used.m):
        found.append(
            PairsWarning(
                "mirrored",
                "the floor plan is mirrored against the picture: turn it around, or check that left and right "
                "of the points are not exchanged",
                is_fatal=True,
            )
        )
    if len(pairs) == MIN_PAIRS:
        found.append(
            PairsWarning(
                "few", "four pairs fit exactly, right or wrong: a fifth shows mistakes, more find them"
            )
        )
    for name, points in (("picture", used.px), ("floor plan", used.m)):
        if _thinness(points) < THIN:
            found.append(
                PairsWarning(
                    "collinear", f"the points lie almost on one line in the {name}: add one beside it"
                )
            )
    if _share(used.px, h_world_to_image, frame) < CLUSTERED_SHARE:
        found.append(
            PairsWarning(
                "clustered",
                "the points lie close together in the picture: spread them over the floor it shows",
            )
        )
    return tuple(found)


def contradiction(errors_m: Floats) -> PairsWarning:
    """Say that pairs contradict each other and are too few to tell which is wrong."""
    return PairsWarning(
        "contradiction",
        f"the pairs contradict each other by up to {np.nanmax(errors_m, initial=0.0):.2f} m, and are too few to "
        "tell which is wrong: check them, or add pairs",
        is_fatal=True,
    )


def _outlier(i: int, error_m: float) -> PairsWarning:
    off = f"is {error_m:.2f} m off" if np.isfinite(error_m) else "lies in the sky"
    return PairsWarning(
        "outlier", f"pair {i + 1} {off} by what the others say and is left out: check it", (i,)
    )


def _duplicates(pairs: PointPairs) -> list[PairsWarning]:
    close_px = np.linalg.norm(pairs.px[:, None] - pairs.px, axis=2) < SAME_PX
    close_m = np.linalg.norm(pairs.m[:, None] - pairs.m, axis=2) < SAME_M
    found = []
    for i, j in zip(*np.nonzero(np.triu(close_px | close_m, 1)), strict=True):
        where = [name for name, close in (("picture", close_px), ("floor plan", close_m)) if close[i, j]]
        found.append(
            PairsWarning(
                "duplicate",
                f"pairs {i + 1} and {j + 1} are the same place in the {' and the '.join(where)}: remove one",
                (int(i), int(j)),
                is_fatal=True,
            )
        )
    return found


def _horizon(pairs: PointPairs, h_world_to_image: Floats) -> list[PairsWarning]:
    """Find pairs whose pixel, or whose place, is not on the side that the camera looks at."""
    h_image_to_world = np.linalg.inv(h_world_to_image)
    sky = pairs.px @ h_image_to_world[2, :2] + h_image_to_world[2, 2] <= 0
    behind = pairs.m @ h_world_to_image[2, :2] + h_world_to_image[2, 2] <= 0
    found = []
    for i in np.flatnonzero(sky | behind).tolist():
        what = "is above the horizon in the picture" if sky[i] else "lies behind the camera on the floor plan"
        found.append(
            PairsWarning("horizon", f"pair {i + 1} {what}: choose a place on the floor", (i,), is_fatal=True)
        )
    return found


def _thinness(points: Floats) -> float:
    s = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(s[1] / s[0])


def _share(points_px: Floats, h_world_to_image: Floats, frame: Frame) -> float:
    """Give how much of the floor's part of the picture lies between the points."""
    us, vs = np.meshgrid((np.arange(16) + 0.5) * frame.width / 16, (np.arange(16) + 0.5) * frame.height / 16)
    below = np.linalg.inv(h_world_to_image)[2] @ np.stack([us.ravel(), vs.ravel(), np.ones(256)]) > 0
    floor_px2 = max(float(below.mean()), 1 / 256) * frame.width * frame.height
    return float(cv2.contourArea(cv2.convexHull(points_px.astype(np.float32)))) / floor_px2
