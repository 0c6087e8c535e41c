import numpy as np
import pytest

from gpuworker.pipeline.bias import CameraBias
from gpuworker.pipeline.settings import BiasSettings

SETTINGS = BiasSettings()
ALL = np.ones((4, 3), bool)


def taught(residual, times, valid=ALL):
    bias = CameraBias(2, SETTINGS)
    for _ in range(times):
        off = np.array(residual) - np.append(bias.shift_px[1], bias.shift_px[1, 1])
        bias.learn(1, np.tile(off, (4, 1)), np.full((4, 3), 25.0), valid)
    return bias


def test_bias_learns_a_steady_shift_of_one_camera():
    bias = taught([6.0, -4.0, -4.0], 400)
    assert bias.shift_px[0].tolist() == [0, 0]
    assert bias.shift_px[1] == pytest.approx([6, -4], rel=0.1)
    assert bias.correct(1, np.array([[10.0, 20, 30]]))[0] == pytest.approx([4, 24, 34], abs=0.7)


def test_bias_of_a_single_tick_hardly_moves():
    assert np.abs(taught([6.0, -4.0, -4.0], 1).shift_px).max() < 1.5


def test_bias_learns_nothing_of_what_was_not_measured():
    assert not taught([6.0, -4.0, -4.0], 50, np.zeros((4, 3), bool)).shift_px.any()


def test_bias_is_bounded():
    assert np.abs(taught([900.0, 900.0, 900.0], 300).shift_px).max() <= SETTINGS.limit_px
