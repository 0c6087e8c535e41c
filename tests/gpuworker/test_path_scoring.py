from dataclasses import replace

import numpy as np
import pytest

from gpuworker.path_scoring import PathScorer
from gpuworker.scoring import Positions
from tests.gpuworker.made import people, points

AREA = (0.0, 0.0, 100.0, 100.0)


def walk(*x_m, person=4):
    """The truth of one person at y = 2 m, tick by tick; None where there is none."""
    return [
        Positions(
            np.array([] if x is None else [person], np.int64),
            np.array([] if x is None else [[x, 2.0]]).reshape(-1, 2),
        )
        for x in x_m
    ]


def at_rest(x_m, std_m=0.5):
    """One published person who stands still for certain, a second later too."""
    one = people(0.0, {7: 3}, x_m=x_m)
    covariance = np.zeros((1, 4, 4))
    covariance[0, :2, :2] = std_m**2 * np.eye(2)
    return replace(one, state=np.array([[x_m, 2.0, 0.0, 0.0]]), covariance=covariance)


def score(truth, published, *, fps=1.0):
    scorer = PathScorer(truth, AREA, fps)
    for tick, there in enumerate(published):
        scorer.add(tick, there, points())
    return scorer.scores()


def test_paths_of_somebody_who_walks_on_are_scored_by_hand():
    # from tick 0: predicted to stay at 1 m, the truth is at 2, 3, 4 ... m
    scores = score(walk(1, 2, 3, 4, 5, 6), [at_rest(1.0)])
    assert scores.fde_m == scores.fde_still_m == pytest.approx({"1": 1, "3": 3, "5": 5})
    assert scores.ade_m == scores.ade_still_m == pytest.approx({"1": 1, "3": 2, "5": 3})


def test_paths_of_known_velocity_beat_standing_still():
    truth = walk(*range(1, 8))
    there = at_rest(1.0)
    scores = score(truth, [replace(there, state=np.array([[1.0, 2.0, 1.0, 0.0]]))])
    for horizon in ("1", "3", "5"):
        assert scores.fde_m[horizon] < 0.4 * scores.fde_still_m[horizon]


def test_paths_inside_the_ellipse_are_counted():
    # in a second random turns add 0.18 / 3 m^2 or a little less: the edge is at about 2.146 x 0.554 m = 1.19 m
    assert score(walk(1, 2.1), [at_rest(1.0)]).inside_90["1"] == 1
    assert score(walk(1, 2.3), [at_rest(1.0)]).inside_90["1"] == 0


def test_paths_end_where_the_truth_ends():
    scores = score(walk(1, None, 1, 1), [at_rest(1.0)])
    assert scores.fde_m == {"1": None, "3": 0, "5": None}
    assert scores.ade_m == {"1": None, "3": 0, "5": 0}


def test_paths_of_nobody_known_are_not_scored():
    scores = score(walk(1, 1), [at_rest(2.5)])  # further off than a metre
    assert set(scores.fde_m.values()) == {None}
    assert scores.motp_stored_m is None


def test_paths_count_ticks_by_the_rate():
    truth = walk(*(1 + k / 4 for k in range(30)))
    assert score(truth, [at_rest(1.0)], fps=4.0).fde_m == pytest.approx({"1": 1, "3": 3, "5": 5})


def test_stored_points_are_scored_against_the_truth_of_their_instant():
    scorer = PathScorer(walk(1, 2), AREA, 1.0)
    scorer.add(0, people(0.0, {7: 3}, x_m=1.5), points())
    scorer.add(1, people(1.0, {7: 3}, x_m=2.0), points(0.0, {7: 3}, x_m=1.25))
    scorer.add_stored(points(1.0, {7: 3, 9: 4}, x_m=2.15))
    scores = scorer.scores()
    assert (scores.motp_stored_m, scores.motp_live_m) == pytest.approx(((0.25 + 0.15) / 2, (0.5 + 0) / 2))
