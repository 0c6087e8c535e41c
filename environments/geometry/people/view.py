"""Numbers of one camera in calibration from people, and what they predict of standing people."""

import cv2
import numpy as np

from environments.geometry.camera import CameraModel
from environments.geometry.lens import Lens
from environments.polygons import Floats

HEIGHT_M, HEIGHT_STD_M = 1.74, 0.09
FOCAL, FOCAL_STD = 0.9, 0.25  # in widths of the picture; of its logarithm
CENTRE_STD = 0.03  # of the principal point beside the middle, in widths
EDGE_SHARE, EDGE_STD_PX = 0.035, 1.5  # how exactly a box shows a person: of its height, and at least
NUMBERS = 9  # turn (3), translation (3), log focal length, principal point (2), in widths


def std_px(xyxy: Floats) -> Floats:
    """Say how exactly boxes (n, 4) show people, (n,) px."""
    return EDGE_SHARE * (xyxy[:, 3] - xyxy[:, 1]) + EDGE_STD_PX


def project_people(theta: Floats, width: Floats, height: Floats, xyz: Floats) -> Floats:
    """Project points (n, 3) by cameras (n, 9) with pictures of a size (n,), (n, 2) px; NaN behind.

    Source: Rodrigues' formula, applied to points.
    """
    turn = theta[:, :3]
    angle = np.linalg.norm(turn, axis=1, keepdims=True)
    axis = turn / np.maximum(angle, 1e-12)
    cos, sin = np.cos(angle), np.sin(angle)
    along = (axis * xyz).sum(axis=1, keepdims=True)
    seen = xyz * cos + np.cross(axis, xyz) * sin + axis * along * (1 - cos) + theta[:, 3:6]
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = np.where(seen[:, 2:] > 1e-3, seen[:, :2] / seen[:, 2:], np.nan)
    middle = np.column_stack([width / 2, height / 2]) + theta[:, 7:9] * width[:, None]
    return np.asarray(normal * (np.exp(theta[:, 6]) * width)[:, None] + middle)


def edges_of(theta: Floats, width: Floats, height: Floats, person: Floats) -> Floats:
    """Predict middle, lower and upper edge (n, 3) px of people (n, 3): x, y, height in m."""
    foot = project_people(theta, width, height, np.column_stack([person[:, :2], np.zeros(len(person))]))
    head = project_people(theta, width, height, person)
    return np.column_stack([(foot[:, 0] + head[:, 0]) / 2, foot[:, 1], head[:, 1]])


def model_of(theta: Floats, *, camera_id: str, width: int, height: int) -> CameraModel:
    """Give the camera that the numbers (9,) mean."""
    rotation = np.asarray(cv2.Rodrigues(theta[:3])[0], dtype=np.float64)
    focal = float(np.exp(theta[6])) * width
    matrix = np.array(
        [
            [focal, 0, width / 2 + theta[7] * width],
            [0, focal, height / 2 + theta[8] * width],
            [0, 0, 1.0],
        ]
    )
    h = matrix @ np.column_stack([rotation[:, :2], theta[3:6]])
    return CameraModel.create(
        camera_id=camera_id,
        width=width,
        height=height,
        h_image_to_world=np.linalg.inv(h),
        lens=Lens.create(matrix=matrix),
        rotation=rotation,
        translation_m=theta[3:6],
    )


def moved(theta: Floats, *, yaw: float, shift_m: Floats) -> Floats:
    """Give the camera (9,) after its floor is turned and shifted: x_new = R(yaw) x + shift."""
    c, s = np.cos(yaw), np.sin(yaw)
    floor = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    rotation = np.asarray(cv2.Rodrigues(theta[:3])[0], dtype=np.float64)
    turned = rotation @ floor.T
    out = theta.copy()
    out[:3] = cv2.Rodrigues(turned)[0].ravel()
    out[3:6] = theta[3:6] - turned @ np.append(shift_m, 0.0)
    return out
