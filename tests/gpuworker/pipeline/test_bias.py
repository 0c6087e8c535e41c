import numpy as np
import pytest

from gpuworker.pipeline.bias import CameraBias
from gpuworker.pipeline.settings import BiasSettings
from tests.gpuworker.pipeline.staging import yard

SETTINGS = BiasSettings()
CAMERAS = tuple(yard(2).values())  # 1280 x 720 px
Z = np.array([[640.0, 500, 220], [200.0, 400, 250], [1100.0, 600, 240], [700.0, 360, 200]])
LIMIT_PX = SETTINGS.limit * 1280
ALL = np.ones((4, 3), bool)


def taught(off, times, *, valid=ALL, settings=SETTINGS):
    """Teach a camera whose boxes lie ``off`` (4, 3) px beside where they should be."""
    bias = CameraBias(CAMERAS, settings)
    for _ in range(times):
        z = bias.correct(np.ones(4, int), Z + off)
        bias.learn(1, z, z - Z, np.full((4, 3), 25.0), valid, 0.1)
    return bias


def test_bias_learns_a_steady_shift_of_one_camera():
    bias = taught(np.array([6.0, -4.0, -4.0]), 100)
    assert bias.shift_px[0].tolist() == [0, 0]
    assert bias.shift_px[1] == pytest.approx([6, -4], rel=0.05)
    assert bias.correct(np.array([1]), np.array([[10.0, 20, 30]]))[0] == pytest.approx([4, 24, 34], abs=0.7)
    assert bias.std_px[0] == SETTINGS.prior_px
    assert bias.std_px[1] < 0.7


def test_bias_learns_a_turn_of_the_picture():
    angle = 8 / 640  # 8 px at the right edge
    places = np.stack(
        [np.stack([Z[:, 0]] * 3, axis=1), np.stack([(Z[:, 1] + Z[:, 2]) / 2, Z[:, 1], Z[:, 2]], axis=1)]
    )
    right, down = places - np.array([640.0, 360])[:, None, None]
    off = np.stack([-angle * down[:, 0], angle * right[:, 1], angle * right[:, 2]], axis=1)
    bias = taught(off, 200)
    assert bias.shift_px[1] == pytest.approx([0, 0], abs=0.3)
    assert bias.correct(np.ones(4, int), Z + off) == pytest.approx(Z, abs=0.6)


def test_bias_of_a_single_tick_hardly_moves():
    assert np.abs(taught(np.array([6.0, -4.0, -4.0]), 1).shift_px).max() < 3.0


def test_bias_learns_nothing_of_what_was_not_measured():
    assert not taught(np.array([6.0, -4.0, -4.0]), 50, valid=~ALL).shift_px.any()


def test_bias_forgets_what_is_not_confirmed():
    bias = taught(np.array([6.0, -4.0, -4.0]), 100)
    bias.learn(1, Z, np.zeros((4, 3)), np.full((4, 3), 25.0), ~ALL, 10 * SETTINGS.memory_s)
    assert bias.shift_px[1] == pytest.approx([0, 0], abs=0.01)
    assert bias.std_px[1] == pytest.approx(SETTINGS.prior_px)


def test_bias_is_bounded():
    bias = taught(np.array([900.0, 900.0, 900.0]), 300)
    assert np.abs(bias.shift_px).max() <= LIMIT_PX
    bias.jump(0, np.array([-900.0, 5.0]))
    assert bias.shift_px[0].tolist() == [-LIMIT_PX, 5.0]


def test_bias_that_jumps_learns_afresh():
    bias = taught(np.array([6.0, -4.0, -4.0]), 100)
    bias.jump(1, np.array([10.0, 0.0]))
    assert bias.shift_px[1] == pytest.approx([16, -4], rel=0.05)
    assert bias.std_px[1] == SETTINGS.prior_px
