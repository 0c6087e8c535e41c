import numpy as np
import pytest
from filterpy.kalman import KalmanFilter

from gpuworker.pipeline import kalman


def reference(mean, cov):
    f = KalmanFilter(dim_x=5, dim_z=3)
    f.x, f.P = mean.copy(), cov.copy()
    return f


def some_tracks(n, seed=3):
    rng = np.random.default_rng(seed)
    mean = rng.normal(0, 3, (n, 5))
    root = rng.normal(0, 1, (n, 5, 5))
    return rng, mean, root @ np.swapaxes(root, 1, 2) + 0.1 * np.eye(5)


def test_predict_equals_filterpy():
    _, mean, cov = some_tracks(20)
    got_mean, got_cov = kalman.predict(mean, cov, 0.4, 0.15)
    for i in range(20):
        f = reference(mean[i], cov[i])
        f.predict(F=kalman.transition(0.4), Q=kalman.process_noise(0.4, 0.15))
        np.testing.assert_allclose(got_mean[i], f.x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(got_cov[i], f.P, rtol=1e-9, atol=1e-9)


def test_correct_equals_filterpy():
    rng, mean, cov = some_tracks(20)
    jacobian, residual = rng.normal(0, 1, (20, 3, 5)), rng.normal(0, 1, (20, 3))
    noise = np.tile(np.diag([0.5, 1.0, 2.0]), (20, 1, 1))
    matrix, vector = kalman.information(jacobian, noise, residual, np.ones((20, 3), bool))
    shift, got_cov = kalman.correct(np.linalg.inv(cov) + matrix, vector)
    for i in range(20):
        f = reference(mean[i], cov[i])
        f.update(jacobian[i] @ mean[i] + residual[i], R=noise[i], H=jacobian[i])
        np.testing.assert_allclose(mean[i] + shift[i], f.x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(got_cov[i], f.P, rtol=1e-9, atol=1e-9)


def test_information_of_several_cameras_adds_up_to_updates_one_after_the_other():
    rng, mean, cov = some_tracks(1)
    jacobian, residual = rng.normal(0, 1, (2, 3, 5)), rng.normal(0, 1, (2, 3))
    noise = np.tile(np.eye(3), (2, 1, 1))
    matrix, vector = kalman.information(jacobian, noise, residual, np.ones((2, 3), bool))
    shift, got = kalman.correct(np.linalg.inv(cov) + matrix.sum(axis=0), vector.sum(axis=0)[None])
    f = reference(mean[0], cov[0])
    for k in range(2):
        f.update(jacobian[k] @ mean[0] + residual[k], R=noise[k], H=jacobian[k])
    np.testing.assert_allclose(mean[0] + shift[0], f.x, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(got[0], f.P, rtol=1e-9, atol=1e-9)


def test_information_of_unmeasured_components_is_that_of_the_others():
    rng, _, _ = some_tracks(1)
    jacobian, residual = rng.normal(0, 1, (1, 3, 5)), np.array([[1.0, np.nan, 3.0]])
    noise = np.array([[[2.0, 0.3, 0.1], [0.3, 1.0, 0.2], [0.1, 0.2, 3.0]]])
    masked = kalman.information(jacobian, noise, residual, np.array([[True, False, True]]))
    keep = np.array([0, 2])
    told = jacobian[0, keep].T @ np.linalg.inv(noise[0][np.ix_(keep, keep)])
    np.testing.assert_allclose(masked[0][0], told @ jacobian[0, keep], atol=1e-12)
    np.testing.assert_allclose(masked[1][0], told @ residual[0, keep], atol=1e-12)


def test_update_equals_filterpy_and_is_undone_by_less_than_no_noise():
    rng, mean, cov = some_tracks(5, seed=3)
    jacobian, z = rng.normal(0, 1, (5, 3, 5)), rng.normal(0, 5, (5, 3))
    root = rng.normal(0, 0.4, (3, 3))
    noise = np.tile(root @ root.T + np.eye(3), (5, 1, 1))
    measured = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0]], dtype=bool)
    residual = np.where(measured, z - (jacobian @ mean[..., None])[..., 0], np.nan)
    shift, after = kalman.update(cov, jacobian, noise, residual, measured)
    for i, f in enumerate(reference(m, c) for m, c in zip(mean, cov, strict=True)):
        rows = np.flatnonzero(measured[i])
        if len(rows):
            f.update(z[i, rows], R=noise[i][np.ix_(rows, rows)], H=jacobian[i, rows])
        np.testing.assert_allclose(mean[i] + shift[i], f.x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(after[i], f.P, rtol=1e-9, atol=1e-9)
    left = residual - (jacobian @ shift[..., None])[..., 0]
    back, before = kalman.update(after, jacobian, -noise, left, measured)
    np.testing.assert_allclose(shift + back, 0.0, atol=1e-9)
    np.testing.assert_allclose(before, cov, rtol=1e-9, atol=1e-9)


def test_filter_over_many_ticks_equals_filterpy():
    """Irregular ticks, several cameras in each, of which each measures what it can."""
    rng, mean, cov = some_tracks(6, seed=8)
    filters = [reference(m, c) for m, c in zip(mean, cov, strict=True)]
    root = rng.normal(0, 0.4, (3, 3))
    noise = root @ root.T + np.eye(3)
    for _ in range(25):
        dt_s = float(rng.choice([0.0, 0.04, 0.1, 0.73, 2.0]))
        cameras = int(rng.integers(0, 4))
        mean, cov = kalman.predict(mean, cov, dt_s, 0.18)
        jacobian = rng.normal(0, 1, (cameras, 6, 3, 5))
        z = rng.normal(0, 5, (cameras, 6, 3))
        measured = rng.random((cameras, 6, 3)) < 0.6
        residual = z - (jacobian @ mean[..., None])[..., 0]
        told = [
            kalman.information(j, np.tile(noise, (6, 1, 1)), r, m)
            for j, r, m in zip(jacobian, residual, measured, strict=True)
        ]
        matrix = sum((matrix for matrix, _ in told), np.zeros((6, 5, 5)))
        vector = sum((vector for _, vector in told), np.zeros((6, 5)))
        shift, cov = kalman.correct(kalman.invert(cov) + matrix, vector)
        mean = mean + shift
        for i, f in enumerate(filters):
            f.predict(F=kalman.transition(dt_s), Q=kalman.process_noise(dt_s, 0.18))
            for c in range(cameras):
                rows = np.flatnonzero(measured[c, i])
                if len(rows):
                    f.update(z[c, i, rows], R=noise[np.ix_(rows, rows)], H=jacobian[c, i, rows])
            np.testing.assert_allclose(mean[i], f.x, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(cov[i], f.P, rtol=1e-9, atol=1e-9)


def test_transition_and_noise_of_several_times_are_those_of_each():
    dt_s = np.array([0.0, 0.1, 2.5])
    for k, one in enumerate(dt_s):
        np.testing.assert_array_equal(kalman.transition(dt_s)[k], kalman.transition(one))
        np.testing.assert_array_equal(kalman.process_noise(dt_s, 0.2)[k], kalman.process_noise(one, 0.2))


def test_information_of_nothing_measured_is_nothing():
    matrix, vector = kalman.information(
        np.ones((1, 3, 5)), np.eye(3)[None], np.full((1, 3), np.nan), np.zeros((1, 3), bool)
    )
    assert not matrix.any()
    assert not vector.any()


def test_predict_of_nobody_is_nobody():
    mean, cov = kalman.predict(np.zeros((0, 5)), np.zeros((0, 5, 5)), 1.0, 0.1)
    assert (mean.shape, cov.shape) == ((0, 5), (0, 5, 5))


def test_predict_walks_on_by_hand():
    mean, cov = kalman.predict(np.array([[1.0, 2, 0.5, -1, 1.7]]), np.zeros((1, 5, 5)), 2.0, 0.3)
    assert mean[0] == pytest.approx([2.0, 0.0, 0.5, -1, 1.7])
    assert np.diag(cov[0]) == pytest.approx([0.3 * 8 / 3, 0.3 * 8 / 3, 0.6, 0.6, 0.0])


def test_predict_twice_is_predict_once():
    _, mean, cov = some_tracks(4)
    once = kalman.predict(mean, cov, 1.0, 0.2)
    twice = kalman.predict(*kalman.predict(mean, cov, 0.3, 0.2), 0.7, 0.2)
    np.testing.assert_allclose(once[0], twice[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(once[1], twice[1], rtol=1e-9, atol=1e-9)


def test_inverse_by_cofactors_is_the_inverse():
    matrices = np.array(
        [[[4.0, 1.0, 0.5], [1.0, 3.0, -2.0], [0.5, -2.0, 6.0]], [[0, 2, 0], [1, 0, 0], [0, 0, 5]]]
    )
    inverse, determinant = kalman.invert3(matrices)
    np.testing.assert_allclose(inverse @ matrices, np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-14)
    np.testing.assert_allclose(determinant, np.linalg.det(matrices))
