"""Point pairs: places in a picture, and the same places on the floor."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from environments.geometry.homography import project_any_side, world_to_image_jacobian
from environments.polygons import Floats, GeometryError, is_collinear

MIN_PAIRS = 4
FAR_PX2 = 1e10  # of variance: beyond, a click on the plan says nothing about the picture
SAME = 1e-9  # two places that differ by less are one


@dataclass(frozen=True, slots=True)
class PointPairs:
    """What was clicked, checked.

    Attributes:
        px: (n, 2) undistorted or recorded pixels, n >= 4.
        m: (n, 2) metres on the floor.
    """

    px: Floats
    m: Floats

    @classmethod
    def create(cls, points_px: ArrayLike, points_m: ArrayLike) -> Self:
        """Check pairs from outside.

        Raises:
            GeometryError: shapes differ, fewer than four pairs, values that are not numbers, places twice so
                that fewer than four are left, points on one line.
        """
        px = np.asarray(points_px, dtype=np.float64)
        m = np.asarray(points_m, dtype=np.float64)
        if px.ndim != 2 or px.shape[1:] != (2,) or px.shape != m.shape:
            raise GeometryError(f"point pairs: expected two arrays (n, 2), got {px.shape} and {m.shape}")
        if len(px) < MIN_PAIRS:
            raise GeometryError(
                f"a homography needs at least {MIN_PAIRS} point pairs, got {len(px)}: add more points"
            )
        if not (np.isfinite(px).all() and np.isfinite(m).all()):
            raise GeometryError("point pairs hold values that are not numbers")
        for name, points in (("picture", px), ("floor plan", m)):
            if is_collinear(points):
                raise GeometryError(f"the points lie on one line in the {name}: add points beside the line")
            different = _different(points)
            if different < MIN_PAIRS:
                raise GeometryError(
                    f"only {different} of the {len(px)} points are different places in the {name}: "
                    f"at least {MIN_PAIRS} are needed"
                )
        return cls(px, m)

    def __len__(self) -> int:
        """Give the number of pairs."""
        return len(self.px)

    def only(self, which: NDArray[np.bool_] | NDArray[np.int64] | list[int]) -> "PointPairs":
        """Give some of the pairs, unchecked."""
        return PointPairs(self.px[which], self.m[which])


@dataclass(frozen=True, slots=True)
class ClickNoise:
    """How exactly a person clicks, standard deviations.

    Attributes:
        px: in the picture.
        m: on the floor plan.
    """

    px: float = 2.0
    m: float = 0.01

    def __mul__(self, times: float) -> "ClickNoise":
        """Give clicks that are less exact by a factor."""
        return ClickNoise(self.px * times, self.m * times)

    def whitening(self, h_world_to_image: Floats, points_m: Floats) -> Floats:
        """Give what makes errors in px standard normal, (n, 2) m -> (n, 2, 2), of the picture's and the plan's noise.

        NaN near the horizon.
        """
        jac = world_to_image_jacobian(h_world_to_image, points_m)  # (n, 2, 2) px per m
        with np.errstate(invalid="ignore", over="ignore"):
            spread = self.px**2 * np.eye(2) + self.m**2 * (jac @ np.swapaxes(jac, -1, -2))
            usable = np.trace(spread, axis1=-2, axis2=-1)[..., None, None] < FAR_PX2
        factor = np.linalg.cholesky(np.where(usable, spread, np.eye(2)))
        return np.where(usable, np.linalg.inv(factor), np.nan)


def errors_px(h_world_to_image: Floats, pairs: PointPairs) -> Floats:
    """Give pixels minus where a homography (..., 3, 3) puts their places, (..., n, 2); of any side."""
    return pairs.px - project_any_side(h_world_to_image, pairs.m)


def _different(points: Floats) -> int:
    scale = max(float(np.ptp(points, axis=0).max()), SAME)
    return len(np.unique(np.round(points / (scale * SAME * 10)), axis=0))
