from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gpuworker.pipeline import kalman
from gpuworker.pipeline.prediction import predict_paths
from gpuworker.pipeline.settings import PredictionSettings
from tests.gpuworker.made import people


def walkers():
    """Two people with covariances of a filter."""
    rng = np.random.default_rng(2)
    two = people(0.0, {7: 3, 8: 4})
    root = rng.normal(0, 0.3, (2, 4, 4))
    state = np.array([[1.0, 2.0, 1.5, 0.0], [4.0, -1.0, 0.0, -0.7]])
    return replace(two, state=state, covariance=root @ np.swapaxes(root, 1, 2) + 0.01 * np.eye(4))


def test_paths_now_are_where_people_are():
    two = walkers()
    place, covariance = predict_paths(two, [0.0])
    np.testing.assert_array_equal(place[:, 0], two.state[:, :2])
    np.testing.assert_allclose(covariance[:, 0], two.covariance[:, :2, :2], atol=1e-15)


def test_paths_of_lasting_velocity_are_those_of_the_tracker():
    two = walkers()
    place, covariance = predict_paths(two, [0.5, 2.0], PredictionSettings(1e5, 0.18))
    for k, time_s in enumerate((0.5, 2.0)):
        mean = np.column_stack([two.state, [1.7, 1.7]])
        cov = np.zeros((2, 5, 5))
        cov[:, :4, :4] = two.covariance
        expected_mean, expected_cov = kalman.predict(mean, cov, time_s, 0.18)
        np.testing.assert_allclose(place[:, k], expected_mean[:, :2], atol=1e-3)
        np.testing.assert_allclose(covariance[:, k], expected_cov[:, :2, :2], atol=1e-3)


def test_paths_solve_the_equations_of_fading_velocity():
    two, memory, psd = walkers(), 2.0, 0.3
    a = np.kron([[0.0, 1.0], [0.0, -1 / memory]], np.eye(2))
    q = np.diag([0, 0, psd, psd])

    def change(_, y):
        p = y[4:].reshape(4, 4)
        return np.concatenate([a @ y[:4], (a @ p + p @ a.T + q).ravel()])

    start = np.concatenate([two.state[0], two.covariance[0].ravel()])
    solved = solve_ivp(change, (0, 5), start, t_eval=[1.0, 5.0], rtol=1e-10, atol=1e-12).y
    place, covariance = predict_paths(two, [1.0, 5.0], PredictionSettings(memory, psd))
    np.testing.assert_allclose(place[0], solved[:2].T, atol=1e-8)
    np.testing.assert_allclose(covariance[0], solved[4:].T.reshape(2, 4, 4)[:, :2, :2], atol=1e-8)


def test_paths_of_nobody_or_no_time_are_empty():
    place, covariance = predict_paths(people(0.0, {}), [1.0, 2.0])
    assert (place.shape, covariance.shape) == ((0, 2, 2), (0, 2, 2, 2))
    place, covariance = predict_paths(walkers(), [])
    assert (place.shape, covariance.shape) == ((2, 0, 2), (2, 0, 2, 2))


@pytest.mark.parametrize("wrong", [[-1.0], [np.nan], [[1.0]]])
def test_paths_into_the_past_are_refused(wrong):
    with pytest.raises(ValueError, match="expected seconds from 0"):
        predict_paths(walkers(), wrong)
