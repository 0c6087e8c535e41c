"""How far apart cameras put the same people: collected from results, by hand-computed places."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from environments.geometry import CameraModel
from gpuworker.pipeline.agreement import Agreements
from gpuworker.pipeline.values import Detections, People, Points, Sighting, StepResult

T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def down(key, *, off_m=(0.0, 0.0)):
    """Give a camera that looks straight down, 1 cm a pixel, and is off by so much."""
    h = [[0.01, 0, -3.2 + off_m[0]], [0, -0.01, 2.4 + off_m[1]], [0, 0, 1]]
    return CameraModel.create(camera_id=key, width=640, height=480, h_image_to_world=h)


def box(x_m, y_m):
    u, v = 100 * (x_m + 3.2), 100 * (2.4 - y_m)
    return [u - 20, v - 100, u + 20, v]


def result(at_s, places, cameras=("a", "b"), extra=()):
    """Give a tick in which each camera shows the same tracks at the same places."""
    at = T0 + timedelta(seconds=at_s)
    xyxy = np.array([box(*p) for p in places] + list(extra), np.float32).reshape(-1, 4)
    track = np.array([*range(1, len(places) + 1)] + [-1] * len(extra), dtype=np.int64)
    sightings = tuple(
        Sighting(key, 0, at, Detections(xyxy, np.ones(len(xyxy), np.float32)), track, track)
        for key in cameras
    )
    none = np.zeros(0, np.int64)
    people = People(at, none, none, np.zeros((0, 4)), np.zeros((0, 4, 4)), np.zeros(0), np.zeros(0), ())
    return StepResult(at, sightings, people, (), {}, Points.none(), {}, ())


def test_distance_and_way_of_a_pair_and_of_each_camera():
    agreements = Agreements({"a": down("a"), "b": down("b", off_m=(0.3, 0.4))}, cell_m=2.0)
    for k in range(10):
        agreements.add(result(k, [(-1.0, 0.5), (2.0, 0.5)]))
    found = {(d.camera, d.other, d.cell): d for d in agreements.take()}
    pair = found["a", "b", None]
    assert pair.sights == 20
    assert pair.median_m == pytest.approx(0.5, abs=1e-5)
    assert pair.off_m == pytest.approx([-0.3, -0.4], abs=1e-5)
    assert found["b", None, None].off_m == pytest.approx([0.3, 0.4], abs=1e-5)
    assert found["a", None, (-1, 0)].sights == found["a", None, (1, 0)].sights == 10
    assert agreements.take() == []


def test_frames_close_in_time_count_once():
    agreements = Agreements({"a": down("a"), "b": down("b")}, cell_m=2.0)
    for k in range(50):
        agreements.add(result(k * 0.1, [(0.0, 0.0)]))
    (pair, *_) = agreements.take()
    assert pair.sights == 10


def test_who_is_hidden_or_nobody_is_left_out():
    agreements = Agreements({"a": down("a"), "b": down("b")}, cell_m=2.0)
    for k in range(10):
        agreements.add(result(k, [(0.0, 0.0), (0.1, 0.0)], extra=[box(2.0, 1.0)]))
    assert agreements.take() == []


def test_a_camera_that_is_not_calibrated_is_left_out():
    agreements = Agreements({"a": down("a")}, cell_m=2.0)
    for k in range(10):
        agreements.add(result(k, [(0.0, 0.0)]))
    assert agreements.take() == []


def test_sights_after_a_move_are_asked_once():
    agreements = Agreements({"a": down("a"), "b": down("b")}, cell_m=2.0)
    agreements.moved("b", T0)
    rng = np.random.default_rng(0)
    for k in range(120):
        agreements.add(result(k * 0.5, rng.uniform([-3, -1], [-1, 1], (1, 2)).tolist()))
    assert agreements.take_refits(T0 + timedelta(seconds=29)) == {}
    assert agreements.take_refits(T0 + timedelta(seconds=60)) == {}  # too few yet
    found = agreements.take_refits(T0 + timedelta(seconds=301))
    assert set(found) == {"b"}
    assert found["b"].sights == 120
    assert found["b"].model is None
    assert agreements.take_refits(T0 + timedelta(seconds=302)) == {}
