from dataclasses import replace

import numpy as np
import pytest

from gpuworker.pipeline.health import HealthMeters
from gpuworker.pipeline.settings import HealthSettings
from gpuworker.pipeline.values import CameraHealth, Detections
from tests.gpuworker.pipeline.staging import observe, state, yard
from tests.gpuworker.pipeline.test_tracker import make

SURE = HealthSettings(least=1.0)
ALL = np.ones((1, 3), bool)
FIRST = np.zeros(1, dtype=np.int64)


def count(meters, explained, elapsed_s):
    """One frame of the first camera."""
    of_first = np.zeros(len(explained), dtype=np.int64)
    meters.count(FIRST, np.array([elapsed_s]), of_first, np.array(explained, dtype=bool))


def test_health_of_nothing_is_not_known():
    assert HealthMeters(1, SURE).of(0) == CameraHealth(innovation=None, unexplained=None)


def test_health_is_the_mean_of_squares_over_variances():
    meters = HealthMeters(2, SURE)
    meters.compare(
        FIRST, np.array([[2.0, 3.0, 1.0]]), np.array([[4.0, 1.0, 1.0]]), np.array([[True, True, False]])
    )
    count(meters, [True, True, False, True], 0.0)
    assert meters.of(0) == CameraHealth(innovation=(1 + 9) / 2, unexplained=0.25)
    assert meters.of(1) == CameraHealth(innovation=None, unexplained=None)


def test_health_leaves_hidden_edges_aside():
    meters = HealthMeters(1, SURE)
    meters.compare(FIRST, np.array([[1.0, 40.0, 1.0]]), np.ones((1, 3)), ALL)
    assert meters.of(0).innovation == 1


def test_health_fades():
    meters = HealthMeters(1, replace(SURE, memory_s=10.0))
    meters.compare(FIRST, np.full((1, 3), 3.0), np.ones((1, 3)), ALL)
    count(meters, [False] * 3, 10.0)  # the older a third each
    meters.compare(FIRST, np.full((1, 3), 1.0), np.ones((1, 3)), ALL)
    third = np.exp(-1)
    assert meters.of(0).innovation == pytest.approx((9 * third + 1) / (third + 1))
    count(meters, [True] * 3, 10.0)
    assert meters.of(0).unexplained == pytest.approx(third / (third + 1))
    count(meters, [], 100.0)
    assert meters.of(0) == CameraHealth(innovation=None, unexplained=None)


def test_health_tells_the_camera_that_has_moved():
    cameras, tracker, noise = yard(), make(yard()), np.random.default_rng(3)
    health = {}
    for moved_px, first in ((0.0, 0), (20.0, 60)):
        for k in range(first, first + 60):
            t = k / 5
            people = state((2 + t / 4, 4), (8 - t / 4, 6), (5, 5 + t / 6))
            c1, *others = observe(cameras, people, t, noise=noise)
            c1 = replace(
                c1, detections=Detections(c1.detections.xyxy + np.float32(moved_px), c1.detections.confidence)
            )
            result = tracker.step([c1, *others])
        health[moved_px] = result.health
    assert all(h.innovation < 1 for h in health[0.0].values())
    innovations = {key: h.innovation for key, h in health[20.0].items()}
    assert max(innovations, key=lambda key: innovations[key]) == "c1"
    assert innovations["c1"] > 3 * health[0.0]["c1"].innovation
