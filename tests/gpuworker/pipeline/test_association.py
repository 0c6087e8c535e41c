from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import linear_sum_assignment
from scipy.stats import multivariate_normal

from gpuworker.pipeline import association
from gpuworker.pipeline.association import assign, clutter_volume, fit, near
from gpuworker.pipeline.observation import (
    FEET_HIDDEN,
    HYPOTHESES,
    WHOLE,
    Measured,
    hypothesis_priors,
)
from tests.gpuworker.pipeline.staging import SETTINGS

PICTURE = np.array([[1280.0, 720.0]])
PREDICTED = np.array([[300.0, 400.0, 200.0]])  # 200 px high
COVARIANCE = np.diag([64.0, 49.0, 49.0])[None]
SIZE = np.array([200.0])


def measured(table, valid, frame=None):
    """Boxes of one frame, or of the frames given."""
    frame = np.zeros(len(table), dtype=np.int64) if frame is None else np.array(frame)
    start = np.searchsorted(frame, np.arange(frame.max(initial=0) + 2))
    return Measured(start, frame, table, np.tile(valid, (len(table), 1)), np.zeros(len(table)))


def compare(*z, valid=(True, True, True), feet_visible=1.0):
    """Evidence and hypothesis of each box against the predicted one; -inf for a box that is not even near."""
    table = np.array(z, dtype=np.float64).reshape(-1, 3)
    prior = hypothesis_priors(np.array([[feet_visible]]), SETTINGS)
    pairs = near(
        measured(table, valid), PREDICTED[None], COVARIANCE[None], SIZE[None], prior, PICTURE, SETTINGS
    )
    count = len(pairs)
    found, which = fit(pairs, np.tile(PREDICTED, (count, 1)), np.tile(COVARIANCE, (count, 1, 1)), SETTINGS)
    evidence, hypothesis = np.full(len(table), -np.inf), np.full(len(table), -1)
    evidence[pairs.box], hypothesis[pairs.box] = found, which
    return evidence, hypothesis


def test_fit_of_the_predicted_box_is_the_density_by_hand():
    evidence, hypothesis = compare((300, 400, 200))
    volume = np.log(1280 * 720 * 200 / SETTINGS.clutter_per_frame)
    density = -1.5 * np.log(2 * np.pi) - 0.5 * np.log(64 * 49 * 49)
    prior = np.log(1 - SETTINGS.feet_hidden_base)
    assert evidence[0] == pytest.approx(volume + density + prior)
    assert hypothesis[0] == WHOLE


def test_fit_of_a_box_that_ends_at_the_hips_has_hidden_feet():
    evidence, hypothesis = compare((300, 310, 200))
    assert hypothesis[0] == FEET_HIDDEN
    assert evidence[0] > 0


def test_fit_of_a_box_whose_feet_stand_lower_is_nobody():
    assert compare((300, 460, 200))[0][0] == -np.inf


def test_fit_outside_the_gate_is_nothing():
    assert compare((340, 400, 200))[0][0] == -np.inf


def test_fit_of_hidden_feet_is_likelier_where_somebody_stands_in_front():
    assert compare((300, 310, 200), feet_visible=0.0)[0] > compare((300, 310, 200))[0]


def test_fit_of_a_box_that_measures_nothing_is_nothing():
    assert compare((300, 400, 200), valid=(False, False, False))[0][0] == -np.inf


def test_fit_of_a_box_with_a_middle_only_tells_no_place():
    assert compare((300, 400, 200), valid=(True, False, False))[0][0] == -np.inf


@pytest.mark.parametrize("valid", list(product([True, False], repeat=3)))
@pytest.mark.parametrize("off", [(0, 0, 0), (4, -3, 5), (-6, -40, 2), (3, 2, 30), (9, 9, -9)])
def test_fit_agrees_with_densities_of_what_is_measured(valid, off):
    """Each hypothesis with a covariance that is not diagonal, against normal densities by SciPy."""
    root = np.array([[8.0, 1, 2], [0, 7, 3], [0, 0, 7]])
    covariance = root @ root.T
    table = PREDICTED + np.array(off, dtype=float)
    prior = hypothesis_priors(np.array([[0.6]]), SETTINGS)
    pairs = near(
        measured(table, valid), PREDICTED[None], covariance[None, None], SIZE[None], prior, PICTURE, SETTINGS
    )
    expected = -np.inf
    spread = np.sqrt(np.diag(covariance))
    for hypothesis, used in enumerate(HYPOTHESES & np.array(valid)):
        some = np.flatnonzero(used)
        if not used[1:].any() or (hypothesis and (used[1:] != HYPOTHESES[hypothesis][1:]).any()):
            continue
        if hypothesis == FEET_HIDDEN and off[1] >= 2.5 * spread[1]:
            continue
        part, away = covariance[np.ix_(some, some)], np.array(off, dtype=float)[some]
        if away @ np.linalg.solve(part, away) > SETTINGS.gate_chi2:
            continue
        density = multivariate_normal(np.zeros(len(some)), part).logpdf(away)
        volume = clutter_volume(used, SIZE, (1280.0, 720.0), SETTINGS)[0]
        expected = max(expected, density + volume + prior[0, 0, hypothesis])
    got = (
        fit(pairs, PREDICTED[pairs.track], covariance[None][pairs.track], SETTINGS)[0]
        if len(pairs)
        else [-np.inf]
    )
    assert got[0] == pytest.approx(expected)


def test_near_pairs_boxes_with_tracks_of_their_frame_only():
    table = np.array([[300.0, 400, 200], [900, 400, 200], [300, 400, 200]])
    predicted = np.array([[[300.0, 400, 200], [900, 400, 200]], [[900, 400, 200], [300, 400, 200]]])
    pairs = near(
        measured(table, (True, True, True), [0, 0, 1]),
        predicted,
        np.tile(COVARIANCE, (2, 2, 1, 1)),
        np.full((2, 2), 200.0),
        np.zeros((2, 2, 2)),
        np.tile(PICTURE, (2, 1)),
        SETTINGS,
    )
    assert list(zip(pairs.frame.tolist(), pairs.box.tolist(), pairs.track.tolist(), strict=True)) == [
        (0, 0, 0),
        (0, 1, 1),
        (1, 2, 1),
    ]


@pytest.mark.parametrize(("boxes", "tracks"), [(0, 1), (2, 0), (0, 0)])
def test_near_of_no_boxes_or_no_tracks_is_nobody(boxes, tracks):
    pairs = near(
        measured(np.zeros((boxes, 3)), (True, True, True)),
        np.zeros((1, tracks, 3)),
        np.zeros((1, tracks, 3, 3)),
        np.ones((1, tracks)),
        np.zeros((1, tracks, 2)),
        PICTURE,
        SETTINGS,
    )
    assert len(pairs) == 0
    assert [len(part) for part in fit(pairs, np.zeros((0, 3)), np.zeros((0, 3, 3)), SETTINGS)] == [0, 0]


def test_clutter_volume_counts_measured_components():
    masks = np.array([[True, True, True], [True, False, True], [False, True, False]])
    got = np.exp(clutter_volume(masks, SIZE, (1280.0, 720.0), SETTINGS))
    assert got == pytest.approx([1280 * 720 * 200, 1280 * 720, 720])


def test_assign_takes_the_best_sum_and_nothing_at_or_below_zero():
    score = np.array([5.0, 4.0, 4.0, 1.0, -1.0, 0.0])
    assert assign(score, np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 0, 1])).tolist() == [1, 2]


def test_assign_of_nothing_is_empty():
    none = np.zeros(0, dtype=np.int64)
    assert assign(np.zeros(0), none, none).tolist() == []
    assert assign(np.full(2, -np.inf), np.array([0, 1]), np.array([0, 0])).tolist() == []


@pytest.mark.parametrize(("many", "dense"), [(0, 1), (4, 3), (association.MANY, association.DENSE)])
@given(
    arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.floats(-10, 10)),
    st.data(),
)
def test_assign_is_as_good_as_the_whole_table_at_once(many, dense, table, data):
    """Against SciPy over the dense table, however few pairs are solved together."""
    i, j = np.nonzero(data.draw(arrays(np.bool_, table.shape)))
    before = association.MANY, association.DENSE
    association.MANY, association.DENSE = many, dense
    try:
        matched = assign(table[i, j], i, j)
    finally:
        association.MANY, association.DENSE = before
    assert len(set(i[matched].tolist())) == len(set(j[matched].tolist())) == len(matched)
    assert (table[i, j][matched] > 0).all()
    worth = np.zeros(table.shape)
    worth[i, j] = np.maximum(table[i, j], 0.0)
    best = worth[linear_sum_assignment(worth, maximize=True)].sum()
    assert table[i, j][matched].sum() == pytest.approx(best)
