"""A camera that was turned is found again by people whom others place."""

import cv2
import numpy as np
import pytest

from environments.geometry import Sights, refit
from environments.geometry.refit import turned
from tests.environments.geometry.rig import HEIGHT, MATRIX, WIDTH, camera


def sights(model, *, n=200, seed=0, bias_px=0.0, spread_px=3.0):
    """Give boxes of people in a camera, whose feet are hidden a little, and their true places."""
    rng = np.random.default_rng(seed)
    feet = np.column_stack([rng.uniform(100, WIDTH - 100, n), rng.uniform(500, HEIGHT - 50, n)])
    places = model.to_floor(feet)
    feet = feet + rng.normal(0, spread_px, feet.shape) - [0, bias_px]
    return Sights(np.column_stack([feet[:, 0] - 30, feet[:, 1] - 180, feet[:, 0] + 30, feet[:, 1]]), places)


@pytest.mark.parametrize("axis", [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.6, -0.6, 0.5]])
def test_turned_camera_is_found(axis):
    believed = camera()
    turn = np.asarray(cv2.Rodrigues(np.radians(1.0) * np.array(axis))[0])
    true = turned(believed, MATRIX, turn)
    found = refit(believed, sights(true))
    assert found.reason == ""
    assert found.model is not None
    assert found.turned_deg == pytest.approx(np.linalg.norm(axis), abs=0.1)
    spots = np.array([[5.0, 1.0], [8.0, -3.0]])
    assert found.model.to_picture(spots) == pytest.approx(true.to_picture(spots), abs=2.0)
    assert found.model.position_m == pytest.approx(believed.position_m)
    assert found.after_m < found.before_m / 2


def test_what_boxes_are_always_off_by_is_not_taken_in():
    believed = camera()
    true = turned(believed, MATRIX, np.asarray(cv2.Rodrigues(np.array([0.0, np.radians(1.0), 0.0]))[0]))
    before = sights(believed, bias_px=12.0, seed=1)
    after = sights(true, bias_px=12.0, seed=2)
    spots = np.array([[6.0, 0.0]])
    missed = [
        float(np.abs(found.model.to_picture(spots) - true.to_picture(spots)).max())
        for found in (refit(believed, after, before), refit(believed, after))
        if found.model is not None
    ]
    assert missed[0] < 3.0 < missed[1]


def test_a_camera_that_did_not_turn_is_left_alone():
    found = refit(camera(), sights(camera()))
    assert found.model is None
    assert "calibrate it by hand" in found.reason


@pytest.mark.parametrize(
    ("some", "message"),
    [
        (sights(camera(), n=20), "20 sights of people whom other cameras see too are too few: 80 are needed"),
        (
            Sights(np.tile([900.0, 500, 960, 700], (100, 1)), np.ones((100, 2))),
            "in one part of the picture only",
        ),
        (Sights(np.zeros((0, 4)), np.zeros((0, 2))), "0 sights"),
    ],
)
def test_refit_is_refused(some, message):
    found = refit(camera(), some)
    assert found.model is None
    assert message in found.reason
