"""One calibrated camera: from its picture to the floor and back, with uncertainty."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike

from environments.geometry.homography import (
    camera_matrix_from_homography,
    homography_jacobian,
    is_singular,
    mirrors,
    orient_homography,
    project,
    projection_from_homography,
)
from environments.geometry.lens import HORIZON_EPS, Lens
from environments.geometry.pairs import MIN_PAIRS
from environments.polygons import Floats, GeometryError, as_floats


@dataclass(frozen=True)
class CameraModel:
    """What is known of one calibrated camera.

    Attributes:
        camera_id: key of the camera in its environment, e.g. ``c1``.
        width, height: size of the recorded picture in px.
        h_image_to_world: (3, 3), undistorted pixel (u, v, 1) to floor (x, y, 1) in metres, scaled so
            that the third coordinate is positive in front of the camera (below the horizon).
        lens: inner calibration, where known.
        rotation, translation_m: (3, 3) and (3,), x_cam = R x_world + t, where known.
    """

    camera_id: str
    width: int
    height: int
    h_image_to_world: Floats
    lens: Lens | None = None
    rotation: Floats | None = None
    translation_m: Floats | None = None

    @classmethod
    def create(
        cls,
        *,
        camera_id: str,
        width: int,
        height: int,
        h_image_to_world: ArrayLike,
        lens: Lens | None = None,
        rotation: ArrayLike | None = None,
        translation_m: ArrayLike | None = None,
    ) -> Self:
        """Check the numbers and fix the sign of the homography.

        Raises:
            GeometryError: sizes, shapes, NaN, a singular homography, or one whose picture is sky only.
        """
        h = as_floats(f"homography of {camera_id}", h_image_to_world, (3, 3))
        if width <= 0 or height <= 0:
            raise GeometryError(f"camera {camera_id}: picture size {width}x{height} is not positive")
        if is_singular(h):
            raise GeometryError(
                f"homography of {camera_id} is singular: calibrate the camera again with at least "
                f"{MIN_PAIRS} points that are not on one line"
            )
        r = None if rotation is None else _as_rotation(camera_id, rotation)
        t = None if translation_m is None else as_floats(f"translation of {camera_id}", translation_m, (3,))
        if (r is None) != (t is None):
            raise GeometryError(f"rotation and translation of {camera_id}: give both or neither")
        return cls(
            camera_id=camera_id,
            width=width,
            height=height,
            h_image_to_world=orient_homography(h, width=width, height=height),
            lens=lens,
            rotation=r,
            translation_m=t,
        )

    @cached_property
    def h_world_to_image(self) -> Floats:
        """Give the inverse homography, (3, 3), scaled to a positive third coordinate in view."""
        return np.asarray(np.linalg.inv(self.h_image_to_world), dtype=np.float64)

    @cached_property
    def projection(self) -> Floats:
        """Give the 3x4 matrix from (x, y, z, 1) in metres to undistorted pixels.

        From the full calibration where it is known; otherwise from the homography and the camera matrix,
        or without one with square pixels and a centred principal point, see
        :func:`projection_from_homography`.

        Raises:
            GeometryError: the homography alone does not give a focal length (camera looks straight down).
        """
        if self.lens is None:
            matrix = camera_matrix_from_homography(
                self.h_world_to_image, width=self.width, height=self.height
            )
            return projection_from_homography(self.h_world_to_image, matrix)
        if self.rotation is None or self.translation_m is None:
            return projection_from_homography(self.h_world_to_image, self.lens.matrix)
        projection = self.lens.matrix @ np.column_stack([self.rotation, self.translation_m])
        # of a mirrored plan the pose may have the world behind the camera: the picture is the same
        sign = np.sign(np.sum(projection[:, [0, 1, 3]] * self.h_world_to_image))
        return np.asarray(projection * sign, dtype=np.float64)

    @cached_property
    def position_m(self) -> Floats:
        """Give the camera's centre (x, y, z) in metres, (3,)."""
        p = self.projection
        return np.asarray(-np.linalg.solve(p[:, :3], p[:, 3]), dtype=np.float64)

    @cached_property
    def is_mirrored(self) -> bool:
        """Say whether the floor's coordinates are left-handed as this camera sees the floor."""
        middle = np.array([[self.width / 2, self.height / 2]])
        points_px = np.vstack([middle, middle * [1, 2]])
        seen = self.to_floor(points_px)
        seen = seen[np.isfinite(seen).all(axis=1)]
        return mirrors(self.h_world_to_image, seen)

    def undistort(self, points_px: Floats) -> Floats:
        """Move recorded pixels to where a lens without distortion would show them, (n, 2) -> (n, 2)."""
        return points_px if self.lens is None else self.lens.undistort(points_px)

    def distort(self, points_px: Floats) -> Floats:
        """Move undistorted pixels to where the recorded picture shows them, (n, 2) -> (n, 2)."""
        return points_px if self.lens is None else self.lens.distort(points_px)

    def to_floor(self, points_px: Floats) -> Floats:
        """Map recorded pixels to the floor, (n, 2) px -> (n, 2) m; NaN at and above the horizon."""
        return project(self.h_image_to_world, self.undistort(points_px))

    def to_floor_with_covariance(self, points_px: Floats, sigma2_px: Floats) -> tuple[Floats, Floats]:
        """Map pixels with covariance (n, 2, 2) px^2 to the floor: (n, 2) m and (n, 2, 2) m^2.

        The covariance goes through the Jacobian of the homography, taken at the undistorted pixel.
        """
        undistorted = self.undistort(points_px)
        points_m = project(self.h_image_to_world, undistorted)
        jac = homography_jacobian(self.h_image_to_world, undistorted)  # (n, 2, 2)
        return points_m, jac @ sigma2_px @ np.swapaxes(jac, 1, 2)

    def to_picture(self, points_m: Floats) -> Floats:
        """Map floor points to recorded pixels, (n, 2) m -> (n, 2) px; NaN behind the camera."""
        return self.distort(project(self.h_world_to_image, points_m))

    def to_picture_at_height(self, points_m: Floats, height_m: Floats | float) -> Floats:
        """Map points at a height over the floor to recorded pixels, (n, 2) m -> (n, 2) px; NaN behind."""
        n = len(points_m)
        xyz1 = np.column_stack([points_m, np.broadcast_to(height_m, (n,)), np.ones(n)])  # (n, 4)
        image = xyz1 @ self.projection.T  # (n, 3)
        with np.errstate(divide="ignore", invalid="ignore"):
            px = np.where(image[:, 2:] > HORIZON_EPS, image[:, :2] / image[:, 2:], np.nan)
        return self.distort(px)

    def field_of_view(self, *, max_distance_m: float = 60.0) -> Floats:
        """Give the floor that the picture shows as a convex polygon, (k, 2) m; empty if none.

        Rays above the horizon are cut at ``max_distance_m`` from the camera.
        """
        return _field_of_view(self, max_distance_m)


def _as_rotation(camera_id: str, rotation: ArrayLike) -> Floats:
    r = as_floats(f"rotation of {camera_id}", rotation, (3, 3))
    if not np.allclose(r @ r.T, np.eye(3), atol=1e-3) or np.linalg.det(r) < 0:
        raise GeometryError(f"rotation of {camera_id}: expected an orthonormal matrix with determinant 1")
    return r


def _field_of_view(camera: CameraModel, max_distance_m: float) -> Floats:
    w, h = float(camera.width), float(camera.height)
    t = np.linspace(0.0, 1.0, 17)[:-1]
    zero, one = np.zeros_like(t), np.ones_like(t)
    border = np.vstack(
        [
            np.column_stack([t * w, zero]),
            np.column_stack([one * w, t * h]),
            np.column_stack([(1 - t) * w, one * h]),
            np.column_stack([zero, (1 - t) * h]),
        ]
    )
    inner_u, inner_v = np.meshgrid(np.linspace(0, w, 33), np.linspace(0, h, 65))
    inside = np.column_stack([inner_u.ravel(), inner_v.ravel()])
    floor = camera.to_floor(np.vstack([border, inside]))
    floor = floor[np.isfinite(floor).all(axis=1)]
    if len(floor) == 0:
        return np.zeros((0, 2))
    try:
        eye = camera.position_m[:2]
    except GeometryError:
        eye = floor.mean(axis=0)
    offset = floor - eye
    distance = np.linalg.norm(offset, axis=1, keepdims=True)
    clipped = eye + offset * np.minimum(1.0, max_distance_m / np.maximum(distance, 1e-9))
    hull = cv2.convexHull(clipped.astype(np.float32))
    return np.asarray(hull, dtype=np.float64).reshape(-1, 2)
