"""What a look at an address tells."""

import io
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from gpuworker.pipeline.seams import UnusableSourceError
from gpuworker.probing import address_look
from tests.gpuworker.sources.rtsp_camera import rtsp_camera


def test_look_at_a_camera_tells_size_rate_codec_and_clock():
    with rtsp_camera(list(range(0, 200, 10)), step_s=0.1, behind_s=7.0) as (url, _):
        look = address_look(url, look_s=1.0)
    assert (look.width, look.height, look.codec) == (64, 48, "mpeg4")
    assert look.fps == pytest.approx(10, rel=0.2)
    # a picture is complete only when the next one begins
    assert look.clock_offset_s is not None
    assert -8.0 < look.clock_offset_s < -7.0
    assert 0 < look.first_picture_s < 5
    assert Image.open(io.BytesIO(look.jpeg)).size == (64, 48)


def test_camera_that_tells_no_time_has_no_offset():
    with rtsp_camera([0, 50, 100, 150, 200, 250], step_s=0.05) as (url, _):
        look = address_look(url, look_s=0.1)
    assert look.clock_offset_s is None


def test_too_few_pictures_tell_no_rate(tmp_path):
    cv2.imwrite(str(tmp_path / "000001.png"), np.zeros((12, 16, 3), np.uint8))
    look = address_look(f"images://{tmp_path}?loop=1", look_s=0.1)
    assert (look.width, look.height, look.fps, look.codec) == (16, 12, None, "")


def test_address_that_never_works_says_so_at_once():
    began_s = time.monotonic()
    with pytest.raises(UnusableSourceError, match="no such simulated camera"):
        address_look("sim://plaza/nobody")
    assert time.monotonic() - began_s < 2
