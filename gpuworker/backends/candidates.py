"""From what a model gives for a batch to the people in each picture."""

from collections.abc import Sequence

import numpy as np

from gpuworker.backends.arrays import Array, namespace, on_device_of
from gpuworker.backends.placing import Placement
from gpuworker.pipeline.boxes import nms
from gpuworker.pipeline.values import Detections

MAX_CANDIDATES = 1000  # before suppression, times the pictures; a crowd of hundreds still fits
SMALLEST_PX = 1.0  # width and height of a box


def select(
    boxes: Array, confidence: Array, placements: Sequence[Placement], *, least: float, iou: float | None
) -> list[Detections]:
    """Give the people of each picture: confident boxes, one a person, in its own pixels, cut at its edges.

    The weak ones go first, and all of it happens where the arrays are; only what is left comes to the host.

    Args:
        boxes: (b, n, 4) xyxy px of the model's input, indexed by picture and row.
        confidence: (b, n) of the class person.
        placements: of the b pictures; rows of the batch beyond them are empty.
        least: confidence.
        iou: above which the weaker of two boxes goes; None where the model does that itself.
    """
    if not placements:
        return []
    xp = namespace(confidence)
    picture, row = xp.where(confidence[: len(placements)] >= least)
    score = confidence[picture, row]
    # the weakest go where there are too many
    order = xp.argsort(-score, stable=True)[: MAX_CANDIDATES * len(placements)]
    picture, row, score = picture[order], row[order], score[order]
    xyxy = _to_pictures(boxes[picture, row], picture, placements)
    whole = _whole(xyxy)
    picture, xyxy, score = picture[whole], xyxy[whole], score[whole].clip(0.0, 1.0)
    if iou is not None:
        kept = _suppress(xyxy, score, picture, len(placements), iou)
        picture, xyxy, score = picture[kept], xyxy[kept], score[kept]
    edges = np.array([(p.width, p.height, p.width, p.height) for p in placements], np.float32)
    xyxy = xp.minimum(xyxy.clip(0.0), on_device_of(edges, xyxy)[picture])
    rows = xp.concatenate([xyxy, score[:, None], picture[:, None]], 1)
    return _split(rows[_whole(xyxy)], len(placements))


def _whole(xyxy: Array) -> Array:
    """Say which boxes have a size; those beside the picture have none, and those that are no numbers."""
    return ((xyxy[:, 2:] - xyxy[:, :2]) > SMALLEST_PX).all(1)


def _to_pictures(boxes: Array, picture: Array, placements: Sequence[Placement]) -> Array:
    where = np.array([(*p.offset, *p.offset, *p.scale, *p.scale) for p in placements], np.float32)
    table = on_device_of(where, boxes)[picture]
    return (boxes - table[:, :4]) / table[:, 4:]


def _suppress(xyxy: Array, score: Array, picture: Array, pictures: int, iou: float) -> Array:
    """Give the boxes to keep, each picture by itself, the most confident first within it."""
    if isinstance(xyxy, np.ndarray):
        mine = [np.flatnonzero(picture == i) for i in range(pictures)]
        return np.concatenate([rows[nms(xyxy[rows], score[rows], iou)] for rows in mine])
    from torchvision.ops import batched_nms  # noqa: PLC0415 - only where there are tensors

    return batched_nms(xyxy, score, picture, iou)


def _split(rows: Array, pictures: int) -> list[Detections]:
    """Give rows of box, confidence and picture as the detections of each picture, on the host."""
    host = rows if isinstance(rows, np.ndarray) else rows.cpu().numpy()
    host = host.astype(np.float32, copy=False)
    mine = [host[host[:, 5] == i] for i in range(pictures)]
    return [Detections(one[:, :4].copy(), one[:, 4].copy()) for one in mine]
