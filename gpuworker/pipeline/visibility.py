"""How much of each person every frame can show, behind the people in front."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.boxes import visible_share
from gpuworker.pipeline.intervals import meeting
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
    frames, n = seen.depth.shape
    real = np.flatnonzero(others_real)
    m = len(real)
    box, front = seen.box.reshape(-1, 4), others.box[:, real].reshape(-1, 4)
    back_m, front_m = seen.depth.ravel(), others.depth[:, real].ravel()
    of, in_front = np.repeat(np.arange(frames), n), np.repeat(np.arange(frames), m)
    i, j = meeting(*_width(box), of, *_width(front), in_front)
    low, high = np.maximum(box[i, 1], front[j, 1]), np.minimum(box[i, 3], front[j, 3])
    hides = np.flatnonzero((front_m[j] < back_m[i] - IN_FRONT_M) & (low < high))
    pictures = np.repeat(picture, n, axis=0)
    body, feet = visible_share(box, pictures, i[hides], front[j[hides]])
    inside = inside_share(box, pictures)
    return Visibility(*(share.reshape(frames, n) for share in (body, feet, inside)))


def _width(box: Floats) -> tuple[Floats, Floats]:
    """Give where boxes (n, 4) begin and end across the picture; a box of NaN ends before it begins."""
    nowhere = np.isnan(box[:, 0])
    return np.where(nowhere, 0.0, box[:, 0]), np.where(nowhere, -1.0, box[:, 2])


def inside_share(box: Floats, picture: Floats) -> Floats:
    """Give the share of boxes (..., 4) that lies in pictures (..., 4), xyxy px; 0 for a box of NaN."""
    low, high = np.maximum(box[..., :2], picture[..., :2]), np.minimum(box[..., 2:], picture[..., 2:])
    size = np.maximum(box[..., 2:] - box[..., :2], 1e-9)
    sides = np.maximum(high - low, 0.0) / size
    share = sides[..., 0] * sides[..., 1]
    return np.where(np.isnan(share), 0.0, share)
