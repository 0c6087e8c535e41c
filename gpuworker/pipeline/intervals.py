"""Which intervals meet, found by sorting: what lies apart costs nothing."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW = 20_000  # pairs that are compared one by one sooner than sorted


def meeting(
    low: Floats, high: Floats, group: Ints, other_low: Floats, other_high: Floats, other_group: Ints
) -> tuple[Ints, Ints]:
    """Give the pairs of intervals and other intervals of the same group that share a point.

    Args:
        low, high, group: (n,) finite bounds, and small counting numbers; an interval whose high end is
            below its low end is empty and meets nothing.
        other_low, other_high, other_group: (m,) the same.

    Returns:
        Indices (p,) of intervals and (p,) of others, each pair once. Bounds may be off by rounding, by about
        a billionth of the range of all of them.
    """
    if len(low) == 0 or len(other_low) == 0:
        none = np.zeros(0, dtype=np.int64)
        return none, none
    if len(low) * len(other_low) <= FEW:
        share = (low[:, None] <= other_high) & (high[:, None] >= other_low) & (group[:, None] == other_group)
        i, j = np.nonzero(share & (low <= high)[:, None] & (other_low <= other_high))
        return i, j
    # one axis for all groups: each begins where the one before has ended
    ends = (low.min(), low.max(), high.max(), other_low.min(), other_low.max(), other_high.max())
    span = max(ends) - min(ends) + 1.0
    start, other_start = low + group * span, other_low + other_group * span
    stop, other_stop = high + group * span, other_high + other_group * span
    inner, other_inner = _starts_within(start, stop, other_start, "left")
    other_outer, outer = _starts_within(other_start, other_stop, start, "right")
    real = stop[outer] >= start[outer]
    real_other = other_stop[other_inner] >= other_start[other_inner]
    return (
        np.concatenate([inner[real_other], outer[real]]),
        np.concatenate([other_inner[real_other], other_outer[real]]),
    )


def _starts_within(start: Floats, stop: Floats, others: Floats, side: str) -> tuple[Ints, Ints]:
    """Give for intervals (n,) the other starts (m,) in them; those at their very start too if ``side`` is left."""
    order = np.argsort(others, kind="stable")
    ranked = others[order]
    first = np.searchsorted(ranked, start, side)  # type: ignore[call-overload]
    count = np.maximum(np.searchsorted(ranked, stop, "right") - first, 0)
    which = np.repeat(np.arange(len(start)), count)
    place = np.arange(len(which)) - np.repeat(np.cumsum(count) - count - first, count)
    return which, order[place]
