"""Cameras to test with."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from environments.geometry import CameraModel, Lens

WIDTH, HEIGHT = 1920, 1080
Values = dict[str, Any]
MATRIX = np.array([[1100.0, 0, 960], [0, 1100, 540], [0, 0, 1]])
BARREL = np.array([-0.3, 0.12, 0.001, -0.0005, -0.01])


def pose(*, x_m=0.0, y_m=0.0, height_m=3.0, yaw_deg=0.0, pitch_deg=30.0):
    """Give R and t of a camera that stands at a place and looks along yaw, pitched down."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rotation, -rotation @ np.array([x_m, y_m, height_m])


def camera(*, matrix=MATRIX, distortion=None, full=True, scale=1.0, **where):
    """Make the model of a camera at a pose, from the full calibration or from its homography alone."""
    rotation, t = pose(**where)
    h = np.linalg.inv(matrix @ np.column_stack([rotation[:, 0], rotation[:, 1], t]))
    known: Values = (
        {"lens": Lens.create(matrix=matrix, distortion=distortion)} if full or distortion is not None else {}
    )
    if full:
        known |= {"rotation": rotation, "translation_m": t}
    return CameraModel.create(camera_id="c1", width=WIDTH, height=HEIGHT, h_image_to_world=scale * h, **known)


poses = st.fixed_dictionaries(
    {
        "x_m": st.floats(-20, 20),
        "y_m": st.floats(-20, 20),
        "height_m": st.floats(2, 12),
        "yaw_deg": st.floats(-180, 180),
        "pitch_deg": st.floats(8, 75),
    }
)
