"""What a detector would find in a simulated picture, without drawing it: true boxes, and noisy ones."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.values import Detections, Floats32
from gpuworker.sources.sim.backdrop import Backdrop
from gpuworker.sources.sim.layout import Layout
from gpuworker.sources.sim.silhouette import silhouettes
from gpuworker.sources.sim.world import Truth

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

GRID = 5, 20  # points of a box that are looked at, across and down
BODY_WIDTH = 0.7  # part of a box's width that the body fills


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a detector sees; edges err independently of each other and from frame to frame.

    Attributes:
        best_recall: share of people in full view who are found.
        half_visible, visible_slope: visible share found half of the time, and how sharply that changes.
        half_height_px, height_slope_px: height found half of the time, and how sharply that changes.
        side_noise, top_noise, bottom_noise: standard deviations of an edge, in box heights.
        least_side_px, least_end_px: and no less than this at the sides, and at top and bottom.
        cut_chance: that the box of somebody partly hidden leaves out some of what is hidden,
        cut_share: of which the least and the greatest share.
        unseen_confidence, seen_confidence: of somebody hardly seen, and what full view adds to it.
        confidence_noise: standard deviation of a confidence.
        false_boxes: boxes with nobody in them, a frame.
        false_confidence: the least, which no box falls below, and the greatest of such a box.
    """

    best_recall: float
    half_visible: float
    visible_slope: float
    half_height_px: float
    height_slope_px: float
    side_noise: float
    top_noise: float
    bottom_noise: float
    least_side_px: float
    least_end_px: float
    cut_chance: float
    cut_share: tuple[float, float]
    unseen_confidence: float
    seen_confidence: float
    confidence_noise: float
    false_boxes: float
    false_confidence: tuple[float, float]


MIDDLING = Quality(
    best_recall=0.97,
    half_visible=0.32,
    visible_slope=0.07,
    half_height_px=18.0,
    height_slope_px=4.0,
    side_noise=0.015,
    top_noise=0.025,
    bottom_noise=0.025,
    least_side_px=0.42,
    least_end_px=0.7,
    cut_chance=0.75,
    cut_share=(1.0, 1.0),
    unseen_confidence=0.3,
    seen_confidence=0.62,
    confidence_noise=0.07,
    false_boxes=0.12,
    false_confidence=(0.3, 0.6),
)
"""A detector of middling quality; rates chosen to look like YOLOX-Nano on 640 px pictures."""

CROWD = Quality(
    best_recall=1.0,
    half_visible=0.554,
    visible_slope=0.137,
    half_height_px=18.0,
    height_slope_px=4.0,
    side_noise=0.006,
    top_noise=0.021,
    bottom_noise=0.0165,
    least_side_px=0.35,
    least_end_px=0.7,
    cut_chance=1.0,
    cut_share=(0.0, 0.4),
    unseen_confidence=0.29,
    seen_confidence=0.61,
    confidence_noise=0.09,
    false_boxes=0.593,
    false_confidence=(0.2, 0.6),
)
"""A detector in a crowd: measured on the noisy boxes of WILDTRACK's seven cameras beside the annotated ones, with
what is visible of a person worked out as :func:`true_boxes` does."""


@dataclass(frozen=True, slots=True)
class TrueBoxes:
    """The people in one picture, those who are hidden included.

    Attributes:
        ids: (n,) of the truth.
        xyxy: (n, 4) px around the whole person, within the picture.
        visible_xyxy: (n, 4) px around what is seen of them; equal to ``xyxy`` where nothing is.
        visible: (n,) share of the person that is seen.
    """

    ids: Ints
    xyxy: Floats32
    visible_xyxy: Floats32
    visible: Floats


def true_boxes(camera: CameraModel, backdrop: Backdrop, truth: Truth) -> TrueBoxes:
    """Give the boxes of everybody whose box reaches into the picture, and how much of each is seen."""
    shape = silhouettes(camera, truth, np.ones(len(truth.ids)))
    size = np.array([camera.width, camera.height] * 2, np.float32)
    clipped = np.clip(shape.xyxy, 0.0, size)
    inside = np.flatnonzero((clipped[:, 2:] - clipped[:, :2] > 1.0).all(axis=1))
    whole, box, depth = shape.xyxy[inside], clipped[inside], shape.depth_m[inside]
    points = _points(whole)  # (n, across, down, 2)
    hidden = _behind_things(points, depth, backdrop) | _behind_people(points, depth, whole)
    seen: Bools = _inside_picture(points, camera) & ~hidden
    visible = seen.mean(axis=(1, 2))
    return TrueBoxes(truth.ids[shape.index[inside]], box, _around_seen(box, points, seen), visible)


def detected(
    boxes: TrueBoxes,
    camera: CameraModel,
    layout: Layout,
    rng: np.random.Generator,
    quality: Quality = MIDDLING,
) -> Detections:
    """Give what a detector would make of the true boxes.

    The less is seen of somebody and the smaller they are, the rarer and the less sure the detection; boxes
    jitter, feet are cut off behind things and people, and now and then there is a box with nobody in it.
    """
    q = quality
    height = boxes.xyxy[:, 3] - boxes.xyxy[:, 1]
    chance = q.best_recall / (1 + np.exp((q.half_visible - boxes.visible) / q.visible_slope))
    chance /= 1 + np.exp((q.half_height_px - height) / q.height_slope_px)
    found = np.flatnonzero(rng.random(len(chance)) < chance)
    cut = (rng.random(len(found)) < q.cut_chance) * rng.uniform(*q.cut_share, len(found))
    xyxy = boxes.xyxy[found] + cut[:, None] * (boxes.visible_xyxy[found] - boxes.xyxy[found])
    noise = np.array([q.side_noise, q.top_noise, q.side_noise, q.bottom_noise])
    least_px = np.array([q.least_side_px, q.least_end_px] * 2)
    xyxy = xyxy + rng.normal(0.0, 1.0, xyxy.shape) * np.maximum(least_px, noise * height[found, None])
    confidence = q.unseen_confidence + q.seen_confidence * boxes.visible[found]
    confidence = confidence + rng.normal(0.0, q.confidence_noise, len(found))
    false_xyxy = _false_boxes(camera, layout, rng, q.false_boxes)
    xyxy = np.concatenate([xyxy, false_xyxy])
    confidence = np.concatenate([confidence, rng.uniform(*q.false_confidence, len(false_xyxy))])
    xyxy = np.clip(xyxy, 0, [camera.width, camera.height] * 2)
    keep = (xyxy[:, 2:] - xyxy[:, :2] > 2.0).all(axis=1) & (confidence >= q.false_confidence[0])
    return Detections(xyxy[keep].astype(np.float32), np.minimum(confidence[keep], 0.99).astype(np.float32))


def _points(xyxy: Floats32) -> Floats:
    """Give points spread over the bodies in boxes, (n, across, down, 2)."""
    across = 0.5 + BODY_WIDTH * ((np.arange(GRID[0]) + 0.5) / GRID[0] - 0.5)
    down = (np.arange(GRID[1]) + 0.5) / GRID[1]
    size = (xyxy[:, 2:] - xyxy[:, :2]).astype(np.float64)
    grid = np.stack(np.meshgrid(across, down, indexing="ij"), axis=-1)  # (across, down, 2)
    return np.asarray(xyxy[:, None, None, :2] + grid * size[:, None, None])


def _inside_picture(points: Floats, camera: CameraModel) -> Bools:
    return np.asarray(((points >= 0) & (points < [camera.width, camera.height])).all(axis=-1))


def _behind_things(points: Floats, depth_m: Floats, backdrop: Backdrop) -> Bools:
    height, width = backdrop.depth_m.shape
    column = np.clip(points[..., 0].astype(int), 0, width - 1)
    row = np.clip(points[..., 1].astype(int), 0, height - 1)
    return np.asarray(backdrop.depth_m[row, column] < depth_m[:, None, None])


def _behind_people(points: Floats, depth_m: Floats, xyxy: Floats32) -> Bools:
    hidden = np.zeros(points.shape[:-1], bool)
    width = (xyxy[:, 2] - xyxy[:, 0]) * (1 - BODY_WIDTH) / 2
    for i in range(len(xyxy)):  # as who stands in front
        behind = (depth_m > depth_m[i]) & (xyxy[:, :2] < xyxy[i, 2:]).all(axis=1)
        behind &= (xyxy[:, 2:] > xyxy[i, :2]).all(axis=1)
        p = points[behind]
        x_inside = (p[..., 0] > xyxy[i, 0] + width[i]) & (p[..., 0] < xyxy[i, 2] - width[i])
        hidden[behind] |= x_inside & (p[..., 1] > xyxy[i, 1]) & (p[..., 1] < xyxy[i, 3])
    return hidden


def _around_seen(box: Floats32, points: Floats, seen: Bools) -> Floats32:
    """Shrink boxes to the rows of points of which one is seen; the sides stay."""
    rows: Bools = np.asarray(seen.any(axis=1))  # (n, down)
    half = (points[:, 0, 1, 1] - points[:, 0, 0, 1]) / 2
    y = points[:, 0, :, 1]
    top = np.where(rows, y, np.inf).min(axis=1) - half
    bottom = np.where(rows, y, -np.inf).max(axis=1) + half
    some = rows.any(axis=1)
    out = box.copy()
    out[some, 1] = np.maximum(box[some, 1], top[some])
    out[some, 3] = np.minimum(box[some, 3], bottom[some])
    return out


def _false_boxes(camera: CameraModel, layout: Layout, rng: np.random.Generator, rate: float) -> Floats:
    count = int(rng.poisson(rate))
    x_min, y_min, x_max, y_max = layout.bounds_m
    foot_m = rng.uniform([x_min, y_min], [x_max, y_max], (count, 2))
    foot = camera.to_picture(foot_m)
    head = camera.to_picture_at_height(foot_m, rng.uniform(1.2, 1.9, count))
    half_width = 0.2 * np.abs(foot[:, 1] - head[:, 1])
    boxes = np.column_stack([foot[:, 0] - half_width, head[:, 1], foot[:, 0] + half_width, foot[:, 1]])
    return boxes[np.isfinite(boxes).all(axis=1)]
