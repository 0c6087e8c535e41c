from itertools import count

import numpy as np
import pytest

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.revision import Reviser
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.values import Site
from gpuworker.scoring import Positions
from tests.benchmarks.ablations import PARTS, Case, Part, Result, follow, of, table
from tests.gpuworker.pipeline.staging import observe, state, yard


def walkers(k):
    return state((2 + 0.4 * k, 4), (8 - 0.4 * k, 7))


def case(*, ticks=12, with_truth=True):
    """Two people who pass each other, four times a second."""
    truth = [Positions(np.array([1, 2]), walkers(k)[:, :2]) for k in range(ticks)]
    seen = [observe(yard(), walkers(k), k / 4, looks=np.eye(4)[:2]) for k in range(ticks)]
    bounds = (-10.0, -10.0, 20.0, 20.0)
    return Case("walkers", 4.0, Site(yard()), bounds, seen, truth if with_truth else None)


def test_follow_scores_what_is_followed():
    assert follow(case(), PARTS[0]) == (1.0, 1.0)


def test_follow_counts_identities_that_last_where_there_is_no_truth():
    assert follow(case(with_truth=False), PARTS[0]) == 0  # nobody is there for five seconds


def test_switch_that_breaks_the_tracker_is_seen():
    found = follow(case(), Part("broken", of("tracker", gate_chi2=1e-9)))
    assert isinstance(found, tuple)
    assert found[0] < 0.5


@pytest.mark.parametrize("part", PARTS[1:], ids=lambda part: part.name)
def test_each_part_has_a_switch_that_holds(part):
    changed = part.change(PipelineSettings()) != PipelineSettings()
    assert changed or part.without is not PARTS[0].without
    follow(case(ticks=2), part)


def test_without_revision_no_number_is_ever_worth_changing():
    [part] = [p for p in PARTS if p.name == "revision of numbers"]
    with part.without():
        settings = PipelineSettings()
        reviser = Reviser(count(1).__next__, LikelihoodRatio(settings.appearance), settings.identity)
    assert reviser._settings.margin == float("inf")


def test_table_gives_what_is_lost_without_each_part():
    found: dict[tuple[str, str], Result] = {
        ("everything on", "a"): (0.9, 0.8),
        ("everything on", "b"): 10,
        ("crowding", "a"): (0.85, 0.81),
        ("crowding", "b"): 12,
    }
    names = [Case(name, 1.0, Site({}), (0, 0, 1, 1), [], None) for name in "ab"]
    assert table(names, found) == [
        "| without | a | b |",
        "|---|---|---|",
        "| everything on | .900 / .800 | 10 |",
        "| crowding | -5.0 / +1.0 | 12 |",
    ]
