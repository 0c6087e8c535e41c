import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.pacing import (
    FIRST_WINDOW_FRAMES,
    FORGET_S,
    PATIENCE_S,
    STALE_S,
    TRIAL_S,
    WINDOW_FRAMES,
    MessageAllowance,
    Pacer,
    coarser,
    finer,
    widest_useful_tier,
)


def watch(pacer, *, start_s, seconds, ack_after_s, fps=10, best="high"):
    """Send frames for a while, each acked after so long (None: never; or a function of the time sent)."""
    acks: list[tuple[float, int]] = []
    tiers, seq = [], int(start_s * 1000)
    for second in range(seconds):
        for k in range(fps):
            now = start_s + second + k / fps
            for due, number in [a for a in acks if a[0] <= now]:
                pacer.ack("c1", number, now=due)
                acks.remove((due, number))
            seq += 1
            if pacer.admit("c1", seq, now=now) and ack_after_s is not None:
                acks.append((now + (ack_after_s(now) if callable(ack_after_s) else ack_after_s), seq))
        pacer.adapt(now=start_s + second + 1, best=best)
        tiers.append(pacer.tier)
    return tiers


def test_viewer_who_never_acks_gets_a_low_fixed_allowance():
    pacer = Pacer(now=0.0)
    admitted = [now for now in (k / 10 for k in range(100)) if pacer.admit("c1", int(now * 10), now=now)]

    assert len(admitted) == FIRST_WINDOW_FRAMES * 10 / FORGET_S  # seconds over the time to forget
    assert pacer.take_counts() == (10, 90)


def test_viewer_who_acks_gets_every_frame():
    pacer = Pacer(now=0.0)
    watch(pacer, start_s=0.0, seconds=5, ack_after_s=0.03)

    assert pacer.take_counts() == (50, 0)


def test_frames_beyond_the_window_are_left_out_until_an_ack():
    pacer = Pacer(now=0.0)
    pacer.admit("c1", 0, now=0.0)
    pacer.ack("c1", 0, now=0.01)

    admitted = [pacer.admit("c1", seq, now=0.02) for seq in range(1, WINDOW_FRAMES + 2)]
    assert admitted == [True] * WINDOW_FRAMES + [False]
    assert pacer.ack("c1", 3, now=0.03)  # all up to it were shown or overtaken
    assert [pacer.admit("c1", seq, now=0.04) for seq in (20, 21, 22, 23)] == [True, True, True, False]


def test_stale_frame_stops_its_camera_and_no_other():
    pacer = Pacer(now=0.0)
    pacer.admit("c1", 0, now=0.0)
    pacer.ack("c1", 0, now=0.0)
    pacer.admit("c1", 1, now=0.0)

    assert not pacer.admit("c1", 2, now=STALE_S)
    assert pacer.admit("c2", 2, now=STALE_S)


def test_ack_of_a_frame_that_was_not_sent_is_unknown():
    pacer = Pacer(now=0.0)
    pacer.admit("c1", 5, now=0.0)

    assert not pacer.ack("c1", 4, now=0.1)
    assert not pacer.ack("c2", 5, now=0.1)
    assert pacer.ack("c1", 5, now=0.1)
    assert not pacer.ack("c1", 5, now=0.1)


def test_source_that_counts_again_from_zero_is_sent():
    pacer = Pacer(now=0.0)
    for seq in (100, 101, 0, 1):
        assert pacer.admit("c1", seq, now=seq / 1000)
        assert pacer.ack("c1", seq, now=seq / 1000 + 0.01)


def test_tier_falls_for_slow_acks_and_comes_back_when_they_are_prompt():
    pacer = Pacer(now=0.0)
    assert pacer.tier == "medium"
    assert watch(pacer, start_s=0.0, seconds=4, ack_after_s=0.45)[-1] == "low"

    tiers = watch(pacer, start_s=4.0, seconds=30, ack_after_s=0.02)
    assert tiers[0] == "low"
    assert tiers[int(PATIENCE_S) + 1] == "medium"
    assert tiers[-1] == "high"


def test_tier_falls_when_nothing_is_acked():
    pacer = Pacer(now=0.0)
    assert watch(pacer, start_s=0.0, seconds=3, ack_after_s=None)[-1] == "low"


def test_tier_rises_no_further_than_the_pictures_need():
    pacer = Pacer(now=0.0)
    assert set(watch(pacer, start_s=0.0, seconds=60, ack_after_s=0.02, best="medium")) == {"medium"}


def test_one_bad_second_changes_nothing():
    pacer = Pacer(now=0.0)

    def stalled_for_a_second(now):
        return max(0.02, 3.0 - now) if 2.0 <= now < 3.0 else 0.02

    assert set(watch(pacer, start_s=0.0, seconds=6, ack_after_s=stalled_for_a_second)) == {"medium"}
    assert pacer.take_counts()[1] > 0


def test_better_tier_that_fails_is_tried_less_often():
    pacer = Pacer(now=0.0)
    now, waits = 0.0, []
    for _ in range(3):
        seconds = 0
        while pacer.tier != "high":
            watch(pacer, start_s=now, seconds=1, ack_after_s=0.02)
            now, seconds = now + 1, seconds + 1
        waits.append(seconds)
        while pacer.tier == "high":  # this tier is too much for the line
            watch(pacer, start_s=now, seconds=1, ack_after_s=0.45)
            now += 1
    assert waits[0] < waits[1] < waits[2]


def test_better_tier_that_lasts_resets_the_patience():
    pacer = Pacer(now=0.0)
    pacer._patience_s = 64.0
    pacer._raised_at = 0.0
    watch(pacer, start_s=0.0, seconds=int(TRIAL_S) + 1, ack_after_s=0.02, best="medium")
    assert pacer._patience_s == PATIENCE_S


def test_nothing_watched_changes_no_tier():
    pacer = Pacer(now=0.0)
    assert [pacer.adapt(now=float(s), best="high") for s in range(60)] == [False] * 60


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["admit", "ack", "adapt"]), st.integers(0, 30), st.floats(0, 1)),
        max_size=200,
    )
)
def test_in_flight_is_bounded_whatever_happens(steps):
    pacer, now = Pacer(now=0.0), 0.0
    for what, seq, wait_s in steps:
        now += wait_s
        if what == "admit":
            pacer.admit("c1", seq, now=now)
        elif what == "ack":
            pacer.ack("c1", seq, now=now)
        else:
            pacer.adapt(now=now, best="high")
        assert len(pacer._in_flight.get("c1", {})) <= WINDOW_FRAMES
        assert pacer.tier in ("high", "medium", "low")


def test_allowance_lets_the_burst_through_and_then_the_rate():
    allowance = MessageAllowance(per_s=20.0, burst=5.0, now=0.0)
    assert [allowance.take(now=0.0) for _ in range(6)] == [True] * 5 + [False]
    assert allowance.take(now=0.05)
    assert not allowance.take(now=0.05)
    assert [allowance.take(now=100.0) for _ in range(6)] == [True] * 5 + [False]


def test_order_of_tiers():
    assert coarser("high", "low") == "low"
    assert finer("medium", "low") == "medium"


@pytest.mark.parametrize(
    ("width", "tier"),
    [
        (None, "high"),
        (0, "low"),
        (384, "low"),
        (385, "medium"),
        (640, "medium"),
        (641, "high"),
        (9999, "high"),
    ],
)
def test_useful_tier_fills_the_picture(width, tier):
    assert widest_useful_tier(width) == tier
