"""How well people of the simulated plaza are followed by geometry alone, with a crowd detector's noise."""

import pytest

from gpuworker.sources.sim.worlds import SharedWorld, Worlds
from tests.gpuworker.plaza import apart, miscalibrated, pipeline, scores, ticks, together, watch

PEOPLE, SECONDS = 20, 40.0


@pytest.fixture(scope="module")
def worlds():
    """Keep the empty views between tests."""
    return Worlds()


def world_of(seed):
    return SharedWorld(people=PEOPLE, seed=seed)


@pytest.fixture(scope="module")
def in_step(worlds):
    """What four cameras in step show at 10 frames a second, tick by tick."""
    return ticks(watch(world_of(1), worlds, together(10.0, SECONDS), seed=1), 0.1)


@pytest.mark.slow
def test_plaza_is_followed_by_four_cameras_in_step(in_step):
    plaza = pipeline()
    found = scores(world_of(1), [plaza.follow(seen) for seen in in_step])
    assert found.idf1 >= 0.96
    assert found.mota >= 0.94


@pytest.mark.slow
def test_plaza_is_followed_with_calibrations_eight_pixels_off(in_step):
    plaza = pipeline(miscalibrated(1))
    assert scores(world_of(1), [plaza.follow(seen) for seen in in_step]).idf1 >= 0.94


@pytest.mark.slow
def test_plaza_is_followed_by_cameras_of_all_rates_whose_frames_come_late_and_out_of_order(worlds):
    arrivals = watch(world_of(1), worlds, apart(1, SECONDS), seed=1)
    plaza = pipeline()
    assert scores(world_of(1), [plaza.follow(seen) for seen in ticks(arrivals, 0.05)]).idf1 >= 0.94
