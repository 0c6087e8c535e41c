"""Where frames come from: cameras, recordings and the simulator, told apart by the scheme of their URL.

rtsp://user:password@host/path    a camera; rtsps:// too
http://host/video.mjpg            MJPEG or any stream that FFmpeg reads; a recording if it has a duration
file:///videos/hall.mp4?loop=60   a recording, also as a plain path; begins again every 60 s
images:///scenes/c1?fps=2&loop=60 pictures 000001.jpg, 000002.jpg and so on
sim://plaza/c1?people=10&seed=7&fps=10&returning=0.2
"""

from datetime import datetime
from urllib.parse import unquote

from django.conf import settings

from environments.addresses import AddressForbidden, folder_check, resolved_check
from environments.secrets import mask_credentials
from gpuworker.pipeline.seams import Source, UnusableSourceError
from gpuworker.sources.address import split_address
from gpuworker.sources.images import ImageFolder
from gpuworker.sources.pace import Pace
from gpuworker.sources.sim.source import SimSource
from gpuworker.sources.sim.worlds import Worlds
from gpuworker.sources.video import open_file, open_stream

STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https")
SCHEMES = (*STREAM_SCHEMES, "file", "images", "sim")


def open_source(
    url: str,
    *,
    camera_id: str,
    started_at: datetime,
    worlds: Worlds,
    paced: bool = True,
    speed: float = 1.0,
) -> Source:
    """Open the source at a URL, or a video file at a plain path.

    ``started_at`` is the start of the tracking session, the same for all its cameras: recordings and the
    simulator count their time from it, and who opens one later joins at the present moment. When not
    ``paced``, they are read from the start, as fast as they can be. To go to second s of a recording now,
    open it with ``started_at`` = now - s / ``speed``; after a pause, with ``started_at`` later by the pause.

    Raises:
        SourceError: it cannot be opened now; trying again may help.
        UnusableSourceError: it can never be opened: the address is wrong or the file is missing.
    """
    if started_at.utcoffset() is None:
        raise ValueError("started_at: expected an aware datetime, got a naive one")
    pace = Pace(started_at, paced=paced, speed=speed)
    scheme = split_address(url).scheme
    _permit(url, scheme)
    if scheme == "sim":
        return SimSource(url, camera_id=camera_id, pace=pace, worlds=worlds)
    if scheme == "images":
        return ImageFolder(url, camera_id=camera_id, pace=pace)
    if scheme in STREAM_SCHEMES:
        if not split_address(url).hostname:
            raise UnusableSourceError(f"{mask_credentials(url)} names no host")
        return open_stream(url, scheme=scheme, camera_id=camera_id, pace=pace)
    if scheme == "file" or (not scheme and url.strip()):
        return open_file(url, camera_id=camera_id, pace=pace)
    choices = ", ".join(f"{name}://" for name in SCHEMES)
    raise UnusableSourceError(
        f"{mask_credentials(url) or 'no address'}: expected a path or an address with one of {choices}"
    )


def _permit(url: str, scheme: str) -> None:
    """Check, just before it is opened, that a source lies where sources may.

    Raises:
        UnusableSourceError: it does not.
    """
    parts = split_address(url)
    try:
        if scheme in STREAM_SCHEMES and parts.hostname:
            resolved_check(parts.hostname, networks=settings.SPOTON_SOURCE_NETWORKS)
        elif scheme in ("file", "images"):
            folder_check(unquote(parts.path), folders=settings.SPOTON_SOURCE_FOLDERS)
        elif not scheme:
            folder_check(url, folders=settings.SPOTON_SOURCE_FOLDERS)
    except AddressForbidden as error:
        raise UnusableSourceError(f"{mask_credentials(url)}: {error}") from error
