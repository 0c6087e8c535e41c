from dataclasses import replace

import numpy as np

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.duplicates import survivors
from gpuworker.pipeline.settings import AppearanceSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID
from tests.gpuworker.pipeline.staging import SETTINGS, state


def tracks(*places, numbers=None, apart_s=np.inf):
    n = len(places)
    born = Tracks.born(
        state(*places), np.tile(np.eye(5), (n, 1, 1)), np.zeros(n), np.ones((n, 2), bool), np.zeros((n, 0))
    )
    number = np.arange(1, n + 1) if numbers is None else np.array(numbers)
    return replace(born, number=number, apart_s=np.full((n, n), apart_s))


def likelihood():
    rng = np.random.default_rng(0)
    learned = LikelihoodRatio(AppearanceSettings())
    learned.learn(rng.normal(0.8, 0.08, 500), same=True)
    learned.learn(rng.normal(0.0, 0.2, 500), same=False)
    return learned


def test_survivors_keeps_two_who_look_different():
    pair = tracks((1, 1), (1.2, 1))
    assert survivors(pair.with_(look=np.eye(2) * 9), SETTINGS, likelihood()).tolist() == [0, 1]
    assert survivors(pair.with_(look=np.ones((2, 2))), SETTINGS, likelihood()).tolist() == [0, 0]


def test_survivors_merges_two_in_one_place_into_the_older():
    assert survivors(tracks((1, 1), (5, 5), (1.2, 1)), SETTINGS, likelihood()).tolist() == [0, 1, 0]


def test_survivors_keeps_two_whom_a_frame_showed_as_two():
    assert survivors(tracks((1, 1), (1.2, 1), apart_s=0.5), SETTINGS, likelihood()).tolist() == [0, 1]


def test_survivors_prefers_the_published_one():
    assert survivors(tracks((1, 1), (1.2, 1), numbers=(NO_ID, 7)), SETTINGS, likelihood()).tolist() == [1, 1]


def test_survivors_of_a_chain_merges_no_one_twice():
    assert survivors(tracks((1, 1), (1.4, 1), (1.8, 1)), SETTINGS, likelihood()).tolist() == [0, 0, 2]


def test_survivors_of_nobody_is_empty():
    assert survivors(Tracks.none(2), SETTINGS, likelihood()).tolist() == []


def test_tracks_join_and_select_keep_pairs_together():
    both = tracks((1, 1), apart_s=3.0).join(tracks((2, 2), (3, 3), apart_s=4.0))
    assert both.apart_s.tolist() == [[3, np.inf, np.inf], [np.inf, 4, 4], [np.inf, 4, 4]]
    assert both.select(np.array([2, 0])).apart_s.tolist() == [[4, np.inf], [np.inf, 3]]
