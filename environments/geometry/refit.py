"""Calibrate a camera that was turned again, from people whom other cameras place."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from environments.geometry.camera import CameraModel
from environments.geometry.homography import camera_matrix_from_homography, project
from environments.polygons import Floats, GeometryError

LEAST_SIGHTS = 80
LEAST_SPREAD = 0.15  # of the picture's width, standard deviation of where people are
MUST = 0.85  # by what the error of people that were not fitted to must fall
EDGE_SHARE, EDGE_STD_PX = (
    0.05,
    2.0,
)  # how exactly a box shows where somebody stands: of its height, and at least


@dataclass(frozen=True)
class Refit:
    """A camera turned to where people say it looks.

    Attributes:
        model: None where it is refused.
        before_m, after_m: median error on people that were not fitted to.
        turned_deg: by how much.
        sights: how many it rests on.
        reason: why it is refused; empty where it is not.
    """

    model: CameraModel | None
    before_m: float
    after_m: float
    turned_deg: float
    sights: int
    reason: str


@dataclass(frozen=True)
class Sights:
    """Boxes of one camera, and where other cameras put these people.

    Attributes:
        xyxy: (n, 4) px.
        places_m: (n, 2).
    """

    xyxy: Floats
    places_m: Floats

    def usable(self, model: CameraModel) -> "Sights":
        """Leave out what the camera cannot place."""
        fine = np.isfinite(model.undistort(self.feet_px)).all(axis=1) & np.isfinite(self.places_m).all(axis=1)
        return self.only(np.asarray(fine))

    def only(self, which: NDArray[np.bool_]) -> "Sights":
        """Give some of them."""
        return Sights(self.xyxy[which], self.places_m[which])

    @property
    def feet_px(self) -> Floats:
        """Give where they stand in the picture, (n, 2)."""
        return np.column_stack([(self.xyxy[:, 0] + self.xyxy[:, 2]) / 2, self.xyxy[:, 3]])

    @property
    def std_px(self) -> Floats:
        """Give how exactly, (n,)."""
        return EDGE_SHARE * (self.xyxy[:, 3] - self.xyxy[:, 1]) + EDGE_STD_PX


def refit(model: CameraModel, after: Sights, before: Sights | None = None) -> Refit:
    """Turn a camera so that people stand where other cameras put them; its position and lens stay.

    What boxes are always off by (feet behind things, say) shows in sights from before the move, and is not made part
    of the calibration. Half of the sights after it are fitted to, the other half judges.
    """
    after = after.usable(model)
    n = len(after.xyxy)
    reason = ""
    if n < LEAST_SIGHTS:
        reason = f"{n} sights of people whom other cameras see too are too few: {LEAST_SIGHTS} are needed"
    elif after.feet_px[:, 0].std() < LEAST_SPREAD * model.width:
        reason = "people were in one part of the picture only: wait until they have walked through more of it"
    if reason:
        return Refit(None, float("nan"), float("nan"), float("nan"), n, reason)
    fit = np.arange(n) % 2 == 0
    try:
        matrix = _matrix(model)
        usual = np.eye(3)
        if before is not None and len((known := before.usable(model)).xyxy) >= LEAST_SIGHTS:
            usual = _turn(model, matrix, known)
        half = turned(model, matrix, _turn(model, matrix, after.only(fit)) @ usual.T)
        turn = _turn(model, matrix, after) @ usual.T
        whole = turned(model, matrix, turn)
    except GeometryError as error:
        return Refit(None, float("nan"), float("nan"), float("nan"), n, str(error))
    before_m, after_m = (_error_m(m, after.only(~fit)) for m in (model, half))
    if not after_m < MUST * before_m:
        reason = f"turning it would change its error from {before_m:.2f} m to {after_m:.2f} m only: calibrate it by hand"
    angle = float(np.degrees(np.linalg.norm(cv2.Rodrigues(turn)[0])))
    return Refit(None if reason else whole, before_m, after_m, angle, n, reason)


def turned(model: CameraModel, matrix: Floats, turn: Floats) -> CameraModel:
    """Give a camera after it was turned about its centre by a rotation (3, 3).

    Source: Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 8.4.2.
    """
    return CameraModel.create(
        camera_id=model.camera_id,
        width=model.width,
        height=model.height,
        h_image_to_world=np.linalg.inv(matrix @ turn @ np.linalg.inv(matrix) @ model.h_world_to_image),
        lens=model.lens,
        rotation=None if model.rotation is None else turn @ model.rotation,
        translation_m=None if model.translation_m is None else turn @ model.translation_m,
    )


def _matrix(model: CameraModel) -> Floats:
    if model.lens is not None:
        return model.lens.matrix
    return camera_matrix_from_homography(model.h_world_to_image, width=model.width, height=model.height)


def _turn(model: CameraModel, matrix: Floats, sights: Sights) -> Floats:
    """Give the rotation (3, 3) that brings people best to where they are shown."""
    inverse = np.linalg.inv(matrix)
    feet, std_px = model.undistort(sights.feet_px), sights.std_px

    def residuals(vector: Floats) -> NDArray[np.float64]:
        rotation = np.asarray(cv2.Rodrigues(vector)[0], dtype=np.float64)
        shown = project(matrix @ rotation @ inverse @ model.h_world_to_image, sights.places_m)
        return np.asarray(np.nan_to_num((shown - feet) / std_px[:, None], nan=50.0).ravel())

    found = least_squares(residuals, np.zeros(3), loss="cauchy", x_scale=0.01)
    return np.asarray(cv2.Rodrigues(found.x)[0], dtype=np.float64)


def _error_m(model: CameraModel, sights: Sights) -> float:
    way = model.to_floor(sights.feet_px) - sights.places_m
    return float(np.nanmedian(np.linalg.norm(way, axis=1)))
