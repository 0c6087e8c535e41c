"""Boxes in pixels: overlap, suppression of duplicates, and how much of a person can be seen."""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.intervals import meeting

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

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
    left = np.argsort(-np.asarray(confidence, dtype=np.float64), kind="stable")
    kept = []
    while len(left):
        # only boxes that stay are compared: a crowd is found in ten times as many candidates
        kept.append(left[0])
        left = left[1:][iou(xyxy[left[:1]], xyxy[left[1:]])[0] <= threshold]
    return np.array(kept, dtype=np.int64)


def covered_share(xyxy: NDArray, frame: Ints | None = None) -> Floats:
    """Give for each box (n, 4) the largest share of it that any single other box covers, (n,) in [0, 1].

    Only boxes of the same ``frame`` (n,), which counts from 0, cover each other. A box that is not finite covers
    nothing and counts as covered, as one without area does.
    """
    boxes = np.asarray(xyxy, dtype=np.float64)
    boxes = np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, 0.0)
    group = np.zeros(len(boxes), np.int64) if frame is None else frame
    a, b = meeting(boxes[:, 0], boxes[:, 2], group, boxes[:, 0], boxes[:, 2], group)
    other = np.flatnonzero(a != b)
    a, b = a[other], b[other]
    sides = np.minimum(boxes[a, 2:], boxes[b, 2:]) - np.maximum(boxes[a, :2], boxes[b, :2])
    shared = np.maximum(sides[:, 0], 0.0) * np.maximum(sides[:, 1], 0.0)
    worst = np.zeros(len(boxes))
    np.maximum.at(worst, a, shared)
    size = areas(boxes)
    return np.asarray(np.divide(worst, size, out=np.ones_like(worst), where=size > 0))


def visible_share(boxes: Floats, pictures: Floats, hidden: Ints, occluders: Floats) -> tuple[Floats, Floats]:
    """Give the share of each box, and of its lowest fifth, that lies in its picture and behind no occluder.

    Args:
        boxes: (n, 4) xyxy px; a box of NaN is not visible at all.
        pictures: (n, 4) xyxy px, what the picture of each box shows.
        hidden: (p,) index of the box that each occluder stands before.
        occluders: (p, 4) xyxy px.

    Returns:
        Two of (n,) in [0, 1], by sample points.
    """
    # the samples of a line are the bits of a byte
    columns = (np.arange(SAMPLE_COLUMNS) + 0.5) / SAMPLE_COLUMNS
    lines = (np.arange(SAMPLE_ROWS) + 0.5) / SAMPLE_ROWS
    u = boxes[:, :1] + columns * (boxes[:, 2:3] - boxes[:, :1])  # (n, columns)
    v = boxes[:, 1:2] + lines * (boxes[:, 3:] - boxes[:, 1:2])  # (n, rows)
    inside = _bits((u > pictures[:, :1]) & (u < pictures[:, 2:3]))[:, None]  # (n, 1)
    seen = np.where((v > pictures[:, 1:2]) & (v < pictures[:, 3:]), inside, np.uint8(0))  # (n, rows)
    if len(hidden):
        order = np.argsort(hidden, kind="stable")
        hidden, front = hidden[order], occluders[order]
        across = _bits((u[hidden] > front[:, :1]) & (u[hidden] < front[:, 2:3]))[:, None]
        spans = np.where((v[hidden] > front[:, 1:2]) & (v[hidden] < front[:, 3:]), across, np.uint8(0))
        first = np.flatnonzero(np.diff(hidden, prepend=-1))
        seen[hidden[first]] &= ~np.bitwise_or.reduceat(spans, first, axis=0)
    by_row = np.bitwise_count(seen)
    whole = by_row.sum(axis=1) / (SAMPLE_COLUMNS * SAMPLE_ROWS)
    return whole, by_row[:, -FOOT_ROWS:].sum(axis=1) / (SAMPLE_COLUMNS * FOOT_ROWS)


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Pack up to eight flags (n, k) into a byte each, (n,)."""
    return np.packbits(flags, axis=1)[:, 0]
