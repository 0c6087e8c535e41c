"""How well people of the simulated plaza are followed by geometry alone, with a crowd detector's noise."""

import pytest

from gpuworker.pipeline.values import Event
from gpuworker.sources.sim.worlds import SharedWorld, Worlds
from tests.gpuworker.plaza import BEGIN, apart, miscalibrated, pipeline, scores, ticks, together, watch

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


@pytest.mark.slow
def test_plaza_camera_that_moves_by_twenty_pixels_is_named_soon(worlds):
    moved_s, moved = 20.0, dict[str | None, Event]()
    arrivals = watch(world_of(2), worlds, together(10.0, SECONDS), seed=2, moved=(2, moved_s, (12.0, -16.0)))
    plaza, results = pipeline(miscalibrated(2)), []
    for seen in ticks(arrivals, 0.1):
        results.append(plaza.follow(seen))
        moved |= {e.camera_id: e for e in results[-1].events if e.kind == "camera_moved"}
    assert list(moved) == ["c3"]
    assert (moved["c3"].at - BEGIN).total_seconds() - moved_s <= 30.0
    assert moved["c3"].payload["moved_px"] == pytest.approx(20.0, abs=4.0)
    assert scores(world_of(2), results).idf1 >= 0.94
