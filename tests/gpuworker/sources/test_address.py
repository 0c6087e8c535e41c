"""Addresses: options read."""

import pytest

from gpuworker.pipeline.seams import UnusableSourceError
from gpuworker.sources.address import options_of


def test_options_are_numbers_with_defaults():
    assert options_of("fps=12.5", allowed={"fps": 2.0, "loop": 0.0}, url="u") == {"fps": 12.5, "loop": 0.0}
    assert options_of("", allowed={"fps": 2.0}, url="u") == {"fps": 2.0}


@pytest.mark.parametrize(
    "query", ["speed=1", "fps=1&fps=2", "fps=fast", "fps=", "fps=-1", "fps=nan", "fps=inf"]
)
def test_wrong_options_are_refused(query):
    with pytest.raises(UnusableSourceError, match="fps"):
        options_of(query, allowed={"fps": 2.0}, url="images:///x")
