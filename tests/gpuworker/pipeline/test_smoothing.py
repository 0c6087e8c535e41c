from datetime import timedelta

import numpy as np
import pytest
from filterpy.kalman import rts_smoother

from gpuworker.pipeline import kalman
from gpuworker.pipeline.settings import SmoothingSettings
from gpuworker.pipeline.smoothing import Smoother
from gpuworker.pipeline.tracks import Tracks
from tests.gpuworker.pipeline.staging import START

PSD = 0.18
FLOOR_NOISE = np.diag([0.04, 0.09, 0.02])  # of x, y and height
MEASURES = np.eye(5)[[0, 1, 4]]


def filtered(times_s, *, seed=1, moved=(0.8, -0.3), noise=1.0):
    """Filter noisy positions of one person; give true positions (k, 2), means (k, 5), covariances (k, 5, 5)."""
    rng = np.random.default_rng(seed)
    truth = np.array([2.0, 5.0]) + np.outer(times_s, moved)
    mean, cov = np.array([[2.0, 5, 0, 0, 1.74]]), np.diag([1.0, 1, 1.5, 1.5, 0.01])[None]
    means, covs = [], []
    for k, time_s in enumerate(times_s):
        if k:
            mean, cov = kalman.predict(mean, cov, time_s - times_s[k - 1], PSD)
        z = np.append(truth[k], 1.8) + noise * rng.multivariate_normal(np.zeros(3), FLOOR_NOISE)
        told = kalman.information(
            MEASURES[None], FLOOR_NOISE[None], (z - MEASURES @ mean[0])[None], np.ones((1, 3), bool)
        )
        shift, cov = kalman.correct(np.linalg.inv(cov) + told[0], told[1])
        mean = mean + shift
        means.append(mean[0])
        covs.append(cov[0])
    return truth, np.array(means), np.array(covs)


def tracks(*rows):
    """Tracks of (number, mean, covariance) rows."""
    n = len(rows)
    born = Tracks.born(
        np.array([mean for _, mean, _ in rows]).reshape(n, 5),
        np.array([cov for _, _, cov in rows]).reshape(n, 5, 5),
        np.zeros(n),
        np.zeros((n, 1), bool),
        np.zeros((n, 0)),
        np.arange(n),
    )
    return born.with_(number=np.array([number for number, _, _ in rows], dtype=np.int64))


def feed(smoother, time_s, *rows, persons=None, cameras=None):
    """Take one step with (number, mean, covariance) rows; persons are a hundred more than the tracks."""
    numbers = np.array([number for number, _, _ in rows], dtype=np.int64)
    return smoother.step(
        START + timedelta(seconds=time_s),
        tracks(*rows),
        numbers + 100 if persons is None else np.array(persons),
        cameras or (("c1",),) * len(rows),
    )


def seconds(points):
    return [round((at - START).total_seconds(), 6) for at in points.at]


def reference(times_s, means, covs):
    """Smooth with filterpy."""
    dt = np.diff(times_s, append=times_s[-1])  # from each to the next
    fs, qs = kalman.transition(dt), kalman.process_noise(dt, PSD)
    x, p, _, _ = rts_smoother(means, covs, list(fs), list(qs))
    return x, p


REGULAR = np.arange(12) / 4
IRREGULAR = np.array([0.0, 0.1, 0.35, 0.4, 1.2, 1.21, 1.7, 2.9, 3.0])


@pytest.mark.parametrize("times_s", [REGULAR, IRREGULAR], ids=["regular", "irregular"])
def test_smoother_over_a_whole_track_equals_filterpy(times_s):
    _, means, covs = filtered(times_s)
    smoother = Smoother(SmoothingSettings(lag_s=10.0, interval_s=0.0), PSD)
    for time_s, mean, cov in zip(times_s, means, covs, strict=True):
        assert len(feed(smoother, time_s, (7, mean, cov))) == 0
    points = smoother.finish()
    x, p = reference(times_s, means, covs)
    assert seconds(points) == times_s.round(6).tolist()
    np.testing.assert_allclose(points.state, x[:, :4], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(points.covariance, p[:, :4, :4], rtol=1e-9, atol=1e-9)


def test_smoother_with_a_lag_equals_filterpy_over_what_was_known_then():
    _, means, covs = filtered(IRREGULAR)
    smoother = Smoother(SmoothingSettings(lag_s=0.75, interval_s=0.0), PSD)
    given = 0
    for k, time_s in enumerate(IRREGULAR):
        points = feed(smoother, time_s, (7, means[k], covs[k]))
        x, p = reference(IRREGULAR[: k + 1], means[: k + 1], covs[: k + 1])
        expected = [j for j in range(given, k) if IRREGULAR[j] <= time_s - 0.75]
        assert seconds(points) == IRREGULAR[expected].tolist()
        np.testing.assert_allclose(points.state, x[expected, :4], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(points.covariance, p[expected, :4, :4], rtol=1e-9, atol=1e-9)
        given += len(points)
    assert given == 7


def test_smoother_of_several_tracks_that_come_and_go_smooths_each_alone():
    spans = {3: range(12), 1: range(4, 9), 2: range(2, 12)}
    times_s = np.arange(12) / 4
    each = {n: filtered(times_s[list(span)], seed=n)[1:] for n, span in spans.items()}
    smoother = Smoother(SmoothingSettings(lag_s=0.5, interval_s=0.0), PSD)
    found = []
    for k, time_s in enumerate(times_s):
        rows = [(n, *(column[k - span[0]] for column in each[n])) for n, span in spans.items() if k in span]
        found.append(feed(smoother, time_s, *rows))
    found.append(smoother.finish())
    for number, span in spans.items():
        means, covs = each[number]
        got = np.concatenate([p.state[p.track == number] for p in found])
        assert len(got) == len(span)
        for j, state in enumerate(got):
            until = min(j + 3, len(span))  # half a second later
            x, _ = reference(times_s[span][:until], means[:until], covs[:until])
            np.testing.assert_allclose(state, x[j, :4], rtol=1e-9, atol=1e-9)


def test_smoother_is_nearer_the_truth_than_the_filter():
    times_s = np.arange(300) / 10
    truth, means, covs = filtered(times_s)
    smoother = Smoother(SmoothingSettings(lag_s=1.5, interval_s=0.0), PSD)
    points = [feed(smoother, t, (7, m, c)) for t, m, c in zip(times_s, means, covs, strict=True)]
    smooth = np.concatenate([p.state for p in [*points, smoother.finish()]])

    def rms(error):
        return np.sqrt(np.mean(np.sum(error**2, axis=1)))

    late = slice(20, None)
    assert rms((smooth[:, :2] - truth)[late]) < 0.75 * rms((means[:, :2] - truth)[late])
    assert rms((smooth[:, 2:] - [0.8, -0.3])[late]) < 0.75 * rms((means[:, 2:4] - [0.8, -0.3])[late])


def test_smoother_keeps_first_then_every_interval_then_last_point():
    smoother = Smoother(SmoothingSettings(lag_s=0.3, interval_s=0.5), PSD)
    _, means, covs = filtered(np.arange(9) / 10)
    found = [feed(smoother, k / 10, (7, means[k], covs[k])) for k in range(9)]
    gone = [feed(smoother, k / 10) for k in range(9, 13)]
    assert [seconds(p) for p in found] == [[], [], [], [0.0], [], [], [], [], [0.5]]
    assert [seconds(p) for p in gone] == [[], [], [0.8], []]
    assert len(smoother.finish()) == 0


def test_smoother_thins_points_without_changing_them():
    times_s = np.arange(30) / 10
    _, means, covs = filtered(times_s)
    found = []
    for interval_s in (0.0, 0.5):
        smoother = Smoother(SmoothingSettings(lag_s=1.0, interval_s=interval_s), PSD)
        points = [feed(smoother, t, (7, m, c)) for t, m, c in zip(times_s, means, covs, strict=True)]
        found.append({at: row for p in points for at, row in zip(p.at, p.state, strict=True)})
    every, some = found
    assert (len(every), len(some)) == (20, 4)
    for at, row in some.items():
        np.testing.assert_array_equal(row, every[at])


def test_smoother_goes_on_when_a_track_was_not_shown_for_a_while():
    times_s = np.array([0.0, 0.2, 1.0, 1.2])  # a gap shorter than the lag
    _, means, covs = filtered(times_s)
    smoother = Smoother(SmoothingSettings(lag_s=1.5, interval_s=0.0), PSD)
    for time_s in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2):
        rows = [(7, means[k], covs[k]) for k in np.flatnonzero(times_s == time_s)]
        feed(smoother, time_s, *rows)
    np.testing.assert_allclose(
        smoother.finish().state, reference(times_s, means, covs)[0][:, :4], rtol=1e-9, atol=1e-9
    )


def test_smoother_begins_the_path_of_a_number_anew_that_went_over_to_another_track():
    _, means, covs = filtered(np.array([0.0, 0.2, 0.4, 0.6]))
    smoother, other = (Smoother(SmoothingSettings(lag_s=1.0, interval_s=0.0), PSD) for _ in range(2))
    for k in (0, 1):
        feed(smoother, 0.2 * k, (7, means[k], covs[k]))
        feed(other, 0.2 * k, (7, means[k], covs[k]))
    before = other.finish()
    far = means + np.array([3.0, 0, 0, 0, 0])
    at = START + timedelta(seconds=0.4)
    smoother.step(at, tracks((7, far[2], covs[2])), np.array([107]), (("c1",),), renumbered={7, 9})
    feed(smoother, 0.6, (7, far[3], covs[3]))
    points = smoother.finish()
    assert len(points.track) == 4
    np.testing.assert_array_equal(points.state[:2], before.state)


def test_smoother_takes_the_newest_word_on_an_instant():
    _, means, covs = filtered(np.array([0.0, 0.5]))
    smoother = Smoother(SmoothingSettings(lag_s=1.0, interval_s=0.0), PSD)
    feed(smoother, 0.0, (7, means[0], covs[0]))
    feed(smoother, 0.5, (7, means[1] + 1.0, covs[1]))
    feed(smoother, 0.5, (7, means[1], covs[1]))  # late frames: same instant, another state
    points = smoother.finish()
    assert seconds(points) == [0.0, 0.5]
    x, _ = reference(np.array([0.0, 0.5]), means, covs)
    np.testing.assert_allclose(points.state, x[:, :4], rtol=1e-9, atol=1e-9)


def test_smoother_gives_the_person_as_known_last_and_the_cameras_of_the_instant():
    _, means, covs = filtered(np.arange(3) / 10)
    smoother = Smoother(SmoothingSettings(lag_s=1.0, interval_s=0.0), PSD)
    for k, (person, cameras) in enumerate([(5, ("c1", "c2")), (5, ()), (6, ("c2",))]):
        feed(smoother, k / 10, (7, means[k], covs[k]), persons=[person], cameras=(cameras,))
    points = feed(smoother, 1.1)
    assert points.person.tolist() == [6, 6]
    assert points.cameras == (("c1", "c2"), ())


def test_smoother_of_nobody_gives_nothing():
    smoother = Smoother(SmoothingSettings(), PSD)
    assert len(feed(smoother, 0.0)) == len(smoother.finish()) == 0


@pytest.mark.parametrize("wrong", [{"lag_s": -0.1}, {"lag_s": 10.5}, {"interval_s": float("nan")}])
def test_settings_of_smoothing_out_of_bounds_are_refused(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}: expected 0 to"):
        SmoothingSettings(**wrong)


def test_unsettled_points_are_those_that_finish_gives():
    smoother = Smoother(SmoothingSettings(lag_s=0.5, interval_s=0.25), PSD)
    assert len(smoother.unsettled()) == 0
    covariance = np.diag([0.04, 0.04, 0.1, 0.1, 0.01])
    for step in range(7):
        feed(smoother, step * 0.1, (1, np.array([step, 0, 1, 0, 1.7]), covariance))
    first, again, finished = smoother.unsettled(), smoother.unsettled(), smoother.finish()
    assert len(finished) == 2
    for points in (first, again):
        assert (points.at, points.cameras) == (finished.at, finished.cameras)
        np.testing.assert_array_equal(points.state, finished.state)
        np.testing.assert_array_equal(points.covariance, finished.covariance)
