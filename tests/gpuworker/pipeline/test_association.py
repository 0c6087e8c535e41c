import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from gpuworker.pipeline.association import assign, clutter_volume, fit
from gpuworker.pipeline.observation import FEET_HIDDEN, TOP_CUT, WHOLE, Measured, hypothesis_priors
from tests.gpuworker.pipeline.staging import SETTINGS

PICTURE = (1280.0, 720.0)
PREDICTED = np.array([[300.0, 400.0, 200.0]])  # 200 px high
COVARIANCE = np.diag([64.0, 49.0, 49.0])[None]
SIZE = np.array([200.0])


def compare(*z, valid=(True, True, True), feet_visible=1.0):
    table = np.array(z, dtype=np.float64).reshape(-1, 3)
    measured = Measured(table, np.tile(valid, (len(table), 1)), np.zeros(len(table)))
    prior = hypothesis_priors(np.array([feet_visible]), SETTINGS)
    return fit(measured, PREDICTED, COVARIANCE, SIZE, prior, PICTURE, SETTINGS)


def test_fit_of_the_predicted_box_is_the_density_by_hand():
    got = compare((300, 400, 200))
    volume = np.log(1280 * 720 * 200 / SETTINGS.clutter_per_frame)
    density = -1.5 * np.log(2 * np.pi) - 0.5 * np.log(64 * 49 * 49)
    prior = np.log(1 - SETTINGS.feet_hidden_base - SETTINGS.top_cut_base)
    assert got.evidence[0, 0] == pytest.approx(volume + density + prior)
    assert got.hypothesis[0, 0] == WHOLE


def test_fit_of_a_box_that_ends_at_the_hips_has_hidden_feet():
    got = compare((300, 310, 200))
    assert got.hypothesis[0, 0] == FEET_HIDDEN
    assert got.evidence[0, 0] > 0


def test_fit_of_a_box_that_begins_at_the_chest_has_its_top_cut():
    assert compare((300, 400, 260)).hypothesis[0, 0] == TOP_CUT


def test_fit_of_a_box_whose_feet_stand_lower_is_nobody():
    assert compare((300, 460, 200)).evidence[0, 0] == -np.inf


def test_fit_outside_the_gate_is_nothing():
    assert compare((340, 400, 200)).evidence[0, 0] == -np.inf


def test_fit_of_hidden_feet_is_likelier_where_somebody_stands_in_front():
    assert compare((300, 310, 200), feet_visible=0.0).evidence > compare((300, 310, 200)).evidence


def test_fit_of_a_box_that_measures_nothing_is_nothing():
    assert compare((300, 400, 200), valid=(False, False, False)).evidence[0, 0] == -np.inf


def test_fit_of_a_box_with_a_middle_only_tells_no_place():
    assert compare((300, 400, 200), valid=(True, False, False)).evidence[0, 0] == -np.inf


def test_fit_of_no_boxes_or_no_tracks_is_empty():
    assert compare().evidence.shape == (0, 1)
    nobody = fit(
        Measured(np.zeros((2, 3)), np.ones((2, 3), bool), np.zeros(2)),
        np.zeros((0, 3)),
        np.zeros((0, 3, 3)),
        np.zeros(0),
        np.zeros((0, 3)),
        PICTURE,
        SETTINGS,
    )
    assert nobody.evidence.shape == (2, 0)


def test_clutter_volume_counts_measured_components():
    masks = np.array([[True, True, True], [True, False, True], [False, True, False]])
    got = np.exp(clutter_volume(masks, SIZE, PICTURE, SETTINGS))
    assert got == pytest.approx([1280 * 720 * 200, 1280 * 720, 720])


def test_assign_takes_the_best_sum_and_nothing_at_or_below_zero():
    score = np.array([[5.0, 4.0], [4.0, 1.0], [-1.0, 0.0]])
    assert assign(score).tolist() == [1, 0, -1]


def test_assign_of_infinite_costs_matches_nobody():
    assert assign(np.full((2, 3), -np.inf)).tolist() == [-1, -1]


def test_assign_of_nothing_is_empty():
    assert assign(np.zeros((0, 4))).tolist() == []
    assert assign(np.zeros((2, 0))).tolist() == [-1, -1]


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, max_side=6),
        elements=st.floats(-10, 10) | st.just(-np.inf),
    )
)
def test_assign_gives_each_track_one_box_at_most(score):
    matched = assign(score)
    used = matched[matched >= 0]
    assert len(np.unique(used)) == len(used)
    assert (score[matched >= 0, used] > 0).all()
