import numpy as np
import pytest

from gpuworker.pipeline.appearance import CameraMeans, LikelihoodRatio, unit
from gpuworker.pipeline.settings import AppearanceSettings

SETTINGS = AppearanceSettings()


def test_unit_scales_and_makes_zero_unknown():
    got = unit(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert got[0] == pytest.approx([0.6, 0.8])
    assert np.isnan(got[1]).all()


def test_camera_means_take_the_tint_of_a_camera_off():
    rng = np.random.default_rng(0)
    people = unit(rng.normal(0, 1, (40, 16)))
    tint = np.zeros((2, 16))
    tint[0, 0], tint[1, 1] = 2.0, -2.0
    means = CameraMeans(2, SETTINGS)
    for _ in range(20):
        looks = [means.centre(c, unit(people + tint[c])) for c in (0, 1)]
    same, raw = (
        (looks[0] * looks[1]).sum(axis=1),
        (unit(people + tint[0]) * unit(people + tint[1])).sum(axis=1),
    )
    assert raw.mean() < 0.3
    assert same.mean() > 0.7


def test_camera_means_leave_unknown_rows_unknown():
    means = CameraMeans(1, SETTINGS)
    got = means.centre(0, np.array([[1.0, 0.0], [np.nan, np.nan]]))
    assert got[0] == pytest.approx([1.0, 0.0])
    assert np.isnan(got[1]).all()


def test_camera_means_of_nothing_are_nothing():
    assert CameraMeans(1, SETTINGS).centre(0, np.zeros((3, 0))).shape == (3, 0)
    assert CameraMeans(1, SETTINGS).centre(0, np.zeros((0, 8))).shape == (0, 8)


def test_camera_means_begin_anew_with_another_model():
    means = CameraMeans(1, SETTINGS)
    means.centre(0, np.ones((50, 2)))
    assert means.centre(0, np.eye(3)).shape == (3, 3)


def learned(same: tuple[float, float], different: tuple[float, float]):
    ratio = LikelihoodRatio(SETTINGS)
    rng = np.random.default_rng(0)
    ratio.learn(rng.normal(same[0], same[1], 1000), same=True)
    ratio.learn(rng.normal(different[0], different[1], 1000), same=False)
    return ratio


def test_likelihood_ratio_begins_with_the_threshold_and_only_for():
    ratio = LikelihoodRatio(SETTINGS)
    got = ratio.evidence(np.array([0.2, 0.8, 0.85, 0.99, np.nan]), 2.0)
    assert not ratio.is_learned
    assert got == pytest.approx([0, 0, 0.5, 1, 0])


def test_likelihood_ratio_learned_is_that_of_two_normals():
    ratio = learned((0.7, 0.1), (0.1, 0.2))
    assert ratio.is_learned
    exact = -0.5 * ((0.5 - 0.7) / 0.1) ** 2 - np.log(0.1) + 0.5 * ((0.5 - 0.1) / 0.2) ** 2 + np.log(0.2)
    assert ratio.evidence(np.array([0.5]), 9.0) == pytest.approx([exact], abs=0.3)


def test_likelihood_ratio_grows_with_similarity_and_is_bounded():
    got = learned((0.7, 0.1), (0.1, 0.2)).evidence(np.linspace(-1, 1, 41), 2.0)
    assert (np.diff(got) >= 0).all()
    assert (got.min(), got.max()) == (-2.0, 2.0)


def test_likelihood_ratio_of_looks_that_tell_nothing_is_nothing():
    assert learned((0.1, 0.2), (0.2, 0.2)).evidence(np.array([0.0, 0.9]), 2.0).tolist() == [0, 0]
