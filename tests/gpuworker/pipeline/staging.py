"""A small yard with cameras, and people to walk in it."""

from datetime import UTC, datetime, timedelta

import numpy as np

from environments.geometry import CameraModel, Lens
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.values import Detections, Observation
from gpuworker.pipeline.views import Views, look_at

START = datetime(2030, 5, 1, 12, tzinfo=UTC)
SETTINGS = TrackerSettings()


def camera(camera_id, eye, target, *, focal=900.0, width=1280, height=720):
    """A camera at ``eye`` (x, y, z) m that looks at ``target``."""
    eye, target = np.array(eye, float), np.array(target, float)
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    translation = -rotation @ eye
    h = np.linalg.inv(matrix @ np.column_stack([rotation[:, 0], rotation[:, 1], translation]))
    return CameraModel.create(
        camera_id=camera_id,
        width=width,
        height=height,
        h_image_to_world=h,
        lens=Lens(matrix, np.zeros(5)),
        rotation=rotation,
        translation_m=translation,
    )


def yard(count=3):
    """Cameras around a yard of 10 m by 10 m."""
    eyes = [(-3, -3, 3), (13, -3, 3), (13, 13, 3), (-3, 13, 3)][:count]
    return {f"c{i + 1}": camera(f"c{i + 1}", eye, (5, 5, 1)) for i, eye in enumerate(eyes)}


def state(*people, height_m=1.74):
    """States (n, 5) of people (x, y) or (x, y, vx, vy)."""
    rows = [(*p, *([0.0] * (4 - len(p))), height_m) for p in people]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def boxes(model, people):
    """The box of each person (n, 5) in a camera, (n, 4) px."""
    views = Views.of({model.camera_id: model})
    return look_at(views, np.array([0]), np.zeros(1), people, SETTINGS).box[0]


def observe(cameras, people, at_s, *, confidence=0.9, noise=None, looks=None):
    """What all cameras see of people (n, 5) who hide nobody; those outside a picture are left out."""
    found = []
    for camera_id, model in cameras.items():
        xyxy = boxes(model, people)
        inside = (
            (xyxy[:, 2] > 0) & (xyxy[:, 0] < model.width) & (xyxy[:, 3] > 0) & (xyxy[:, 1] < model.height)
        )
        xyxy = xyxy[inside]
        if noise is not None:
            xyxy = xyxy + noise.normal(0, 2.0, xyxy.shape)
        embeddings = np.zeros((len(xyxy), 0)) if looks is None else np.asarray(looks)[inside]
        found.append(
            Observation(
                camera_id=camera_id,
                seq=round(at_s * 1000),
                captured_at=START + timedelta(seconds=at_s),
                detections=Detections(
                    xyxy.astype(np.float32), np.full(len(xyxy), confidence, dtype=np.float32)
                ),
                embeddings=embeddings.astype(np.float32),
            )
        )
    return found
