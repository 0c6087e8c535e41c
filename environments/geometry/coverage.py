"""What cameras can be expected to see of a floor, from geometry alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass, label

from environments.geometry.camera import CameraModel
from environments.geometry.homography import homography_jacobian
from environments.polygons import Floats, GeometryError

HEIGHT_M = 1.74
FOOT_STD_PX = 3.0  # how exactly a detector shows where somebody stands
LEAST_PERSON_PX = 40.0  # smaller people are hardly detected
BODY_M = 0.12  # feet are not under the middle of a box


@dataclass(frozen=True)
class Grid:
    """Spots of a floor, in rows from the least y.

    Attributes:
        x0, y0: the middle of the first cell, m.
        step_m: between spots.
        columns, rows: how many.
    """

    x0: float
    y0: float
    step_m: float
    columns: int
    rows: int

    @classmethod
    def over(cls, bounds_m: Sequence[float], *, most: int = 4000) -> "Grid":
        """Lay spots over x_min, y_min, x_max, y_max, not more than about ``most``."""
        x0, y0, x1, y1 = bounds_m
        wide, high = max(x1 - x0, 0.1), max(y1 - y0, 0.1)
        step = max(0.25, float(np.sqrt(wide * high / most)))
        columns, rows = max(1, int(wide / step)), max(1, int(high / step))
        return cls(
            x0 + (wide - (columns - 1) * step) / 2, y0 + (high - (rows - 1) * step) / 2, step, columns, rows
        )

    @property
    def points_m(self) -> Floats:
        """Give the spots, (rows * columns, 2)."""
        x = self.x0 + self.step_m * np.arange(self.columns)
        y = self.y0 + self.step_m * np.arange(self.rows)
        gx, gy = np.meshgrid(x, y)
        return np.column_stack([gx.ravel(), gy.ravel()])


@dataclass(frozen=True)
class Sight:
    """What one camera shows of spots (n,).

    Attributes:
        sees: the feet are in the picture, and the person is large enough.
        person_px: how tall a person is; NaN where the feet are not shown.
        m_per_px: what a pixel spans on the floor, the longer way.
        error_m: expected error of somebody placed by this camera alone.
    """

    sees: NDArray[np.bool_]
    person_px: Floats
    m_per_px: Floats
    error_m: Floats


def sight_of(camera: CameraModel, points_m: Floats) -> Sight:
    """Work out what a camera shows of people at spots (n, 2) m."""
    feet = camera.to_picture(points_m)
    inside = np.isfinite(feet).all(axis=1)
    inside &= (np.nan_to_num(feet, nan=-1.0) >= 0).all(axis=1)
    inside &= (np.nan_to_num(feet, nan=1e9) <= [camera.width, camera.height]).all(axis=1)
    try:
        heads = camera.to_picture_at_height(points_m, HEIGHT_M)
        person_px = np.linalg.norm(feet - heads, axis=1)
    except GeometryError:
        person_px = np.full(len(points_m), np.nan)
    jac = homography_jacobian(camera.h_image_to_world, camera.undistort(feet))  # (n, 2, 2)
    usable = np.asarray(np.isfinite(jac).all(axis=(1, 2)))
    spans = np.linalg.norm(np.where(usable[:, None, None], jac, 0.0), ord=2, axis=(1, 2))
    m_per_px = np.where(usable & inside, spans, np.nan)
    large = ~(person_px < LEAST_PERSON_PX)  # where the height is not known, people may be large enough
    return Sight(
        sees=inside & usable & large,
        person_px=np.where(inside, person_px, np.nan),
        m_per_px=m_per_px,
        error_m=np.hypot(FOOT_STD_PX * m_per_px, BODY_M),
    )


@dataclass(frozen=True)
class Coverage:
    """What all cameras together show of a grid.

    Attributes:
        grid: the spots.
        sights: by camera key.
        cameras: (n,) how many see each spot.
        error_m: (n,) expected error by all that see it together; NaN for a blind spot.
    """

    grid: Grid
    sights: Mapping[str, Sight]
    cameras: NDArray[np.int64]
    error_m: Floats

    @property
    def blind(self) -> float:
        """Give the share of the floor that no camera sees."""
        return float((self.cameras == 0).mean())

    @property
    def overlap(self) -> float:
        """Give the share of the floor that two cameras or more see."""
        return float((self.cameras >= 2).mean())

    def shared_m2(self, a: str, b: str) -> float:
        """Give the floor that two cameras both see."""
        return float((self.sights[a].sees & self.sights[b].sees).sum() * self.grid.step_m**2)


def coverage_of(cameras: Mapping[str, CameraModel], grid: Grid) -> Coverage:
    """Work out what cameras show of a floor; information adds up where several see a spot.

    Source: inverse-variance weighting of independent errors.
    """
    points = grid.points_m
    sights = {key: sight_of(camera, points) for key, camera in cameras.items()}
    count = np.zeros(len(points), dtype=np.int64)
    information = np.zeros(len(points))
    for sight in sights.values():
        count += sight.sees
        information += np.where(
            sight.sees, 1.0 / np.maximum(np.nan_to_num(sight.error_m, nan=1e9), 1e-3) ** 2, 0.0
        )
    with np.errstate(divide="ignore"):
        error = np.where(information > 0, 1.0 / np.sqrt(information), np.nan)
    return Coverage(grid, sights, count, error)


def blind_spots(coverage: Coverage, *, least_m2: float = 1.0) -> list[tuple[float, float, float]]:
    """Give connected floor that nobody sees: middle x, y and area, the largest first."""
    g = coverage.grid
    patches, count = label((coverage.cameras == 0).reshape(g.rows, g.columns))
    found = []
    for i in range(1, count + 1):
        area = float((patches == i).sum()) * g.step_m**2
        if area >= least_m2:
            row, column = center_of_mass(patches == i)
            found.append((g.x0 + column * g.step_m, g.y0 + row * g.step_m, area))
    return sorted(found, key=lambda spot: -spot[2])


def least_sure(covariance_m2: Floats, sees: NDArray[np.bool_]) -> int | None:
    """Give the index of the seen spot (n,) whose place is least sure: there a further pair helps most."""
    spread = np.sqrt(np.nan_to_num(np.trace(covariance_m2, axis1=1, axis2=2), nan=0.0))
    usable = sees & (spread > 0)
    if not usable.any():
        return None
    return int(np.argmax(np.where(usable, spread, -1.0)))
