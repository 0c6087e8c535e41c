"""Where frames come from: cameras, recordings and the simulator, told apart by the scheme of their URL."""

from datetime import datetime

from gpuworker.pipeline.seams import Source, UnusableSourceError
from gpuworker.sources.address import masked, split_address
from gpuworker.sources.pace import Pace
from gpuworker.sources.sim.source import SimSource
from gpuworker.sources.sim.worlds import Worlds

SCHEMES = "sim://"


def open_source(
    url: str, *, camera_id: str, started_at: datetime, worlds: Worlds, paced: bool = True
) -> Source:
    """Open the source at a URL.

    Raises:
        SourceError: it cannot be opened now.
        UnusableSourceError: it can never be opened: the URL is wrong or the file is missing.
    """
    pace = Pace(started_at, paced=paced)
    parts = split_address(url)
    if parts.scheme == "sim":
        return SimSource(url, camera_id=camera_id, pace=pace, worlds=worlds)
    raise UnusableSourceError(f"{masked(url)}: expected an address that begins with one of {SCHEMES}")
