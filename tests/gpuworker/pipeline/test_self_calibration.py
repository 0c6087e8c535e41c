from dataclasses import replace
from itertools import count

import numpy as np
import pytest

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.self_calibration import SelfCalibration
from gpuworker.pipeline.settings import BiasSettings, PipelineSettings
from gpuworker.pipeline.tracker import FloorTracker
from gpuworker.pipeline.values import Detections, Site
from tests.gpuworker.pipeline.staging import START, camera, observe, state, yard

CAMERAS = yard(3)
MOVED_AT_S, SECONDS, FPS = 25, 40, 5


def strolling(t):
    """Six people who walk to and fro on lines of their own."""
    rows = [(5 + 3 * np.sin(0.3 * t + k), 2 + 1.2 * k, 0.9 * np.cos(0.3 * t + k), 0.0) for k in range(6)]
    return state(*rows)


def watched(way_px, *, camera_id="c2"):
    """Follow people while a camera's picture shifts; give what the tracker said at each tick, and its end."""
    settings = PipelineSettings()
    tracker = FloorTracker(Site(CAMERAS), count(1).__next__, settings, LikelihoodRatio(settings.appearance))
    rng, said = np.random.default_rng(5), []
    for k in range(SECONDS * FPS):
        seen = observe(CAMERAS, strolling(k / FPS), k / FPS, noise=rng)
        if k >= MOVED_AT_S * FPS:
            shift = np.array(way_px * 2, np.float32)
            seen = [
                replace(o, detections=Detections(o.detections.xyxy + shift, o.detections.confidence))
                if o.camera_id == camera_id
                else o
                for o in seen
            ]
        said.append(tracker.step(seen))
    return said, {shift.camera_id: shift for shift in tracker.shifts}


@pytest.mark.parametrize("way_px", [(60.0, 0.0), (0.0, 45.0)])
def test_camera_that_moves_is_named_once_and_goes_on_helping(way_px):
    said, shifts = watched(way_px)
    events = [event for followed in said for event in followed.events]
    assert [(e.kind, e.camera_id) for e in events] == [("camera_moved", "c2")]
    assert 0 < (events[0].at - START).total_seconds() - MOVED_AT_S < 12
    assert events[0].payload["before_px"] == pytest.approx([0, 0], abs=2.5)
    assert events[0].payload["after_px"] == pytest.approx(way_px, abs=5)
    assert events[0].payload["moved_px"] == pytest.approx(np.hypot(*way_px), abs=5)
    assert events[0].payload["moved_m"] == pytest.approx(np.linalg.norm(shifts["c2"].shift_m), abs=0.1)
    assert shifts["c2"].shift_px == pytest.approx(way_px, abs=4)
    assert np.abs([shifts["c1"].shift_px, shifts["c3"].shift_px]).max() < 4
    assert said[-1].tracks.number.tolist() == said[MOVED_AT_S * FPS - 1].tracks.number.tolist()
    assert sum("c2" in seen_by for seen_by in said[-1].cameras) >= 4


def test_cameras_that_stay_are_not_named():
    said, shifts = watched((0.0, 0.0))
    assert [event for followed in said for event in followed.events] == []
    assert np.abs([shift.shift_px for shift in shifts.values()]).max() < 2.5


def test_shift_on_the_floor_is_that_of_the_middle_of_what_the_camera_sees():
    """Ten metres up, straight enough down: a pixel is a hundredth of a metre at a focal length of 1000 px."""
    down = camera("top", (5, 4.99, 10), (5, 5, 0), focal=1000.0)
    calibration = SelfCalibration([down], BiasSettings())
    calibration._bias.jump(0, np.array([20.0, 10.0]))
    assert calibration.shifts[0].shift_m == pytest.approx([0.2, -0.1], abs=0.002)
    assert calibration.shifts[0].shift_px == pytest.approx([20, 10])


def test_camera_that_looks_at_the_sky_has_no_shift_on_the_floor():
    sky = replace(CAMERAS["c1"], h_image_to_world=np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, -1]]))
    shift = SelfCalibration([sky], BiasSettings()).shifts[0]
    assert np.isnan(shift.shift_m).all()
    assert shift.shift_px.tolist() == [0, 0]


def test_nothing_has_moved_before_the_first_frame():
    assert SelfCalibration([CAMERAS["c1"]], BiasSettings()).take_events(START) == ()
