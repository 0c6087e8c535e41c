"""Boxes in pixels: overlap, suppression of duplicates, and how much of a person can be seen."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAMPLE_COLUMNS = 6  # sample points across a box: an occlusion is known to about a sixth of the width
SAMPLE_ROWS = 15
FOOT_ROWS = 3  # the lowest of them


def areas(xyxy: NDArray) -> Floats:
    """Give the areas of boxes (n, 4) in px^2, (n,); 0 for a box that is turned inside out."""
    boxes = np.asarray(xyxy, dtype=np.float64)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    return np.asarray(sides[:, 0] * sides[:, 1])


def intersections(a: NDArray, b: NDArray) -> Floats:
    """Give the area that each box of a (n, 4) shares with each of b (m, 4) in px^2, (n, m)."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    low = np.maximum(a[:, None, :2], b[None, :, :2])  # (n, m, 2)
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0.0)
    return np.asarray(sides[..., 0] * sides[..., 1])


def iou(a: NDArray, b: NDArray) -> Floats:
    """Give intersection over union of each box of a (n, 4) with each of b (m, 4), (n, m) in [0, 1]."""
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def nms(xyxy: NDArray, confidence: NDArray, threshold: float) -> NDArray[np.int64]:
    """Give the indices of the boxes to keep, the most confident first.

    A box goes when it overlaps a kept, more confident one by more than ``threshold`` (IoU). Boxes of
    equal confidence count in the order given.
    """
    order = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    overlap = iou(xyxy[order], xyxy[order]) > threshold
    alive = np.ones(len(order), dtype=bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlap[i, i + 1 :]
    return np.asarray(order[alive], dtype=np.int64)


def covered_share(xyxy: NDArray) -> Floats:
    """Give for each box (n, 4) the largest share of it that any single other box covers, (n,) in [0, 1].

    A box that is not finite covers nothing and counts as covered, as one without area does.
    """
    xyxy = np.where(np.isfinite(xyxy).all(axis=1, keepdims=True), xyxy, 0.0)
    shared = intersections(xyxy, xyxy)
    np.fill_diagonal(shared, 0.0)
    worst = shared.max(axis=1, initial=0.0)
    size = areas(xyxy)
    return np.asarray(np.divide(worst, size, out=np.ones_like(worst), where=size > 0))


def visible_share(
    boxes: Floats, occluders: Floats, hides: NDArray[np.bool_], picture: Floats
) -> tuple[Floats, Floats]:
    """Give the share of each box, and of its lowest fifth, that lies in the picture and behind no occluder.

    Args:
        boxes: (..., n, 4) xyxy px; a box of NaN is not visible at all.
        occluders: (..., m, 4) xyxy px; NaN hides nothing.
        hides: (..., n, m) whether the occluder stands in front of the box.
        picture: (..., 4) xyxy px, what the picture shows.

    Returns:
        Two of (..., n) in [0, 1], by sample points.
    """
    columns = (np.arange(SAMPLE_COLUMNS) + 0.5) / SAMPLE_COLUMNS
    lines = (np.arange(SAMPLE_ROWS) + 0.5) / SAMPLE_ROWS
    u = boxes[..., 0:1] + columns * (boxes[..., 2:3] - boxes[..., 0:1])  # (..., n, columns)
    v = boxes[..., 1:2] + lines * (boxes[..., 3:4] - boxes[..., 1:2])  # (..., n, rows)
    edge = picture[..., None, None, :]
    in_u = (u > edge[..., 0]) & (u < edge[..., 2])
    in_v = (v > edge[..., 1]) & (v < edge[..., 3])
    box = occluders[..., None, :, None, :]  # (..., 1, m, 1, 4)
    hit_u = (u[..., None, :] > box[..., 0]) & (u[..., None, :] < box[..., 2]) & hides[..., None]
    hit_v = (v[..., None, :] > box[..., 1]) & (v[..., None, :] < box[..., 3])  # (..., n, m, rows)
    # a sample is hidden when any occluder spans both its column and its row
    spans = np.swapaxes(hit_v, -1, -2).astype(np.float32) @ hit_u.astype(np.float32)
    seen = (spans == 0) & in_v[..., :, None] & in_u[..., None, :]  # (..., n, rows, columns)
    by_row = seen.mean(axis=-1)
    return by_row.mean(axis=-1), by_row[..., -FOOT_ROWS:].mean(axis=-1)
