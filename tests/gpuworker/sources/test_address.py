"""Addresses: options read, and sources opened only where they may be."""

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from gpuworker.pipeline.seams import UnusableSourceError
from gpuworker.sources import open_source
from gpuworker.sources.address import options_of
from gpuworker.sources.sim.worlds import Worlds


def test_options_are_numbers_with_defaults():
    assert options_of("fps=12.5", allowed={"fps": 2.0, "loop": 0.0}, url="u") == {"fps": 12.5, "loop": 0.0}
    assert options_of("", allowed={"fps": 2.0}, url="u") == {"fps": 2.0}


@pytest.mark.parametrize(
    "query", ["speed=1", "fps=1&fps=2", "fps=fast", "fps=", "fps=-1", "fps=nan", "fps=inf"]
)
def test_wrong_options_are_refused(query):
    with pytest.raises(UnusableSourceError, match="fps"):
        options_of(query, allowed={"fps": 2.0}, url="images:///x")


@pytest.mark.parametrize(
    "url",
    [
        "http://u:secret@169.254.169.254/latest",
        "rtsp://2852039166/s",
        "http://127.0.0.1:1/s",
        "file:///etc/passwd",
        "images:///etc",
        "/etc/passwd",
    ],
)
def test_source_that_lies_where_none_may_is_not_opened(url, settings):
    settings.SPOTON_SOURCE_NETWORKS = [ip_network("10.0.0.0/8")]
    settings.SPOTON_SOURCE_FOLDERS = ["/srv"]
    with pytest.raises(UnusableSourceError, match="may be") as refusal:
        open_source(url, camera_id="c1", started_at=datetime.now(UTC), worlds=Worlds())
    assert "secret" not in str(refusal.value)
