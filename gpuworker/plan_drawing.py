"""Draws a floor plan for a site that brings none: a grid in metres with the cameras' fields of view."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from environments.geometry import CameraModel, Floats, GeometryError

LONG_SIDE_PX = 1400
MARGIN_SHARE, LEAST_MARGIN_M = 0.12, 1.0
MOST_GRID_LINES = 16
SMOOTH = 2  # drawn this much larger: Pillow's lines are not smoothed
VIEW_DISTANCE_M = 60.0
NAME_PX = 13 * SMOOTH  # half the height of a camera's name

Bounds = tuple[float, float, float, float]
Colour = tuple[int, int, int]

GROUND, FLOOR, LINE, EDGE, TEXT = (35, 35, 37), (46, 46, 49), (62, 62, 66), (150, 150, 156), (176, 176, 182)
CAMERA_COLOURS = (
    (255, 106, 31),
    (90, 170, 255),
    (120, 200, 120),
    (230, 120, 200),
    (235, 200, 80),
    (120, 210, 210),
    (180, 150, 255),
)


@dataclass(frozen=True, slots=True)
class PlanPicture:
    """A floor plan's picture; the floor point (0, 0) lies at ``origin_px``, y runs up."""

    png: bytes
    metres_per_px: float
    origin_px: tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Where floor points lie on the enlarged sheet."""

    left_m: float
    top_m: float
    px_per_m: float

    def px(self, points_m: Floats) -> list[tuple[float, float]]:
        """Map floor points (n, 2) m to places on the sheet."""
        placed = (
            (np.asarray(points_m, dtype=np.float64) - [self.left_m, self.top_m]) * [1, -1] * self.px_per_m
        )
        return [(float(x), float(y)) for x, y in placed]


def draw_plan(*, bounds_m: Bounds, cameras: Sequence[CameraModel]) -> PlanPicture:
    """Draw the floor within bounds (x_min, y_min, x_max, y_max) and a margin around it."""
    x_min, y_min, x_max, y_max = bounds_m
    margin_m = max(LEAST_MARGIN_M, MARGIN_SHARE * max(x_max - x_min, y_max - y_min))
    width_m, height_m = x_max - x_min + 2 * margin_m, y_max - y_min + 2 * margin_m
    px_per_m = LONG_SIDE_PX / max(width_m, height_m)
    sheet = _Sheet(x_min - margin_m, y_max + margin_m, px_per_m * SMOOTH)
    size = (round(width_m * px_per_m), round(height_m * px_per_m))
    image = Image.new("RGB", (size[0] * SMOOTH, size[1] * SMOOTH), GROUND)
    _draw_floor(image, sheet, bounds_m)
    coloured = [(camera, CAMERA_COLOURS[i % len(CAMERA_COLOURS)]) for i, camera in enumerate(cameras)]
    for camera, colour in coloured:
        _draw_view(image, sheet, camera, colour, bounds_m)
    _draw_names(image, sheet, coloured)
    _draw_labels(image, sheet, bounds_m)
    out = BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return PlanPicture(out.getvalue(), 1.0 / px_per_m, (-sheet.left_m * px_per_m, sheet.top_m * px_per_m))


def _draw_floor(image: Image.Image, sheet: _Sheet, bounds_m: Bounds) -> None:
    draw = ImageDraw.Draw(image)
    x_min, y_min, x_max, y_max = bounds_m
    corners = sheet.px(_corners(bounds_m))
    draw.rectangle(corners, fill=FLOOR)
    for x in _ticks(x_min, x_max, bounds_m):
        draw.line(sheet.px(np.array([[x, y_min], [x, y_max]])), fill=LINE, width=SMOOTH)
    for y in _ticks(y_min, y_max, bounds_m):
        draw.line(sheet.px(np.array([[x_min, y], [x_max, y]])), fill=LINE, width=SMOOTH)
    draw.rectangle(corners, outline=EDGE, width=2 * SMOOTH)


def _draw_view(
    image: Image.Image, sheet: _Sheet, camera: CameraModel, colour: Colour, bounds_m: Bounds
) -> None:
    """Lay a camera's field of view over the floor."""
    view = sheet.px(camera.field_of_view(max_distance_m=VIEW_DISTANCE_M))
    if len(view) < 3:
        return
    layer = Image.new("L", image.size, 0)
    draw = ImageDraw.Draw(layer)
    draw.polygon(view, fill=22)
    draw.line([*view, view[0]], fill=200, width=SMOOTH, joint="curve")
    floor = [round(v) for place in sheet.px(_corners(bounds_m)) for v in place]
    cut = (floor[0], floor[1], floor[2], floor[3])
    image.paste(colour, cut, layer.crop(cut))


def _draw_names(image: Image.Image, sheet: _Sheet, cameras: Sequence[tuple[CameraModel, Colour]]) -> None:
    """Name each camera where it stands, or at the edge that is nearest to it."""
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15 * SMOOTH)
    taken: list[tuple[float, float]] = []
    for camera, colour in cameras:
        half = max(14 * SMOOTH, draw.textlength(camera.camera_id, font) / 2 + 8 * SMOOTH)
        x, y = _stands(sheet, camera)
        x = float(np.clip(x, half + NAME_PX, image.width - half - NAME_PX))
        y = float(np.clip(y, 2 * NAME_PX, image.height - 2 * NAME_PX))
        while any(
            abs(x - other_x) < 2 * half and abs(y - other_y) < 2 * NAME_PX for other_x, other_y in taken
        ):
            y += 2.2 * NAME_PX * (1 if y < image.height / 2 else -1)
        taken.append((x, y))
        draw.rounded_rectangle((x - half, y - NAME_PX, x + half, y + NAME_PX), NAME_PX, fill=colour)
        draw.text((x, y), camera.camera_id, fill=GROUND, font=font, anchor="mm")


def _stands(sheet: _Sheet, camera: CameraModel) -> tuple[float, float]:
    try:
        return sheet.px(camera.position_m[None, :2])[0]
    except GeometryError:  # the homography alone does not say where: name the view in its middle
        view = camera.field_of_view(max_distance_m=VIEW_DISTANCE_M)
        return sheet.px(view.mean(axis=0, keepdims=True))[0] if len(view) else (0.0, 0.0)


def _corners(bounds_m: Bounds) -> Floats:
    """Give the upper left and the lower right corner."""
    x_min, y_min, x_max, y_max = bounds_m
    return np.array([[x_min, y_max], [x_max, y_min]])


def _draw_labels(image: Image.Image, sheet: _Sheet, bounds_m: Bounds) -> None:
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14 * SMOOTH)
    x_min, y_min, x_max, y_max = bounds_m
    gap = 8 * SMOOTH
    for n in _ticks(x_min, x_max, bounds_m):
        x, y = sheet.px(np.array([[n, y_min]]))[0]
        draw.text((x, y + gap), f"{n:g}", fill=TEXT, font=font, anchor="mt")
    for n in _ticks(y_min, y_max, bounds_m):
        x, y = sheet.px(np.array([[x_min, n]]))[0]
        draw.text((x - gap, y), f"{n:g}", fill=TEXT, font=font, anchor="rm")
    x, y = sheet.px(np.array([[x_max, y_min]]))[0]
    draw.text((x + gap, y + gap), "x, m", fill=EDGE, font=font, anchor="lt")
    x, y = sheet.px(np.array([[x_min, y_max]]))[0]
    draw.text((x - gap, y - gap), "y, m", fill=EDGE, font=font, anchor="rb")


def _ticks(low: float, high: float, bounds_m: Bounds) -> list[float]:
    """Give round numbers from low to high, at the same distance on both axes."""
    x_min, y_min, x_max, y_max = bounds_m
    span = max(x_max - x_min, y_max - y_min)
    steps = (m * 10.0**e for e in range(-2, 7) for m in (1, 2, 5))
    step = next((s for s in steps if span / s <= MOST_GRID_LINES), span)
    return [n * step for n in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]
