"""Addresses: secrets hidden, options read."""

import pytest

from gpuworker.pipeline.seams import UnusableSourceError
from gpuworker.sources.address import masked, options_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:secret@10.0.0.5:554/ch1", "rtsp://***@10.0.0.5:554/ch1"),
        ("rtsp://admin:p@ss@cam/x", "rtsp://***@cam/x"),
        ("http://cam/v.mjpg?user=a&pwd=b&fps=5", "http://cam/v.mjpg?user=***&pwd=***&fps=5"),
        ("http://cam/video", "http://cam/video"),
        (
            "cannot open 'http://u:p@a/b' and rtsp://x:y@c/d",
            "cannot open 'http://***@a/b' and rtsp://***@c/d",
        ),
        ("/videos/a@b.mp4", "/videos/a@b.mp4"),
    ],
)
def test_masked_hides_secrets(text, shown):
    assert masked(text) == shown


def test_options_are_numbers_with_defaults():
    assert options_of("fps=12.5", allowed={"fps": 2.0, "loop": 0.0}, url="u") == {"fps": 12.5, "loop": 0.0}
    assert options_of("", allowed={"fps": 2.0}, url="u") == {"fps": 2.0}


@pytest.mark.parametrize(
    "query", ["speed=1", "fps=1&fps=2", "fps=fast", "fps=", "fps=-1", "fps=nan", "fps=inf"]
)
def test_wrong_options_are_refused(query):
    with pytest.raises(UnusableSourceError, match="fps"):
        options_of(query, allowed={"fps": 2.0}, url="images:///x")
