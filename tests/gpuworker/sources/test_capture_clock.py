"""Capture times of live streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuworker.sources.capture_clock import CaptureClock


def test_jitter_of_arrival_does_not_reach_the_capture_time():
    clock = CaptureClock()
    delays = [0.0, 0.3, 0.05, 0.8, 0.0, 0.2]
    captured = [clock.capture_s(0.1 * i, 1000.0 + 0.1 * i + delay) for i, delay in enumerate(delays)]
    assert captured == pytest.approx([1000.0 + 0.1 * i for i in range(6)], abs=2e-3)


def test_smaller_delay_moves_the_clock_forward():
    clock = CaptureClock()
    assert clock.capture_s(5.0, 100.5) == 100.5  # arrived late, nobody can know
    assert clock.capture_s(6.0, 101.0) == 101.0  # now we know: the offset is 95.0
    assert clock.capture_s(7.0, 102.4) == pytest.approx(102.0, abs=2e-3)


@pytest.mark.parametrize("pts_s", [0.0, 500.0])
def test_jump_of_the_time_stamps_begins_a_new_timeline(pts_s):
    clock = CaptureClock()
    clock.capture_s(50.0, 1000.0)
    assert clock.capture_s(pts_s, 1000.1) == 1000.1
    assert clock.capture_s(pts_s + 0.1, 1000.5) == pytest.approx(1000.2, abs=1e-3)


def test_stall_of_the_network_is_no_jump():
    clock = CaptureClock()
    clock.capture_s(1.0, 1001.0)
    burst = [clock.capture_s(1.0 + 0.5 * i, 1009.0) for i in (1, 2, 3)]
    assert burst == pytest.approx([1001.5, 1002.0, 1002.5], abs=1e-2)


def test_slow_clock_of_a_camera_is_followed():
    clock = CaptureClock()
    for second in range(3600):  # the camera's seconds are 0.05 % longer than ours
        captured = clock.capture_s(float(second), 1000.0 + second * 1.0005)
    assert captured == pytest.approx(1000.0 + 3599 * 1.0005, abs=0.01)


def test_frame_without_time_stamp_was_captured_when_it_arrived():
    clock = CaptureClock()
    assert clock.capture_s(None, 12.0) == 12.0
    assert clock.capture_s(None, 12.5) == 12.5


@given(st.lists(st.tuples(st.none() | st.floats(-1e6, 1e6), st.floats(0, 10)), max_size=60))
def test_capture_times_increase_and_are_never_after_arrival_by_much(steps):
    clock, arrival_s, last_s = CaptureClock(), 1e9, 0.0
    for pts_s, wait_s in steps:
        arrival_s += wait_s + 0.01
        captured_s = clock.capture_s(pts_s, arrival_s)
        assert captured_s > last_s
        assert captured_s <= arrival_s + 1e-3
        last_s = captured_s
