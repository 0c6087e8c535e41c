"""What Celery does with cameras, where the worker's libraries are."""

from dataclasses import asdict

from celery import shared_task
from django.utils import timezone

from environments.models import Camera
from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import EndOfSource, SourceError
from gpuworker.probing import Look, address_look
from gpuworker.remapping import remapping_continue
from tracking.models import Remapping
from tracking.snapshots import address_opened, picture_note, probe_note


@shared_task
def camera_probe(camera_id: int) -> None:
    """Open a camera's address, look at its pictures, and note what they are or what is wrong."""
    camera = Camera.objects.filter(pk=camera_id).first()
    if camera is None:
        return
    look = _look(str(camera_id), camera.source_url)
    if look is None:
        return
    fits = (look.width, look.height) == (camera.width, camera.height)
    message = (
        "" if fits else f"its pictures are {look.width}x{look.height} px, not {camera.width}x{camera.height}"
    )
    _note(str(camera_id), look, message)


@shared_task
def address_probe(probe_id: str, sealed_address: str) -> None:
    """Open an address that is no camera's yet, look at its pictures, and note what they are or what is wrong."""
    look = _look(probe_id, address_opened(sealed_address))
    if look is not None:
        _note(probe_id, look, "")


@shared_task
def history_remap(remapping_id: int) -> int:
    """Move stored points from one calibration of a camera to another; give how many were moved."""
    remapping = Remapping.objects.filter(pk=remapping_id).first()
    return 0 if remapping is None else remapping_continue(remapping=remapping)


def _look(probe_id: str, address: str) -> Look | None:
    """Look at what an address gives; None where that is nothing, which is noted."""
    try:
        return address_look(address)
    except (SourceError, EndOfSource) as error:
        probe_note(probe_id=probe_id, state="failed", at=timezone.now(), message=mask_credentials(str(error)))
        return None


def _note(probe_id: str, look: Look, message: str) -> None:
    found = asdict(look)
    picture_note(probe_id=probe_id, jpeg=found.pop("jpeg"))
    probe_note(probe_id=probe_id, state="done", at=timezone.now(), message=message, has_picture=True, **found)
