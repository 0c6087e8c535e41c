"""Areas and lines on the floor, in metres; checks of numbers from outside."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

COLLINEAR_RATIO = 1e-3  # smallest over largest singular value of centred points: under it, a line


class GeometryError(ValueError):
    """A calibration or a polygon that cannot be used; the message says why and what to do."""


def as_floats(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Give numbers from outside as an array of the shape expected.

    Raises:
        GeometryError: not numbers, not finite, or of another shape.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:  # a ragged list, a text
        raise GeometryError(f"{name}: expected numbers of shape {shape}") from error
    if array.shape != shape:
        raise GeometryError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise GeometryError(f"{name} has values that are not numbers")
    return array


def is_collinear(points: Floats) -> bool:
    """Say whether points (n, 2) lie on one line, within rounding."""
    centred = points - points.mean(axis=0)
    s = np.linalg.svd(centred, compute_uv=False)
    return bool(len(s) < 2 or s[1] <= COLLINEAR_RATIO * s[0])


def polygon_area(polygon_m: Floats) -> float:
    """Give the signed area of a polygon (n, 2): positive when it runs counter-clockwise.

    Source: the shoelace formula.
    """
    x, y = polygon_m[:, 0], polygon_m[:, 1]
    return float(0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def check_polygon(points_m: ArrayLike) -> Floats:
    """Give a ring of points from outside as a polygon (k, 2), without a last point that repeats the first.

    Raises:
        GeometryError: not numbers, fewer than three points, no area, or edges that cross or touch.
    """
    ring = _as_points("polygon", points_m)
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3:
        raise GeometryError(f"a polygon needs at least three different points, got {len(ring)}: add points")
    if is_collinear(ring):
        raise GeometryError("the polygon has no area: its points lie on one line")
    n = len(ring)
    for i in range(n):
        for j in range(i + 1, n):
            if _edges_meet(ring, i, j):
                raise GeometryError(
                    f"the polygon crosses itself between points {i + 1} and {j + 1}: draw it around in one go"
                )
    return ring


def check_line(points_m: ArrayLike) -> Floats:
    """Give two points from outside as a directed line (2, 2).

    Raises:
        GeometryError: not numbers, not two points, or twice the same one.
    """
    line = _as_points("line", points_m)
    if len(line) != 2:
        raise GeometryError(f"a line has two points, got {len(line)}")
    if np.array_equal(line[0], line[1]):
        raise GeometryError("the line has no length: its two points are the same")
    return line


def points_in_polygon(points_m: Floats, polygon_m: Floats) -> NDArray[np.bool_]:
    """Say which points (n, 2) lie inside a polygon (k, 2), k >= 3, by counting crossings; (n,) bool."""
    x, y = points_m[:, :1], points_m[:, 1:]  # (n, 1)
    x1, y1 = polygon_m[:, 0], polygon_m[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    straddles = (y1 > y) != (y2 > y)  # (n, k)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing_x = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
    inside: NDArray[np.bool_] = np.count_nonzero(straddles & (x < crossing_x), axis=1) % 2 == 1
    return inside


def crossing_direction(a_m: Floats, b_m: Floats, line_m: Floats) -> int:
    """Say how a step from a to b crosses a directed line of two points: 1 left to right, -1, 0 for not.

    Left and right are those of somebody who walks along the line from its first to its second point.
    """
    p, q = line_m
    d = q - p
    side_a, side_b = _side(p, q, a_m), _side(p, q, b_m)
    if (side_a > 0) == (side_b > 0):
        return 0
    step = b_m - a_m
    denominator = float(d[0] * step[1] - d[1] * step[0])
    along = float((a_m[0] - p[0]) * step[1] - (a_m[1] - p[1]) * step[0]) / denominator
    if not 0.0 <= along <= 1.0:
        return 0
    return 1 if side_a > 0 else -1


def _as_points(name: str, points_m: ArrayLike) -> Floats:
    try:
        n = len(points_m)  # type: ignore[arg-type]
    except TypeError as error:
        raise GeometryError(f"{name}: expected a list of [x, y]") from error
    return as_floats(name, points_m, (n, 2)) if n else np.zeros((0, 2))


def _edges_meet(ring: Floats, i: int, j: int) -> bool:
    """Say whether edges i < j of a ring share a point that they should not."""
    n = len(ring)
    a, b, c, d = ring[i], ring[(i + 1) % n], ring[j], ring[(j + 1) % n]
    if j == i + 1 or (i == 0 and j == n - 1):  # neighbours: they share a corner, and must not fold back
        corner, before, after = (b, a, d) if j == i + 1 else (a, b, c)
        return _side(corner, before, after) == 0 and float((before - corner) @ (after - corner)) >= 0
    if _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0:
        return True
    return any(_on_segment(r, p, q) for p, q, r in ((a, b, c), (a, b, d), (c, d, a), (c, d, b)))


def _side(p: Floats, q: Floats, r: Floats) -> float:
    """Say on which side of the line from p to q the point r lies: positive for left, in m^2."""
    d = q - p
    return float(d[0] * (r[1] - p[1]) - d[1] * (r[0] - p[0]))


def _on_segment(r: Floats, p: Floats, q: Floats) -> bool:
    return _side(p, q, r) == 0 and float((r - p) @ (r - q)) <= 0
