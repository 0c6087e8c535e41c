"""One camera from the people in it: horizon, height and tilt, from how large people are where."""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import least_squares

from environments.geometry.camera import CameraModel
from environments.geometry.people.sightings import Sightings
from environments.geometry.people.view import (
    FOCAL,
    HEIGHT_M,
    HEIGHT_STD_M,
    edges_of,
    model_of,
    std_px,
)
from environments.polygons import Floats, GeometryError

LEAST_BOXES = 60
MOST_BOXES = 1500
INDEPENDENT = 20
ALIKE = 0.2  # by how much people's sizes differ, most
ALONE_STD = 0.15  # of the focal length's logarithm: one camera alone hardly tells it
LEAST_SPREAD = 0.06  # of the lower edges of boxes over the picture's height, standard deviation
WORST_HEIGHT = 0.3  # uncertainty of the camera's height, of itself
SAMPLES = 300
SEED = 1


@dataclass(frozen=True)
class HorizonFit:
    """A camera over its own floor: it stands over the origin and looks along y.

    Attributes:
        theta: (9,) see view.
        model: the camera.
        height_m: over the floor, as people of the usual height say.
        height_std: of the height's logarithm.
        horizon_v: where the horizon crosses the middle column, px.
        boxes: how many were used.
        agreeing: share of the boxes that fit.
    """

    theta: Floats
    model: CameraModel
    height_m: float
    height_std: float
    horizon_v: float
    boxes: int
    agreeing: float


def fit_horizon(sightings: Sightings) -> HorizonFit:
    """Estimate pitch, roll, height and focal length of a camera from boxes of standing people.

    How high a box is grows linearly with how far its foot lies below the horizon; where people look down on is
    read from how that bends. The focal length is mostly a guess here; several cameras together tell it.

    Raises:
        GeometryError: too few whole boxes, all at one distance, or sizes that no level floor explains.
    Source: Hoiem, Efros, Hebert, Putting Objects in Perspective (2006), eq. 4; robust start by sampling.
    """
    whole = sightings.whole()
    if len(whole.tick) < LEAST_BOXES:
        raise GeometryError(
            f"{len(whole.tick)} whole standing people are too few to find the horizon: record at least {LEAST_BOXES}"
        )
    if whole.xyxy[:, 3].std() < LEAST_SPREAD * whole.height:
        raise GeometryError(
            "all people are about equally far away, so the horizon cannot be told: record people near and far"
        )
    rng = np.random.default_rng(SEED)
    if len(whole.tick) > MOST_BOXES:
        whole = whole.only(np.sort(rng.permutation(len(whole.tick))[:MOST_BOXES]))
    plane = _plane(whole, rng)
    u, bottom, top = whole.edges.T
    usual = np.column_stack([u, bottom, np.ones(len(u))]) @ plane
    alike = np.abs(bottom - top - usual) < ALIKE * usual
    return _refined(whole.only(alike), _start(whole, plane), float(alike.mean()))


def _plane(whole: Sightings, rng: np.random.Generator) -> Floats:
    """Fit box height = a u + b v + c robustly, (3,)."""
    u, bottom, top = whole.edges.T
    size = bottom - top
    a = np.column_stack([u, bottom, np.ones(len(u))])
    best, best_cost = np.zeros(3), np.inf
    for _ in range(SAMPLES):
        pick = rng.choice(len(u), 3, replace=False)
        if abs(np.linalg.det(a[pick])) < 1.0:
            continue
        plane = np.linalg.solve(a[pick], size[pick])
        if plane[1] <= 0.05:
            continue
        cost = np.minimum(np.abs(a @ plane - size) / (0.1 * size), 1.0).sum()
        if cost < best_cost:
            best, best_cost = plane, float(cost)
    if not np.isfinite(best_cost) or best_cost > 0.75 * len(u):
        raise GeometryError(
            "people do not grow towards the camera as they do on a level floor: check that it shows one, and people"
        )
    return best


def _start(whole: Sightings, plane: Floats) -> Floats:
    """Give (4,): pitch, roll, log height, log focal length."""
    a, b, c = plane
    focal = FOCAL * whole.width
    horizon = -(a * whole.width / 2 + c) / b
    pitch = np.arctan((whole.height / 2 - horizon) / focal)
    return np.array([pitch, np.arctan(a / b), np.log(HEIGHT_M / max(b, 0.1)), np.log(FOCAL)])


def theta_of(numbers: Floats) -> Floats:
    """Give the camera (9,) over the origin that looks along y: pitch down, roll, log height, log focal length."""
    pitch, roll, log_height, log_focal = numbers[:4]
    forward = np.array([0.0, np.cos(pitch), -np.sin(pitch)])
    right = np.array([1.0, 0.0, 0.0])
    level = np.stack([right, np.cross(forward, right), forward])
    c, s = np.cos(roll), np.sin(roll)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]) @ level
    translation = -rotation @ np.array([0.0, 0.0, np.exp(log_height)])
    return np.concatenate([cv2.Rodrigues(rotation)[0].ravel(), translation, [log_focal], np.zeros(2)])


def _refined(whole: Sightings, start: Floats, agreeing: float) -> HorizonFit:
    edges = whole.edges
    n = len(edges)
    spread = std_px(whole.xyxy)
    size = edges[:, 1] - edges[:, 2]
    # the same people are seen again and again, so many boxes tell no more than INDEPENDENT of them would
    sigma = np.hypot(1.5 * spread, HEIGHT_STD_M / HEIGHT_M * size)
    rare = np.sqrt(max(1.0, n / INDEPENDENT))
    wide, high = np.full(n, float(whole.width)), np.full(n, float(whole.height))

    def off(numbers: Floats) -> Floats:
        theta = theta_of(numbers)
        model = model_of(theta, camera_id=whole.camera_id, width=whole.width, height=whole.height)
        floor = model.to_floor(edges[:, :2])
        person = np.column_stack([floor, np.full(n, HEIGHT_M)])
        head = edges_of(np.tile(theta, (n, 1)), wide, high, person)[:, 2]
        return np.nan_to_num((head - edges[:, 2]) / sigma, nan=10.0)

    def residuals(numbers: Floats) -> Floats:
        prior = [(numbers[3] - np.log(FOCAL)) / ALONE_STD, numbers[1] / 0.1]
        return np.append(off(numbers) / rare, prior)

    found = least_squares(residuals, start, loss="cauchy", x_scale=[0.1, 0.1, 0.1, 0.1], max_nfev=200)
    jac = np.asarray(found.jac, dtype=np.float64)
    covariance = np.linalg.pinv(jac.T @ jac)
    height_std = float(np.sqrt(covariance[2, 2]))
    if height_std > WORST_HEIGHT or agreeing < 0.5:
        raise GeometryError(
            "people's sizes do not fit a camera over a level floor: check that it shows standing people on one floor"
        )
    theta = theta_of(found.x)
    model = model_of(theta, camera_id=whole.camera_id, width=whole.width, height=whole.height)
    focal = np.exp(found.x[3]) * whole.width
    return HorizonFit(
        theta=theta,
        model=model,
        height_m=float(np.exp(found.x[2])),
        height_std=height_std,
        horizon_v=float(whole.height / 2 - focal * np.tan(found.x[0])),
        boxes=n,
        agreeing=agreeing,
    )
