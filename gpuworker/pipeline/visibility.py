"""How much of each person every frame can show, behind the people in front."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.boxes import visible_share
from gpuworker.pipeline.views import Look

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

IN_FRONT_M = 0.2  # a person hides those who stand at least this much further from the camera


@dataclass(frozen=True, slots=True)
class Visibility:
    """What can be seen of people (f, n) in frames.

    Attributes:
        body: share of the whole person.
        feet: share of the lowest fifth.
        inside: share of the whole person inside the picture, hidden or not.
    """

    body: Floats
    feet: Floats
    inside: Floats


def visibility(seen: Look, others: Look, others_real: Bools, picture: Floats) -> Visibility:
    """Tell what frames show of people.

    Args:
        seen: the people, (f, n).
        others: those who may stand in front, (f, m).
        others_real: (m,) which of them surely exist.
        picture: (f, 4) xyxy of each frame.
    """
    hides = (others.depth[:, None, :] < seen.depth[:, :, None] - IN_FRONT_M) & others_real  # (f, n, m)
    body, feet = visible_share(seen.box, others.box, hides, picture)
    return Visibility(body=body, feet=feet, inside=inside_share(seen.box, picture[:, None, :]))


def inside_share(box: Floats, picture: Floats) -> Floats:
    """Give the share of boxes (..., 4) that lies in pictures (..., 4), xyxy px; 0 for a box of NaN."""
    low, high = np.maximum(box[..., :2], picture[..., :2]), np.minimum(box[..., 2:], picture[..., 2:])
    size = np.maximum(box[..., 2:] - box[..., :2], 1e-9)
    sides = np.maximum(high - low, 0.0) / size
    share = sides[..., 0] * sides[..., 1]
    return np.where(np.isnan(share), 0.0, share)
