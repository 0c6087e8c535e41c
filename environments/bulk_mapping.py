"""Pixels to floor metres for millions of points: the same code for NumPy, CuPy and every array library of their kind.

The namespace is passed in as ``xp``, and only what the Python array API standard has is used, so that what NumPy shows
holds on a GPU. For the few boxes of a tick :mod:`environments.geometry` is quicker.

Source: Python array API standard, 2024.12; formulas as in :mod:`environments.geometry`.
"""

from typing import Any

from environments.geometry import CameraModel, Lens

Array = Any  # of the library that is passed in
Namespace = Any

HORIZON_EPS = 1e-9
ROUNDS = 12  # of Newton's method; four are enough where a lens does not fold
TOLERANCE_PX = 0.5


def distort(xp: Namespace, lens: Lens, points_px: Array) -> Array:
    """Move undistorted pixels (n, 2) to where the recorded picture shows them; NaN beyond the lens's reach.

    Source: OpenCV, Camera Calibration and 3D Reconstruction: radial k1 k2 k3 and tangential p1 p2.
    """
    focal, centre = _matrix(xp, lens)
    x, y = _columns((points_px - centre) / focal)
    out_x, out_y, _ = _bend(lens, x, y)
    out = xp.stack([out_x, out_y], axis=1) * focal + centre
    return xp.where((x * x + y * y > lens.reach2)[:, None], xp.nan, out)


def undistort(xp: Namespace, lens: Lens, points_px: Array) -> Array:
    """Move recorded pixels (n, 2) to where a lens without distortion would show them; NaN where no point is shown."""
    focal, centre = _matrix(xp, lens)
    goal_x, goal_y = _columns((points_px - centre) / focal)
    x, y = goal_x, goal_y
    for _ in range(ROUNDS):
        at_x, at_y, (xx, xy, yx, yy) = _bend(lens, x, y)
        miss_x, miss_y = at_x - goal_x, at_y - goal_y
        det = xx * yy - xy * yx
        det = xp.where(xp.abs(det) < HORIZON_EPS, xp.nan, det)
        x, y = x - (yy * miss_x - xy * miss_y) / det, y - (xx * miss_y - yx * miss_x) / det
    out = xp.stack([x, y], axis=1) * focal + centre
    missed = xp.max(xp.abs(distort(xp, lens, out) - points_px), axis=1)
    return xp.where((missed < TOLERANCE_PX)[:, None], out, xp.nan)


def to_floor(xp: Namespace, camera: CameraModel, points_px: Array) -> Array:
    """Map recorded pixels (n, 2) to the floor, m; NaN at and above the horizon."""
    return _project(xp, camera, _flat(xp, camera, points_px))[0]


def to_floor_with_covariance(
    xp: Namespace, camera: CameraModel, points_px: Array, sigma2_px: Array
) -> tuple[Array, Array]:
    """Map pixels with covariance (n, 2, 2) px^2 to the floor: (n, 2) m and (n, 2, 2) m^2."""
    flat = _flat(xp, camera, points_px)
    points_m, w = _project(xp, camera, flat)
    h = xp.asarray(camera.h_image_to_world)
    jac = (h[None, :2, :2] - points_m[:, :, None] * h[None, 2:, :2]) / w[:, None, None]  # (n, 2, 2)
    return points_m, jac @ sigma2_px @ xp.matrix_transpose(jac)


def heat_map(
    xp: Namespace, points_m: Array, *, bounds_m: tuple[float, float, float, float], cell_m: float
) -> Array:
    """Count points (n, 2) in square cells, (rows, columns) from the lower left; those outside are left out.

    Args:
        bounds_m: x_min, y_min, x_max, y_max.
        cell_m: side of a cell.
    """
    x0, y0, x1, y1 = bounds_m
    columns, rows = _cells(x1 - x0, cell_m), _cells(y1 - y0, cell_m)
    x, y = _columns(points_m)
    column, row = xp.floor((x - x0) / cell_m), xp.floor((y - y0) / cell_m)
    inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
    cell = xp.where(inside, row * columns + column, xp.asarray(float(rows * columns)))
    counts = xp.bincount(cell.astype(xp.int64), minlength=rows * columns + 1)
    return counts[:-1].reshape(rows, columns)


def _cells(length_m: float, cell_m: float) -> int:
    return max(1, round(length_m / cell_m + 0.4999))


def _flat(xp: Namespace, camera: CameraModel, points_px: Array) -> Array:
    if camera.lens is None or not camera.lens.is_distorting:
        return points_px
    return undistort(xp, camera.lens, points_px)


def _project(xp: Namespace, camera: CameraModel, flat_px: Array) -> tuple[Array, Array]:
    h = xp.asarray(camera.h_image_to_world)
    image = flat_px @ xp.matrix_transpose(h[:, :2]) + h[None, :, 2]  # (n, 3)
    w = xp.where(image[:, 2] > HORIZON_EPS, image[:, 2], xp.nan)
    return image[:, :2] / w[:, None], w


def _matrix(xp: Namespace, lens: Lens) -> tuple[Array, Array]:
    k = lens.matrix
    return xp.asarray([[k[0, 0], k[1, 1]]]), xp.asarray([[k[0, 2], k[1, 2]]])


def _columns(points: Array) -> tuple[Array, Array]:
    return points[:, 0], points[:, 1]


def _bend(lens: Lens, x: Array, y: Array) -> tuple[Array, Array, tuple[Array, Array, Array, Array]]:
    """Bend normalised points as the lens does; also the Jacobian: d out_x / dx, dy and d out_y / dx, dy."""
    k1, k2, p1, p2, k3 = (float(v) for v in lens.distortion)
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2 * (k1 + r2 * (2 * k2 + 3 * k3 * r2))  # d radial / dx is slope times x
    out_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    out_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    cross = slope * x * y + 2 * p1 * x + 2 * p2 * y
    xx = radial + slope * x * x + 2 * p1 * y + 6 * p2 * x
    yy = radial + slope * y * y + 6 * p1 * y + 2 * p2 * x
    return out_x, out_y, (xx, cross, cross, yy)
