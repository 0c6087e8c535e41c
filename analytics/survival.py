"""How long stays last when some have not ended: the product-limit estimate. Pure NumPy."""

from collections.abc import Sequence

import numpy as np


def stay_quantiles(
    lengths_s: Sequence[float], has_ended: Sequence[bool], shares: Sequence[float]
) -> list[float | None]:
    """Give how long stays last at most by shares of them.

    A stay that has not ended is known to last longer than it did so far, and counts as that.

    Args:
        lengths_s: of each stay, or how long it had lasted when it was seen last, s.
        has_ended: for each stay.
        shares: 0 to 1; 0.5 for the median.

    Returns:
        For each share the least length that as many stays do not outlast, s; None where fewer have ended than that
        takes, and for no stays at all.

    Raises:
        ValueError: a length for each stay is expected, and another number came.

    Source: Kaplan and Meier, "Nonparametric estimation from incomplete observations", 1958, equation (2b).
    """
    lengths, ended = np.asarray(lengths_s, float), np.asarray(has_ended, bool)
    if lengths.shape != ended.shape:
        raise ValueError(f"has_ended: expected {len(lengths)} of them, got {len(ended)}")
    ends_s, counts = np.unique(lengths[ended], return_counts=True)  # (k,), (k,)
    # of those who end at the same time as others are seen last, the others stay longer
    at_risk = len(lengths) - np.searchsorted(np.sort(lengths), ends_s, side="left")
    lasting = np.cumprod(1.0 - counts / at_risk)  # share that outlasts each, (k,)
    places = [np.flatnonzero(lasting <= 1.0 - share + 1e-12) for share in shares]
    return [float(ends_s[place[0]]) if len(place) else None for place in places]
