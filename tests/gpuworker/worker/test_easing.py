import pytest

from gpuworker.pipeline.ladder import EFFORTS, FULL
from gpuworker.pipeline.seams import AcceleratorFullError
from gpuworker.worker.easing import Easing
from tests.gpuworker.made import frame, result


class Pipeline:
    """Needs so much memory for each frame at once, and so much time for each tick."""

    def __init__(self, clock):
        self.clock = clock
        self.effort = FULL
        self.room = 99
        self.takes_s = 0.01
        self.tries = 0

    def ease(self, effort):
        self.effort = effort

    def step(self, frames):
        self.tries += 1
        self.clock.now_s += self.takes_s * self.effort.scale
        if (self.effort.frames or len(frames)) > self.room:
            raise AcceleratorFullError("no room")
        return result(0.0)


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def pipeline(clock):
    return Pipeline(clock)


@pytest.fixture
def shown():
    return []


@pytest.fixture
def easing(pipeline, clock, shown):
    return Easing(
        pipeline, interval_s=0.1, show=lambda ladder: shown.append((ladder.step, ladder.why)), clock_s=clock
    )


def ticks(easing, clock, count, frames=4):
    for _ in range(count):
        before_s = clock.now_s
        easing.step([frame(seq=i) for i in range(frames)])
        clock.now_s = max(clock.now_s, before_s + 0.1)


def test_memory_that_is_full_costs_no_tick(easing, pipeline, clock, shown, caplog):
    pipeline.room = 2
    ticks(easing, clock, 1)
    assert shown == [(1, "no room"), (2, "no room")]
    assert pipeline.effort is EFFORTS[2]
    assert "Effort 2 of 4: fewer looks, two frames at once (no room)" in caplog.text
    tries = pipeline.tries
    ticks(easing, clock, 5)
    assert pipeline.tries == tries + 5


def test_steps_are_climbed_back_when_there_is_room(easing, pipeline, clock, shown):
    pipeline.room = 2
    ticks(easing, clock, 1)
    pipeline.room = 99
    ticks(easing, clock, 1500)
    assert [step for step, _ in shown] == [1, 2, 1, 0]
    assert pipeline.effort is FULL


def test_where_there_is_no_room_for_the_least_the_error_is_told(easing, pipeline, clock):
    pipeline.room = 0
    with pytest.raises(AcceleratorFullError, match="no room"):
        ticks(easing, clock, 1)
    assert pipeline.tries == len(EFFORTS)


def test_a_machine_that_is_too_slow_does_less(easing, pipeline, clock, shown):
    pipeline.takes_s = 0.13
    ticks(easing, clock, 600)
    assert [step for step, _ in shown] == [1, 2, 3]  # .75 of the size takes less than there is
