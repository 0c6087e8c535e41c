"""How people standing on the floor look in the cameras: predicted boxes with their derivatives.

The state of a person is (x, y, vx, vy, height) in m and m/s. A box is measured as
(u_mid, v_bottom, v_top): the middle of the box, its lower and its upper edge, in undistorted pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, GeometryError
from gpuworker.pipeline.settings import TrackerSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

STATE = 5  # x, y, vx, vy, height
MEASURED = 3  # u_mid, v_bottom, v_top
MIN_DEPTH = 1e-3  # of the camera's scale: behind it there is no picture
NOWHERE_PX = 1e7
PERSON_ASPECT = 0.42  # width over height of a standing person's box
MIN_SIZE_PX = 4.0


@dataclass(frozen=True, slots=True)
class Views:
    """The cameras of a site, stacked in the order of their ids.

    Attributes:
        cameras: the models.
        projection: (c, 3, 4), floor and height to undistorted px.
        sees_height: (c,) False for a camera whose calibration tells nothing about heights.
        picture: (c, 4) xyxy of what the undistorted picture shows, px.
    """

    cameras: tuple[CameraModel, ...]
    projection: Floats
    sees_height: Bools
    picture: Floats

    @classmethod
    def of(cls, cameras: Mapping[str, CameraModel]) -> "Views":
        """Stack cameras given by id."""
        ordered = tuple(cameras[key] for key in sorted(cameras))
        pairs = [_projection(camera) for camera in ordered]
        return cls(
            cameras=ordered,
            projection=np.array([p for p, _ in pairs]).reshape(-1, 3, 4),
            sees_height=np.array([ok for _, ok in pairs], dtype=bool),
            picture=np.array([_undistorted_picture(camera) for camera in ordered]).reshape(-1, 4),
        )

    def __len__(self) -> int:
        return len(self.cameras)


def _projection(camera: CameraModel) -> tuple[Floats, bool]:
    try:
        projection = np.asarray(camera.projection, dtype=np.float64)
        # depth in metres: the third row's direction part has unit length
        return projection / np.linalg.norm(projection[2, :3]), True
    except GeometryError:
        h = camera.h_world_to_image
        return np.column_stack([h[:, 0], h[:, 1], np.zeros(3), h[:, 2]]), False


def _undistorted_picture(camera: CameraModel) -> Floats:
    w, h = float(camera.width), float(camera.height)
    edges = camera.undistort(np.array([[0.0, h / 2], [w / 2, 0.0], [w, h / 2], [w / 2, h]]))
    return np.array([edges[0, 0], edges[1, 1], edges[2, 0], edges[3, 1]])


@dataclass(frozen=True, slots=True)
class Look:
    """What people look like in cameras; leading axes (...) are those that were asked for.

    Attributes:
        z: (..., 3) u_mid, v_bottom, v_top in px; far outside every picture where behind the camera.
        jacobian: (..., 3, 5) of z by the state.
        noise: (..., 3, 3) covariance of a box around z, px^2.
        size_px: (...) height of the standing person in the picture.
        depth: (...) distance along the view, m.
        box: (..., 4) xyxy px; NaN behind the camera.
    """

    z: Floats
    jacobian: Floats
    noise: Floats
    size_px: Floats
    depth: Floats
    box: Floats


def look(
    projection: Floats, sees_height: Bools, state: Floats, dt_s: Floats, settings: TrackerSettings
) -> Look:
    """Predict boxes of people (..., 5) in cameras (..., 3, 4), at the time of the state plus ``dt_s`` (...).

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., eq. 6.2; first-order error propagation 5.6.
    """
    xy = state[..., :2] + state[..., 2:4] * dt_s[..., None]
    p = projection
    foot = p[..., 0] * xy[..., :1] + p[..., 1] * xy[..., 1:] + p[..., 3]  # (..., 3)
    ends = np.empty((*foot.shape[:-1], 2, 3))  # foot and head
    ends[..., 0, :] = foot
    ends[..., 1, :] = foot + p[..., 2] * state[..., 4:]
    valid: Bools = np.asarray((ends[..., 2] > MIN_DEPTH).all(axis=-1))
    nearness = 1.0 / np.where(valid[..., None], ends[..., 2], np.inf)  # (..., 2), 0 behind the camera
    px = ends[..., :2] * nearness[..., None]  # (..., end, u or v)
    by = p[..., None, :2, :3] - px[..., None] * p[..., None, 2:, :3]  # (..., end, u or v, x y height)
    by *= nearness[..., None, None]
    lean = px[..., 1, :] - px[..., 0, :]
    size = np.hypot(lean[..., 0], lean[..., 1])
    # without heights: the size that an upright person has beside the scale of the floor around it
    across = np.hypot(by[..., 0, 0, 0], by[..., 0, 0, 1])
    size = np.maximum(np.where(sees_height, size, across * settings.height_m), MIN_SIZE_PX)
    z = np.empty((*size.shape, MEASURED))
    z[..., 0] = (px[..., 0, 0] + px[..., 1, 0]) / 2
    z[..., 1] = px[..., 0, 1]
    z[..., 2] = np.where(sees_height, px[..., 1, 1], z[..., 1] - size)
    jacobian = np.empty((*size.shape, MEASURED, STATE))
    by_place = jacobian[..., :2]
    by_place[..., 0, :] = (by[..., 0, 0, :2] + by[..., 1, 0, :2]) / 2
    by_place[..., 1:, :] = by[..., 1, :2]
    jacobian[..., 2:4] = by_place * dt_s[..., None, None]
    # the foot stays where it is, however tall the person
    jacobian[..., 0, 4], jacobian[..., 1, 4], jacobian[..., 2, 4] = (
        by[..., 1, 0, 2] / 2,
        0.0,
        by[..., 1, 1, 2],
    )
    box = _box(z, size)
    z[~valid], box[~valid] = NOWHERE_PX, np.nan
    return Look(
        z=z,
        jacobian=jacobian,
        noise=_noise(size, by_place, settings),
        size_px=size,
        depth=np.where(valid, foot[..., 2], np.inf),
        box=box,
    )


def look_at(views: Views, camera: Ints, dt_s: Floats, state: Floats, settings: TrackerSettings) -> Look:
    """Predict boxes (f, n) of people (n, 5) in frames of cameras (f,) taken ``dt_s`` (f,) after the state."""
    return look(
        views.projection[camera][:, None],
        views.sees_height[camera][:, None],
        state[None],
        dt_s[:, None],
        settings,
    )


def _noise(size: Floats, by_place: Floats, s: TrackerSettings) -> Floats:
    noise = (s.floor_noise_m**2 * by_place) @ np.swapaxes(by_place, -1, -2)
    share = (s.mid_noise, s.bottom_noise, s.top_noise)
    for i in range(MEASURED):
        noise[..., i, i] += (share[i] * size) ** 2 + s.pixel_noise_px**2
    return np.asarray(noise)


def _box(z: Floats, size: Floats) -> Floats:
    half = size * PERSON_ASPECT / 2
    box = np.empty((*size.shape, 4))
    box[..., 0], box[..., 2] = z[..., 0] - half, z[..., 0] + half
    box[..., 1] = np.minimum(z[..., 1], z[..., 2])
    box[..., 3] = np.maximum(z[..., 1], z[..., 2])
    return box
