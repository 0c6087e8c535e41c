"""Camera geometry: picture pixels to floor metres and back, with uncertainty.

Frames used in names: ``px`` is the recorded picture (origin top left, x right, y down), ``m`` is the
floor plan of the environment (right-handed, metres). A homography always names its direction.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from environments.polygons import Floats as Floats
from environments.polygons import GeometryError as GeometryError
from environments.polygons import as_floats, is_collinear
from environments.polygons import crossing_direction as crossing_direction
from environments.polygons import points_in_polygon as points_in_polygon

MIN_PAIRS = 4
HORIZON_EPS = 1e-9
# cv2 stops after five rounds by default, a third of a pixel off in the corners of a wide lens
UNDISTORT_UNTIL = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 50, 1e-6)
UNDISTORT_TOLERANCE_PX = 0.5
MAX_CONDITION = 1e12  # of a homography; over it, inverting loses every digit


@dataclass(frozen=True)
class Lens:
    """Inner calibration of a camera in OpenCV's convention.

    Attributes:
        matrix: (3, 3) camera matrix in px.
        distortion: (5,) k1 k2 p1 p2 k3; zeros for none.
    """

    matrix: Floats
    distortion: Floats

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3):
            raise GeometryError(f"camera matrix: expected shape (3, 3), got {self.matrix.shape}")
        if self.distortion.shape != (5,):
            raise GeometryError(f"distortion: expected shape (5,), got {self.distortion.shape}")

    @classmethod
    def create(cls, *, matrix: ArrayLike, distortion: ArrayLike | None = None) -> Self:
        """Check numbers from outside; no distortion means none.

        Raises:
            GeometryError: shapes, values that are not numbers, a focal length that is not positive.
        """
        k = as_floats("camera matrix", matrix, (3, 3))
        if k[0, 0] <= 0 or k[1, 1] <= 0 or not np.allclose(k[2], [0, 0, 1]):
            raise GeometryError(
                "camera matrix: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive fx and fy"
            )
        return cls(k, np.zeros(5) if distortion is None else as_floats("distortion", distortion, (5,)))

    @property
    def is_distorting(self) -> bool:
        """Say whether any distortion coefficient is non-zero."""
        return bool(np.any(self.distortion))

    def undistort(self, points_px: Floats) -> Floats:
        """Move recorded pixels to where a lens without distortion would show them, (n, 2) -> (n, 2).

        NaN where no point of the world is shown by these coefficients.
        """
        if not self.is_distorting or len(points_px) == 0:
            return points_px
        out = cv2.undistortPoints(
            points_px.reshape(-1, 1, 2), self.matrix, self.distortion, P=self.matrix, criteria=UNDISTORT_UNTIL
        )
        out = np.asarray(out, dtype=np.float64).reshape(-1, 2)
        missed_px = np.abs(self.distort(out) - points_px).max(axis=1)
        return np.where((missed_px < UNDISTORT_TOLERANCE_PX)[:, None], out, np.nan)

    def distort(self, points_px: Floats) -> Floats:
        """Move undistorted pixels to where the recorded picture shows them, (n, 2) -> (n, 2).

        NaN so far out that the lens would fold the point back into the picture.
        """
        if not self.is_distorting or len(points_px) == 0:
            return points_px
        normal = np.column_stack([points_px, np.ones(len(points_px))]) @ np.linalg.inv(self.matrix).T
        out, _ = cv2.projectPoints(normal, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        folded = (normal[:, :2] ** 2).sum(axis=1) > self.reach2
        return np.where(folded[:, None], np.nan, np.asarray(out, dtype=np.float64).reshape(-1, 2))

    @cached_property
    def reach2(self) -> float:
        """Give the squared normalised radius up to which the radial distortion grows outwards."""
        k1, k2, _, _, k3 = np.where(np.abs(self.distortion) < HORIZON_EPS, 0.0, self.distortion)
        roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # of d/dr of r (1 + k1 r^2 + k2 r^4 + k3 r^6)
        turns = roots.real[(np.abs(roots.imag) < HORIZON_EPS) & (roots.real > 0)]
        return float(turns.min(initial=np.inf))


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
        return self.lens.matrix @ np.column_stack([self.rotation, self.translation_m])

    @cached_property
    def position_m(self) -> Floats:
        """Give the camera's centre (x, y, z) in metres, (3,)."""
        p = self.projection
        return np.asarray(-np.linalg.solve(p[:, :3], p[:, 3]), dtype=np.float64)

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


def is_singular(h: Floats) -> bool:
    """Say whether a homography (3, 3) cannot be inverted, within rounding."""
    return not np.isfinite(h).all() or not h.any() or bool(np.linalg.cond(h) > MAX_CONDITION)


def _as_rotation(camera_id: str, rotation: ArrayLike) -> Floats:
    r = as_floats(f"rotation of {camera_id}", rotation, (3, 3))
    if not np.allclose(r @ r.T, np.eye(3), atol=1e-3) or np.linalg.det(r) < 0:
        raise GeometryError(f"rotation of {camera_id}: expected an orthonormal matrix with determinant 1")
    return r


def orient_homography(h_image_to_world: Floats, *, width: int, height: int) -> Floats:
    """Scale a homography so that the third coordinate is positive on the floor side of the horizon.

    The floor side is the one that holds the middle of the picture's lower edge; where the horizon runs
    below it (a camera upside down, say), the one that holds more of the picture.
    """
    h = h_image_to_world / np.linalg.norm(h_image_to_world)
    us, vs = np.meshgrid(np.linspace(0, width, 9), np.linspace(0, height, 9))
    w = h[2, 0] * us + h[2, 1] * vs + h[2, 2]
    below = w[-1, 4]
    sign = np.sign(below) if abs(below) > HORIZON_EPS else np.sign(w.sum())
    return h * (sign or 1.0)


def project(h: Floats, points: Floats) -> Floats:
    """Apply a homography, (n, 2) -> (n, 2); NaN where the third coordinate is not positive.

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 2.5.
    """
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    image = points @ h[:, :2].T + h[:, 2]  # (n, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(image[:, 2:] > HORIZON_EPS, image[:, :2] / image[:, 2:], np.nan)


def homography_jacobian(h: Floats, points: Floats) -> Floats:
    """Give d(projected)/d(point) at each point, (n, 2) -> (n, 2, 2); NaN beyond the horizon."""
    points = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    image = points @ h[:, :2].T + h[:, 2]  # (n, 3)
    w = np.where(image[:, 2] > HORIZON_EPS, image[:, 2], np.nan)[:, None, None]
    out = image[:, :2] / w[:, 0]  # (n, 2)
    jac: Floats = (h[:2, :2][None] - out[:, :, None] * h[2, :2][None, None, :]) / w
    return jac


def camera_matrix_from_homography(h_world_to_image: Floats, *, width: int, height: int) -> Floats:
    """Recover the (3, 3) camera matrix from the floor homography alone.

    Assumes square pixels, no skew, and the principal point in the middle of the picture; the focal
    length then follows from the two constraints on the image of the absolute conic.

    Raises:
        GeometryError: the constraints give no positive focal length (a view straight down).
    Source: Zhang, A Flexible New Technique for Camera Calibration (2000), eqs. 3 and 4.
    """
    centre = np.array([[1, 0, -width / 2], [0, 1, -height / 2], [0, 0, 1]])
    h = centre @ h_world_to_image
    h1, h2 = h[:, 0], h[:, 1]
    # h1' W h2 = 0 and h1' W h1 = h2' W h2 with W = diag(1/f^2, 1/f^2, 1): two equations in 1/f^2,
    # solved together by least squares so that neither degenerates alone.
    a = np.array([h1[0] * h2[0] + h1[1] * h2[1], (h1[:2] ** 2).sum() - (h2[:2] ** 2).sum()])
    b = -np.array([h1[2] * h2[2], h1[2] ** 2 - h2[2] ** 2])
    norm = float(a @ a)
    inv_f2 = float(a @ b) / norm if norm > 0 else 0.0
    if inv_f2 <= 1.0 / (50.0 * max(width, height)) ** 2:
        raise GeometryError(
            "the homography alone does not give a focal length (the camera looks straight down or the "
            "points are inexact): add the camera matrix to the calibration"
        )
    f = 1.0 / np.sqrt(inv_f2)
    return np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1.0]])


def projection_from_homography(h_world_to_image: Floats, camera_matrix: Floats) -> Floats:
    """Complete the floor homography of a camera of known matrix to its 3x4 projection.

    Source: Zhang, A Flexible New Technique for Camera Calibration (2000), section 3.1.
    """
    m = np.linalg.inv(camera_matrix) @ h_world_to_image
    scale = 2.0 / (np.linalg.norm(m[:, 0]) + np.linalg.norm(m[:, 1]))
    r1, r2, t = m[:, 0] * scale, m[:, 1] * scale, m[:, 2] * scale
    u, _, vt = np.linalg.svd(np.column_stack([r1, r2, np.cross(r1, r2)]))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    # keep the floor columns as they were fitted; only the vertical is taken from the rotation
    projection: Floats = camera_matrix @ np.column_stack([r1, r2, rotation[:, 2], t])
    centre_z = -np.linalg.solve(projection[:, :3], projection[:, 3])[2]
    if centre_z < 0:  # the vertical points down for a mirrored plan: a camera stands above its floor
        projection[:, 2] *= -1
    return projection


@dataclass(frozen=True, slots=True)
class HomographyFit:
    """A homography fitted to point pairs, with what it is worth.

    Attributes:
        h_image_to_world: (3, 3).
        errors_m: (n,) distance of each mapped point from its given place, metres.
        inliers: (n,) bool, False for a pair left out as an outlier.
    """

    h_image_to_world: Floats
    errors_m: Floats
    inliers: NDArray[np.bool_]


def fit_homography(points_px: ArrayLike, points_m: ArrayLike, *, tolerance_m: float = 0.5) -> HomographyFit:
    """Fit a homography from picture to floor to point pairs, robustly.

    Four pairs are fitted exactly; from five on, pairs that miss by more than ``tolerance_m`` are left out.

    Raises:
        GeometryError: shapes differ, fewer than four pairs, values that are not numbers, points on one line,
            pairs that contradict each other.
    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., algorithms 4.2 and 4.6.
    """
    src = np.asarray(points_px, dtype=np.float64)
    dst = np.asarray(points_m, dtype=np.float64)
    if src.ndim != 2 or src.shape[1:] != (2,) or src.shape != dst.shape:
        raise GeometryError(f"point pairs: expected two arrays (n, 2), got {src.shape} and {dst.shape}")
    if len(src) < MIN_PAIRS:
        raise GeometryError(
            f"a homography needs at least {MIN_PAIRS} point pairs, got {len(src)}: add more points"
        )
    if not (np.isfinite(src).all() and np.isfinite(dst).all()):
        raise GeometryError("point pairs hold values that are not numbers")
    for name, points in (("picture", src), ("floor plan", dst)):
        if is_collinear(points):
            raise GeometryError(f"the points lie on one line in the {name}: add points beside the line")
    method = 0 if len(src) == MIN_PAIRS else cv2.RANSAC
    fitted, mask = cv2.findHomography(src, dst, method, tolerance_m)
    # the stubs do not know that nothing may be found
    h: Floats = (
        np.full((3, 3), np.nan) if cast(object, fitted) is None else np.asarray(fitted, dtype=np.float64)
    )
    if is_singular(h):
        raise GeometryError(
            "no homography fits these point pairs: three of the four are on one line, or pairs are swapped"
        )
    inliers = np.asarray(mask, dtype=bool).ravel()
    if 2 * inliers.sum() < len(src):
        raise GeometryError(
            f"only {inliers.sum()} of the {len(src)} point pairs agree within {tolerance_m} m: check the pairs"
        )
    sides = np.sign(src[inliers] @ h[2, :2] + h[2, 2])
    if abs(sides.sum()) < len(sides):
        raise GeometryError("the point pairs contradict each other: two of them are probably swapped")
    errors = np.linalg.norm(_project_any_side(h, src) - dst, axis=1)
    return HomographyFit(h_image_to_world=h, errors_m=errors, inliers=inliers)


def _project_any_side(h: Floats, points: Floats) -> Floats:
    image = points @ h[:, :2].T + h[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(image[:, :2] / image[:, 2:], dtype=np.float64)


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
