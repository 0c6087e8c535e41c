"""The floor of a simulated place seen from above: its paving with sun and shade, and the floor plan picture."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.sources.sim.layout import Cylinder, Floats, Layout

Image = NDArray[np.uint8]

MARGIN_M = 1.5  # of floor that a picture from above shows beyond the walls
SHADOW_PER_M = np.array([0.38, 0.27])  # where the shadow of a point 1 m up falls: the sun is high, south-west
SHADE = 0.42  # part of the light that a shadow takes away

STONE, STONE_DARK, JOINT = (168, 186, 196), (140, 160, 174), (118, 136, 148)
OUTSIDE = (96, 104, 108)
WALL, WALL_EDGE = (92, 100, 108), (60, 66, 72)
CONCRETE, LEAF, WOOD = (176, 182, 184), (70, 122, 84), (72, 118, 160)
ACCENT = (31, 106, 255)


class TopView:
    """Where floor points lie in a picture from above: x to the right, y up."""

    def __init__(self, layout: Layout, px_per_m: float) -> None:
        x_min, y_min, x_max, y_max = layout.bounds_m
        self.px_per_m = px_per_m
        self.width = round((x_max - x_min + 2 * MARGIN_M) * px_per_m)
        self.height = round((y_max - y_min + 2 * MARGIN_M) * px_per_m)
        self.origin_px = ((MARGIN_M - x_min) * px_per_m, (MARGIN_M + y_max) * px_per_m)

    def px(self, points_m: Floats) -> Floats:
        """Map floor points (..., 2) m to picture points (..., 2) px."""
        return np.asarray(self.origin_px) + np.asarray(points_m) * [self.px_per_m, -self.px_per_m]

    def polygon(self, points_m: Floats) -> NDArray[np.int32]:
        """Give a polygon as OpenCV draws it, with 4 fractional bits."""
        return np.round(self.px(points_m) * 16).astype(np.int32)


def fill(image: Image, view: TopView, points_m: Floats, colour: tuple[int, ...]) -> None:
    """Fill a convex polygon of floor points."""
    cv2.fillConvexPoly(image, view.polygon(points_m), colour, cv2.LINE_AA, shift=4)


def disc(centre_m: tuple[float, float], radius_m: float) -> Floats:
    """Give a circle as a polygon (32, 2) m."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.asarray(centre_m) + radius_m * np.column_stack([np.cos(angle), np.sin(angle)])


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Floats:
    """Give a rectangle as a polygon (4, 2)."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def paving(layout: Layout, view: TopView, *, grain: float) -> Image:
    """Draw the bare floor: slabs in courses, each of its own tone, with a ring of dark ones."""
    rng = np.random.default_rng(3)
    image: Image = np.full((view.height, view.width, 3), OUTSIDE, np.uint8)
    x_min, y_min, x_max, y_max = layout.bounds_m
    length, course = 1.0, 0.5
    for row, y in enumerate(np.arange(y_min - MARGIN_M, y_max + MARGIN_M, course)):
        for x in np.arange(x_min - MARGIN_M - (row % 2) * length / 2, x_max + MARGIN_M, length):
            edge = min(x + 0.5 - x_min, x_max - x - 0.5, y + 0.25 - y_min, y_max - y - 0.25)
            base = STONE_DARK if 1.2 < edge < 1.8 else STONE
            tone = np.clip(np.array(base) + rng.normal(0, 7) + rng.normal(0, 2.5, 3), 0, 255)
            fill(image, view, rectangle(x, y, x + length, y + course), JOINT)
            slab = rectangle(x + 0.012, y + 0.012, x + length - 0.012, y + course - 0.012)
            fill(image, view, slab, tuple(int(c) for c in tone))
    _inlay(image, view, layout)
    sand = cv2.GaussianBlur(rng.normal(0, grain, image.shape[:2]).astype(np.float32), (0, 0), 1.2)
    coarse = rng.normal(0, 6, (view.height // 24, view.width // 24)).astype(np.float32)
    stain = cv2.resize(coarse, (view.width, view.height), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + (sand + stain)[..., None], 0, 255).astype(np.uint8)


def _inlay(image: Image, view: TopView, layout: Layout) -> None:
    x_min, y_min, x_max, y_max = layout.bounds_m
    centre = ((x_min + x_max) / 2, (y_min + y_max) / 2)
    for radius, colour in ((3.0, STONE_DARK), (2.75, (150, 170, 188)), (2.1, STONE_DARK), (1.95, STONE)):
        fill(image, view, disc(centre, radius), colour)
    for angle in np.arange(16) * np.pi / 8:
        tip = np.array([np.cos(angle), np.sin(angle)])
        line = view.polygon(np.array([centre + 2.1 * tip, centre + 2.75 * tip]))
        cv2.line(image, tuple(line[0]), tuple(line[1]), JOINT, 2, cv2.LINE_AA, shift=4)


def with_shadows(image: Image, layout: Layout, view: TopView) -> Image:
    """Darken the floor where the sun does not reach, and a little around whatever stands on it."""
    shade = np.zeros(image.shape[:2], np.uint8)
    contact = np.zeros_like(shade)
    footprints = [(disc((c.x_m, c.y_m), c.radius_m), c.height_m) for c in (*layout.pillars, *layout.planters)]
    footprints += [(rectangle(b.x0_m, b.y0_m, b.x1_m, b.y1_m), b.height_m) for b in layout.benches]
    x_min, y_min, x_max, y_max = layout.bounds_m
    walls = (
        rectangle(x_min - 0.3, y_min - 2, x_min, y_max + 2),
        rectangle(x_min - 2, y_min - 0.3, x_max + 2, y_min),
    )
    footprints += [(wall, layout.wall_height_m) for wall in walls]
    for outline, height in footprints:
        cast = np.vstack([outline, outline + SHADOW_PER_M * height]).astype(np.float32)
        hull = np.asarray(cv2.convexHull(cast), np.float64).reshape(-1, 2)
        cv2.fillConvexPoly(shade, view.polygon(hull), (255,), cv2.LINE_AA, shift=4)
        cv2.fillConvexPoly(contact, view.polygon(outline), (255,), cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(shade, (0, 0), 0.06 * view.px_per_m).astype(np.float32) / 255
    near = cv2.GaussianBlur(contact, (0, 0), 0.25 * view.px_per_m).astype(np.float32) / 255
    light = (1 - SHADE * soft) * (1 - 0.5 * near)
    return (image * light[..., None]).astype(np.uint8)


def plan_picture(layout: Layout, view: TopView) -> Image:
    """Draw the floor plan: paving, what stands on it, walls with their openings."""
    image = with_shadows(paving(layout, view, grain=0.0), layout, view)
    image = cv2.addWeighted(image, 0.62, np.full_like(image, 235), 0.38, 0).astype(np.uint8)
    for bench in layout.benches:
        fill(image, view, rectangle(bench.x0_m, bench.y0_m, bench.x1_m, bench.y1_m), WOOD)
    for planter in layout.planters:
        _draw_planter(image, view, planter)
    for pillar in layout.pillars:
        fill(image, view, disc((pillar.x_m, pillar.y_m), pillar.radius_m), WALL_EDGE)
        fill(image, view, disc((pillar.x_m, pillar.y_m), pillar.radius_m * 0.78), CONCRETE)
    _draw_walls(image, view, layout)
    return image


def _draw_planter(image: Image, view: TopView, planter: Cylinder) -> None:
    centre = (planter.x_m, planter.y_m)
    fill(image, view, disc(centre, planter.radius_m), CONCRETE)
    fill(image, view, disc(centre, planter.radius_m * 0.88), (52, 78, 62))
    rng = np.random.default_rng(5)
    for _ in range(130):
        r, a = planter.radius_m * 0.75 * np.sqrt(rng.random()), 2 * np.pi * rng.random()
        leaf = np.clip(np.array(LEAF) * rng.uniform(0.75, 1.4), 0, 255)
        spot = (centre[0] + r * np.cos(a), centre[1] + r * np.sin(a))
        fill(image, view, disc(spot, rng.uniform(0.06, 0.15)), tuple(int(c) for c in leaf))


def _draw_walls(image: Image, view: TopView, layout: Layout) -> None:
    x_min, y_min, x_max, y_max = layout.bounds_m
    t = 0.35
    shades = image.copy()
    outer = rectangle(x_min - t, y_min - t, x_max + t, y_max + t)
    image[:] = (58, 60, 62)
    fill(image, view, outer, WALL)
    inner = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(inner, view.polygon(rectangle(x_min, y_min, x_max, y_max)), (255,), shift=4)
    cv2.copyTo(shades, inner, image)
    cv2.polylines(image, [view.polygon(outer)], True, WALL_EDGE, 2, cv2.LINE_AA, shift=4)
    for gate in layout.gates:
        x, y = layout.gate_point(gate, -t / 2)
        half = gate.width_m / 2
        across = (half, t / 2) if gate.wall in ("south", "north") else (t / 2, half)
        fill(image, view, rectangle(x - across[0], y - across[1], x + across[0], y + across[1]), STONE)
        mark = (half, 0.05) if gate.wall in ("south", "north") else (0.05, half)
        fill(image, view, rectangle(x - mark[0], y - mark[1], x + mark[0], y + mark[1]), ACCENT)
