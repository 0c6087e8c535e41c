"""From a detector's boxes to measurements of people on the floor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.values import Detections

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MID, BOTTOM, TOP = 0, 1, 2

WHOLE, FEET_HIDDEN = 0, 1
HYPOTHESES: Bools = np.array([[True, True, True], [True, False, True]])
"""(2, 3): which components of (u_mid, v_bottom, v_top) a box measures under each hypothesis."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The boxes of some frames as measurements, frame after frame.

    Attributes:
        start: (f + 1,) index of each frame's first box; the last one is n.
        frame: (n,) index of each box's frame.
        z: (n, 3) u_mid, v_bottom, v_top in undistorted px; 0 where not a number.
        valid: (n, 3) which components the box can measure: not those cut off by the picture's edge.
        evidence: (n,) what the confidence says for a person, nats.
    """

    start: Ints
    frame: Ints
    z: Floats
    valid: Bools
    evidence: Floats

    def __len__(self) -> int:
        return len(self.z)

    def of(self, frame: int) -> slice:
        """Give where the boxes of a frame lie."""
        return slice(int(self.start[frame]), int(self.start[frame + 1]))


def measure(
    cameras: Sequence[CameraModel],
    detections: Sequence[Detections],
    settings: TrackerSettings,
    *,
    sees_height: Bools | None = None,
) -> Measured:
    """Measure the boxes of frames, each with its camera.

    A box with values that are not numbers, or without area, measures nothing.

    Args:
        cameras, detections: of f frames.
        settings: tuning values.
        sees_height: (f,) False for a camera whose calibration tells nothing about heights.
    """
    count = [len(found) for found in detections]
    start = np.array([0, *accumulate(count)])
    frame = np.repeat(np.arange(len(count)), count)
    xyxy = np.concatenate([np.zeros((0, 4)), *(found.xyxy for found in detections)], dtype=np.float64)
    confidence = np.concatenate([np.zeros(0), *(found.confidence for found in detections)], dtype=np.float64)
    left, top, right, bottom = xyxy.T
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(xyxy.sum(axis=1) + confidence) & (right > left) & (bottom > top)
    if not usable.all():
        xyxy = np.where(usable[:, None], xyxy, 0.0)
        left, top, right, bottom = xyxy.T
    z = np.empty((len(xyxy), 3))
    z[:, MID], z[:, BOTTOM], z[:, TOP] = (left + right) / 2, bottom, top
    for f, camera in enumerate(cameras):
        if camera.lens is not None and camera.lens.is_distorting:
            usable[start[f] : start[f + 1]] &= _undistort(camera, z[start[f] : start[f + 1]])
    size = np.array([[camera.width, camera.height] for camera in cameras]).reshape(-1, 2)[frame]
    edge = settings.edge_px
    valid = np.empty((len(xyxy), 3), dtype=bool)
    valid[:, MID] = (left > edge) & (right < size[:, 0] - edge)
    valid[:, BOTTOM], valid[:, TOP] = bottom < size[:, 1] - edge, top > edge
    if sees_height is not None:
        valid[:, TOP] &= sees_height[frame]
    return Measured(
        start=start,
        frame=frame,
        z=z,
        valid=valid & usable[:, None],
        evidence=confidence_evidence(confidence, settings),
    )


def _undistort(camera: CameraModel, z: Floats) -> Bools:
    """Take the lens out of measurements (n, 3), in place; say (n,) of which it can be taken, the others become 0."""
    lower, upper = camera.undistort(z[:, [MID, BOTTOM]]), camera.undistort(z[:, [MID, TOP]])
    z[:, MID], z[:, BOTTOM], z[:, TOP] = (lower[:, 0] + upper[:, 0]) / 2, lower[:, 1], upper[:, 1]
    known = np.isfinite(z).all(axis=1)
    z[~known] = 0.0
    return np.asarray(known)


def confidence_evidence(confidence: NDArray, settings: TrackerSettings) -> Floats:
    """Give what confidences (n,) say for a person against a false box, nats, (n,)."""
    known = np.where(np.isnan(confidence), 0.0, confidence.astype(np.float64))
    p = np.minimum(np.maximum(known, 1e-3), 1 - 1e-3)
    neutral, limit = settings.confidence_neutral, settings.confidence_limit
    odds = np.log(p / (1 - p)) - math.log(neutral / (1 - neutral))
    return np.asarray(np.minimum(np.maximum(odds, -limit), limit))


def hypothesis_priors(feet_visible: Floats, settings: TrackerSettings) -> Floats:
    """Give log probabilities (..., 2) of whole and feet hidden by the visible lower fifth (...)."""
    s = settings
    feet = s.feet_hidden_base + (s.feet_hidden_occluded - s.feet_hidden_base) * (1 - feet_visible)
    prior = np.empty((*feet.shape, len(HYPOTHESES)))
    prior[..., WHOLE], prior[..., FEET_HIDDEN] = 1 - feet, feet
    return np.log(prior)
