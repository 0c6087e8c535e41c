from datetime import timedelta

from gpuworker.pipeline.handover import Handover, Holders
from tests.gpuworker.pipeline.staging import START


def see(holders, at_s, number, *cameras):
    found = holders.see(number, START + timedelta(seconds=at_s), cameras)
    return None if found is None else (found.before, found.camera)


def test_first_camera_takes_somebody_over_from_nobody():
    assert Holders().see(1, START, ["c2", "c3"]) == Handover(None, "c2")
    assert Holders().see(1, START, []) is None


def test_camera_keeps_whom_it_misses_for_a_moment():
    holders = Holders()
    see(holders, 0.0, 1, "c1")
    assert [see(holders, t, 1, "c2") for t in (0.5, 1.9)] == [None, None]
    assert see(holders, 2.0, 1, "c1", "c2") is None
    assert [see(holders, t, 1, "c2") for t in (3.9, 4.0, 9.0)] == [None, ("c1", "c2"), None]


def test_people_who_swap_numbers_swap_cameras():
    holders = Holders()
    see(holders, 0.0, 1, "c1")
    see(holders, 0.0, 2, "c2")
    holders.rename({1: 2, 2: 1})
    assert [see(holders, 5.0, 1, "c2"), see(holders, 5.0, 2, "c1")] == [None, None]


def test_number_that_goes_to_somebody_whom_no_camera_had_begins_anew():
    holders = Holders()
    see(holders, 0.0, 1, "c1")
    holders.rename({1: 7})
    assert see(holders, 5.0, 1, "c2") == (None, "c2")


def test_newcomer_who_is_somebody_known_was_with_their_camera():
    holders = Holders()
    see(holders, 0.0, 1, "c1")
    see(holders, 30.0, 9, "c2")
    holders.recognise(9, 1)
    assert see(holders, 31.0, 1, "c2") == ("c1", "c2")
    see(holders, 40.0, 8, "c3")
    holders.recognise(8, 5)
    assert see(holders, 50.0, 5, "c3") is None


def test_what_is_forgotten_and_copied_is_apart():
    holders = Holders()
    see(holders, 0.0, 1, "c1")
    see(holders, 9.0, 2, "c1")
    copied = holders.copy()
    holders.forget_before(START + timedelta(seconds=5))
    holders.forget(2)
    assert [see(holders, 10.0, n, "c2") for n in (1, 2)] == [(None, "c2"), (None, "c2")]
    assert [see(copied, 10.0, 1, "c2"), see(copied, 10.0, 2, "c2")] == [("c1", "c2"), None]
