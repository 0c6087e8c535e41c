"""What others ask of environments: who may see them, and their cameras as geometry understands them."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet
from django.utils.http import quote_etag

from accounts.models import User
from environments.geometry import CameraModel, Floats, GeometryError, Lens, PairsFit
from environments.models import Calibration, Camera, CameraState, Environment, FloorPlan, Grant, PointPair
from environments.polygons import as_floats

TRUST_STEPS_M = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
TRUST_CELLS = 48  # along the longer side
# what browsers show as a picture and nothing else: an SVG, say, could carry a script
PLAN_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A stored picture as it is sent."""

    content: bytes
    content_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class PairError:
    """How well a calibration meets one of its point pairs; errors are None where it meets the sky."""

    u: float
    v: float
    x: float
    y: float
    error_m: float | None
    error_px: float | None


def environments_visible_to(*, user: User) -> QuerySet[Environment]:
    """Give the environments that a user may see: an Admin all, anybody else those granted."""
    if not user.is_active:
        return Environment.objects.none()
    if user.is_admin:
        return Environment.objects.all()
    granted = Grant.objects.filter(user=user, environment=OuterRef("pk"))
    return Environment.objects.filter(Exists(granted))


def granted_users(*, environment: Environment) -> set[int] | None:
    """Give the ids of those to whom an environment is granted; None where it does not exist any more."""
    found = set(Environment.objects.filter(pk=environment.pk).values_list("grants__user", flat=True))
    return found - {None} if found else None


def environments_with_camera_counts(*, environments: QuerySet[Environment]) -> QuerySet[Environment]:
    """Count along how many cameras are enabled, and how many of them are online."""
    enabled = Q(cameras__enabled=True)
    return environments.annotate(
        cameras_enabled=Count("cameras", filter=enabled),
        cameras_online=Count("cameras", filter=enabled & Q(cameras__state=CameraState.ONLINE)),
    )


@dataclass(frozen=True, slots=True)
class SetupState:
    """How far the set-up of a place is.

    Attributes:
        uncalibrated: the first enabled camera without a calibration, in the order of the grid; None for none.
    """

    has_plan: bool
    cameras: int
    calibrated: int
    uncalibrated: Camera | None
    zones: int
    online: int


def setup_state(*, environment: Environment) -> SetupState:
    """Say how far the set-up of a place is; of its cameras, the enabled ones count."""
    cameras = list(cameras_with_calibration(environment=environment).filter(enabled=True))
    bare = [camera for camera in cameras if not camera.active_calibrations]  # type: ignore[attr-defined]
    return SetupState(
        has_plan=FloorPlan.objects.filter(environment=environment).exists(),
        cameras=len(cameras),
        calibrated=len(cameras) - len(bare),
        uncalibrated=bare[0] if bare else None,
        zones=environment.zones.count(),
        online=sum(camera.state == CameraState.ONLINE for camera in cameras),
    )


def plan_picture(*, plan: FloorPlan) -> Picture | None:
    """Give a floor plan's picture; None where its file is gone."""
    try:
        with plan.image.open() as file:
            content: bytes = file.read()
    except FileNotFoundError:
        return None
    content_type = PLAN_TYPES.get(Path(str(plan.image.name)).suffix.lower(), "application/octet-stream")
    return Picture(content, content_type, quote_etag(sha256(content).hexdigest()[:32]))


def environment_get(*, slug: str, user: User) -> Environment:
    """Give an environment that the user may see, with its floor plan.

    Raises:
        Environment.DoesNotExist: there is none of that name, or it is not granted.
    """
    return environments_visible_to(user=user).select_related("floor_plan").get(slug=slug)


def cameras_with_calibration(*, environment: Environment) -> QuerySet[Camera]:
    """Give an environment's cameras in the order of the grid, their active calibrations fetched with them."""
    return environment.cameras.prefetch_related(active_calibrations())


def active_calibrations() -> Prefetch:
    """Fetch, with cameras, the calibrations in use as ``active_calibrations``."""
    return Prefetch("calibrations", Calibration.objects.filter(is_active=True), to_attr="active_calibrations")


def camera_models(*, environment: Environment) -> dict[str, CameraModel]:
    """Give the geometry of every enabled camera with a usable active calibration, by camera key."""
    models, _ = _models_and_problems(environment)
    return models


def calibration_problems(*, environment: Environment) -> dict[str, str]:
    """Say, by camera key, why enabled cameras cannot be tracked with: no calibration, or an unusable one."""
    _, problems = _models_and_problems(environment)
    return problems


def calibration_model(*, calibration: Calibration, camera: Camera) -> CameraModel:
    """Give what a stored calibration says of its camera.

    Raises:
        GeometryError: numbers that make no camera.
    """
    lens = None
    if calibration.camera_matrix is not None:
        lens = Lens.create(matrix=calibration.camera_matrix, distortion=calibration.distortion)
    return CameraModel.create(
        camera_id=camera.key,
        width=camera.width,
        height=camera.height,
        h_image_to_world=calibration.h_image_to_world,
        lens=lens,
        rotation=calibration.rotation,
        translation_m=calibration.translation_m,
    )


def _models_and_problems(environment: Environment) -> tuple[dict[str, CameraModel], dict[str, str]]:
    models: dict[str, CameraModel] = {}
    problems: dict[str, str] = {}
    for camera in cameras_with_calibration(environment=environment).filter(enabled=True):
        active: list[Calibration] = camera.active_calibrations  # type: ignore[attr-defined]
        if not active:
            problems[camera.key] = (
                f"{camera} is not calibrated: add a calibration to see its people on the map"
            )
            continue
        try:
            models[camera.key] = calibration_model(calibration=active[0], camera=camera)
        except GeometryError as error:
            problems[camera.key] = str(error)
    return models, problems


def calibration_errors(*, calibration: Calibration) -> list[PairError]:
    """Say how far each point pair of a calibration is from where the calibration puts it.

    Raises:
        GeometryError: numbers that make no camera.
    """
    pairs = calibration.point_pairs
    if not pairs:
        return []
    model = calibration_model(calibration=calibration, camera=calibration.camera)
    table = as_floats("point pairs", [[p["u"], p["v"], p["x"], p["y"]] for p in pairs], (len(pairs), 4))
    errors_m = np.linalg.norm(model.to_floor(table[:, :2]) - table[:, 2:], axis=1)
    errors_px = np.linalg.norm(model.to_picture(table[:, 2:]) - table[:, :2], axis=1)
    return [
        PairError(u, v, x, y, _finite(error_m), _finite(error_px))
        for (u, v, x, y), error_m, error_px in zip(
            table.tolist(), errors_m.tolist(), errors_px.tolist(), strict=True
        )
    ]


def fit_worth(*, fit: PairsFit, point_pairs: Sequence[PointPair], plan: FloorPlan | None) -> dict[str, Any]:
    """Say what a fit to point pairs is worth, in plain numbers."""
    lens, used = fit.model.lens, fit.inliers
    columns = (fit.errors_m, fit.errors_px, fit.left_out_m, fit.left_out_px)
    names = ("error_m", "error_px", "left_out_m", "left_out_px")
    errors = [
        dict(pair) | dict(zip(names, map(_finite, row), strict=True)) | {"is_outlier": not is_used}
        for pair, row, is_used in zip(
            point_pairs, np.column_stack(columns).tolist(), used.tolist(), strict=True
        )
    ]
    trust = trust_map(fit=fit, plan=plan)
    cells = ("x", "y", "major_m", "minor_m", "angle_rad")
    return {
        "kind": fit.kind,
        "h_world_to_image": fit.model.h_world_to_image.tolist(),
        "camera_matrix": None if lens is None else lens.matrix.tolist(),
        "distortion": None if lens is None else lens.distortion.tolist(),
        "errors": errors,
        "median_error_m": _median(fit.errors_m[used]),
        "median_error_px": _median(fit.errors_px[used]),
        "median_left_out_m": _median(fit.left_out_m[used]),
        "refused": {str(kind): reason for kind, reason in fit.refused.items()},
        "warnings": [
            {"code": w.code, "message": w.message, "pairs": list(w.pairs), "is_fatal": w.is_fatal}
            for w in fit.warnings
        ],
        "trust": {
            "step_m": trust.step_m,
            "cells": [dict(zip(cells, row, strict=True)) for row in trust.cells.round(4).tolist()],
        },
    }


def _median(values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


@dataclass(frozen=True, slots=True)
class Trust:
    """How exactly a camera would place somebody, in squares of the floor that it sees.

    Attributes:
        step_m: side of a square.
        cells: (n, 5): centre x and y (m), larger and smaller standard deviation (m), and the direction of the larger
            one (rad, counter-clockwise from x).
    """

    step_m: float
    cells: Floats


def trust_map(*, fit: PairsFit, plan: FloorPlan | None) -> Trust:
    """Say where on the floor plan a camera can be trusted; without a plan, in its field of view."""
    low, high = _bounds_m(fit.model, plan)
    extent_m = float(max(high - low)) if len(low) else 0.0
    step_m = next((step for step in TRUST_STEPS_M if extent_m / step <= TRUST_CELLS), extent_m / TRUST_CELLS)
    if not extent_m:
        return Trust(step_m, np.zeros((0, 5)))
    first, last = np.floor(low / step_m), np.ceil(high / step_m)
    xs, ys = (np.arange(a, b) * step_m + step_m / 2 for a, b in zip(first, last, strict=True))
    points = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    px = fit.model.to_picture(points)
    seen = ((px >= 0) & (px <= [fit.model.width, fit.model.height])).all(axis=1)  # NaN is not
    points = points[seen]
    covariance = fit.floor_covariance(points)
    known = np.isfinite(covariance).all(axis=(1, 2))
    variances, axes = np.linalg.eigh(covariance[known])  # ascending
    stds = np.sqrt(np.maximum(variances, 0.0))
    angles = np.arctan2(axes[:, 1, 1], axes[:, 0, 1])
    return Trust(step_m, np.column_stack([points[known], stds[:, 1], stds[:, 0], angles]))


def _bounds_m(model: CameraModel, plan: FloorPlan | None) -> tuple[Floats, Floats]:
    """Give the corners of the floor to look at; empty where there is none."""
    if plan is None:
        view = model.field_of_view()
        return (view.min(axis=0), view.max(axis=0)) if len(view) else (np.zeros(0), np.zeros(0))
    origin = np.array([-plan.origin_x_px, plan.origin_y_px - plan.height_px]) * plan.metres_per_px
    return origin, origin + np.array([plan.width_px, plan.height_px]) * plan.metres_per_px


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
