from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gpuworker.pipeline.ladder import EFFORTS, FULL, Ladder, LadderSettings

SETTINGS = LadderSettings(patience_s=2.0, calm_s=5.0, relapse_s=10.0, longest_s=40.0)


def run(ladder, share, seconds, now_s, fps=10):
    """Take so much of each tick's time for a while; give when it is over."""
    for _ in range(round(seconds * fps)):
        now_s += 1 / fps
        ladder.count(share / fps, 1 / fps, now_s)
    return now_s


def test_each_step_does_no_more_of_anything_and_less_of_something():
    for up, down in pairwise(EFFORTS):
        before, after = ((e.looks, e.scale, e.frames or 99) for e in (up, down))
        assert all(a <= b for a, b in zip(after, before, strict=True))
        assert after != before


def test_a_machine_that_keeps_up_does_everything():
    ladder = Ladder(SETTINGS)
    run(ladder, 0.9, 60, 0.0)
    assert ladder.effort is FULL


def test_one_long_tick_changes_nothing():
    ladder = Ladder(SETTINGS)
    now_s = run(ladder, 0.3, 5, 0.0)
    ladder.count(3.0, 0.1, now_s + 0.1)
    run(ladder, 0.3, 1, now_s + 0.1)
    assert ladder.step == 0


def test_a_machine_that_does_not_keep_up_does_less_step_by_step_and_says_why():
    ladder = Ladder(SETTINGS)
    now_s = run(ladder, 1.5, 2.5, 0.0)
    assert (ladder.step, ladder.why) == (1, "ticks take 150% of the time there is")
    run(ladder, 1.5, 60, now_s)
    assert ladder.step == len(EFFORTS) - 1


def test_steps_are_climbed_back_when_it_is_calm():
    ladder = Ladder(SETTINGS)
    now_s = run(ladder, 1.5, 2.5, 0.0)
    now_s = run(ladder, 0.8, 20, now_s)
    assert ladder.step == 1  # neither too busy nor calm
    now_s = run(ladder, 0.3, 4.0, now_s)
    assert ladder.step == 1
    run(ladder, 0.3, 4.0, now_s)
    assert ladder.step == 0


def test_memory_that_is_full_is_a_step_at_once_and_the_bottom_is_told():
    ladder = Ladder(SETTINGS)
    downs = [ladder.go_down("memory is full", float(i)) for i in range(len(EFFORTS))]
    assert downs == [True] * (len(EFFORTS) - 1) + [False]
    assert ladder.step == len(EFFORTS) - 1


def test_each_relapse_makes_the_next_climb_wait_longer():
    ladder = Ladder(SETTINGS)
    waits, now_s = [], 0.0
    for _ in range(5):
        assert ladder.go_down("memory is full", now_s)
        began_s = now_s
        while ladder.step:
            now_s = run(ladder, 0.1, 0.1, now_s)
        waits.append(round(now_s - began_s))
    assert waits == [5, 10, 20, 40, 40]


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=200))
def test_the_step_is_always_one_of_the_ladder(ticks):
    ladder, now_s = Ladder(SETTINGS), 0.0
    for share, full in ticks:
        now_s += 0.5
        before = ladder.step
        if full:
            ladder.go_down("memory is full", now_s)
        else:
            ladder.count(share * 0.5, 0.5, now_s)
        assert 0 <= ladder.step < len(EFFORTS)
        assert abs(ladder.step - before) <= 1
