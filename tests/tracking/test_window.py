from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking.window import CAUTION, CUT, FIRST_BYTES, LEAST_BYTES, MOST_BYTES, WAY_MEMORY_S, ByteWindow, Sent


def test_one_message_may_always_be_on_its_way():
    window = ByteWindow(now=0.0)
    assert window.has_room(10 * FIRST_BYTES, now=0.0)
    window.send(10 * FIRST_BYTES, now=0.0)
    assert not window.has_room(1, now=0.0)


def test_room_is_up_to_the_bound():
    window = ByteWindow(now=0.0)
    window.send(FIRST_BYTES - 10, now=0.0)
    assert [window.has_room(10, now=0.0), window.has_room(11, now=0.0)] == [True, False]


def test_bound_grows_by_what_arrives_promptly_once_it_was_short():
    window = ByteWindow(now=0.0)
    window.acknowledge(window.send(1000, now=0.0), now=0.01)
    assert window.bound == FIRST_BYTES  # it was not short
    sent = window.send(1000, now=0.0)
    assert not window.has_room(FIRST_BYTES, now=0.0)
    window.acknowledge(sent, now=0.01)
    assert window.bound == FIRST_BYTES + 1000


def test_bound_shrinks_once_for_all_that_was_on_its_way():
    window = ByteWindow(now=0.0)
    first, second = window.send(1000, now=0.0), window.send(1000, now=0.0)
    third = window.send(1000, now=0.1)
    window.acknowledge(first, now=0.01)
    assert window.acknowledge(second, now=0.31) == pytest.approx(0.30)
    assert window.bound == FIRST_BYTES * CUT
    window.acknowledge(third, now=0.5)
    assert window.bound == FIRST_BYTES * CUT
    assert window.in_flight == 0


def test_bound_that_was_too_much_grows_with_caution():
    window = ByteWindow(now=0.0)
    first, late = window.send(1000, now=0.0), window.send(1000, now=0.0)
    window.acknowledge(first, now=0.01)
    window.acknowledge(late, now=0.31)
    window.send(1000, now=1.0)
    assert not window.has_room(MOST_BYTES, now=1.0)
    window.acknowledge(window.send(1000, now=1.0), now=1.01)
    assert window.bound == FIRST_BYTES * CUT + CAUTION * 1000
    window.restart(now=2.0)
    assert window.bound == LEAST_BYTES


def test_only_what_went_alone_tells_how_long_the_way_is():
    window = ByteWindow(now=0.0)
    first, behind = window.send(1000, now=0.0), window.send(1000, now=0.0)
    assert window.acknowledge(first, now=0.2) == 0.0
    assert window.acknowledge(behind, now=0.3) == pytest.approx(0.1)
    assert window.acknowledge(window.send(1000, now=1.0), now=1.05) == 0.0
    assert window.acknowledge(window.send(1000, now=2.0), now=2.15) == pytest.approx(0.1)


def test_all_is_let_arrive_where_nothing_went_alone_for_long():
    window = ByteWindow(now=0.0)
    sent = [window.send(10, now=0.0)]
    for k in range(1, int(WAY_MEMORY_S) + 1):
        assert window.has_room(10, now=k)
        sent.append(window.send(10, now=k))
        window.acknowledge(sent.pop(0), now=k)
    assert not window.has_room(10, now=WAY_MEMORY_S + 1)
    window.acknowledge(sent.pop(), now=WAY_MEMORY_S + 1)
    assert window.has_room(10, now=WAY_MEMORY_S + 1)


def test_distance_is_no_waiting():
    window = ByteWindow(now=0.0)
    for k in range(40):
        sent = window.send(20_000, now=k)
        window.has_room(MOST_BYTES, now=k)
        assert window.acknowledge(sent, now=k + 0.3) == pytest.approx(0.0, abs=1e-9)
    assert window.bound > 10 * FIRST_BYTES


def line(window, *, bytes_per_s, size, seconds, way_s=0.005, tick_s=0.005):
    """Send all that there is room for over a line that stores without end; give the longest waits, second by second."""
    now, free_at = 0.0, 0.0
    flight: deque[tuple[float, Sent]] = deque()
    longest: list[float] = []
    while now < seconds:
        while flight and flight[0][0] <= now:
            due, sent = flight.popleft()
            window.acknowledge(sent, now=due)
            second = int(due)
            longest += [0.0] * (second + 1 - len(longest))
            longest[second] = max(longest[second], due - sent.at)
        while window.has_room(size, now=now):
            free_at = max(free_at, now) + size / bytes_per_s
            flight.append((free_at + way_s, window.send(size, now=now)))
        now += tick_s
    return longest


@pytest.mark.parametrize("bytes_per_s", [125_000, 1_000_000, 10_000_000])
def test_line_is_used_and_nothing_grows_old_on_it(bytes_per_s):
    window = ByteWindow(now=0.0)
    longest = line(window, bytes_per_s=bytes_per_s, size=12_000, seconds=120)
    assert max(longest[5:]) < 0.45
    assert window.bound > 0.02 * bytes_per_s  # more than what 20 ms carry is on its way


@given(
    steps=st.lists(
        st.tuples(st.integers(1, 300_000), st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=60
    )
)
def test_bound_stays_within_its_own(steps):
    window, now = ByteWindow(now=0.0), 0.0
    for size, wait_s, took_s in steps:
        now += wait_s
        window.has_room(size, now=now)
        window.acknowledge(window.send(size, now=now), now=now + took_s)
        assert LEAST_BYTES <= window.bound <= MOST_BYTES
        assert window.in_flight == 0
