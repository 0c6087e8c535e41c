import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.pacing import (
    FIRST_WINDOW_FRAMES,
    FORGET_S,
    HELD_S,
    PATIENCE_S,
    STALE_S,
    TRIAL_S,
    WINDOW_FRAMES,
    MessageAllowance,
    Offer,
    Pacer,
    coarser,
    finer,
    widest_useful_tier,
)
from tracking.window import FIRST_BYTES

SIZE = 1000


def offer(pacer, camera, seq, *, now, size=SIZE):
    """Offer a frame; give what is sent."""
    return [(one.camera, one.seq) for one in pacer.offer(Offer(camera, seq, size, None), now=now)]


def counts(pacer, camera="c1"):
    taken = pacer.take_counts()[camera]
    return taken.sent, taken.skipped


def watch(pacer, *, start_s, seconds, ack_after_s, fps=10, best="high"):
    """Offer frames for a while, each acked after so long (None: never; or a function of the time sent)."""
    acks: list[tuple[float, int]] = []
    tiers, seq = [], int(start_s * 1000)
    for second in range(seconds):
        for k in range(fps):
            now = start_s + second + k / fps
            sent = []
            for due, number in [a for a in acks if a[0] <= now]:
                pacer.ack("c1", number, now=due)
                sent += [one.seq for one in pacer.release(now=due)]
                acks.remove((due, number))
            seq += 1
            sent += [number for _, number in offer(pacer, "c1", seq, now=now)]
            if ack_after_s is not None:
                after_s = ack_after_s(now) if callable(ack_after_s) else ack_after_s
                acks += [(now + after_s, number) for number in sent]
        pacer.adapt(now=start_s + second + 1, best=best)
        tiers.append(pacer.tier)
    return tiers


def test_viewer_who_never_acks_gets_a_low_fixed_allowance():
    pacer: Pacer[None] = Pacer(now=0.0)
    sent = [one for k in range(100) for one in offer(pacer, "c1", k, now=k / 10)]

    assert len(sent) == FIRST_WINDOW_FRAMES * 10 / FORGET_S  # seconds over the time to forget
    assert counts(pacer) == (10, 89)  # one waits


def test_viewer_who_acks_gets_every_frame():
    pacer: Pacer[None] = Pacer(now=0.0)
    watch(pacer, start_s=0.0, seconds=5, ack_after_s=0.03)

    assert counts(pacer) == (50, 0)


def test_frames_beyond_the_window_wait_for_an_ack_and_the_newest_wins():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0)
    pacer.ack("c1", 0, now=0.01)

    sent = [offer(pacer, "c1", seq, now=0.02) for seq in range(1, WINDOW_FRAMES + 3)]
    assert sent == [[("c1", seq)] for seq in range(1, WINDOW_FRAMES + 1)] + [[], []]
    assert pacer.ack("c1", 1, now=0.03)
    assert [one.seq for one in pacer.release(now=0.03)] == [WINDOW_FRAMES + 2]
    assert counts(pacer) == (WINDOW_FRAMES + 2, 1)


def test_ack_covers_all_frames_before_it():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0)
    pacer.ack("c1", 0, now=0.01)
    for seq in range(1, WINDOW_FRAMES + 1):
        offer(pacer, "c1", seq, now=0.02)
    pacer.ack("c1", 3, now=0.03)
    assert [bool(offer(pacer, "c1", seq, now=0.04)) for seq in (20, 21, 22, 23)] == [True, True, True, False]


def test_frame_that_waited_too_long_is_left_out():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0, size=FIRST_BYTES)
    assert offer(pacer, "c2", 0, now=0.0) == []
    pacer.ack("c1", 0, now=HELD_S + 0.01)
    assert pacer.release(now=HELD_S + 0.01) == []
    assert counts(pacer, "c2") == (0, 1)


def test_room_goes_to_the_camera_that_had_nothing_for_longest():
    pacer: Pacer[None] = Pacer(now=0.0)
    served: list[tuple[str, int]] = []
    for tick in range(12):
        for camera in ("c1", "c2", "c3"):
            served += offer(pacer, camera, tick, now=tick * 0.1, size=FIRST_BYTES)
        assert len(served) == tick + 1  # there is room for one at a time
        camera, seq = served[-1]
        pacer.ack(camera, seq, now=tick * 0.1 + 0.09)
        pacer._window.bound = FIRST_BYTES
    assert [camera for camera, _ in served] == ["c1", "c2", "c3"] * 4


def test_large_picture_is_not_passed_by_small_ones_for_ever():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0)
    assert offer(pacer, "c2", 0, now=0.0, size=FIRST_BYTES) == []
    assert offer(pacer, "c1", 1, now=0.05) == []  # c2 comes first
    pacer.ack("c1", 0, now=0.06)
    assert [one.camera for one in pacer.release(now=0.06)] == ["c2", "c1"]


def test_stale_frame_stops_its_camera_and_no_other():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0)
    pacer.ack("c1", 0, now=0.0)
    offer(pacer, "c1", 1, now=0.0)

    assert offer(pacer, "c1", 2, now=STALE_S) == []
    assert offer(pacer, "c2", 2, now=STALE_S) == [("c2", 2)]


def test_lost_frames_of_one_camera_do_not_keep_room_from_others():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0, size=FIRST_BYTES)
    assert offer(pacer, "c2", 0, now=FORGET_S - 0.01) == []
    assert offer(pacer, "c2", 1, now=FORGET_S) == [("c2", 1)]


def test_camera_that_is_watched_no_more_takes_no_room():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 0, now=0.0, size=FIRST_BYTES)
    assert offer(pacer, "c2", 0, now=0.0) == []
    pacer.forget("c1")
    assert [one.camera for one in pacer.release(now=0.01)] == ["c2"]
    assert not pacer.ack("c1", 0, now=0.02)


def test_ack_of_a_frame_that_was_not_sent_is_unknown():
    pacer: Pacer[None] = Pacer(now=0.0)
    offer(pacer, "c1", 5, now=0.0)

    assert not pacer.ack("c1", 4, now=0.1)
    assert not pacer.ack("c2", 5, now=0.1)
    assert pacer.ack("c1", 5, now=0.1)
    assert not pacer.ack("c1", 5, now=0.1)


def test_source_that_counts_again_from_zero_is_sent():
    pacer: Pacer[None] = Pacer(now=0.0)
    for seq in (100, 101, 0, 1):
        assert offer(pacer, "c1", seq, now=seq / 1000) == [("c1", seq)]
        assert pacer.ack("c1", seq, now=seq / 1000 + 0.01)


def slow_line(pacer, *, bytes_per_s, sizes, fps, seconds, cameras=4, way_s=0.002):
    """Watch cameras whose frames come together over a line that stores without end; give (second, age, tier) of arrivals."""
    now, free_at, arrivals, seen = 0.0, 0.0, [], []
    captured: dict[tuple[str, int], tuple[float, str]] = {}

    def send(sent, at):
        nonlocal free_at
        for one in sent:
            free_at = max(free_at, at) + one.size / bytes_per_s
            arrivals.append((free_at + way_s, one.camera, one.seq))

    for tick in range(int(seconds * 1000)):
        now = tick / 1000
        while arrivals and arrivals[0][0] <= now:
            at, camera, seq = arrivals.pop(0)
            born, tier = captured[camera, seq]
            seen.append((at, at - born, tier))
            pacer.ack(camera, seq, now=at)
            send(pacer.release(now=at), at)
        every = round(1000 / fps[pacer.tier])
        if tick % every == 0:
            for number in range(cameras):
                camera = f"c{number}"
                captured[camera, tick] = now, pacer.tier
                send(pacer.offer(Offer(camera, tick, sizes[pacer.tier], None), now=now), now)
        if tick % 1000 == 999:
            pacer.adapt(now=now, best="high")
    return seen


SIZES = {"high": 40_000, "medium": 35_000, "low": 12_000}
RATES = {"high": 10, "medium": 10, "low": 5}


def test_viewer_on_a_slow_line_gets_a_lower_tier_and_nothing_old():
    pacer: Pacer[None] = Pacer(now=0.0)
    pacer.tier = "high"
    seen = slow_line(pacer, bytes_per_s=125_000, sizes=SIZES, fps=RATES, seconds=60)
    assert next(at for at, _, tier in seen if tier != "high") < 3.0
    assert max(age for at, age, _ in seen if at > 3.0) < 0.5
    assert max(age for _, age, _ in seen) < 1.2
    late = [tier for at, _, tier in seen if at > 10]
    assert late.count("low") > 0.9 * len(late)
    assert len(late) / 50 > 0.6 * 125_000 / SIZES["low"]  # most of what the line carries


def test_viewer_on_a_fast_line_gets_everything_in_the_best_tier():
    pacer: Pacer[None] = Pacer(now=0.0)
    seen = slow_line(pacer, bytes_per_s=10_000_000, sizes=SIZES, fps=RATES, seconds=30)
    assert pacer.tier == "high"
    assert len(seen) > 0.99 * 30 * 10 * 4
    assert max(age for _, age, _ in seen) < 0.1


def test_tier_falls_for_slow_acks_and_comes_back_when_they_are_prompt():
    pacer: Pacer[None] = Pacer(now=0.0)
    assert pacer.tier == "medium"
    assert (
        watch(pacer, start_s=0.0, seconds=4, ack_after_s=lambda now: 0.45 if now > 1 else 0.02)[-1] == "low"
    )

    tiers = watch(pacer, start_s=4.0, seconds=30, ack_after_s=0.02)
    assert tiers[0] == "low"
    assert tiers[int(PATIENCE_S) + 1] == "medium"
    assert tiers[-1] == "high"


def test_tier_falls_when_nothing_is_acked():
    pacer: Pacer[None] = Pacer(now=0.0)
    assert watch(pacer, start_s=0.0, seconds=3, ack_after_s=None)[-1] == "low"


def test_tier_rises_no_further_than_the_pictures_need():
    pacer: Pacer[None] = Pacer(now=0.0)
    assert set(watch(pacer, start_s=0.0, seconds=60, ack_after_s=0.02, best="medium")) == {"medium"}


def test_one_bad_second_changes_nothing():
    pacer: Pacer[None] = Pacer(now=0.0)

    def stalled_for_a_second(now):
        return max(0.02, 3.0 - now) if 2.0 <= now < 3.0 else 0.02

    assert set(watch(pacer, start_s=0.0, seconds=6, ack_after_s=stalled_for_a_second)) == {"medium"}
    assert counts(pacer)[1] > 0


def test_better_tier_that_fails_is_tried_less_often():
    pacer: Pacer[None] = Pacer(now=0.0)
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
    pacer: Pacer[None] = Pacer(now=0.0)
    pacer._patience_s = 64.0
    pacer._raised_at = 0.0
    watch(pacer, start_s=0.0, seconds=int(TRIAL_S) + 1, ack_after_s=0.02, best="medium")
    assert pacer._patience_s == PATIENCE_S


def test_nothing_watched_changes_no_tier():
    pacer: Pacer[None] = Pacer(now=0.0)
    assert [pacer.adapt(now=float(s), best="high") for s in range(60)] == [False] * 60


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["offer", "ack", "adapt", "forget"]), st.integers(0, 30), st.floats(0, 1)),
        max_size=200,
    )
)
def test_in_flight_is_bounded_whatever_happens(steps):
    pacer: Pacer[None] = Pacer(now=0.0)
    now = 0.0
    for what, seq, wait_s in steps:
        now += wait_s
        if what == "offer":
            pacer.offer(Offer("c1", seq, SIZE, None), now=now)
        elif what == "ack":
            pacer.ack("c1", seq, now=now)
        elif what == "forget":
            pacer.forget("c1")
        else:
            pacer.adapt(now=now, best="high")
        flights = [camera.flight for camera in pacer._cameras.values()]
        assert all(len(flight) <= WINDOW_FRAMES for flight in flights)
        assert pacer._window.in_flight == SIZE * sum(len(flight) for flight in flights)
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
