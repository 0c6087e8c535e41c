"""Homographies between a picture and the floor: projecting, derivatives, and the camera behind one."""

import numpy as np

from environments.geometry.lens import HORIZON_EPS
from environments.polygons import Floats, GeometryError

MAX_CONDITION = 1e12  # of a homography; over it, inverting loses every digit


def is_singular(h: Floats) -> bool:
    """Say whether a homography (3, 3) cannot be inverted, within rounding."""
    return not np.isfinite(h).all() or not h.any() or bool(np.linalg.cond(h) > MAX_CONDITION)


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


def project_any_side(h: Floats, points: Floats) -> Floats:
    """Apply homographies (..., 3, 3) to points (n, 2) on either side of the horizon, (..., n, 2)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image = points @ np.swapaxes(h[..., :, :2], -1, -2) + h[..., None, :, 2]  # (..., n, 3)
        return np.asarray(image[..., :2] / image[..., 2:], dtype=np.float64)


def world_to_image_jacobian(h: Floats, points: Floats) -> Floats:
    """Give d(projected)/d(point) of homographies (..., 3, 3) at points (n, 2), of either side, (..., n, 2, 2)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        image = points @ np.swapaxes(h[..., :, :2], -1, -2) + h[..., None, :, 2]  # (..., n, 3)
        out = image[..., :2] / image[..., 2:]
        slope = h[..., None, :2, :2] - out[..., :, None] * h[..., None, None, 2, :2]
        return np.asarray(slope / image[..., 2:, None], dtype=np.float64)


def mirrors(h_world_to_image: Floats, points_m: Floats) -> bool:
    """Say whether the picture shows the floor mirrored: as no camera above a right-handed floor does."""
    jac = world_to_image_jacobian(h_world_to_image, points_m)
    jac = jac[(np.abs(jac) < 1 / HORIZON_EPS).all(axis=(1, 2))]
    return bool(np.sign(np.linalg.det(jac)).sum() > 0)


def facing(h_world_to_image: Floats, points_m: Floats) -> Floats:
    """Scale a homography so that most points (n, 2) lie in front: with a positive third coordinate."""
    w = points_m @ h_world_to_image[2, :2] + h_world_to_image[2, 2]
    return h_world_to_image * (np.sign(np.sign(w).sum()) or 1.0)


def fit_directly(px: Floats, m: Floats, weights: Floats) -> Floats:
    """Fit homographies floor to picture to weighted pairs by algebra, weights (..., n) -> (..., 3, 3).

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., algorithm 4.2 (normalised DLT).
    """
    to_px, to_m = _normaliser(px), _normaliser(m)
    u, x = project_any_side(to_px, px), project_any_side(to_m, m)
    one, zero = np.ones((len(x), 1)), np.zeros((len(x), 3))
    x1 = np.hstack([x, one])
    rows = np.stack(
        [np.hstack([x1, zero, -u[:, :1] * x1]), np.hstack([zero, x1, -u[:, 1:] * x1])], axis=1
    )  # (n, 2, 9)
    a = (weights[..., None, None] * rows).reshape(*weights.shape[:-1], -1, 9)
    _, _, vt = np.linalg.svd(a)
    h = vt[..., 8, :].reshape(*weights.shape[:-1], 3, 3)
    return np.asarray(np.linalg.inv(to_px) @ h @ to_m, dtype=np.float64)


def _normaliser(points: Floats) -> Floats:
    middle = points.mean(axis=0)
    scale = np.sqrt(2.0) / max(float(np.linalg.norm(points - middle, axis=1).mean()), HORIZON_EPS)
    return np.array([[scale, 0, -scale * middle[0]], [0, scale, -scale * middle[1]], [0, 0, 1.0]])
