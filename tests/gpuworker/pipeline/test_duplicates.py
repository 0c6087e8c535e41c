from dataclasses import replace

import numpy as np

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.duplicates import Duplicates
from gpuworker.pipeline.settings import AppearanceSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID
from tests.gpuworker.pipeline.staging import SETTINGS, state


def tracks(*places, numbers=None, first=0):
    n = len(places)
    born = Tracks.born(
        state(*places),
        np.tile(np.eye(5), (n, 1, 1)),
        np.zeros(n),
        np.ones((n, 2), bool),
        np.zeros((n, 0)),
        first + np.arange(n),
    )
    return replace(born, number=np.arange(1, n + 1) if numbers is None else np.array(numbers))


def likelihood():
    rng = np.random.default_rng(0)
    learned = LikelihoodRatio(AppearanceSettings())
    learned.learn(rng.normal(0.8, 0.08, 500), same=True)
    learned.learn(rng.normal(0.0, 0.2, 500), same=False)
    return learned


def survivors(*steps, duplicates=None):
    """Who goes on after steps of tracks, the frames that show them, and the time since the step before."""
    duplicates = duplicates or Duplicates(SETTINGS, likelihood())
    for people, shown, dt_s in steps:
        into = duplicates.survivors(
            people, np.array(shown, dtype=bool).reshape(len(shown), len(people)), dt_s
        )
    return into.tolist()


PAIR = tracks((1, 1), (1.2, 1))


def test_survivors_keeps_two_who_look_different():
    assert survivors((PAIR.with_(look=np.eye(2) * 9), [], 0.1)) == [0, 1]
    assert survivors((PAIR.with_(look=np.ones((2, 2))), [], 0.1)) == [0, 0]


def test_survivors_merges_two_in_one_place_into_the_older():
    assert survivors((tracks((1, 1), (5, 5), (1.2, 1)), [], 0.1)) == [0, 1, 0]


def test_survivors_keeps_two_whom_a_frame_showed_as_two_for_a_while():
    both, one = [[1, 0], [1, 1]], [[1, 0], [0, 1]]
    assert survivors((PAIR, both, 0.1)) == [0, 1]
    assert survivors((PAIR, both, 0.1), (PAIR, one, SETTINGS.duplicate_apart_s - 0.1)) == [0, 1]
    assert survivors((PAIR, both, 0.1), (PAIR, one, SETTINGS.duplicate_apart_s + 0.1)) == [0, 0]


def test_survivors_knows_two_who_came_close_from_frames_before():
    before = tracks((1, 1), (1 + 2 * SETTINGS.duplicate_m, 1))
    assert survivors((before, [[1, 1]], 0.1), (PAIR, [[1, 0]], 0.5)) == [0, 1]


def test_survivors_follows_pairs_when_tracks_come_and_go():
    three = tracks((7, 7), (1, 1), (1.2, 1))
    later = three.select(np.array([1, 2])).join(tracks((1.3, 1), first=3))
    assert survivors((three, [[0, 1, 1]], 0.1), (later, [[1, 0, 0]], 0.5)) == [0, 1, 0]


def test_survivors_prefers_the_published_one():
    assert survivors((tracks((1, 1), (1.2, 1), numbers=(NO_ID, 7)), [], 0.1)) == [1, 1]


def test_survivors_of_a_chain_merges_no_one_twice():
    assert survivors((tracks((1, 1), (1.4, 1), (1.8, 1)), [], 0.1)) == [0, 0, 2]


def test_survivors_of_nobody_or_nowhere():
    assert survivors((Tracks.none(2), [], 0.1)) == []
    assert survivors((tracks((1, 1), (np.nan, 1), (1, 1.1)), [], 0.1)) == [0, 1, 0]
