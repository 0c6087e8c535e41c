"""The simulated site: a walled plaza with four overlapping, calibrated cameras, its floor plan and zones."""

from dataclasses import dataclass

import cv2
import numpy as np

from environments.geometry import CameraModel, Lens
from gpuworker.pipeline.values import Zone
from gpuworker.sources.sim.ground import TopView, plan_picture
from gpuworker.sources.sim.layout import PLAZA, Floats, Layout

WIDTH_PX, HEIGHT_PX = 640, 360
FPS = 10.0
FOCAL_PX = 410.0
PLAN_PX_PER_M = 50.0
NO_DISTORTION = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class SimSite:
    """A simulated place as an environment needs it.

    Attributes:
        plan_png: floor plan picture; the floor point (0, 0) lies at ``plan_origin_px``, y runs up.
        fps: frames per second of each camera.
        bounds_m: x_min, y_min, x_max, y_max of the floor between the walls.
    """

    name: str
    cameras: tuple[CameraModel, ...]
    plan_png: bytes
    metres_per_px: float
    plan_origin_px: tuple[float, float]
    zones: tuple[Zone, ...]
    fps: float
    bounds_m: tuple[float, float, float, float]
    layout: Layout


def plaza() -> SimSite:
    """Describe the plaza: 20 x 14 m, cameras ``c1`` to ``c4`` in its corners."""
    view = TopView(PLAZA, PLAN_PX_PER_M)
    ok, png = cv2.imencode(".png", plan_picture(PLAZA, view))
    if not ok:
        raise RuntimeError("OpenCV could not write the floor plan as PNG")
    return SimSite(
        name="plaza",
        cameras=plaza_cameras(),
        plan_png=png.tobytes(),
        metres_per_px=1.0 / PLAN_PX_PER_M,
        plan_origin_px=view.origin_px,
        zones=(
            Zone("fountain-court", "polygon", np.array([[6.6, 4.4], [13.4, 4.4], [13.4, 9.6], [6.6, 9.6]])),
            Zone(
                "station-forecourt", "polygon", np.array([[1.2, 10.2], [8.0, 10.2], [8.0, 13.6], [1.2, 13.6]])
            ),
            Zone("south-threshold", "line", np.array([[7.6, 1.6], [11.6, 1.6]])),
        ),
        fps=FPS,
        bounds_m=PLAZA.bounds_m,
        layout=PLAZA,
    )


def plaza_cameras() -> tuple[CameraModel, ...]:
    """Give the four cameras; the lens of ``c3`` distorts a little."""
    return (
        look_at("c1", eye_m=(0.4, 0.4, 3.9), target_m=(9.6, 7.4, 0.2)),
        look_at("c2", eye_m=(19.6, 0.4, 4.3), target_m=(10.4, 7.0, 0.2)),
        look_at(
            "c3", eye_m=(19.6, 13.6, 3.7), target_m=(10.2, 6.6, 0.3), distortion=(-0.05, 0.0, 0.0, 0.0, 0.0)
        ),
        look_at("c4", eye_m=(0.4, 13.6, 4.5), target_m=(9.8, 7.2, 0.0)),
    )


def look_at(
    camera_id: str,
    *,
    eye_m: tuple[float, float, float],
    target_m: tuple[float, float, float],
    distortion: tuple[float, float, float, float, float] = NO_DISTORTION,
) -> CameraModel:
    """Make the camera at one point that looks at another, its picture upright."""
    eye = np.asarray(eye_m)
    forward = np.asarray(target_m) - eye
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    rotation = np.vstack([right, np.cross(forward, right), forward])  # rows: picture x, y and depth
    matrix: Floats = np.array([[FOCAL_PX, 0, WIDTH_PX / 2], [0, FOCAL_PX, HEIGHT_PX / 2], [0, 0, 1.0]])
    translation = -rotation @ eye
    world_to_image = matrix @ np.column_stack([rotation[:, 0], rotation[:, 1], translation])
    return CameraModel.create(
        camera_id=camera_id,
        width=WIDTH_PX,
        height=HEIGHT_PX,
        h_image_to_world=np.linalg.inv(world_to_image),
        lens=Lens(matrix, np.asarray(distortion)),
        rotation=rotation,
        translation_m=translation,
    )
