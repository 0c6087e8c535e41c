import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuworker.pipeline.values import Frame
from gpuworker.sinks.picture import encode
from gpuworker.sources.sim.stamp import UnreadableStampError, stamp_draw, stamp_read
from tests.factories import T0
from tests.gpuworker.sources.sim.test_source import opened, read
from tracking import live


@given(number=st.integers(0, 2**24 - 1), size=st.sampled_from([(360, 640), (480, 768), (1080, 1920)]))
def test_number_is_read_back_from_every_tier(number, size):
    image = np.full((*size, 3), 120, np.uint8)
    stamp_draw(image, number)
    assert stamp_read(image) == number
    for tier in live.TIERS.values():
        jpeg = np.frombuffer(encode(Frame("c1", 0, T0, image), tier), np.uint8)
        shown = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert shown is not None
        assert stamp_read(shown.astype(np.uint8)) == number


def test_picture_without_a_number_is_refused(worlds):
    for image in (
        np.zeros((360, 640, 3), np.uint8),
        np.full((360, 640, 3), 255, np.uint8),
        read(opened(worlds)).image,
    ):
        with pytest.raises(UnreadableStampError):
            stamp_read(image)


@given(number=st.integers(0, 2**24 - 1), cell=st.integers(1, 32))
def test_number_with_a_wrong_cell_is_refused(number, cell):
    image = np.full((360, 640, 3), 120, np.uint8)
    stamp_draw(image, number)
    left, right = round(cell * 640 / 34), round((cell + 1) * 640 / 34)
    image[:19, left:right] = 255 - image[:19, left:right]
    with pytest.raises(UnreadableStampError):
        stamp_read(image)


def test_source_draws_the_number_of_its_frame(worlds):
    plain, stamped = opened(worlds), opened(worlds, "sim://plaza/c1?people=4&seed=7&stamp=1")
    for seq in range(3):
        frame, other = read(stamped), read(plain)
        assert stamp_read(frame.image) == frame.seq == seq
        assert np.array_equal(frame.image[30:], other.image[30:])
