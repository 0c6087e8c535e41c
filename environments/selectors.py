"""What others ask of environments: who may see them, and their cameras as geometry understands them."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from accounts.models import User
from environments.geometry import CameraModel, GeometryError, Lens
from environments.models import Calibration, Camera, Environment, Grant
from environments.polygons import as_floats


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


def environment_get(*, slug: str, user: User) -> Environment:
    """Give an environment that the user may see, with its floor plan.

    Raises:
        Environment.DoesNotExist: there is none of that name, or it is not granted.
    """
    return environments_visible_to(user=user).select_related("floor_plan").get(slug=slug)


def cameras_with_calibration(*, environment: Environment) -> QuerySet[Camera]:
    """Give an environment's cameras in the order of the grid, their active calibrations fetched with them."""
    active = Prefetch(
        "calibrations", Calibration.objects.filter(is_active=True), to_attr="active_calibrations"
    )
    return environment.cameras.prefetch_related(active)


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


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
