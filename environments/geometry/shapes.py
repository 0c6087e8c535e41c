"""What a camera may be when it is fitted to point pairs: a homography, a pose, a pose with a distorting lens."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import cv2
import numpy as np
from scipy.linalg import null_space
from scipy.optimize import least_squares

from environments.geometry.camera import CameraModel
from environments.geometry.homography import (
    camera_matrix_from_homography,
    project_any_side,
)
from environments.geometry.lens import Lens
from environments.geometry.pairs import PointPairs
from environments.polygons import Floats, GeometryError

CENTRE_STD = 0.04  # of the principal point beside the middle of the picture, in its widths
FOCAL_STD = 0.7  # of the logarithm of the focal length over the picture's width, around 1
K1_STD = 0.3
FOCALS = (0.5, 0.8, 1.2, 2.0)  # in widths, to begin with where the homography gives none
MOST_TRIES = 400
FAR = 1e6  # standard deviations: what cannot be computed is as wrong as that
MIRROR = np.diag([1.0, -1.0, 1.0])


class FitKind(StrEnum):
    """What is fitted."""

    HOMOGRAPHY = "homography"
    POSE = "pose"
    LENS = "lens"


@dataclass(frozen=True, slots=True)
class Frame:
    """The picture that pairs were clicked in.

    Attributes:
        camera_id: key of the camera.
        width, height: px.
        lens: inner calibration where it is known.
    """

    camera_id: str
    width: int
    height: int
    lens: Lens | None = None


class Shape(Protocol):
    """A camera with some numbers free."""

    @property
    def kind(self) -> FitKind:
        """Say what is fitted."""

    def predict(self, theta: Floats, points_m: Floats) -> Floats:
        """Give the pixels (n, 2) of floor points (n, 2), lens included unless it is known."""

    def prior(self, theta: Floats) -> Floats:
        """Give how unusual the numbers are, in standard deviations."""

    def model(self, theta: Floats) -> CameraModel:
        """Give the camera; GeometryError where it is none."""

    def h_world_to_image(self, theta: Floats) -> Floats:
        """Give the homography without distortion."""


@dataclass(frozen=True, slots=True)
class HomographyShape:
    """Eight numbers: steps from a homography, in all directions that change it.

    Attributes:
        frame: the picture; the lens is taken off the pixels beforehand.
        to_px, to_m: (3, 3) from and to coordinates of about one, so that all numbers weigh alike.
        h: (3, 3) in these, of norm one.
        steps: (9, 8).
    """

    frame: Frame
    to_px: Floats
    to_m: Floats
    h: Floats
    steps: Floats
    kind: FitKind = FitKind.HOMOGRAPHY

    @classmethod
    def around(cls, frame: Frame, pairs: PointPairs, h_world_to_image: Floats) -> "HomographyShape":
        """Begin with a homography."""
        to_px = np.array([[frame.width, 0, frame.width / 2], [0, frame.width, frame.height / 2], [0, 0, 1.0]])
        middle, scale = pairs.m.mean(axis=0), max(float(np.ptp(pairs.m, axis=0).max()), 1e-9)
        to_m = np.array([[1 / scale, 0, -middle[0] / scale], [0, 1 / scale, -middle[1] / scale], [0, 0, 1.0]])
        h = np.linalg.inv(to_px) @ h_world_to_image @ np.linalg.inv(to_m)
        h /= np.linalg.norm(h)
        return cls(frame, to_px, to_m, h, np.asarray(null_space(h.reshape(1, 9)), dtype=np.float64))

    @property
    def start(self) -> Floats:
        """Give the numbers of the homography that it began with."""
        return np.zeros(8)

    def h_world_to_image(self, theta: Floats) -> Floats:
        """Give the homography (3, 3)."""
        return np.asarray(self.to_px @ (self.h + (self.steps @ theta).reshape(3, 3)) @ self.to_m)

    def predict(self, theta: Floats, points_m: Floats) -> Floats:
        """Give the pixels (n, 2) of floor points (n, 2)."""
        return project_any_side(self.h_world_to_image(theta), points_m)

    def prior(self, theta: Floats) -> Floats:
        """Give nothing: no homography is unusual."""
        return np.zeros(0)

    def model(self, theta: Floats) -> CameraModel:
        """Give the camera."""
        f = self.frame
        return CameraModel.create(
            camera_id=f.camera_id,
            width=f.width,
            height=f.height,
            h_image_to_world=_inverted(self.h_world_to_image(theta)),
            lens=f.lens,
        )


@dataclass(frozen=True, slots=True)
class PoseShape:
    """A rotation and a place (6); without a known lens focal length and principal point (3), and k1 if asked for.

    Pixels are square. The numbers: turn, translation, log of the focal length in widths, the principal
    point beside the middle in widths, k1.

    Attributes:
        frame: the picture; a known lens is taken off the pixels beforehand.
        mirrored: whether the floor plan is; then the camera stands above a floor whose y is turned around.
        kind: FitKind.POSE or FitKind.LENS.
    """

    frame: Frame
    mirrored: bool
    kind: FitKind = FitKind.POSE

    def begin(self, theta: Floats) -> Floats:
        """Take over numbers of a pose without distortion."""
        return np.append(theta, 0.0) if self.kind is FitKind.LENS else theta

    def starts(self, h_world_to_image: Floats) -> list[Floats]:
        """Give numbers to begin with: those of the homography, or of several focal lengths."""
        f = self.frame
        h = h_world_to_image @ MIRROR if self.mirrored else h_world_to_image
        if f.lens is not None:
            return [_pose_of(h, f.lens.matrix)]
        try:
            matrices = [camera_matrix_from_homography(h, width=f.width, height=f.height)]
        except GeometryError:
            matrices = [_matrix(f, focal * f.width) for focal in FOCALS]
        return [np.append(_pose_of(h, k), [np.log(k[0, 0] / f.width), 0.0, 0.0]) for k in matrices]

    def predict(self, theta: Floats, points_m: Floats) -> Floats:
        """Give the pixels (n, 2) of floor points (n, 2)."""
        rotation, translation, lens = self._parts(theta)
        xyz = points_m @ self._floor(rotation).T + translation  # (n, 3)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            normal = xyz[:, :2] / xyz[:, 2:]
            normal = normal * (1.0 + lens.distortion[0] * (normal**2).sum(axis=1, keepdims=True))
        return np.asarray(normal @ lens.matrix[:2, :2].T + lens.matrix[:2, 2])

    def prior(self, theta: Floats) -> Floats:
        """Give how unusual focal length, principal point and distortion are."""
        if self.frame.lens is not None:
            return np.zeros(0)
        std = np.array([FOCAL_STD, CENTRE_STD, CENTRE_STD, K1_STD])
        return np.asarray(theta[6:] / std[: len(theta) - 6])

    def model(self, theta: Floats) -> CameraModel:
        """Give the camera."""
        f, (rotation, translation, lens) = self.frame, self._parts(theta)
        if self.mirrored:  # the same picture as by a rotation in the mirrored world, whose determinant is -1
            rotation, translation = -rotation @ MIRROR, -translation
        return CameraModel.create(
            camera_id=f.camera_id,
            width=f.width,
            height=f.height,
            h_image_to_world=_inverted(self.h_world_to_image(theta)),
            lens=f.lens or lens,
            rotation=rotation,
            translation_m=translation,
        )

    def h_world_to_image(self, theta: Floats) -> Floats:
        """Give the homography (3, 3) without distortion."""
        rotation, translation, lens = self._parts(theta)
        return np.asarray(lens.matrix @ np.column_stack([self._floor(rotation), translation]))

    def _parts(self, theta: Floats) -> tuple[Floats, Floats, Lens]:
        f = self.frame
        rotation = np.asarray(cv2.Rodrigues(theta[:3])[0], dtype=np.float64)
        if f.lens is not None:
            return rotation, theta[3:6], replace(f.lens, distortion=np.zeros(5))
        distortion = np.zeros(5)
        distortion[: len(theta) - 9] = theta[9:]
        matrix = _matrix(f, float(np.exp(theta[6])) * f.width)
        matrix[:2, 2] += theta[7:9] * f.width
        return rotation, theta[3:6], Lens(matrix, distortion)

    def _floor(self, rotation: Floats) -> Floats:
        floor = rotation[:, :2]
        return floor * [1.0, -1.0] if self.mirrored else floor


@dataclass(frozen=True, slots=True)
class Solved:
    """Numbers that meet pairs best.

    Attributes:
        theta: (p,).
        error: (n, 2) pixels minus predictions, in px.
        white: (n, 2, 2) what makes them standard normal.
        slope: (n, 2, p) of the whitened predictions.
        covariance: (p, p) for errors of one standard deviation.
        cost: sum of squares, the prior's with them.
    """

    theta: Floats
    error: Floats
    white: Floats
    slope: Floats
    covariance: Floats
    cost: float


def solve(shape: Shape, start: Floats, pairs: PointPairs, whitening: Callable[[Floats], Floats]) -> Solved:
    """Fit a shape's numbers to pairs; ``whitening`` gives (n, 2, 2) for a homography floor to picture.

    Source: Levenberg-Marquardt (MINPACK through SciPy); covariance from the Gauss-Newton normal matrix.
    """
    theta = start
    for _ in range(2):  # the noise of the plan reaches the picture through the camera that is sought
        white = whitening(shape.h_world_to_image(theta))

        def residuals(t: Floats, white: Floats = white) -> Floats:
            with np.errstate(invalid="ignore", over="ignore"):
                off = (white @ (pairs.px - shape.predict(t, pairs.m))[..., None])[..., 0]
            every = np.concatenate([off.ravel(), shape.prior(t)])
            return np.asarray(np.clip(np.nan_to_num(every, nan=FAR, posinf=FAR, neginf=-FAR), -FAR, FAR))

        found = least_squares(residuals, theta, method="lm", x_scale="jac", max_nfev=MOST_TRIES)
        theta = np.asarray(found.x, dtype=np.float64)
    jac = np.asarray(found.jac, dtype=np.float64)
    n = 2 * len(pairs)
    return Solved(
        theta=theta,
        error=pairs.px - shape.predict(theta, pairs.m),
        white=white,
        slope=-jac[:n].reshape(len(pairs), 2, -1),
        covariance=np.asarray(np.linalg.pinv(jac.T @ jac, hermitian=True), dtype=np.float64),
        cost=float(2 * found.cost),
    )


def _matrix(frame: Frame, focal_px: float) -> Floats:
    return np.array([[focal_px, 0, frame.width / 2], [0, focal_px, frame.height / 2], [0, 0, 1.0]])


def _pose_of(h_world_to_image: Floats, matrix: Floats) -> Floats:
    """Give turn and translation (6,) of a camera of known matrix; the homography is positive where it looks.

    Source: Zhang, A Flexible New Technique for Camera Calibration (2000), section 3.1.
    """
    m = np.linalg.solve(matrix, h_world_to_image)
    m *= 2.0 / (np.linalg.norm(m[:, 0]) + np.linalg.norm(m[:, 1]))
    u, _, vt = np.linalg.svd(np.column_stack([m[:, 0], m[:, 1], np.cross(m[:, 0], m[:, 1])]))
    rotation = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return np.append(cv2.Rodrigues(rotation)[0].ravel(), m[:, 2])


def _inverted(h: Floats) -> Floats:
    try:
        return np.asarray(np.linalg.inv(h), dtype=np.float64)
    except np.linalg.LinAlgError as error:
        raise GeometryError("no homography fits these point pairs: it cannot be inverted") from error
