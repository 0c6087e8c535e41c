from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from gpuworker.pipeline.values import Detections
from gpuworker.scenes import read_scene
from gpuworker.scoring import Positions
from tests.gpuworker.test_export import save_net, save_scene

if not (find_spec("ultralytics") and find_spec("supervision")):
    pytest.skip("ultralytics or supervision is not installed: extras models and dev", allow_module_level=True)

from tests.benchmarks import detectors


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return read_scene(save_scene(tmp_path_factory.mktemp("squares")))


def test_a_back_end_is_scored_and_timed(scene, tmp_path):
    ticks = detectors.read_ticks(scene, 100)
    assert [len(frames) for frames in ticks] == [1] * scene.frames
    spec = f"onnx:{save_net(tmp_path / 'net.onnx')}?confidence=0.3"
    row = detectors.row(scene, ticks, spec)
    assert (row["precision"], row["recall"]) == (1.0, 1.0)
    assert 0 < row["cpu_ms_p50"] <= row["cpu_ms_p95"]
    assert 0 < row["wall_ms_p50"] <= row["wall_ms_p95"]


def test_a_back_end_that_is_absent_is_said_with_its_reason(scene, tmp_path):
    row = detectors.row(scene, detectors.read_ticks(scene, 1), f"faster_rcnn:{tmp_path}/none.pth")
    assert list(row) == ["absent"]
    assert "put the model there" in row["absent"]


def test_feet_are_matched_with_people_within_a_metre(scene):
    # ten pixels are a metre
    people = Positions(np.array([1, 2, 3]), np.array([[5.0, 5.0], [10.0, 10.0], [12.9, 1.0]]))
    known = replace(scene, truth=(people,) * scene.frames)
    frame = detectors.read_ticks(known, 1)[0][0]
    boxes = [[45, 10, 55, 50], [90, 60, 100, 112], [20, 20, 30, 40], [0, 0, 20, 600]]
    found = Detections(np.array(boxes, np.float32), np.full(4, 0.9, np.float32))
    # one a hit, one 1.3 m off, one at nobody; the last stands beside the scored floor
    assert detectors.on_floor(known, frame, found) == (1, 3, 2)


def test_the_spread_is_in_milliseconds_of_clock_and_processor():
    assert detectors.spread([(0.1, 0.02)] * 3) == {
        "wall_ms_p50": 100.0,
        "wall_ms_p95": 100.0,
        "cpu_ms_p50": 20.0,
        "cpu_ms_p95": 20.0,
    }


def test_calls_of_models_are_timed(scene, tmp_path):
    spec = f"onnx:{save_net(tmp_path / 'net.onnx')}"
    with detectors.model_calls() as calls:
        detectors.row(scene, detectors.read_ticks(scene, 4), spec)
    # the dry run, three to warm up and four ticks
    assert len(calls) == 8
    assert all(wall > 0 for wall, _ in calls)
