"""Everywhere that somebody could stand in a camera's view, as rectangles in its picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, GeometryError

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

STANDING_M = 1.74  # mean height of adults; Source: NCD-RisC, A century of trends in adult human height (2016)
WIDTH_M = 0.56  # elbow to elbow, walking
# top and bottom as shares of the height downwards, left and right as shares of the width from the middle
BODY = (
    (0.0, 0.16, -0.22, 0.22),  # head
    (0.16, 0.55, -0.48, 0.48),  # trunk
    (0.55, 1.0, -0.35, 0.35),  # legs
)
# where a person ends, and foreground speaks for a place further up or down
RIM = (
    (-0.1, 0.0, -0.22, 0.22),  # above the head
    (0.0, 0.14, -0.5, -0.22),  # beside it
    (0.0, 0.14, 0.22, 0.5),
    (1.0, 1.06, -0.35, 0.35),  # below the feet
)
CORNER_SIGNS = np.array([1, -1, -1, 1], np.float32)
STEPS_PER_HEIGHT = 14  # candidates stand a fourteenth of their height apart
LEAST_HEIGHT_PX = 9.0
LEAST_VISIBLE = 0.3  # share of a shape inside the picture
BEYOND = 0.6  # share of the picture height by which feet may be under its lower edge


@dataclass(frozen=True, slots=True)
class Shapes:
    """Everywhere that somebody could stand, as this camera would show them.

    Attributes:
        box: (n, 4) float32 xyxy px of the working picture, not cut at its edges.
        foot: (n, 2) float32 px, where they stand.
        body: (n, 3, 4) int32 xyxy px of head, trunk and legs, cut at the picture's edges.
        corners: (n, 28) int32 indices of the four corners of the body's and the rim's rectangles into
            the flattened integral image.
        area: (n,) px of the body inside the picture.
        height: (n,) px from head to foot.
        size: height and width of the working picture.
    """

    box: Floats32
    foot: Floats32
    body: NDArray[np.int32]
    corners: NDArray[np.int32]
    area: Floats32
    height: Floats32
    size: tuple[int, int]

    def sums(self, integral: NDArray, index: NDArray, weights: Floats32) -> Floats32:
        """Sum an integral image over the rectangles of shapes at an index, each by its weight (7,), (k,)."""
        signed = (weights[:, None] * CORNER_SIGNS).ravel()  # (28,)
        at_corners = np.take(integral.ravel(), self.corners[index])  # (k, 28)
        return np.asarray(at_corners.astype(np.float32) @ signed)


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
    whole = np.stack([_part(foot, head, across, part) for part in BODY + RIM], axis=1)  # (n, 7, 4)
    cut = np.rint(np.clip(whole, 0, [width, height, width, height])).astype(np.int32)
    x0, y0, x1, y1 = np.moveaxis(cut, -1, 0)
    corners = np.stack([r * (width + 1) + c for r, c in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))], axis=-1)
    area = ((x1 - x0) * (y1 - y0))[:, : len(BODY)].sum(axis=1)
    body = whole[:, : len(BODY)]
    full = ((body[..., 2] - body[..., 0]) * (body[..., 3] - body[..., 1])).sum(axis=1)
    inside = area >= LEAST_VISIBLE * np.maximum(full, 1)
    box = _part(foot, head, across, (0.0, 1.0, -0.5, 0.5))
    return Shapes(
        box=box[inside].astype(np.float32),
        foot=foot[inside].astype(np.float32),
        body=cut[inside, : len(BODY)],
        corners=corners[inside].reshape(-1, 4 * len(BODY + RIM)).astype(np.int32),
        area=area[inside].astype(np.float32),
        height=(box[inside, 3] - box[inside, 1]).astype(np.float32),
        size=(height, width),
    )


def _part(foot: Floats, head: Floats, across: Floats, part: tuple[float, float, float, float]) -> Floats:
    """Give a part's rectangle (n, 4) px on the line from head to foot."""
    high, low, left, right = part
    middle = head + (foot - head) * (high + low) / 2
    tall = foot[:, 1] - head[:, 1]
    top = head[:, 1] + high * tall
    return np.column_stack(
        [middle[:, 0] + left * across, top, middle[:, 0] + right * across, top + (low - high) * tall]
    )
