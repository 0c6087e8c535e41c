"""What changes environments: places, cameras, calibrations, zones and floor plans."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import numpy as np
from django.apps import apps
from django.core.files import File
from django.core.files.base import ContentFile
from django.db import transaction
from numpy.typing import ArrayLike

from accounts.models import User
from environments.fields import EncryptedBinaryField, EncryptedTextField
from environments.geometry import CameraModel, FitKind, GeometryError, Lens, PairsFit, fit_pairs
from environments.models import (
    Calibration,
    Camera,
    CameraState,
    Environment,
    FloorPlan,
    Grant,
    PointPair,
    Zone,
    ZoneKind,
)
from environments.pictures import CleanPicture, picture_clean, picture_turned
from environments.polygons import as_floats, check_line, check_polygon
from environments.secrets import mask_credentials
from environments.selectors import calibration_model

Row = TypeVar("Row", Environment, Camera, Zone)


def environment_create(
    *, slug: str, name: str, time_zone: str = "UTC", retention_days: int = 30
) -> Environment:
    """Make a place to watch.

    Raises:
        ValidationError: by field: the short name is taken or malformed, the time zone is unknown, ...
    """
    environment = Environment(slug=slug, name=name, time_zone=time_zone, retention_days=retention_days)
    environment.full_clean()
    environment.save()
    return environment


def environment_update(*, environment: Environment, **changes: Any) -> Environment:
    """Change what is given of a place.

    Raises:
        ValidationError: as for environment_create.
    """
    return _changed(environment, changes)


def grant_add(*, environment: Environment, user: User) -> Grant:
    """Let a user see an environment; once is enough."""
    grant, _ = Grant.objects.get_or_create(environment=environment, user=user)
    return grant


def camera_add(
    *,
    environment: Environment,
    key: str,
    source_url: str,
    width: int,
    height: int,
    name: str = "",
    fps: float = 10.0,
    enabled: bool = True,
    position: int | None = None,
) -> Camera:
    """Add a camera, behind those that are there unless told where; a picture is ``width`` x ``height`` px.

    Raises:
        ValidationError: by field: the key is taken, the source's scheme is unknown, a size is too small, ...
    """
    camera = Camera(
        environment=environment,
        key=key,
        name=name,
        source_url=source_url,
        width=width,
        height=height,
        fps=fps,
        enabled=enabled,
        position=environment.cameras.count() if position is None else position,
    )
    camera.full_clean()
    camera.save()
    return camera


def camera_set(
    *, environment: Environment, key: str, source_url: str, width: int, height: int, fps: float
) -> Camera:
    """Add a camera, or point the one of this key to another source.

    Raises:
        ValidationError: as for camera_add.
    """
    camera = environment.cameras.filter(key=key).first()
    if camera is None:
        return camera_add(
            environment=environment, key=key, source_url=source_url, width=width, height=height, fps=fps
        )
    camera.source_url, camera.width, camera.height, camera.fps = source_url, width, height, fps
    camera.full_clean()
    camera.save(update_fields=["source_url", "width", "height", "fps"])
    return camera


def camera_update(*, camera: Camera, **changes: Any) -> Camera:
    """Change what is given of a camera; how it is doing is the worker's to say.

    Raises:
        ValidationError: as for camera_add.
    """
    return _changed(camera, changes)


def camera_state_set(*, camera: Camera, state: CameraState, message: str, now: datetime) -> bool:
    """Say how a camera is doing; True when that is news.

    The instant is when the state began, so a new message alone leaves it. Writes these columns only:
    somebody may be editing the camera meanwhile.
    """
    message = mask_credentials(message)[:300]
    same = Camera.objects.filter(pk=camera.pk, state=state)
    if same.filter(state_message=message).exists():
        return False
    if not same.update(state_message=message):
        Camera.objects.filter(pk=camera.pk).update(state=state, state_message=message, state_at=now)
    return True


def pairs_fit(
    *, camera: Camera, point_pairs: Sequence[PointPair], lens: Lens | None = None, kind: FitKind | None = None
) -> PairsFit:
    """Fit a camera to what was measured in its picture, see fit_pairs; nothing is stored.

    Raises:
        GeometryError: too few pairs, pairs on one line, beside the picture or contradicting each other.
    """
    count = len(point_pairs)
    table = as_floats(
        "point pairs", [[p["u"], p["v"], p["x"], p["y"]] for p in point_pairs] or np.zeros((0, 4)), (count, 4)
    )
    points_px, points_m = table[:, :2].copy(), table[:, 2:]
    outside = ((points_px < 0) | (points_px > [camera.width, camera.height])).any(axis=1)
    if outside.any():
        raise GeometryError(
            f"point pair {outside.argmax() + 1} lies beside the picture of {camera.width}x{camera.height} px"
        )
    return fit_pairs(
        points_px,
        points_m,
        width=camera.width,
        height=camera.height,
        camera_id=camera.key,
        lens=lens,
        kind=kind,
    )


def calibration_try(
    *,
    camera: Camera,
    point_pairs: Sequence[PointPair],
    lens: Lens | None = None,
    kind: FitKind | None = None,
    allow_mirrored: bool = False,
) -> PairsFit:
    """Fit a camera as pairs_fit does, and refuse what nobody should save; nothing is stored.

    Raises:
        GeometryError: as pairs_fit, and for a pair twice, one above the horizon, pairs that contradict each
            other, a mirrored plan unless that is allowed or the place's other cameras have one.
    """
    fit = pairs_fit(camera=camera, point_pairs=point_pairs, lens=lens, kind=kind)
    for warning in fit.warnings:
        if warning.code == "mirrored" and (allow_mirrored or _is_mirrored(camera)):
            continue
        if warning.is_fatal:
            raise GeometryError(warning.message)
    return fit


def calibration_fit(
    *,
    camera: Camera,
    point_pairs: Sequence[PointPair],
    camera_matrix: ArrayLike | None = None,
    distortion: ArrayLike | None = None,
    kind: FitKind | None = None,
    allow_mirrored: bool = False,
    created_by: User | None = None,
) -> Calibration:
    """Calibrate a camera from point pairs: the new version is in use, the old ones are kept.

    Raises:
        GeometryError: pairs that nobody should save, see calibration_try, or a lens that is none.
    """
    lens = None if camera_matrix is None else Lens.create(matrix=camera_matrix, distortion=distortion)
    fit = calibration_try(
        camera=camera, point_pairs=point_pairs, lens=lens, kind=kind, allow_mirrored=allow_mirrored
    )
    model = fit.model
    return calibration_set(
        camera=camera,
        h_image_to_world=model.h_image_to_world,
        camera_matrix=None if model.lens is None else model.lens.matrix,
        distortion=None if model.lens is None else model.lens.distortion,
        rotation=model.rotation,
        translation_m=model.translation_m,
        point_pairs=point_pairs,
        created_by=created_by,
    )


def _is_mirrored(camera: Camera) -> bool:
    """Say whether another camera of the place has a calibration to a mirrored plan: then all should."""
    others = Calibration.objects.filter(camera__environment=camera.environment_id, is_active=True)
    for calibration in others.exclude(camera=camera).select_related("camera"):
        with suppress(GeometryError):
            return calibration_model(calibration=calibration, camera=calibration.camera).is_mirrored
    return False


def calibration_set(
    *,
    camera: Camera,
    h_image_to_world: ArrayLike,
    camera_matrix: ArrayLike | None = None,
    distortion: ArrayLike | None = None,
    rotation: ArrayLike | None = None,
    translation_m: ArrayLike | None = None,
    point_pairs: Sequence[PointPair] = (),
    created_by: User | None = None,
) -> Calibration:
    """Calibrate a camera from numbers: the new version is in use, the old ones are kept.

    Raises:
        GeometryError: numbers that make no camera.
    """
    lens = None if camera_matrix is None else Lens.create(matrix=camera_matrix, distortion=distortion)
    model = CameraModel.create(
        camera_id=camera.key,
        width=camera.width,
        height=camera.height,
        h_image_to_world=h_image_to_world,
        lens=lens,
        rotation=rotation,
        translation_m=translation_m,
    )
    calibration = Calibration(
        camera=camera,
        point_pairs=[dict(pair) for pair in point_pairs],
        h_image_to_world=model.h_image_to_world.tolist(),
        camera_matrix=None if lens is None else lens.matrix.tolist(),
        distortion=None if lens is None else lens.distortion.tolist(),
        rotation=None if model.rotation is None else model.rotation.tolist(),
        translation_m=None if model.translation_m is None else model.translation_m.tolist(),
        created_by=created_by,
    )
    with transaction.atomic():
        # the camera's row is the lock: two at once would both find nothing to retire
        Camera.objects.select_for_update().get(pk=camera.pk)
        camera.calibrations.filter(is_active=True).update(is_active=False)
        calibration.save()
    return calibration


def calibration_activate(*, calibration: Calibration) -> None:
    """Use an earlier version again."""
    with transaction.atomic():
        Camera.objects.select_for_update().get(pk=calibration.camera_id)
        Calibration.objects.filter(camera=calibration.camera_id, is_active=True).update(is_active=False)
        Calibration.objects.filter(pk=calibration.pk).update(is_active=True)
    calibration.refresh_from_db()


def zone_set(
    *,
    environment: Environment,
    key: str,
    name: str,
    points_m: ArrayLike,
    kind: ZoneKind = ZoneKind.POLYGON,
    capacity: int | None = None,
) -> Zone:
    """Draw a zone, or draw the one of this key anew.

    Raises:
        GeometryError: points that make no area or no line.
        ValidationError: by field: the key is malformed, a line with a capacity, ...
    """
    zone = Zone.objects.filter(environment=environment, key=key).first()
    zone = zone or Zone(environment=environment, key=key)
    return zone_update(zone=zone, name=name, kind=kind, points_m=points_m, capacity=capacity)


def zone_update(*, zone: Zone, **changes: Any) -> Zone:
    """Change what is given of a zone.

    Raises:
        GeometryError: points that make no area or no line.
        ValidationError: as for zone_set.
    """
    kind = changes.get("kind", zone.kind)
    check = check_polygon if kind == ZoneKind.POLYGON else check_line
    points = check(changes.get("points_m", zone.points_m))
    return _changed(zone, changes | {"points_m": points.tolist()})


def floor_plan_set(
    *,
    environment: Environment,
    image: File,
    metres_per_px: float,
    origin_x_px: float = 0.0,
    origin_y_px: float = 0.0,
    turn_deg: float = 0.0,
) -> FloorPlan:
    """Put a picture under the map, in place of the one that is there; it is written anew, see pictures.py.

    Given in pixels of the picture as it is, the origin moves along when it is turned, counter-clockwise.

    Raises:
        PictureRefused: the file is no picture, or too large.
        ValidationError: by field: the scale is not positive, ...
    """
    picture = picture_clean(cast(IO[bytes], image))
    plan = FloorPlan.objects.filter(environment=environment).first() or FloorPlan(environment=environment)
    return _plan_stored(plan, picture, metres_per_px, (origin_x_px, origin_y_px), turn_deg)


def floor_plan_place(
    *,
    plan: FloorPlan,
    metres_per_px: float,
    origin_x_px: float,
    origin_y_px: float,
    turn_deg: float = 0.0,
) -> FloorPlan:
    """Put a floor plan to another scale and origin, and turn its picture.

    Raises:
        PictureRefused: turned, it would be too large.
        ValidationError: by field: the scale is not positive, ...
    """
    origin = (origin_x_px, origin_y_px)
    if turn_deg:
        with plan.image.open() as file:
            picture = CleanPicture(file.read(), Path(str(plan.image.name)).suffix)
        return _plan_stored(plan, picture, metres_per_px, origin, turn_deg)
    plan.metres_per_px = metres_per_px
    plan.origin_x_px, plan.origin_y_px = origin
    plan.full_clean(exclude=["image"])
    plan.save(update_fields=["metres_per_px", "origin_x_px", "origin_y_px"])
    return plan


def _plan_stored(
    plan: FloorPlan,
    picture: CleanPicture,
    metres_per_px: float,
    origin_px: tuple[float, float],
    turn_deg: float,
) -> FloorPlan:
    """Store a floor plan with a new picture; the old one is deleted once that is sure."""
    if turn_deg:
        picture, origin_px = picture_turned(picture.content, turn_deg=turn_deg, point=origin_px)
    replaced = plan.image.name if plan.pk else None
    plan.image = ContentFile(picture.content, name=f"{plan.environment.slug}{picture.suffix}")
    plan.metres_per_px = metres_per_px
    plan.origin_x_px, plan.origin_y_px = origin_px
    plan.full_clean(exclude=["image"])
    plan.save()
    if replaced:
        transaction.on_commit(lambda: plan.image.storage.delete(replaced))
    return plan


def secrets_reseal() -> int:
    """Encrypt every encrypted column of every row anew, under the first key; give the number of values.

    Raises:
        Undecryptable: a key that something is sealed under is not in the ring.
    """
    count = 0
    for model in apps.get_models():
        names = [
            field.name
            for field in model._meta.fields
            if isinstance(field, EncryptedTextField | EncryptedBinaryField)
        ]
        keys = list(model._base_manager.values_list("pk", flat=True)) if names else []
        for key in keys:
            with transaction.atomic():  # row by row: somebody may be editing one
                row = model._base_manager.select_for_update().filter(pk=key).first()
                if row is not None:
                    row.save(update_fields=names)
                    count += len(names)
    return count


def _changed(row: Row, changes: dict[str, Any]) -> Row:
    """Set columns of a row, check it, and write these columns only: somebody may change others meanwhile."""
    for name, value in changes.items():
        setattr(row, name, value)
    row.full_clean()
    row.save(update_fields=None if row._state.adding else list(changes))
    return row
