from dataclasses import replace

import numpy as np
import pytest

from gpuworker.scoring import Positions
from tests.benchmarks.contest import OURS, carry, contest
from tests.benchmarks.loads import Crowd, crowd_load

TRACKERS = [OURS, "bytetrack", "filterpy"]


@pytest.fixture(scope="module")
def load():
    return crowd_load(Crowd(cameras=3, people=6, fps=5.0, seconds=5.0))


def test_contest_scores_all_trackers_over_the_same_ticks(load):
    found = contest(load, peer_ticks=20)
    assert list(found["trackers"]) == TRACKERS
    assert [found[key] for key in ("cameras", "warm_up_ticks", "scored_ticks", "people")] == [3, 10, 20, 6]
    assert [found["trackers"][name]["ticks"] for name in TRACKERS] == [15, 10, 10]
    assert all(found["trackers"][name]["idf1"] > 0.5 for name in TRACKERS)
    assert found["trackers"][OURS]["stages_ms"].keys() >= {"track", "identify", "events"}


def test_carry_gives_what_a_tracker_published(load):
    class Truthful:
        def __init__(self):
            self.ticks = iter(load.truth)

        def step(self, observations):
            assert len(observations) == 3
            return next(self.ticks)

    run = carry(Truthful(), load, 4)
    assert [p.ids.tolist() for p in run.published] == [t.ids.tolist() for t in load.truth[:4]]
    assert run.wall_ms.shape == run.cpu_ms.shape == (4,)
    assert (run.wall_ms > 0).all()


def test_contest_scores_nothing_outside_the_bounds(load):
    nobody = Positions(np.zeros(0, np.int64), np.zeros((0, 2)))
    beside = replace(load, bounds_m=(100.0, 100.0, 101.0, 101.0), truth=tuple(nobody for _ in load.truth))
    found = contest(beside)
    assert [found["trackers"][name]["identities"] for name in TRACKERS] == [0, 0, 0]
