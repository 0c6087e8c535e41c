"""When a rule holds, and how often it speaks."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.notifications.matching import Happening, Hours, Pattern, PlaceTally

VIENNA = ZoneInfo("Europe/Vienna")
UTC_ZONE = ZoneInfo("UTC")
EVERY_DAY = frozenset(range(7))
ALWAYS = Hours(EVERY_DAY, None, None, UTC_ZONE)
T0 = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)  # a Monday


def happening(at_s, number=None, kind="zone_enter", **where):
    identifier = UUID(int=number if number is not None else 10**9 + round(at_s * 1000))
    return Happening(T0 + timedelta(seconds=at_s), identifier, kind, **where)


def pattern(
    *, count=1, window_s=300, cooldown_s=0, zones=(), cameras=(), kinds=("zone_enter",), hours=ALWAYS
):
    return Pattern(
        kinds, zones, cameras, hours, count, timedelta(seconds=window_s), timedelta(seconds=cooldown_s)
    )


# --- days and hours ---


def at(text, zone=VIENNA):
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("local", "holds"),
    [
        ("2026-05-04T08:59:59", False),
        ("2026-05-04T09:00:00", True),
        ("2026-05-04T16:59:59", True),
        ("2026-05-04T17:00:00", False),
        ("2026-05-09T12:00:00", False),  # Saturday
    ],
)
def test_hours_of_a_day_are_those_of_the_place(local, holds):
    hours = Hours(frozenset(range(5)), time(9), time(17), VIENNA)
    assert hours.hold(at(local)) is holds


@pytest.mark.parametrize(
    ("local", "holds"),
    [
        ("2026-05-08T21:59:59", False),
        ("2026-05-08T22:00:00", True),  # Friday night
        ("2026-05-09T05:59:59", True),
        ("2026-05-09T06:00:00", False),
        ("2026-05-09T22:30:00", False),  # Saturday night
        ("2026-05-08T03:00:00", False),  # Thursday's night
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(local, holds):
    assert Hours(frozenset({4}), time(22), time(6), VIENNA).hold(at(local)) is holds


def test_hours_from_a_time_to_the_same_are_a_whole_day_from_then():
    hours = Hours(frozenset({6}), time(6), time(6), VIENNA)
    found = [
        hours.hold(at(f"2026-05-{day}T{clock}"))
        for day, clock in ((10, "05:59"), (10, "06:00"), (11, "05:59"), (11, "06:00"))
    ]
    assert found == [False, True, True, False]


def test_days_without_hours_change_at_the_places_midnight():
    hours = Hours(frozenset({0}), None, None, VIENNA)
    assert hours.hold(datetime(2026, 5, 3, 22, 0, tzinfo=UTC))
    assert not hours.hold(datetime(2026, 5, 3, 21, 59, tzinfo=UTC))


def test_hour_that_comes_twice_in_autumn_counts_twice():
    hours = Hours(EVERY_DAY, time(2), time(3), VIENNA)
    utc = [
        datetime(2026, 10, 24, 23, 59, tzinfo=UTC) + timedelta(minutes=m) for m in (0, 1, 60, 61, 120, 121)
    ]
    assert [hours.hold(instant) for instant in utc] == [False, True, True, True, True, False]


def test_hour_that_is_left_out_in_spring_never_comes():
    hours = Hours(EVERY_DAY, time(2), time(3), VIENNA)
    day = [datetime(2026, 3, 28, 23, 0, tzinfo=UTC) + timedelta(minutes=10 * k) for k in range(23 * 6)]
    assert not any(hours.hold(instant) for instant in day)
    over = Hours(EVERY_DAY, time(22), time(2, 30), VIENNA)
    assert over.hold(datetime(2026, 3, 29, 0, 59, tzinfo=UTC))  # 01:59, and a second later it is 03:00
    assert not over.hold(datetime(2026, 3, 29, 1, 0, tzinfo=UTC))


@given(st.integers(0, 365 * 86_400), st.times(), st.times(), st.frozensets(st.integers(0, 6)))
def test_hours_and_their_complement_are_the_whole_day(second, begin, end, days):
    instant = T0 + timedelta(seconds=second)
    if begin == end:
        return
    both = [Hours(EVERY_DAY, *hours, VIENNA).hold(instant) for hours in ((begin, end), (end, begin))]
    assert sorted(both) == [False, True]
    within = Hours(days, begin, end, VIENNA).hold(instant)
    apart = [day for day in days if Hours(frozenset({day}), begin, end, VIENNA).hold(instant)]
    assert len(apart) == int(within)


# --- kind and place ---


@pytest.mark.parametrize(
    ("given", "where", "fits"),
    [
        ({}, {}, True),
        ({"zones": {1}}, {"zone_id": 1}, True),
        ({"zones": {1}}, {"zone_id": 2}, False),
        ({"zones": {1}}, {}, False),
        ({"zones": {1}}, {"camera_id": 1}, False),
        ({"zones": {1}, "cameras": {7}}, {"camera_id": 7}, True),
        ({"zones": {1}, "cameras": {7}}, {"zone_id": 1}, True),
        ({"kinds": ("line_cross",)}, {}, False),
    ],
)
def test_pattern_fits_kind_and_any_of_its_places(given, where, fits):
    assert pattern(**given).fits(happening(0, **where)) is fits


def test_pattern_fits_within_its_hours():
    hours = Hours(EVERY_DAY, time(11), time(12), UTC_ZONE)
    assert [pattern(hours=hours).fits(happening(s)) for s in (-1, 0)] == [True, False]


# --- how often ---


def raised(rule, *seconds):
    tally = PlaceTally(rule)
    found = [tally.judge(happening(s)) for s in seconds]
    return [None if h is None else (h.at - T0).total_seconds() for h in found]


def test_rule_without_a_count_speaks_each_time():
    assert raised(pattern(), 0, 0.5, 3) == [0, 0.5, 3]


def test_cooldown_keeps_quiet_from_an_alert_on_and_no_longer():
    assert raised(pattern(cooldown_s=10), 0, 9.9, 10, 19, 20) == [0, None, 10, None, 20]


def test_cooldown_holds_for_what_happened_before_but_came_later():
    assert raised(pattern(cooldown_s=10), 20, 11, 10) == [20, None, 10]


def test_cooldown_knows_alerts_of_before():
    tally = PlaceTally(pattern(cooldown_s=10), alerts=[T0])
    assert [tally.judge(happening(s)) is None for s in (5, 10)] == [True, False]


def test_count_within_a_window_speaks_at_the_last_and_begins_anew():
    three = pattern(count=3, window_s=10)
    assert raised(three, 0, 5, 10, 11, 12, 13) == [None, None, 10, None, None, 13]
    assert raised(three, 0, 5, 10.1, 15) == [None, None, None, 15]


def test_count_does_not_depend_on_the_order_in_which_events_come():
    three = pattern(count=3, window_s=10)
    assert raised(three, 10, 0, 5) == [None, None, 10]
    assert raised(three, 5, 100, 10, 0) == [None, None, None, 10]


def test_count_knows_what_happened_before():
    before = [happening(s) for s in (-8, -4)]
    assert PlaceTally(pattern(count=3, window_s=10), happenings=before).judge(happening(0)) == happening(0)
    used = PlaceTally(pattern(count=3, window_s=10), happenings=before, alerts=[T0 + timedelta(seconds=-3)])
    assert used.judge(happening(0)) is None


def test_event_that_is_judged_again_counts_once():
    two = PlaceTally(pattern(count=2, window_s=10))
    assert [two.judge(happening(0)), two.judge(happening(0))] == [None, None]


seconds = st.lists(st.integers(0, 200), max_size=40, unique=True)


@given(seconds, st.integers(2, 5), st.integers(1, 40))
def test_count_in_order_is_a_queue_that_an_alert_empties(when, count, window_s):
    """The reference: keep the last ones within the window; when there are enough, speak and forget them."""
    expected: list[int | None] = []
    kept: list[int] = []
    for s in sorted(when):
        kept = [k for k in kept if s - k <= window_s] + [s]
        expected.append(s if len(kept) == count else None)
        if expected[-1] is not None:
            kept = []
    assert raised(pattern(count=count, window_s=window_s), *sorted(when)) == expected


@given(seconds, st.integers(1, 5), st.integers(1, 40), st.integers(0, 60), st.randoms())
def test_alerts_keep_their_distance_and_nothing_is_missed(when, count, window_s, cooldown_s, random):
    rule = pattern(count=count, window_s=window_s, cooldown_s=cooldown_s)
    random.shuffle(when)
    alerts = sorted(s for s in raised(rule, *when) if s is not None)
    assert all(b - a >= cooldown_s for a, b in pairwise(alerts))
    # so many within so long, none of them near an alert, would have raised one
    quiet = sorted(s for s in when if all(abs(s - a) > max(window_s, cooldown_s) for a in alerts))
    for first in range(len(quiet) - count + 1):
        run = quiet[first : first + count]
        assert run[-1] - run[0] > window_s or any(run[0] < a < run[-1] for a in alerts)


@given(seconds, st.integers(1, 5), st.integers(1, 40), st.integers(0, 60), st.integers(0, 40))
def test_judge_who_begins_anew_goes_on_where_the_other_was_killed(
    when, count, window_s, cooldown_s, killed_at
):
    rule = pattern(count=count, window_s=window_s, cooldown_s=cooldown_s)
    when = sorted(when)
    whole = [s for s in raised(rule, *when) if s is not None]
    first = [s for s in raised(rule, *when[:killed_at]) if s is not None]
    tally = PlaceTally(
        rule,
        happenings=[happening(s) for s in when],  # what is stored and not judged is known too
        alerts=[T0 + timedelta(seconds=s) for s in first],
    )
    rest = [tally.judge(happening(s)) for s in when[killed_at:]]
    assert first + [(h.at - T0).total_seconds() for h in rest if h is not None] == whole
