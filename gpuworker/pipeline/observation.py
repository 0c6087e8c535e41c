"""From a detector's boxes to measurements of people on the floor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.values import Detections

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MID, BOTTOM, TOP = 0, 1, 2

WHOLE, FEET_HIDDEN, TOP_CUT = 0, 1, 2
HYPOTHESES: Bools = np.array([[True, True, True], [True, False, True], [True, True, False]])
"""(3, 3): which components of (u_mid, v_bottom, v_top) a box measures under each hypothesis."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One frame's boxes as measurements.

    Attributes:
        z: (n, 3) u_mid, v_bottom, v_top in undistorted px; 0 where not a number.
        valid: (n, 3) which components the box can measure: not those cut off by the picture's edge.
        evidence: (n,) what the confidence says for a person, nats.
    """

    z: Floats
    valid: Bools
    evidence: Floats

    def __len__(self) -> int:
        return len(self.z)


def measure(
    camera: CameraModel, detections: Detections, settings: TrackerSettings, *, sees_height: bool = True
) -> Measured:
    """Measure the boxes of one frame.

    A box with values that are not numbers, or without area, measures nothing.
    """
    xyxy = detections.xyxy.astype(np.float64)
    left, top, right, bottom = xyxy.T
    usable = np.isfinite(xyxy).all(axis=1) & (right > left) & (bottom > top)
    usable &= np.isfinite(detections.confidence)
    xyxy = np.where(usable[:, None], xyxy, 0.0)
    left, top, right, bottom = xyxy.T
    mid = (left + right) / 2
    lower = camera.undistort(np.column_stack([mid, bottom]))
    upper = camera.undistort(np.column_stack([mid, top]))
    edge = settings.edge_px
    inside_u = (left > edge) & (right < camera.width - edge)
    valid = np.column_stack([inside_u, bottom < camera.height - edge, top > edge])
    valid[:, TOP] &= sees_height
    return Measured(
        z=np.column_stack([(lower[:, 0] + upper[:, 0]) / 2, lower[:, 1], upper[:, 1]]),
        valid=valid & usable[:, None],
        evidence=confidence_evidence(detections.confidence, settings),
    )


def confidence_evidence(confidence: NDArray, settings: TrackerSettings) -> Floats:
    """Give what confidences (n,) say for a person against a false box, nats, (n,)."""
    p = np.clip(np.nan_to_num(confidence.astype(np.float64)), 1e-3, 1 - 1e-3)
    neutral = settings.confidence_neutral
    odds = np.log(p / (1 - p)) - np.log(neutral / (1 - neutral))
    return np.asarray(np.clip(odds, -settings.confidence_limit, settings.confidence_limit))


def hypothesis_priors(feet_visible: Floats, settings: TrackerSettings) -> Floats:
    """Give log probabilities (..., 3) of whole, feet hidden and top cut by the visible lower fifth (...)."""
    s = settings
    feet = s.feet_hidden_base + (s.feet_hidden_occluded - s.feet_hidden_base) * (1 - feet_visible)
    return np.log(np.stack([1 - feet - s.top_cut_base, feet, np.full_like(feet, s.top_cut_base)], axis=-1))
