"""Everybody's outlines in a camera's picture, computed for all people at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.values import Floats32
from gpuworker.sources.sim import body
from gpuworker.sources.sim.ground import SHADOW_PER_M
from gpuworker.sources.sim.world import Truth

Floats = NDArray[np.float64]
Polygons = NDArray[np.int32]

SHIFT = 4  # fractional bits of polygons
NEAREST_M = 0.6  # nobody is drawn who is nearer than this

# limbs as joint, joint, radius there; lengths are parts of the standing height
LIMBS = (
    (body.L_HIP, body.L_KNEE, 0.050, 0.036), (body.L_KNEE, body.L_ANKLE, 0.036, 0.023),
    (body.L_ANKLE, body.L_TOE, 0.024, 0.019),
    (body.R_HIP, body.R_KNEE, 0.050, 0.036), (body.R_KNEE, body.R_ANKLE, 0.036, 0.023),
    (body.R_ANKLE, body.R_TOE, 0.024, 0.019),
    (body.L_SHOULDER, body.L_ELBOW, 0.033, 0.027), (body.L_ELBOW, body.L_HAND, 0.027, 0.018),
    (body.L_HAND, body.L_HAND, 0.021, 0.021),
    (body.R_SHOULDER, body.R_ELBOW, 0.033, 0.027), (body.R_ELBOW, body.R_HAND, 0.027, 0.018),
    (body.R_HAND, body.R_HAND, 0.021, 0.021),
    (body.NECK_POINT, body.HEAD_POINT, 0.030, 0.028),
    (body.PACK_TOP, body.PACK_BOTTOM, 0.060, 0.072),
    (body.HEAD_POINT, body.NECK_POINT, 0.066, 0.058),
)  # fmt: skip
LEFT_LEG, RIGHT_LEG, LEFT_ARM, RIGHT_ARM, NECK, PACK, LONG_HAIR = 0, 3, 6, 9, 12, 13, 14
_FROM = np.array([limb[0] for limb in LIMBS])
_TO = np.array([limb[1] for limb in LIMBS])
_RADII = np.array([limb[2:] for limb in LIMBS])  # (limbs, 2)
_CAP = np.linspace(-np.pi / 2, np.pi / 2, 6)
LIT_SIZE, LIT_SHIFT = 0.6, 0.32


@dataclass(frozen=True, slots=True)
class Silhouettes:
    """Outlines of n people in one picture, in px; polygons carry SHIFT fractional bits.

    Attributes:
        index: (n,) which people of the truth these are: those before the camera and near its picture.
        depth_m: (n,) along the optical axis.
        limbs, limbs_lit: (n, limbs, points, 2) outlines and their sunlit part.
        trunk, trunk_lit: (n, rings, points, 2) rings around the trunk.
        head_px, head_radius_px: (n, 2) and (n,).
        leg_depth_m, arm_depth_m: (n, 2) of left and right.
        front, side: (n,) how much each faces the camera and the right of the picture, -1 to 1.
        xyxy: (n, 4) float32 px around everything drawn, not clipped to the picture.
    """

    index: NDArray[np.int64]
    depth_m: Floats
    limbs: Polygons
    limbs_lit: Polygons
    trunk: Polygons
    trunk_lit: Polygons
    head_px: Floats
    head_radius_px: Floats
    leg_depth_m: Floats
    arm_depth_m: Floats
    front: Floats
    side: Floats
    xyxy: Floats32


def project_points(camera: CameraModel, points_m: Floats) -> tuple[Floats, Floats]:
    """Project (..., 3) m to recorded pixels (..., 2) and depths (...,) m; NaN where there is no picture."""
    p = camera.projection
    image = points_m @ p[:, :3].T + p[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        px = np.where(image[..., 2:] > NEAREST_M / 2, image[..., :2] / image[..., 2:], np.nan)
    return camera.distort(px.reshape(-1, 2)).reshape(px.shape), image[..., 2]


def in_view(camera: CameraModel, truth: Truth) -> NDArray[np.int64]:
    """Say which people are before the camera and in or near its picture, as indices."""
    middle_m = np.column_stack([truth.position_m, 0.5 * truth.height_m])
    px, depth_m = project_points(camera, middle_m)
    reach_px = 1.5 * _focal_px(camera) * truth.height_m / np.maximum(depth_m, NEAREST_M)
    near = (px > -reach_px[:, None]) & (px < [camera.width, camera.height] + reach_px[:, None])
    return np.flatnonzero(near.all(axis=1) & (depth_m > NEAREST_M))


def light_of(camera: CameraModel) -> Floats:
    """Give the direction in the picture from which the sun shines, a unit vector (2,)."""
    rotation = camera.rotation
    if rotation is None:
        raise ValueError(f"camera {camera.camera_id}: drawing needs the full calibration")
    sun = rotation @ np.array([-SHADOW_PER_M[0], -SHADOW_PER_M[1], 1.0])
    return np.asarray(sun[:2] / np.linalg.norm(sun[:2]))


def silhouettes(camera: CameraModel, truth: Truth, build: Floats) -> Silhouettes:
    """Compute the outlines of everybody in view; ``build`` (people,) widens bodies."""
    index, joints_px, joints_depth, rings_px = _bodies(camera, truth, build)
    seen, build = truth.select(index), build[index]
    px_per_m = _focal_px(camera) / joints_depth
    widths = build[:, None, None] * seen.height_m[:, None, None] * _RADII  # (n, limbs, 2) m
    radii = widths * np.stack([px_per_m[:, _FROM], px_per_m[:, _TO]], axis=-1)
    light = light_of(camera)
    a, b = joints_px[:, _FROM], joints_px[:, _TO]
    limbs = capsules(a, b, radii)
    lift = LIT_SHIFT * light
    limbs_lit = capsules(a + radii[..., :1] * lift, b + radii[..., 1:] * lift, LIT_SIZE * radii)
    middle = rings_px.mean(axis=2, keepdims=True)
    half = np.abs(rings_px - middle).max(axis=(2, 3), keepdims=True)
    trunk_lit = middle + 0.7 * (rings_px - middle) + 0.24 * half * light
    head = joints_px[:, body.HEAD_POINT]
    head_radius = body.HEAD_RADIUS * seen.height_m * px_per_m[:, body.HEAD_POINT]
    front, side = _facing(camera, seen)
    return Silhouettes(
        index=index, depth_m=joints_depth[:, body.L_HIP], limbs=_fixed(limbs), limbs_lit=_fixed(limbs_lit),
        trunk=_fixed(rings_px), trunk_lit=_fixed(trunk_lit), head_px=head, head_radius_px=head_radius,
        leg_depth_m=joints_depth[:, [body.L_ANKLE, body.R_ANKLE]],
        arm_depth_m=joints_depth[:, [body.L_SHOULDER, body.R_SHOULDER]],
        front=front, side=side, xyxy=_around(limbs, rings_px, head, head_radius),
    )  # fmt: skip


def _bodies(
    camera: CameraModel, truth: Truth, build: Floats
) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Give who is in view, and their joints (n, 18, 2) px, depths (n, 18) m and rings (n, rings, points, 2) px.

    Somebody so near to the camera that a part of them has no picture is left out.
    """
    index = in_view(camera, truth)
    seen = truth.select(index)
    joints_px, depth_m = project_points(camera, body.joints_m(seen))
    rings_px, _ = project_points(camera, body.trunk_m(seen, build[index]))
    whole = np.isfinite(joints_px).all(axis=(1, 2)) & np.isfinite(rings_px).all(axis=(1, 2, 3))
    return index[whole], joints_px[whole], depth_m[whole], rings_px[whole]


def capsules(a: Floats, b: Floats, radii: Floats) -> Floats:
    """Outline round-ended limbs from a to b (..., 2) with radii (..., 2); (..., 12, 2)."""
    along = b - a
    length = np.linalg.norm(along, axis=-1, keepdims=True)
    along = np.where(length > 1e-6, along / np.maximum(length, 1e-6), [0.0, 1.0])
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    cos, sin = np.cos(_CAP)[:, None], np.sin(_CAP)[:, None]
    along, across = along[..., None, :], across[..., None, :]
    start = a[..., None, :] + radii[..., :1, None] * (-cos * along - sin * across)
    end = b[..., None, :] + radii[..., 1:, None] * (cos * along + sin * across)
    # the start runs from +across to -across, the end back from -across to +across
    return np.concatenate([start, end], axis=-2)


def _focal_px(camera: CameraModel) -> float:
    if camera.lens is None:
        raise ValueError(f"camera {camera.camera_id}: drawing needs the full calibration")
    return float(camera.lens.matrix[0, 0])


def _facing(camera: CameraModel, truth: Truth) -> tuple[Floats, Floats]:
    to_eye = camera.position_m[:2] - truth.position_m
    to_eye /= np.maximum(np.linalg.norm(to_eye, axis=1, keepdims=True), 1e-9)
    cos, sin = np.cos(truth.heading_rad), np.sin(truth.heading_rad)
    front = cos * to_eye[:, 0] + sin * to_eye[:, 1]
    side = -cos * to_eye[:, 1] + sin * to_eye[:, 0]  # to_eye turned left is the picture's right
    return front, side


def _fixed(points_px: Floats) -> Polygons:
    return np.round(points_px * (1 << SHIFT)).astype(np.int32)


def _around(limbs: Floats, rings: Floats, head: Floats, radius: Floats) -> Floats32:
    n = len(limbs)
    drawn = limbs[:, :NECK].reshape(n, NECK * limbs.shape[2], 2)
    trunk = rings[:, 2:].reshape(n, (rings.shape[1] - 2) * rings.shape[2], 2)
    r = radius[:, None, None] * 1.05
    points = np.concatenate([drawn, trunk, head[:, None] - r, head[:, None] + r], axis=1)
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1).astype(np.float32)
