"""Crops of people for embedders: cut on the CPU, put into batches of few sizes, given back frame by frame."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.values import Floats32

# on a GPU only a few batch sizes: memory and kernels are planned anew for each; a CPU takes any at once
GPU_BATCHES = (1, 2, 4, 8, 16, 32)
LARGEST_BATCH = GPU_BATCHES[-1]


def crop(image: NDArray[np.uint8], box: Floats32) -> NDArray[np.uint8]:
    """Cut a box (4,) px out of a picture; empty where it lies beside the picture or is not a number."""
    if not np.isfinite(box).all():
        return image[:0, :0]
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:], 0, [width, height])).astype(int)
    return image[top:bottom, left:right]


def batches(count: int, *, fixed: int | None, is_padded: bool) -> Iterator[tuple[slice, int]]:
    """Give the rows of each batch and the size that it is padded to.

    Args:
        count: of crops.
        fixed: size of every batch that the model insists on.
        is_padded: whether batches are padded to one of GPU_BATCHES.
    """
    step = fixed or LARGEST_BATCH
    for start in range(0, count, step):
        rows = slice(start, min(start + step, count))
        size = rows.stop - start
        if fixed is None and is_padded:
            size = next(batch for batch in GPU_BATCHES if batch >= size)
        yield rows, fixed or size


def units(raw: Floats32) -> Floats32:
    """Scale rows (n, d) to unit length; rows of NaN for those that have none."""
    length = np.linalg.norm(raw, axis=1, keepdims=True)
    usable = np.isfinite(length) & (length > 0)
    return np.asarray(np.divide(raw, length, out=np.full_like(raw, np.nan), where=usable))


def by_frame(rows: Floats32, xyxy: Sequence[Floats32]) -> list[Floats32]:
    """Split rows (n, d), one for each box of a tick, into those of each frame."""
    ends = np.cumsum([len(boxes) for boxes in xyxy])
    return np.split(rows, ends[:-1]) if len(ends) else []
