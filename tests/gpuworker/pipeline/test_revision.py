from datetime import timedelta
from itertools import count

import numpy as np
import pytest

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.revision import Reviser, Sight, place_odds
from gpuworker.pipeline.settings import AppearanceSettings, IdentitySettings
from gpuworker.pipeline.tracks import Tracks
from tests.gpuworker.pipeline.staging import START, state

RED, BLUE, GREEN = np.eye(3)
NOTHING = np.zeros(3)
SETTINGS = IdentitySettings()


@pytest.fixture
def reviser():
    rng = np.random.default_rng(0)
    likelihood = LikelihoodRatio(AppearanceSettings())
    likelihood.learn(rng.normal(0.8, 0.08, 500), same=True)
    likelihood.learn(rng.normal(0.0, 0.2, 500), same=False)
    return Reviser(count(100).__next__, likelihood, SETTINGS)


def tracks(*people):
    """Published tracks of (number, x, y, settled look, look in this tick)."""
    n = len(people)
    settled, shown = np.array([p[3] for p in people]), np.array([p[4] for p in people])
    born = Tracks.born(
        state(*[p[1:3] for p in people]),
        np.tile(np.eye(5), (n, 1, 1)),
        np.ones(n),
        np.ones((n, 1), bool),
        shown.astype(float),
        np.arange(n),
    )
    return born.with_(number=np.array([p[0] for p in people]), look=settled.astype(float))


def show(reviser, seconds, ticks, *people, gone=()):
    """Show people who keep their places for some ticks of 0.1 s; give the tracks and all revisions."""
    now, revisions = tracks(*people), []
    for k in range(ticks):
        if k:
            shown = np.array([p[4] for p in people], dtype=float)
            now = now.with_(recent=now.recent + shown, looked=shown.any(axis=1))
        at = START + timedelta(seconds=seconds + 0.1 * k)
        now, found = reviser.step(at, now, gone if k == 0 else ())
        revisions += found
    return now, revisions


def sight(number, seconds, place, look):
    at = START + timedelta(seconds=seconds)
    return Sight(number=number, look=look, at=at, place_m=np.array(place, float), velocity_mps=np.zeros(2))


def test_reviser_gives_exchanged_numbers_back(reviser):
    now, found = show(reviser, 0, 30, (1, 0, 0, 20 * RED, BLUE), (2, 0.5, 0, 20 * BLUE, RED))
    assert now.number.tolist() == [2, 1]
    assert sorted((r.before, r.after, r.is_new) for r in found) == [(1, 2, False), (2, 1, False)]
    assert found[0].similarity == pytest.approx(1.0)
    assert found[0].evidence > found[0].runner_up + SETTINGS.margin
    # looks went with the numbers
    assert (now.look[0] @ BLUE, now.look[1] @ RED) == (
        pytest.approx(np.linalg.norm(now.look[0])),
        pytest.approx(np.linalg.norm(now.look[1])),
    )


def test_reviser_leaves_numbers_that_fit(reviser):
    now, found = show(reviser, 0, 30, (1, 0, 0, 20 * RED, RED), (2, 0.5, 0, 20 * BLUE, BLUE))
    assert (now.number.tolist(), found) == ([1, 2], [])
    assert np.linalg.norm(now.look, axis=1).min() > 20


def test_reviser_does_not_exchange_people_who_were_never_near(reviser):
    show(reviser, 0, 1, (1, 0, 0, 20 * RED, RED), (2, 50, 0, 20 * BLUE, BLUE))
    now, found = show(reviser, 0.1, 30, (1, 0, 0, 20 * RED, BLUE), (2, 50, 0, 20 * BLUE, RED))
    assert 2 not in [r.after for r in found if r.before == 1]
    assert len(set(now.number.tolist())) == 2


def test_reviser_waits_until_a_verdict_lasts(reviser):
    looks = (1, 0, 0, 20 * RED, BLUE), (2, 0.5, 0, 20 * BLUE, RED)
    _, early = show(reviser, 0, int(SETTINGS.settle_s / 0.1) + 1, *looks)
    assert early == []


def test_reviser_brings_back_the_number_of_somebody_hidden(reviser):
    gone = [sight(7, 0, (0, 0), 20 * RED)]
    now, found = show(reviser, 3.0, 10, (9, 0.5, 0, NOTHING, RED), gone=gone)
    assert now.number.tolist() == [7]
    assert [(r.before, r.after, r.is_new, r.absent_s) for r in found] == [
        (9, 7, True, pytest.approx(3.3, abs=0.11))
    ]


def test_reviser_takes_a_stranger_for_a_stranger(reviser):
    gone = [sight(7, 0, (0, 0), 20 * RED)]
    now, found = show(reviser, 3.0, 60, (9, 0.5, 0, NOTHING, BLUE), gone=gone)
    assert (now.number.tolist(), found) == ([9], [])
    assert now.look[0] @ BLUE > 0  # settled


def test_reviser_does_not_bring_back_who_could_not_have_walked_there(reviser):
    gone = [sight(7, 2.9, (30, 0), 20 * RED)]
    now, found = show(reviser, 3.0, 10, (9, 0.5, 0, NOTHING, RED), gone=gone)
    assert (now.number.tolist(), found) == ([9], [])


def test_reviser_gives_a_new_number_to_a_track_that_went_over_to_a_stranger(reviser):
    now, found = show(reviser, 0, 30, (1, 0, 0, 20 * RED, GREEN))
    assert now.number.tolist() == [1]  # nobody was near: looks alone do not make somebody else
    assert found == []
    now, found = show(reviser, 10, 30, (1, 0, 0, 20 * RED, GREEN), (2, 0.5, 0, 20 * BLUE, BLUE))
    assert now.number.tolist() == [100, 2]
    assert [(r.before, r.after) for r in found] == [(1, 100)]


def test_reviser_never_gives_one_number_to_two_tracks(reviser):
    rng = np.random.default_rng(1)
    looks = rng.normal(size=(6, 3))
    people = [(i + 1, 0.4 * i, 0, 20 * looks[i], looks[(i * 5 + 2) % 6]) for i in range(6)]
    now, _ = show(reviser, 0, 60, *people)
    assert len(set(now.number.tolist())) == 6


def test_reviser_without_looks_changes_nothing(reviser):
    plain = Tracks.none(2)
    assert reviser.step(START, plain) == (plain, ())


def test_place_odds_fall_with_distance_and_end_where_nobody_can_walk():
    there = np.array([[d, 0.0] for d in (0.0, 2.0, 5.0, 8.0)])
    odds = place_odds(np.zeros(2), there, np.zeros((4, 2)), np.full(4, 2.0), SETTINGS).tolist()
    assert odds[0] > odds[1] > odds[2] > odds[3] == -np.inf


def test_place_odds_expect_who_is_away_to_walk_on_for_a_moment():
    walking = np.array([[1.0, 0.0]])

    def odds(x, gap_s):
        return place_odds(np.array([x, 0.0]), np.zeros((1, 2)), walking, np.array([gap_s]), SETTINGS)[0]

    assert odds(1.0, 1.0) > odds(-1.0, 1.0)
    # after a long while the way is as long as walks_on_s, and no longer
    far = SETTINGS.walks_on_s
    assert odds(far, 9.0) == pytest.approx(max(odds(x, 9.0) for x in np.linspace(0, 9, 91)), abs=0.01)
