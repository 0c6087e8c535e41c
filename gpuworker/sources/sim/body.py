"""Walking bodies in three dimensions: where the joints and the outline of clothes are at a moment of the step.

Lengths are parts of the standing height. Source of the proportions: Winter, Biomechanics and Motor Control
of Human Movement, 4th ed., fig. 4.1.
"""

import numpy as np
from numpy.typing import NDArray

from gpuworker.sources.sim.world import Truth

Floats = NDArray[np.float64]

HIP, THIGH, SHANK, ANKLE = 0.515, 0.245, 0.235, 0.035
SHOULDER, UPPER_ARM, FOREARM = 0.815, 0.172, 0.160
HIP_HALF, SHOULDER_HALF = 0.052, 0.112
NECK, HEAD, HEAD_RADIUS = 0.855, 0.93, 0.066
STRIDE = 0.82  # of two steps
FULL_SWING_MPS = 1.3

# joints, in this order
(L_HIP, L_KNEE, L_ANKLE, L_TOE, R_HIP, R_KNEE, R_ANKLE, R_TOE, L_SHOULDER, L_ELBOW, L_HAND,
 R_SHOULDER, R_ELBOW, R_HAND, NECK_POINT, HEAD_POINT, PACK_TOP, PACK_BOTTOM) = range(18)  # fmt: skip

# rings around the trunk: height, half-width, half-depth
TRUNK = np.array(
    [
        [0.27, 0.105, 0.085],  # knees, for skirts
        [0.40, 0.100, 0.075],  # thighs, for coats
        [0.50, 0.090, 0.066],
        [0.57, 0.082, 0.060],
        [0.64, 0.084, 0.062],
        [0.71, 0.094, 0.066],
        [0.78, 0.108, 0.064],
        [0.825, 0.092, 0.050],
        [0.848, 0.040, 0.040],
    ]
)
RING_POINTS = 12
RING = np.arange(RING_POINTS) * 2 * np.pi / RING_POINTS  # 0 is forward, counter-clockwise from above


def joints_m(truth: Truth) -> Floats:
    """Give everybody's joints on the floor plan, (n, 18, 3) m; the lower foot stands on the floor."""
    n = len(truth.ids)
    speed = np.hypot(*truth.velocity_mps.T)
    swing = np.minimum(speed / FULL_SWING_MPS, 1.15)
    phase = 2 * np.pi * truth.walked_m / (STRIDE * truth.height_m)
    body = np.zeros((n, 18, 3))  # forward, left, up
    for side, hip, shoulder, turn in ((1, L_HIP, L_SHOULDER, 0.0), (-1, R_HIP, R_SHOULDER, np.pi)):
        _leg(body, hip, side, swing, phase + turn)
        _arm(body, shoulder, side, swing, phase + turn + np.pi)
    lean = 0.02 * swing
    body[:, NECK_POINT] = np.column_stack([lean, 0 * lean, np.full(n, NECK)])
    body[:, HEAD_POINT] = np.column_stack([lean + 0.012, 0 * lean, np.full(n, HEAD)])
    body[:, PACK_TOP] = (-0.085, 0, 0.775)
    body[:, PACK_BOTTOM] = (-0.09, 0, 0.63)
    lowest = np.minimum(body[:, L_ANKLE, 2], body[:, R_ANKLE, 2])
    body[:, :, 2] += (ANKLE - lowest)[:, None]
    return _placed(body, truth)


def _leg(body: Floats, hip: int, side: int, swing: Floats, phase: Floats) -> None:
    thigh = 0.44 * swing * np.sin(phase)
    shank = thigh - (0.05 + 0.95 * np.maximum(0.0, np.cos(phase))) * swing * 0.9
    zero = np.zeros_like(thigh)
    body[:, hip] = np.column_stack([zero, zero + side * HIP_HALF, zero + HIP])
    down = np.column_stack([np.sin(thigh), zero, -np.cos(thigh)])
    body[:, hip + 1] = body[:, hip] + THIGH * down
    down = np.column_stack([np.sin(shank), zero, -np.cos(shank)])
    body[:, hip + 2] = body[:, hip + 1] + SHANK * down
    tip = 0.5 * shank - 0.1 * swing
    body[:, hip + 3] = body[:, hip + 2] + np.column_stack(
        [0.085 * np.cos(tip), zero, 0.085 * np.sin(tip) - 0.018]
    )


def _arm(body: Floats, shoulder: int, side: int, swing: Floats, phase: Floats) -> None:
    upper = 0.42 * swing * np.sin(phase) - 0.04
    lower = upper + 0.18 + 0.3 * swing
    zero = np.zeros_like(upper)
    body[:, shoulder] = np.column_stack([zero, zero + side * SHOULDER_HALF, zero + SHOULDER - 0.01])
    down = np.column_stack([np.sin(upper), zero + side * 0.13, -np.cos(upper)])
    body[:, shoulder + 1] = body[:, shoulder] + UPPER_ARM * down
    down = np.column_stack([np.sin(lower), zero - side * 0.02, -np.cos(lower)])
    body[:, shoulder + 2] = body[:, shoulder + 1] + FOREARM * down


def trunk_m(truth: Truth, build: Floats) -> Floats:
    """Give the rings around everybody's trunk, (n, rings, points, 3) m, for builds (n,)."""
    forward = TRUNK[:, 2, None] * np.cos(RING)  # (rings, points)
    left = TRUNK[:, 1, None] * np.sin(RING)
    up = np.broadcast_to(TRUNK[:, 0, None], left.shape)
    body = (
        np.stack([forward, left, up], axis=-1)[None]
        * np.column_stack([build, build, np.ones(len(build))])[:, None, None]
    )
    n = len(truth.ids)
    return _placed(body.reshape(n, len(TRUNK) * RING_POINTS, 3), truth).reshape(n, len(TRUNK), RING_POINTS, 3)


def _placed(body: Floats, truth: Truth) -> Floats:
    """Turn points (n, k, 3) from forward, left, up in heights to the floor plan in metres."""
    cos, sin = np.cos(truth.heading_rad)[:, None], np.sin(truth.heading_rad)[:, None]
    scaled = body * truth.height_m[:, None, None]
    x = truth.position_m[:, :1] + cos * scaled[..., 0] - sin * scaled[..., 1]
    y = truth.position_m[:, 1:] + sin * scaled[..., 0] + cos * scaled[..., 1]
    return np.stack([x, y, scaled[..., 2]], axis=-1)
