"""When recorded frames are due."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from gpuworker.sources.pace import Pace

START = datetime(2026, 1, 1, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def test_frames_are_due_at_their_place_after_the_start():
    assert Pace(START, paced=False).at(2.5) == START + timedelta(seconds=2.5)
    assert Pace(START, paced=False, speed=2.0).at(2.5) == START + timedelta(seconds=1.25)


def test_present_moment_of_a_recording():
    assert Pace(ago(10), paced=True).elapsed_s() == pytest.approx(10, abs=0.5)
    assert Pace(ago(10), paced=True, speed=4.0).elapsed_s() == pytest.approx(40, abs=2)
    assert Pace(ago(-10), paced=True).elapsed_s() == 0.0
    assert Pace(ago(10), paced=False).elapsed_s() == 0.0


def test_lateness_is_told_in_seconds_of_the_wall_clock():
    assert Pace(ago(10), paced=True, speed=4.0).late_s(20.0) == pytest.approx(5, abs=0.5)
    assert Pace(ago(10), paced=True).late_s(11.0) == 0.0
    assert Pace(ago(10), paced=False).late_s(1.0) == 0.0


def test_waiting_ends_when_the_frame_is_due():
    begin = time.monotonic()
    assert Pace(ago(0), paced=True, speed=10.0).wait(1.0)
    assert 0.05 < time.monotonic() - begin < 1.0
    assert Pace(START, paced=False).wait(1e9)


def test_waiting_gives_up_in_time_and_when_stopped(monkeypatch):
    pace = Pace(ago(0), paced=True)
    stopper = threading.Timer(0.02, pace.stop)
    stopper.start()
    assert not pace.wait(0.9)
    stopper.join()
    assert not pace.wait(0.0)
    monkeypatch.setattr("gpuworker.sources.pace.LONGEST_WAIT_S", 0.01)
    assert not Pace(ago(0), paced=True).wait(1000.0)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan"), float("inf")])
def test_speed_must_be_a_positive_number(speed):
    with pytest.raises(ValueError, match="speed: expected more than 0"):
        Pace(START, paced=True, speed=speed)
