from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import pytest

from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.memory import Known
from gpuworker.pipeline.persons import Persons
from gpuworker.pipeline.settings import AppearanceSettings, IdentitySettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID
from tests.gpuworker.pipeline.staging import START, state

RED, BLUE = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
LOOKS = 10.0  # embeddings behind a look


def learned():
    rng = np.random.default_rng(0)
    likelihood = LikelihoodRatio(AppearanceSettings())
    likelihood.learn(rng.normal(0.8, 0.08, 500), same=True)
    likelihood.learn(rng.normal(0.0, 0.2, 500), same=False)
    return Persons(count(1).__next__, likelihood, IdentitySettings())


@pytest.fixture
def persons():
    return learned()


def tracks(*people):
    """Published tracks of (number, x, y, look)."""
    n = len(people)
    look = np.array([p[3] for p in people]).reshape(n, -1) if people else np.zeros((0, 3))
    born = Tracks.born(
        state(*[p[1:3] for p in people]),
        np.tile(np.eye(5), (n, 1, 1)),
        np.ones(n),
        np.ones((n, 1), bool),
        look,
        np.arange(n),
    )
    number = np.array([p[0] for p in people], dtype=np.int64)
    return replace(born, number=number, look=look, recent=np.zeros_like(look))


def at(seconds):
    return START + timedelta(seconds=seconds)


def test_persons_give_each_new_track_a_new_person(persons):
    numbers, recognised, _ = persons.step(at(0), tracks((10, 0, 0, RED * LOOKS), (11, 5, 5, BLUE * LOOKS)))
    assert (numbers.tolist(), recognised) == ([1, 2], ())
    assert persons.step(at(1), tracks((11, 5, 5, BLUE * LOOKS)))[0].tolist() == [2]


def test_persons_recognise_who_comes_back(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS), (11, 5, 5, BLUE * LOOKS)))
    persons.step(at(1), tracks((11, 5, 5, BLUE * LOOKS)))
    numbers, recognised, _ = persons.step(at(20), tracks((12, 3, 3, RED * LOOKS)))
    assert numbers.tolist() == [1]
    assert (recognised[0].track, recognised[0].person, recognised[0].previous) == (12, 1, None)
    assert recognised[0].similarity == pytest.approx(1.0)
    assert recognised[0].absent_s == 20.0


def test_persons_judge_a_newcomer_by_where_it_appeared(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    persons.step(at(2), tracks((11, 1, 0, RED * 0)))
    # since then it has walked further than 4 m, which says nothing against it
    numbers, recognised, _ = persons.step(at(5), tracks((11, 5.5, 0, RED * LOOKS)))
    assert numbers.tolist() == [1]
    assert recognised[0].previous == 2


@pytest.mark.parametrize(("others", "number"), [(0, 1), (40, 42)])
def test_persons_expect_who_went_last_before_those_of_long_ago(persons, others, number):
    later = [(11 + n, 0, 0, BLUE * LOOKS) for n in range(others)]
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS), *later))
    persons.step(at(10), tracks(*later))
    # place says nothing after a minute; 6 nats of looks against 1 + ln 41 and a margin of 2.5
    assert persons.step(at(70), tracks((99, 0, 0, RED * LOOKS)))[0].tolist() == [number]


def test_persons_revise_a_newcomer_once_looks_are_known(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    assert persons.step(at(5), tracks((11, 1, 1, RED * 0)))[0].tolist() == [2]
    numbers, recognised, _ = persons.step(at(6), tracks((11, 1, 1, RED * LOOKS)))
    assert numbers.tolist() == [1]
    assert recognised[0].previous == 2


def test_persons_do_not_revise_for_ever(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    for second in range(5, 11):
        persons.step(at(second), tracks((11, 1, 1, RED * 0)))
    assert persons.step(at(11), tracks((11, 1, 1, RED * LOOKS)))[0].tolist() == [2]


def test_persons_take_a_stranger_for_a_stranger(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    assert persons.step(at(20), tracks((11, 0, 0, BLUE * LOOKS)))[0].tolist() == [2]


def test_persons_in_doubt_between_two_take_a_new_one(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS), (11, 1, 1, RED * LOOKS)))
    assert persons.step(at(20), tracks((12, 0.5, 0.5, RED * LOOKS)))[0].tolist() == [3]


def test_persons_never_recognise_somebody_who_is_here(persons):
    for second in range(4):
        persons.step(at(second), tracks((10, 0, 0, RED * LOOKS)))
    both = tracks((10, 0, 0, RED * LOOKS), (11, 2, 2, RED * LOOKS))
    assert persons.step(at(4), both)[0].tolist() == [1, 2]


def test_persons_do_not_recognise_who_could_not_have_come_so_far(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    assert persons.step(at(2), tracks((11, 20, 0, RED * LOOKS)))[0].tolist() == [2]


def test_persons_without_looks_are_new(persons):
    persons.step(at(0), tracks((10, 0, 0, np.zeros(0))))
    assert persons.step(at(2), tracks((11, 0, 0, np.zeros(0))))[0].tolist() == [2]


def test_persons_forget_who_was_away_too_long(persons):
    persons.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    persons.step(at(4000), tracks())
    assert persons.step(at(4001), tracks((11, 0, 0, RED * LOOKS)))[0].tolist() == [2]


def test_persons_know_those_of_before_a_restart(persons):
    persons.learn([known(77, at(-30), RED)], at(-20))
    assert persons.step(at(0), tracks((11, 0, 0, RED * LOOKS)))[0].tolist() == [77]


def known(number, seen_at, look, place_m=(0, 0)):
    return Known(number=number, track=5, at=seen_at, place_m=np.array(place_m, float), looks=unit(look)[None])


def test_tracks_wait_for_their_look_after_an_interruption(persons):
    persons.learn([known(77, at(-5), RED), known(78, at(-5), BLUE, (5, 0))], at(-5))
    green = np.array([0.0, 0.0, 1.0])
    here = (11, 0, 0, RED * 0), (12, 5, 0, BLUE * LOOKS), (13, 9, 9, green * LOOKS)
    assert persons.step(at(0), tracks(*here))[0].tolist() == [NO_ID, 78, NO_ID]
    assert persons.at == at(0)
    assert persons.step(at(1), tracks((11, 0.5, 0, RED * LOOKS), *here[1:]))[0].tolist() == [77, 78, NO_ID]
    # everybody is back: whoever comes now is new at once
    assert persons.step(at(1.1), tracks((14, 3, 3, RED * 0), *here[1:]))[0].tolist() == [1, 78, 2]


def test_tracks_wait_no_longer_than_they_may_after_an_interruption(persons):
    persons.learn([known(77, at(-5), RED)], at(-5))
    assert persons.step(at(0), tracks((11, 0, 0, BLUE * LOOKS)))[0].tolist() == [NO_ID]
    assert persons.step(at(1.4), tracks((11, 0, 0, BLUE * LOOKS)))[0].tolist() == [NO_ID]
    assert persons.step(at(1.6), tracks((11, 0, 0, BLUE * LOOKS)))[0].tolist() == [1]
    assert persons.step(at(9.0), tracks((12, 0, 0, BLUE * 0)))[0].tolist() == [2]


def test_who_was_there_when_it_was_interrupted_is_likelier_back_than_who_had_gone():
    def recognised(there_at):
        """Count how many of ever less alike newcomers are taken for the person of before."""
        count_ = 0
        for far in np.linspace(0.0, 2.0, 41):
            persons = learned()
            persons.learn([known(77, there_at, RED)], at(-10))
            who = persons.step(at(0), tracks((11, 0, 0, unit(RED + far * BLUE) * LOOKS)))[0].tolist()
            count_ += who == [77]
        return count_

    assert recognised(at(-10)) > recognised(at(-11)) > 0


def test_persons_without_learned_likelihood_hold_to_the_threshold():
    fresh = Persons(count(1).__next__, LikelihoodRatio(AppearanceSettings()), IdentitySettings())
    fresh.step(at(0), tracks((10, 0, 0, RED * LOOKS)))
    almost = unit(RED + 0.9 * BLUE) * LOOKS
    assert fresh.step(at(2), tracks((11, 0, 0, almost)))[0].tolist() == [2]


def test_persons_of_nobody_are_nobody(persons):
    numbers, recognised, _ = persons.step(at(0), tracks())
    assert (numbers.tolist(), recognised) == ([], ())
