import numpy as np
import pytest

from gpuworker.pipeline.detectability import MAX_DETECTION, MIN_DETECTION, OUTSIDE, PRIOR_HAD, Detectability
from gpuworker.pipeline.visibility import Visibility

ZERO = np.array([0])


def look(body, inside=1.0):
    return Visibility(body=np.array([[body]]), feet=np.array([[1.0]]), inside=np.array([[inside]]))


def probability(table, body=1.0, *, had=True, inside=1.0):
    return float(table.probability(ZERO, look(body, inside), np.array([[had]]))[0, 0])


def test_probability_starts_from_the_prior_by_visible_share():
    table = Detectability(1)
    got = [probability(table, share) for share in (0.0, 0.3, 0.5, 0.7, 1.0)]
    assert got == pytest.approx(PRIOR_HAD)


def test_probability_is_lower_for_somebody_the_camera_had_not():
    assert probability(Detectability(1), had=False) < probability(Detectability(1))


def test_probability_outside_the_picture_is_near_nothing():
    assert probability(Detectability(1), 0.0, inside=0.0) == pytest.approx(PRIOR_HAD[0] * OUTSIDE)


def test_learn_moves_the_probability_of_that_bin_alone():
    table = Detectability(1)
    table.learn(np.zeros(500, int), np.ones(500), np.ones(500, bool), np.zeros(500, bool))
    assert probability(table) < 0.1
    assert probability(table, 0.5) == pytest.approx(PRIOR_HAD[2])


def test_learn_never_makes_it_certain():
    table = Detectability(1)
    for detected in (True, False):
        for _ in range(40):
            table.learn(np.zeros(100, int), np.ones(100), np.ones(100, bool), np.full(100, detected))
        assert MIN_DETECTION <= probability(table) <= MAX_DETECTION
