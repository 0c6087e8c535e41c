"""Makes an environment from a recorded scene or from the simulated site."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import transaction

from environments import services as places
from environments.geometry import CameraModel, Floats, GeometryError
from environments.models import Calibration, Camera, Environment, ZoneKind
from environments.pictures import picture_clean
from gpuworker.plan_drawing import PlanPicture, draw_plan
from gpuworker.scenes import Scene, SceneCamera, SceneError
from gpuworker.sources.sim.scene import plaza
from tracking.services import SessionOpen, session_start


@dataclass
class SetUp:
    """What was made, for people to read.

    Attributes:
        done: sentences.
        slug: of the environment.
    """

    slug: str
    done: list[str] = field(default_factory=list)


@transaction.atomic
def scene_import(*, scene: Scene, slug: str, loop: bool = False) -> SetUp:
    """Make an environment from a scene, or bring the one of this slug up to date; its pictures are the sources.

    With ``loop`` the recording begins again when it is over.

    Raises:
        SceneError: the scene has no pictures, or names that cannot be keys.
    """
    if not any(camera.has_pictures for camera in scene.cameras):
        raise SceneError(
            f"scene {scene.name} has detections only, which no camera can show: "
            "'manage.py evaluate' is the command that reads them"
        )
    found = SetUp(slug)
    try:
        environment = _environment(slug, scene.name, found)
        for seen in scene.cameras:
            _scene_camera(environment, scene, seen, loop, found)
        known = {camera.model.camera_id for camera in scene.cameras}
        for key in environment.cameras.exclude(key__in=known).values_list("key", flat=True):
            found.done.append(f"camera {key} left as it is: the scene does not name it")
        plan = draw_plan(bounds_m=scene.bounds_m, cameras=[camera.model for camera in scene.cameras])
        _plan(environment, plan, found)
    except ValidationError as error:
        raise SceneError(f"scene {scene.name!r}: {' '.join(error.messages)}") from error
    _session(environment, found)
    return found


@transaction.atomic
def plaza_ensure() -> SetUp:
    """Make the environment of the simulated plaza; where it is there, add only what is missing."""
    site = plaza()
    found = SetUp(site.name)
    environment = _environment(site.name, site.name.capitalize(), found)
    there = set(environment.cameras.values_list("key", flat=True))
    for model in site.cameras:
        if model.camera_id not in there:
            url = f"sim://{site.name}/{model.camera_id}"
            camera = _camera(environment, model, url, site.fps, found)
            _calibrate(camera, model)
    if not environment.zones.exists():
        for zone in site.zones:
            places.zone_set(
                environment=environment,
                key=zone.zone_id,
                name=zone.zone_id.replace("-", " ").capitalize(),
                kind=ZoneKind(zone.kind),
                points_m=zone.points_m,
            )
        found.done.append(f"{len(site.zones)} zones drawn")
    if not hasattr(environment, "floor_plan"):
        _plan(environment, PlanPicture(site.plan_png, site.metres_per_px, site.plan_origin_px), found)
    _session(environment, found)
    return found


def _environment(slug: str, name: str, found: SetUp) -> Environment:
    environment = Environment.objects.select_related("floor_plan").filter(slug=slug).first()
    found.done.append(f"environment {slug} {'is there already' if environment else 'made'}")
    return environment or places.environment_create(slug=slug, name=name)


def _scene_camera(
    environment: Environment, scene: Scene, seen: SceneCamera, loop: bool, found: SetUp
) -> None:
    if not seen.has_pictures:
        found.done.append(f"camera {seen.model.camera_id} left out: the scene has no pictures of it")
        return
    try:
        camera = _camera(environment, seen.model, _source_url(scene, seen, loop), scene.fps, found)
    except ValidationError as error:
        raise SceneError(f"camera {seen.model.camera_id!r}: {' '.join(error.messages)}") from error
    if _calibrate(camera, seen.model):
        found.done.append(f"camera {camera.key} calibrated")
    if seen.offset_s:
        found.done.append(f"camera {camera.key}: its clock's offset of {seen.offset_s:g} s is not applied")


def _camera(environment: Environment, model: CameraModel, url: str, fps: float, found: SetUp) -> Camera:
    before = environment.cameras.filter(key=model.camera_id).values_list("source_url", flat=True).first()
    camera = places.camera_set(
        environment=environment,
        key=model.camera_id,
        source_url=url,
        width=model.width,
        height=model.height,
        fps=fps,
    )
    if before != url:
        found.done.append(f"camera {camera.key} {'added' if before is None else 'changed'}: {url}")
    return camera


def _source_url(scene: Scene, seen: SceneCamera, loop: bool) -> str:
    # all cameras loop after the same time, so that they stay together
    options = [f"loop={scene.frames / scene.fps:.12g}"] if loop else []
    if seen.video is not None and seen.video.is_file():
        return _address("file", seen.video, options)
    if seen.images is not None and seen.images.is_dir():
        return _address("images", seen.images, [f"fps={scene.fps:g}", *options])
    raise SceneError(
        f"camera {seen.model.camera_id!r}: expected a video file or a folder of images, "
        f"got {seen.video or seen.images}"
    )


def _address(scheme: str, path: Path, options: list[str]) -> str:
    return f"{scheme}://{quote(str(path.resolve()))}" + (f"?{'&'.join(options)}" if options else "")


def _calibrate(camera: Camera, model: CameraModel) -> bool:
    """Calibrate a camera unless it is so already; True for a new version."""
    lens = model.lens
    values: dict[str, Any] = {
        "h_image_to_world": model.h_image_to_world,
        "camera_matrix": None if lens is None else lens.matrix,
        "distortion": None if lens is None else lens.distortion,
        "rotation": model.rotation,
        "translation_m": model.translation_m,
    }
    active = Calibration.objects.filter(camera=camera, is_active=True).first()
    if active and all(_same(getattr(active, name), value) for name, value in values.items()):
        return False
    try:
        places.calibration_set(camera=camera, **values)
    except GeometryError as error:
        raise SceneError(str(error)) from error
    return True


def _same(stored: Any, value: Floats | None) -> bool:
    if stored is None or value is None:
        return stored is value
    return np.shape(stored) == value.shape and np.allclose(stored, value, rtol=1e-9, atol=1e-12)


def _plan(environment: Environment, plan: PlanPicture, found: SetUp) -> None:
    stored = getattr(environment, "floor_plan", None)
    png = picture_clean(BytesIO(plan.png)).content  # as it is stored
    if stored is not None and stored.image.storage.exists(stored.image.name):
        with stored.image.open() as file:
            if file.read() == png:
                return
    places.floor_plan_set(
        environment=environment,
        image=ContentFile(plan.png, name=f"{environment.slug}.png"),
        metres_per_px=plan.metres_per_px,
        origin_x_px=plan.origin_px[0],
        origin_y_px=plan.origin_px[1],
    )
    found.done.append("floor plan drawn")


def _session(environment: Environment, found: SetUp) -> None:
    try:
        session_start(environment=environment)
    except SessionOpen:
        return
    found.done.append("tracking session opened")
