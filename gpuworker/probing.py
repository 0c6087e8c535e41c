"""Looking once at what an address gives, to tell people before they rely on it."""

import time
from dataclasses import dataclass

import cv2
from django.utils import timezone

from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import EndOfSource, Source, SourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources import open_source
from gpuworker.sources.sim.worlds import Worlds
from gpuworker.sources.video import LiveStream, Recording

FIRST_PICTURE_S = 20.0
LOOK_S = 2.5  # after the first picture, to tell the rate
JPEG_QUALITY = 90


@dataclass(frozen=True, slots=True)
class Look:
    """What an address gives.

    Attributes:
        width, height: of its pictures, px.
        codec: as FFmpeg names it; empty where there is none.
        fps: pictures a second; None where too few came to tell.
        first_picture_s: from opening to the first picture.
        clock_offset_s: the camera's clock minus ours when its pictures arrive, so that the delay on the way is in it;
            None where the camera does not tell its time.
        jpeg: the newest picture, in full size.
    """

    width: int
    height: int
    codec: str
    fps: float | None
    first_picture_s: float
    clock_offset_s: float | None
    jpeg: bytes


def address_look(url: str, *, look_s: float = LOOK_S) -> Look:
    """Open an address, look at its pictures for a moment, and close it.

    Raises:
        SourceError, EndOfSource: it gives none; the message says why, without passwords.
    """
    began_s = time.monotonic()
    source = open_source(url, camera_id="probe", started_at=timezone.now(), worlds=Worlds())
    try:
        first = _first(source, began_s + FIRST_PICTURE_S, url)
        first_picture_s = time.monotonic() - began_s
        frames, offsets_s = _more(source, time.monotonic() + look_s)
    finally:
        source.close()
    newest = frames[-1] if frames else first
    height, width = newest.image.shape[:2]
    return Look(
        width=width,
        height=height,
        codec=source.decoder.codec if isinstance(source, LiveStream | Recording) else "",
        fps=_rate(frames),
        first_picture_s=first_picture_s,
        clock_offset_s=max(offsets_s, default=None),  # of the picture that was least delayed
        jpeg=cv2.imencode(".jpg", newest.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes(),
    )


def _first(source: Source, deadline_s: float, url: str) -> Frame:
    while time.monotonic() < deadline_s:
        frame = source.read()
        if frame is not None:
            return frame
    raise SourceError(f"{mask_credentials(url)} gave no picture within {FIRST_PICTURE_S:g} s")


def _more(source: Source, until_s: float) -> tuple[list[Frame], list[float]]:
    """Read on for a moment; give the first and the last frame, and how far the camera's clock was off at each."""
    frames: list[Frame] = []
    offsets_s: list[float] = []
    while time.monotonic() < until_s:
        try:
            frame = source.read()
        except (SourceError, EndOfSource):  # it gave a picture: how it goes on is for its reader to say
            break
        if frame is not None:
            frames = [*frames[:1], frame]
            at_s = source.decoder.camera_at_s if isinstance(source, LiveStream) else None
            if at_s is not None:
                offsets_s.append(at_s - time.time())
    return frames, offsets_s


def _rate(frames: list[Frame]) -> float | None:
    """Give the frames a second; the very first picture is not among them, since it may have waited to be opened."""
    span_s = (frames[-1].captured_at - frames[0].captured_at).total_seconds() if frames else 0.0
    return (frames[-1].seq - frames[0].seq) / span_s if span_s > 0 else None
