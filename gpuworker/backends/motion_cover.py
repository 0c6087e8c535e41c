"""Explains a foreground mask by people of ordinary size who stand on the floor.

Source: the idea is that of Fleuret et al., Multicamera People Tracking with a Probabilistic Occupancy Map
(2008): the picture that people at supposed places would give is compared with the foreground by integral
images. Here one camera is explained at a time, greedily, by shapes of three rectangles.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, GeometryError

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

STANDING_M = 1.74  # mean height of adults; Source: NCD-RisC, A century of trends in adult human height (2016)
WIDTH_M = 0.56  # elbow to elbow, walking
# top and bottom as shares of the height, width as share of the box: head, trunk, legs
PARTS = ((0.0, 0.16, 0.45), (0.16, 0.55, 0.95), (0.55, 1.0, 0.7))
STEPS_PER_HEIGHT = 14  # candidates stand a fourteenth of their height apart
LEAST_HEIGHT_PX = 9.0
LEAST_VISIBLE = 0.3  # share of a shape inside the picture
LIMB_LEFT = 0.3  # what stays of evidence beside somebody found: it may be an arm, or a neighbour
# where the ends of a box are looked for, and what ends it
REACH_X, REACH_Y = 0.3, 0.12  # beyond the shape, shares of its width and height
LEAST_LINE = 0.1  # foreground in a line, share of the shape's size across
HIDDEN = 0.15  # share of a line that belongs to somebody else
HIDDEN_BAND = 0.08  # share of the size beyond an end that is looked at for it
FREE = -1  # owner of a pixel: nobody
BEYOND = 0.6  # share of the picture height by which feet may be under its lower edge


@dataclass(frozen=True, slots=True)
class Shapes:
    """Everywhere that somebody could stand, as this camera would show them.

    Attributes:
        box: (n, 4) float32 xyxy px of the working picture, not cut at its edges.
        parts: (n, parts, 4) int32 xyxy px of the three rectangles, cut at the picture's edges.
        corners: (n, parts, 4) int32 indices into the flattened integral image; signs + - - +.
        area: (n,) px of the shape inside the picture.
        size: height and width of the working picture.
    """

    box: Floats32
    parts: NDArray[np.int32]
    corners: NDArray[np.int32]
    area: Floats32
    size: tuple[int, int]

    def sums(self, integral: NDArray, index: NDArray) -> Floats32:
        """Sum an integral image over the shapes at an index, (k,)."""
        c = integral.ravel()[self.corners[index]]  # (k, parts, 4)
        return np.asarray((c[..., 0] - c[..., 1] - c[..., 2] + c[..., 3]).sum(axis=1), dtype=np.float32)


def make_shapes(camera: CameraModel, height: int, width: int) -> Shapes | None:
    """Give the shapes for a working picture of height x width px; None where the camera cannot tell."""
    scale = np.array([width / camera.width, height / camera.height])
    try:
        feet = _feet(camera, scale, height, width)
        foot, head, across = _stand(camera, feet / scale)
    except GeometryError:
        return None
    foot, head, across = foot * scale, head * scale, across * scale[0]
    tall = foot[:, 1] - head[:, 1]
    with np.errstate(invalid="ignore"):
        good = np.isfinite(tall + across) & (tall >= LEAST_HEIGHT_PX) & (tall < 4 * height)
    return _shapes(foot[good], head[good], across[good], height, width)


def _stand(camera: CameraModel, feet_px: Floats) -> tuple[Floats, Floats, Floats]:
    """Give foot and head (n, 2) and the width (n,) in px of people who stand at recorded pixels."""
    floor = camera.to_floor(feet_px)
    head = camera.to_picture_at_height(floor, STANDING_M)
    sight = floor - camera.position_m[:2]
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    side = np.column_stack([-sight[:, 1], sight[:, 0]]) * WIDTH_M / 2
    across = camera.to_picture(floor + side) - camera.to_picture(floor - side)
    return feet_px, head, np.linalg.norm(across, axis=1)


def _feet(camera: CameraModel, scale: Floats, height: int, width: int) -> Floats:
    """Spread feet over the working picture and below it, denser where people look smaller, (n, 2) px."""
    columns = np.linspace(0, width, 9)
    rows = []
    v = 0.0
    while v < height * (1 + BEYOND):
        foot, head, _ = _stand(camera, np.column_stack([columns, np.full(9, v)]) / scale)
        tall = (foot - head)[:, 1] * scale[1]
        seen = tall[np.isfinite(tall)]
        size = float(np.median(seen)) if len(seen) else 0.0
        step = max(1.0, size / STEPS_PER_HEIGHT)
        if size >= LEAST_HEIGHT_PX / 2:
            u = np.arange(0.0, width + 1e-6, step)
            rows.append(np.column_stack([u, np.full(len(u), v)]))
        v += step
    return np.concatenate(rows) if rows else np.zeros((0, 2))


def _shapes(foot: Floats, head: Floats, across: Floats, height: int, width: int) -> Shapes:
    top, bottom = head[:, 1], foot[:, 1]
    parts = []
    for high, low, share in PARTS:
        middle = foot[:, 0] + (head[:, 0] - foot[:, 0]) * (1 - (high + low) / 2)
        half = share * across / 2
        rows = [top + high * (bottom - top), top + low * (bottom - top)]
        parts.append(np.column_stack([middle - half, rows[0], middle + half, rows[1]]))
    whole = np.stack(parts, axis=1)  # (n, parts, 4)
    full = (np.rint(whole[..., 2]) - np.rint(whole[..., 0])) * (
        np.rint(whole[..., 3]) - np.rint(whole[..., 1])
    )
    cut = np.rint(np.clip(whole, 0, [width, height, width, height])).astype(np.int32)
    x0, y0, x1, y1 = np.moveaxis(cut, -1, 0)
    corners = np.stack([r * (width + 1) + c for r, c in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))], axis=-1)
    area = ((x1 - x0) * (y1 - y0)).sum(axis=1)
    inside = area >= LEAST_VISIBLE * np.maximum(full.sum(axis=1), 1)
    middle = (foot[:, 0] + head[:, 0]) / 2
    box = np.column_stack([middle - across / 2, top, middle + across / 2, bottom])
    return Shapes(
        box=box[inside].astype(np.float32),
        parts=cut[inside],
        corners=corners[inside].astype(np.int32),
        area=area[inside].astype(np.float32),
        size=(height, width),
    )


@dataclass(frozen=True, slots=True)
class Cover:
    """People who explain a foreground mask.

    Attributes:
        index: (k,) shapes chosen, best first.
        fill: (k,) share of each shape that was foreground when it was chosen, less what was background.
    """

    index: NDArray[np.intp]
    fill: Floats32


def cover(shapes: Shapes, evidence: Floats32, *, least_fill: float, most: int = 60) -> Cover:
    """Choose people greedily until nobody explains ``least_fill`` of their shape any more.

    Args:
        shapes: of the camera.
        evidence: (h, w) what each pixel speaks for somebody, about -1 (background) to 1 (foreground);
            consumed.
        least_fill: mean evidence over a shape's visible area that is worth a person.
        most: people at once.
    """
    chosen: list[int] = []
    fills: list[float] = []
    alive = np.arange(len(shapes.area))
    while len(chosen) < most and len(alive):
        gain = shapes.sums(cv2.integral(evidence), alive)
        fill = gain / shapes.area[alive]
        # what is explained only shrinks: who is too poor now is too poor for ever
        rich = fill > least_fill
        alive, gain, fill = alive[rich], gain[rich], fill[rich]
        if not len(alive):
            break
        best = int(np.argmax(gain))
        chosen.append(int(alive[best]))
        fills.append(float(fill[best]))
        explain(evidence, shapes, chosen[-1])
    return Cover(np.array(chosen, dtype=np.intp), np.array(fills, dtype=np.float32))


def explain(evidence: Floats32, shapes: Shapes, index: int) -> None:
    """Take away what a shape explains: all of its own pixels, most of the limbs that stick out."""
    height, width = shapes.size
    x0, y0, x1, y1 = shapes.box[index]
    margin = 0.25 * (x1 - x0)
    rows = slice(max(int(y0 - margin / 2), 0), min(int(np.ceil(y1 + margin / 2)), height))
    columns = slice(max(int(x0 - margin), 0), min(int(np.ceil(x1 + margin)), width))
    around = evidence[rows, columns]
    np.minimum(around, LIMB_LEFT * around, out=around)
    for left, top, right, bottom in shapes.parts[index]:
        evidence[top:bottom, left:right] = 0.0


def tighten(shapes: Shapes, index: NDArray[np.intp], sure: NDArray[np.bool_]) -> Floats32:
    """Give boxes (k, 4) that end where the foreground of each person chosen ends.

    People of other heights than the mean are met so; a foot or a head that somebody nearer hides stays
    where the shape has it.
    """
    owner = np.full(shapes.size, FREE, np.int16)
    order = np.argsort(shapes.box[index, 3], kind="stable")  # the nearer cover the farther
    for k in order:
        for left, top, right, bottom in shapes.parts[index[k]]:
            owner[top:bottom, left:right] = k
    boxes = shapes.box[index]  # a copy
    for k, box in enumerate(boxes):
        box[:] = _tighten(box, k, owner, sure)
    return boxes


def _tighten(box: Floats32, k: int, owner: NDArray[np.int16], sure: NDArray[np.bool_]) -> Floats32:
    height, width = owner.shape
    x0, y0, x1, y1 = box
    wide, tall = float(x1 - x0), float(y1 - y0)
    left, top = max(int(x0 - REACH_X * wide), 0), max(int(y0 - REACH_Y * tall), 0)
    right = min(int(np.ceil(x1 + REACH_X * wide)), width)
    bottom = min(int(np.ceil(y1 + REACH_Y * tall)), height)
    near = owner[top:bottom, left:right]
    mine = sure[top:bottom, left:right] & ((near == k) | (near == FREE))
    others = (near != k) & (near != FREE)
    out = box.copy()
    for axis, size, across in ((0, wide, tall), (1, tall, wide)):  # columns, then rows
        ends = np.flatnonzero(mine.sum(axis=axis) >= max(1.0, LEAST_LINE * across))
        if not len(ends):
            continue
        taken = others.sum(axis=axis) > HIDDEN * across
        band = max(int(HIDDEN_BAND * size), 1)
        first, last = ends[0], ends[-1] + 1
        offset = (left, top)[axis]
        if not taken[max(first - band, 0) : first].any():
            out[axis] = offset + first
        if not taken[last : last + band].any():
            out[axis + 2] = offset + last
    return out
