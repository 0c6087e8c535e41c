"""What changes what is known of calibrations: imports, proposals, health."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import numpy as np
from django.db import transaction
from numpy.typing import ArrayLike

from accounts.models import User
from environments.calibrating.files import (
    CalibrationFileError,
    FileCalibration,
    model_of,
    read_calibrations,
    scaled_to,
)
from environments.calibrating.models import (
    CameraMove,
    Disagreement,
    Proposal,
    ProposalRun,
    ProposalSource,
    RunState,
)
from environments.geometry import CameraModel, GeometryError
from environments.geometry.people.bundle import Anchor
from environments.geometry.people.propose import propose
from environments.geometry.people.sightings import Sightings
from environments.models import Calibration, Camera, Environment, PointPair
from environments.services import calibration_fit, calibration_set


class ProposalRefusedError(ValueError):
    """A proposal that cannot be applied; the message says why."""


def calibration_import(
    *, camera: Camera, content: bytes, name: str, unit: str = "m", created_by: User | None = None
) -> Calibration:
    """Calibrate a camera from another tool's file, see files.py: the new version is in use.

    A file of a lens alone is joined to the point pairs that the camera has.

    Raises:
        CalibrationFileError: the file cannot be read, or is about other cameras or another picture size.
        GeometryError: numbers or pairs that make no camera.
    """
    found = scaled_to(
        _of_camera(read_calibrations(content, name, unit=unit), camera, name),
        width=camera.width,
        height=camera.height,
    )
    if len(found.pairs):
        pairs = [PointPair(u=u, v=v, x=x, y=y) for u, v, x, y in found.pairs.tolist()]
        return calibration_fit(camera=camera, point_pairs=pairs, created_by=created_by)
    model = model_of(found, camera_id=camera.key, width=camera.width, height=camera.height)
    if model is None:
        return _join_lens(camera, found, name, created_by)
    return _set(camera, model, created_by)


def calibrations_import(
    *, environment: Environment, content: bytes, name: str, unit: str = "m", created_by: User | None = None
) -> list[Calibration]:
    """Calibrate all cameras of a place that a file names; all or none.

    Raises:
        CalibrationFileError: as calibration_import, or it names no camera of the place.
        GeometryError: as calibration_import.
    """
    named = {found.camera_id for found in read_calibrations(content, name, unit=unit)}
    cameras = [camera for camera in environment.cameras.all() if camera.key in named]
    if not cameras:
        raise CalibrationFileError(
            f"{name} names none of the cameras of {environment}: name the one that it is for"
        )
    with transaction.atomic():
        return [
            calibration_import(camera=c, content=content, name=name, unit=unit, created_by=created_by)
            for c in cameras
        ]


def _of_camera(found: Sequence[FileCalibration], camera: Camera, name: str) -> FileCalibration:
    if len(found) == 1:
        return found[0]
    for one in found:
        if one.camera_id == camera.key:
            return one
    raise CalibrationFileError(
        f"{name} holds {', '.join(one.camera_id or '?' for one in found)}, and not {camera.key}"
    )


def _join_lens(camera: Camera, found: FileCalibration, name: str, created_by: User | None) -> Calibration:
    active = camera.calibrations.filter(is_active=True).first()
    if active is None or not active.point_pairs or found.lens is None:
        raise CalibrationFileError(
            f"{name} holds a lens but no pose (R and T, or rvec and tvec): mark point pairs first, or give the pose"
        )
    return calibration_fit(
        camera=camera,
        point_pairs=active.point_pairs,
        camera_matrix=found.lens.matrix,
        distortion=found.lens.distortion,
        created_by=created_by,
    )


def _set(camera: Camera, model: CameraModel, created_by: User | None) -> Calibration:
    lens = model.lens
    return calibration_set(
        camera=camera,
        h_image_to_world=model.h_image_to_world,
        camera_matrix=None if lens is None else lens.matrix,
        distortion=None if lens is None else lens.distortion,
        rotation=model.rotation,
        translation_m=model.translation_m,
        created_by=created_by,
    )


def proposal_run_start(
    *,
    environment: Environment,
    since: datetime,
    until: datetime,
    anchors: Sequence[dict[str, object]] = (),
    created_by: User | None = None,
) -> ProposalRun:
    """Ask for calibrations from people; the task that is sent then does the work.

    Raises:
        GeometryError: an anchor that is none.
        ValidationError: by field: an end before the beginning.
    """
    for anchor in anchors:
        anchor_of(anchor)
    run = ProposalRun(
        environment=environment, since=since, until=until, anchors=list(anchors), created_by=created_by
    )
    run.full_clean()
    run.save()
    return run


def anchor_of(raw: object) -> Anchor:
    """Read an anchor: {"x", "y", "marks": {camera: [u, v]}}.

    Raises:
        GeometryError: it is none.
    """
    try:
        if not isinstance(raw, dict):
            raise TypeError
        place = (float(raw["x"]), float(raw["y"]))
        marks = {str(key): (float(u), float(v)) for key, (u, v) in raw["marks"].items()}
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise GeometryError(
            'an anchor is {"x": m, "y": m, "marks": {camera key: [u, v]}}: a place of the plan, and where it is seen'
        ) from error
    if not np.isfinite([*place, *(n for mark in marks.values() for n in mark)]).all():
        raise GeometryError("an anchor has values that are not numbers")
    return Anchor(place, marks)


def proposal_run_carry_out(*, run: ProposalRun, sightings: Sequence[Sightings]) -> list[Proposal]:
    """Make a run's proposals from its detections; again replaces them."""
    tell = _teller(run)
    run.state = RunState.RUNNING
    run.save(update_fields=["state"])
    cameras = {camera.key: camera for camera in run.environment.cameras.all()}
    found = propose(sightings, [anchor_of(raw) for raw in run.anchors], progress=tell)
    with transaction.atomic():
        run.proposals.all().delete()
        made = [
            Proposal.objects.create(
                camera=cameras[p.camera_id],
                run=run,
                source=ProposalSource.PEOPLE,
                error_m=p.error_m if np.isfinite(p.error_m) else None,
                people=p.shared,
                reason=p.reason,
                **_columns(p.model),
            )
            for p in found
        ]
        run.state, run.progress = RunState.DONE, 1.0
        accepted = sum(not p.reason for p in found)
        run.message = f"{accepted} of {len(found)} cameras can be calibrated from people"
        run.save(update_fields=["state", "progress", "message"])
    return made


def proposal_run_fail(*, run: ProposalRun, message: str) -> None:
    """Say why a run came to nothing."""
    run.state, run.message = RunState.FAILED, message[:500]
    run.save(update_fields=["state", "message"])


def refit_propose(
    *, camera_id: int, model: CameraModel | None, error_m: float, before_m: float, sights: int, reason: str
) -> Proposal:
    """Keep what a moved camera's calibration should be, in place of earlier ones that nobody used."""
    with transaction.atomic():
        Proposal.objects.filter(camera=camera_id, source=ProposalSource.REFIT, applied__isnull=True).delete()
        return Proposal.objects.create(
            camera_id=camera_id,
            source=ProposalSource.REFIT,
            error_m=error_m if np.isfinite(error_m) else None,
            before_m=before_m if np.isfinite(before_m) else None,
            people=sights,
            reason=reason,
            **_columns(model),
        )


def proposal_apply(*, proposal: Proposal, created_by: User | None = None) -> Calibration:
    """Calibrate a camera as proposed: a new version in use, the old ones are kept.

    Raises:
        ProposalRefusedError: it was refused, or applied already.
        GeometryError: numbers that make no camera any more.
    """
    with transaction.atomic():
        proposal = Proposal.objects.select_for_update().select_related("camera").get(pk=proposal.pk)
        if proposal.reason:
            raise ProposalRefusedError(f"this proposal was refused: {proposal.reason}")
        if proposal.applied_id is not None:
            raise ProposalRefusedError("this proposal is in use already, or was")
        made = calibration_set(
            camera=proposal.camera,
            h_image_to_world=cast(ArrayLike, proposal.h_image_to_world),  # there, where there is no reason
            camera_matrix=proposal.camera_matrix,
            distortion=proposal.distortion,
            rotation=proposal.rotation,
            translation_m=proposal.translation_m,
            created_by=created_by,
        )
        proposal.applied = made
        proposal.save(update_fields=["applied"])
    return made


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far a camera's places lie from others' over some minutes, see Disagreement."""

    camera: int
    other: int | None
    cell: tuple[int, int] | None
    sights: int
    median_m: float
    off_m: tuple[float, float]


def agreements_add(*, at: datetime, rows: Iterable[Agreement]) -> int:
    """Keep how cameras agreed in the minutes from an instant; give the number of rows."""
    made = Disagreement.objects.bulk_create(
        Disagreement(
            camera_id=row.camera,
            other_id=row.other,
            cell_x=row.cell[0] if row.cell else None,
            cell_y=row.cell[1] if row.cell else None,
            at=at,
            sights=row.sights,
            median_m=row.median_m,
            off_x_m=row.off_m[0],
            off_y_m=row.off_m[1],
        )
        for row in rows
    )
    return len(made)


def move_add(
    *,
    camera_id: int,
    at: datetime,
    moved_px: float,
    moved_m: float | None,
    before: tuple[datetime, bytes] | None,
    after: tuple[datetime, bytes] | None,
) -> CameraMove:
    """Keep that a camera moved, with its pictures; once."""
    move, _ = CameraMove.objects.get_or_create(
        camera_id=camera_id,
        at=at,
        defaults={
            "moved_px": moved_px,
            "moved_m": moved_m,
            "before_at": before[0] if before else None,
            "before": before[1] if before else None,
            "after_at": after[0] if after else None,
            "after": after[1] if after else None,
        },
    )
    return move


def calibrating_expire(*, now: datetime) -> int:
    """Delete what is older than its environment keeps; give the number of rows."""
    count = 0
    for environment in Environment.objects.all():
        before = now - timedelta(days=environment.retention_days)
        mine = {"camera__environment": environment}
        count += Disagreement.objects.filter(**mine, at__lt=before).delete()[0]
        count += CameraMove.objects.filter(**mine, at__lt=before).delete()[0]
        count += ProposalRun.objects.filter(environment=environment, created_at__lt=before).delete()[0]
    return count


def _columns(model: CameraModel | None) -> dict[str, object]:
    if model is None:
        return {}
    lens = model.lens
    return {
        "h_image_to_world": model.h_image_to_world.tolist(),
        "camera_matrix": None if lens is None else lens.matrix.tolist(),
        "distortion": None if lens is None else lens.distortion.tolist(),
        "rotation": None if model.rotation is None else model.rotation.tolist(),
        "translation_m": None if model.translation_m is None else model.translation_m.tolist(),
    }


def _teller(run: ProposalRun) -> Callable[[float], None]:
    def tell(share: float) -> None:
        ProposalRun.objects.filter(pk=run.pk).update(progress=round(share, 3))

    return tell
