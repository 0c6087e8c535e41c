"""The empty place as a camera sees it, with the distance of everything that can hide a person.

Drawn once a camera by casting a ray through each pixel, so that lens distortion, openings in walls and
things in front of one another come out right by themselves.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.sources.sim.ground import SHADOW_PER_M, Image, TopView, paving, with_shadows
from gpuworker.sources.sim.layout import Box, Cylinder, Layout

Floats32 = NDArray[np.float32]
Colour = NDArray[np.floating]

SUPERSAMPLE = 2
TEXTURE_PX_PER_M = 64.0
SUN = np.array([-SHADOW_PER_M[0], -SHADOW_PER_M[1], 1.0]) / np.linalg.norm([*SHADOW_PER_M, 1.0])
CORRIDOR_M = 2.6  # depth of what can be seen through an opening
AMBIENT = 0.62


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What a camera sees of a place without people.

    Attributes:
        image: (h, w, 3) BGR uint8.
        depth_m: (h, w) float32 distance along the optical axis of what can hide somebody; infinite for
            floor and sky, which hide nobody.
        floor: (h, w) uint8, 255 where the floor is seen and takes shadows.
    """

    image: Image
    depth_m: Floats32
    floor: NDArray[np.uint8]


class _Rays:
    """The rays of a camera's pixels and, so far, what each of them hits first."""

    def __init__(self, camera: CameraModel) -> None:
        if camera.lens is None or camera.rotation is None:
            raise ValueError(f"camera {camera.camera_id}: drawing needs the full calibration")
        width, height = camera.width * SUPERSAMPLE, camera.height * SUPERSAMPLE
        pixels = _undistorted(camera, width, height)
        m = camera.lens.matrix
        inner = np.column_stack([(pixels - m[:2, 2]) / [m[0, 0], m[1, 1]], np.ones(len(pixels))])
        # with unit depth along the optical axis, the ray's parameter is that depth
        direction = (inner @ camera.rotation).astype(np.float32)  # (n, 3)
        self.direction = tuple(np.ascontiguousarray(direction[:, axis]) for axis in range(3))
        self.length = np.linalg.norm(direction, axis=1)
        self.eye = camera.position_m.astype(np.float32)
        self.focal_px = float(m[0, 0]) * SUPERSAMPLE
        self.shape = (height, width)
        self.depth = np.full(len(pixels), np.inf, np.float32)
        self.colour = np.zeros((len(pixels), 3), np.float32)
        self.is_floor = np.zeros(len(pixels), bool)
        self._camera = camera

    def around(self, x0: float, y0: float, x1: float, y1: float, height_m: float) -> NDArray[np.int64]:
        """Give the indices of the rays that can hit a thing with these bounds."""
        corners = np.array([[x, y] for x in (x0, x1) for y in (y0, y1)])
        px = np.vstack([self._camera.to_picture_at_height(corners, z) for z in (0.0, height_m)]) * SUPERSAMPLE
        if not np.isfinite(px).all():
            return np.arange(len(self.depth))
        u0, v0 = np.maximum(px.min(axis=0).astype(int) - 4, 0)
        u1, v1 = px.max(axis=0).astype(int) + 5
        rows, columns = np.arange(v0, min(v1, self.shape[0])), np.arange(u0, min(u1, self.shape[1]))
        return np.asarray(np.add.outer(rows * self.shape[1], columns).ravel(), np.int64)

    def plane(self, axis: int, place_m: float) -> Floats32:
        """Give the depth at which each ray meets a plane across an axis."""
        return np.asarray((np.float32(place_m) - self.eye[axis]) / self.direction[axis])

    def at(self, axis: int, t: Floats32, index: NDArray | slice = slice(None)) -> Floats32:
        """Give a coordinate of rays at their depths t."""
        return np.asarray(self.eye[axis] + t * self.direction[axis][index])

    def paint(
        self,
        t: Floats32,
        valid: NDArray[np.bool_],
        colour: Callable[[Floats32, NDArray], Colour],
        *,
        index: NDArray[np.int64] | None = None,
        floor: bool = False,
    ) -> None:
        """Colour rays that hit at depth t before anything else; ``index`` says which rays t is of.

        ``colour`` takes the points that were hit, (k, 3) m, and where in t they stand.
        """
        depth = self.depth if index is None else self.depth[index]
        hit = np.flatnonzero(valid & (t > 0.05) & (t < depth))
        rays = hit if index is None else index[hit]
        points = np.stack([self.at(axis, t[hit], rays) for axis in range(3)], axis=1)
        self.depth[rays] = t[hit]
        self.colour[rays] = colour(points, hit)
        self.is_floor[rays] = floor


def _undistorted(camera: CameraModel, width: int, height: int) -> Floats32:
    """Give where a lens without distortion would show the pixels of a finer picture, (width * height, 2).

    A distorting lens is asked at each eighth pixel, and in between it is taken as straight.
    """
    u, v = np.meshgrid(
        ((np.arange(width) + 0.5) / SUPERSAMPLE - 0.5).astype(np.float32),
        ((np.arange(height) + 0.5) / SUPERSAMPLE - 0.5).astype(np.float32),
    )
    if camera.lens is None or not camera.lens.is_distorting:
        return np.column_stack([u.ravel(), v.ravel()])
    coarse_u, coarse_v = np.meshgrid(
        np.arange(-1, camera.width // 8 + 3) * 8.0, np.arange(-1, camera.height // 8 + 3) * 8.0
    )
    coarse = camera.undistort(np.column_stack([coarse_u.ravel(), coarse_v.ravel()]))
    coarse = coarse.reshape(*coarse_u.shape, 2).astype(np.float32)
    return np.asarray(cv2.remap(coarse, u / 8 + 1, v / 8 + 1, cv2.INTER_LINEAR), np.float32).reshape(-1, 2)


def floor_texture(layout: Layout) -> Image:
    """Draw the floor from above as fine as cameras need it; the same for all of them."""
    view = TopView(layout, TEXTURE_PX_PER_M)
    return with_shadows(paving(layout, view, grain=22.0), layout, view)


def render_backdrop(camera: CameraModel, layout: Layout, floor: Image) -> Backdrop:
    """Draw the empty place as a camera sees it, with the texture of its floor.

    Raises:
        ValueError: the camera lacks its lens, rotation or translation.
    """
    rays = _Rays(camera)
    _paint_sky(rays)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        _paint_floor(rays, layout, floor)
        _paint_walls(rays, layout)
        for pillar in layout.pillars:
            _paint_cylinder(rays, pillar, (172, 178, 184))
        for planter in layout.planters:
            _paint_cylinder(rays, planter, (150, 158, 164))
            _paint_bush(rays, planter)
        for bench in layout.benches:
            _paint_box(rays, bench)
    return _reduced(rays, camera)


def _reduced(rays: _Rays, camera: CameraModel) -> Backdrop:
    size = (camera.width, camera.height)
    fine = np.clip(rays.colour.reshape(*rays.shape, 3), 0, 255)
    image = cv2.resize(fine, size, interpolation=cv2.INTER_AREA)
    depth = np.where(rays.is_floor, np.float32(np.inf), rays.depth).reshape(rays.shape)
    nearest = depth.reshape(camera.height, SUPERSAMPLE, camera.width, SUPERSAMPLE).max(axis=(1, 3))
    floor = rays.is_floor.reshape(camera.height, SUPERSAMPLE, camera.width, SUPERSAMPLE).all(axis=(1, 3))
    return Backdrop(image.astype(np.uint8), nearest, np.where(floor, 255, 0).astype(np.uint8))


def _paint_sky(rays: _Rays) -> None:
    """Begin with a hazy sky over the roofs of a town, by direction alone."""
    above = np.flatnonzero(rays.direction[2] > -0.12)
    x, y, z = (d[above] for d in rays.direction)
    azimuth, up = np.arctan2(y, x), z / rays.length[above]
    blend = np.clip(up / 0.35, 0, 1)[:, None]
    colour = (1 - blend) * np.array([232, 226, 214]) + blend * np.array([222, 178, 128])
    rng = np.random.default_rng(11)
    houses = 46
    block = ((azimuth + np.pi) / (2 * np.pi) * houses).astype(int) % houses
    within = ((azimuth + np.pi) / (2 * np.pi) * houses) % 1.0
    roof = rng.uniform(0.03, 0.13, houses)[block]
    tone = rng.uniform(0.85, 1.1, houses)[block, None] * rng.uniform(0.95, 1.05, (houses, 3))[block]
    facade = np.array([176, 180, 190]) * tone * (0.92 + 0.08 * (within > 0.06)[:, None])
    window = (within * 5 % 1 > 0.45) & (up * 60 % 1 > 0.5) & (within > 0.1) & (up < roof - 0.012)
    facade = np.where(window[:, None], facade * 0.8, facade)
    rays.colour[above] = np.where((up < roof)[:, None], facade, colour)


def _sampled(texture: Image, x: Floats32, y: Floats32, footprint_px: Floats32) -> Colour:
    """Read a texture at px positions, from copies halved again and again where a pixel covers much of it."""
    level = np.clip(np.round(np.log2(np.maximum(footprint_px, 1.0))), 0, 4).astype(int)
    out = np.zeros((len(x), 3), np.float32)
    for i in range(5):
        index = np.flatnonzero(level == i)
        if len(index):
            scale = 0.5**i
            for part in np.array_split(index, len(index) // 30000 + 1):  # OpenCV maps at most 32767 rows
                xs, ys = (x[part] * scale)[:, None], (y[part] * scale)[:, None]
                picked = cv2.remap(texture, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                out[part] = picked.reshape(-1, 3)
        texture = cv2.pyrDown(texture).astype(np.uint8)
    return out


def _paint_floor(rays: _Rays, layout: Layout, texture: Image) -> None:
    view = TopView(layout, TEXTURE_PX_PER_M)
    t = rays.plane(2, 0.0)
    beyond = _beyond(rays, t, layout)

    def colour(p: Floats32, hit: NDArray) -> Colour:
        px = view.px(p[:, :2].astype(np.float64)).astype(np.float32)
        slant = np.sqrt(t[hit] * rays.length[hit] / rays.eye[2])
        footprint = t[hit] / rays.focal_px * slant * TEXTURE_PX_PER_M * 1.2
        light = np.where(beyond[hit] > 0, np.clip(0.75 - 0.25 * beyond[hit], 0.2, 1.0), 1.0)
        return _sampled(texture, px[:, 0], px[:, 1], footprint) * light[:, None]

    rays.paint(t, beyond < CORRIDOR_M, colour, floor=True)


def _beyond(rays: _Rays, t: Floats32, layout: Layout) -> Floats32:
    """Say how far outside the walls rays are at their depths t; negative inside."""
    x_min, y_min, x_max, y_max = layout.bounds_m
    x, y = rays.at(0, t), rays.at(1, t)
    return np.asarray(np.maximum(np.maximum(x_min - x, x - x_max), np.maximum(y_min - y, y - y_max)))


def _paint_walls(rays: _Rays, layout: Layout) -> None:
    x_min, y_min, x_max, y_max = layout.bounds_m
    sides = {"south": (1, y_min, 0), "north": (1, y_max, 0), "west": (0, x_min, 1), "east": (0, x_max, 1)}
    for seed, (side, (axis, place, along)) in enumerate(sides.items()):
        start = (x_min, y_min)[along]
        length = (x_max, y_max)[along] - start
        outward = -1 if side in ("south", "west") else 1
        texture, opening = _wall_texture(layout, side, start, length, seed)
        t = rays.plane(axis, place)
        s, z = rays.at(along, t) - np.float32(start), rays.at(2, t)
        valid = (s >= 0) & (s < length) & (z >= 0) & (z < layout.wall_height_m)
        on_wall = np.flatnonzero(valid)
        column = (s[on_wall] * TEXTURE_PX_PER_M).astype(int)
        row = ((layout.wall_height_m - z[on_wall]) * TEXTURE_PX_PER_M).astype(int)
        row, column = np.minimum(row, texture.shape[0] - 1), np.minimum(column, texture.shape[1] - 1)
        valid[on_wall] = ~opening[row, column]
        light = AMBIENT + 0.38 * max(0.0, float(-outward * SUN[axis])) / 0.4
        rays.paint(t, valid, _wall_colour(rays, layout, texture, along, start, t, min(light, 1.0)))
        t = rays.plane(axis, place + outward * CORRIDOR_M)
        s, z = rays.at(along, t) - np.float32(start), rays.at(2, t)
        within = (s > -CORRIDOR_M) & (s < length + CORRIDOR_M) & (z >= 0) & (z <= layout.wall_height_m)
        rays.paint(t, within, _dark_colour)
    _paint_roof(rays, layout)


def _paint_roof(rays: _Rays, layout: Layout) -> None:
    """Cover what lies behind the walls with tiles, for a camera looks down on it."""
    t = rays.plane(2, layout.wall_height_m)
    beyond = _beyond(rays, t, layout)

    def colour(p: Floats32, hit: NDArray) -> Colour:
        course = np.where((beyond[hit] * 2.5) % 1 > 0.2, 1.0, 0.86)
        return np.array([94, 122, 168], np.float32) * course[:, None].astype(np.float32)

    rays.paint(t, (beyond > 0) & (beyond <= CORRIDOR_M + 0.2), colour)


def _wall_colour(
    rays: _Rays, layout: Layout, texture: Image, along: int, start: float, t: Floats32, light: float
) -> Callable[[Floats32, NDArray], Colour]:
    def colour(p: Floats32, hit: NDArray) -> Colour:
        x = (p[:, along] - start) * TEXTURE_PX_PER_M
        y = (layout.wall_height_m - p[:, 2]) * TEXTURE_PX_PER_M
        return _sampled(texture, x, y, t[hit] / rays.focal_px * TEXTURE_PX_PER_M * 1.6) * np.float32(light)

    return colour


def _dark_colour(p: Floats32, hit: NDArray) -> Colour:
    return np.array([58, 56, 54], np.float32) * (0.7 + 0.25 * p[:, 2:])


def _wall_texture(
    layout: Layout, side: str, start: float, length: float, seed: int
) -> tuple[Image, NDArray[np.bool_]]:
    """Draw one wall from inside, top row first, and say where it is open."""
    k, top = TEXTURE_PX_PER_M, layout.wall_height_m
    rng = np.random.default_rng(20 + seed)
    image = np.full((round(top * k), round(length * k), 3), (186, 204, 214), np.uint8)

    def box(x0: float, z0: float, x1: float, z1: float, colour: tuple[int, int, int]) -> None:
        corner0, corner1 = (
            (round(x0 * k), round((top - z1) * k)),
            (round(x1 * k) - 1, round((top - z0) * k) - 1),
        )
        cv2.rectangle(image, corner0, corner1, colour, cv2.FILLED)

    for row, z in enumerate(np.arange(0, top, 0.3)):
        for x in np.arange(-0.3 * (row % 2), length, 0.6):
            tone = 1 + rng.normal(0, 0.028)
            box(x + 0.01, z + 0.01, x + 0.59, z + 0.29, (int(178 * tone), int(196 * tone), int(206 * tone)))
    box(0, 0, length, 0.45, (120, 132, 140))
    box(0, top - 0.16, length, top, (206, 214, 220))
    for x in np.arange(1.6, length - 1, 3.1):  # blind windows
        box(x, 1.15, x + 1.1, 2.35, (206, 214, 220))
        box(x + 0.08, 1.23, x + 1.02, 2.27, (112, 96, 84))
        box(x + 0.53, 1.23, x + 0.57, 2.27, (206, 214, 220))
        box(x + 0.14, 1.75, x + 0.5, 2.2, (138, 120, 104))
    opening = np.zeros(image.shape[:2], bool)
    for gate in (g for g in layout.gates if g.wall == side):
        x0, x1 = gate.along_m - start - gate.width_m / 2, gate.along_m - start + gate.width_m / 2
        box(x0 - 0.45, 0, x1 + 0.45, gate.height_m + 0.3, (178, 196, 206))
        box(x0 - 0.16, 0, x1 + 0.16, gate.height_m + 0.16, (80, 78, 76))
        opening[round((top - gate.height_m) * k) :, round(x0 * k) : round(x1 * k)] = True
    grain = cv2.GaussianBlur(rng.normal(0, 26, image.shape[:2]).astype(np.float32), (0, 0), 1.5)
    return np.clip(image + grain[..., None], 0, 255).astype(np.uint8), opening


def _paint_cylinder(rays: _Rays, thing: Cylinder, base: tuple[int, int, int]) -> None:
    r = thing.radius_m
    index = rays.around(thing.x_m - r, thing.y_m - r, thing.x_m + r, thing.y_m + r, thing.height_m)
    dx, dy = rays.direction[0][index], rays.direction[1][index]
    ox, oy = rays.eye[0] - thing.x_m, rays.eye[1] - thing.y_m
    a, b, c = dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - r**2
    t = ((-b - np.sqrt(b * b - a * c)) / a).astype(np.float32)
    z = rays.at(2, t, index)

    def colour(p: Floats32, hit: NDArray) -> Colour:
        normal = (p[:, :2] - [thing.x_m, thing.y_m]) / thing.radius_m
        light = AMBIENT + 0.55 * np.maximum(0.0, normal @ (SUN[:2] / np.linalg.norm(SUN[:2])))
        flute = 1 - 0.05 * (np.sin(14 * np.arctan2(normal[:, 1], normal[:, 0])) > 0.6)
        band = np.where((p[:, 2] > thing.height_m - 0.12) | (p[:, 2] < 0.1), 0.86, 1.0)
        foot = np.clip(0.75 + p[:, 2], 0.75, 1.0)
        return np.outer(light * flute * band * foot, base)

    rays.paint(t, (z >= 0) & (z <= thing.height_m), colour, index=index)
    t = rays.plane(2, thing.height_m)[index]
    inside = np.hypot(rays.at(0, t, index) - thing.x_m, rays.at(1, t, index) - thing.y_m) <= r
    top = np.array(base, np.float32) * 1.12
    rays.paint(t, inside, lambda p, hit: np.tile(top, (len(p), 1)), index=index)


def _paint_bush(rays: _Rays, planter: Cylinder) -> None:
    """Let a low round shrub grow out of a planter: half an ellipsoid with leaves as noise."""
    centre = np.array([planter.x_m, planter.y_m, planter.height_m], np.float32)
    size = np.array([0.86 * planter.radius_m, 0.86 * planter.radius_m, 0.42], np.float32)
    r, height = planter.radius_m, planter.height_m + 0.5
    index = rays.around(planter.x_m - r, planter.y_m - r, planter.x_m + r, planter.y_m + r, height)
    d = np.stack([direction[index] for direction in rays.direction], axis=1) / size
    o = (rays.eye - centre) / size
    a, b, c = (d * d).sum(axis=1), d @ o, float(o @ o) - 1.0
    t = ((-b - np.sqrt(b * b - a * c)) / a).astype(np.float32)
    noise = np.random.default_rng(9).normal(0, 1, (256, 256)).astype(np.float32)
    leaves = cv2.GaussianBlur(noise, (0, 0), 1.6)

    def colour(p: Floats32, hit: NDArray) -> Colour:
        normal = (p - centre) / size
        light = 0.5 + 0.5 * np.maximum(0.0, normal @ SUN.astype(np.float32))
        i = ((np.arctan2(normal[:, 1], normal[:, 0]) / np.pi + 1) * 127).astype(int) % 256
        j = (normal[:, 2] * 120).astype(int) % 256
        return np.outer(light * np.clip(1 + 0.9 * leaves[i, j], 0.5, 1.7), [64, 128, 84])

    rays.paint(t, rays.at(2, t, index) >= planter.height_m, colour, index=index)


def _paint_box(rays: _Rays, box: Box) -> None:
    low = np.array([box.x0_m, box.y0_m, 0.0], np.float32)
    high = np.array([box.x1_m, box.y1_m, box.height_m], np.float32)
    index = rays.around(box.x0_m, box.y0_m, box.x1_m, box.y1_m, box.height_m)
    direction = np.stack([d[index] for d in rays.direction], axis=1)
    t0, t1 = (low - rays.eye) / direction, (high - rays.eye) / direction
    enter, leave = np.minimum(t0, t1), np.maximum(t0, t1)
    t, face = enter.max(axis=1), enter.argmax(axis=1)
    along = 0 if box.x1_m - box.x0_m > box.y1_m - box.y0_m else 1

    def colour(p: Floats32, hit: NDArray) -> Colour:
        top = face[hit] == 2
        across = (p[:, 1 - along] - low[1 - along]) / (high[1 - along] - low[1 - along])
        plank = np.where((across * 4 % 1 > 0.12) & top, 1.0, 0.72)
        wood = np.array([74, 122, 168], np.float32) * plank[:, None]
        legs = np.where(p[:, 2:] < box.height_m - 0.1, 0.45, 0.8)
        return np.where(top[:, None], wood, wood * legs).astype(np.float32)

    rays.paint(t, t < leave.min(axis=1), colour, index=index)
