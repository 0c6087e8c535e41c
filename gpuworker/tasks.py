"""What Celery does with cameras, where the worker's libraries are."""

import logging
import time

from celery import shared_task
from django.utils import timezone

from environments.models import Camera
from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import EndOfSource, SourceError, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources import open_source
from gpuworker.sources.sim.worlds import Worlds
from tracking.snapshots import probe_note

logger = logging.getLogger(__name__)

PROBE_S = 10.0


@shared_task
def camera_probe(camera_id: int) -> None:
    """Open a camera's address, look at one picture, and note its size or what is wrong."""
    camera = Camera.objects.filter(pk=camera_id).first()
    if camera is None:
        return
    try:
        frame = _first_frame(camera)
    except (SourceError, UnusableSourceError, EndOfSource) as error:
        message = mask_credentials(str(error))
        probe_note(camera_id=camera_id, state="failed", at=timezone.now(), message=message)
        return
    height, width = frame.image.shape[:2]
    fits = (width, height) == (camera.width, camera.height)
    message = "" if fits else f"its pictures are {width}x{height} px, not {camera.width}x{camera.height}"
    probe_note(
        camera_id=camera_id, state="done", at=timezone.now(), width=width, height=height, message=message
    )


def _first_frame(camera: Camera) -> Frame:
    """Read one frame.

    Raises:
        SourceError, UnusableSourceError, EndOfSource: there is none.
    """
    source = open_source(camera.source_url, camera_id=camera.key, started_at=timezone.now(), worlds=Worlds())
    try:
        deadline_s = time.monotonic() + PROBE_S
        while time.monotonic() < deadline_s:
            frame = source.read()
            if frame is not None:
                return frame
        raise SourceError(f"gave no picture within {PROBE_S:g} s")
    finally:
        source.close()
