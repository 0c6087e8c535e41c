"""What others ask of environments: who may see them, and their cameras as geometry understands them."""

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from accounts.models import User
from environments.geometry import CameraModel, GeometryError, Lens
from environments.models import Calibration, Camera, Environment, Grant


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
