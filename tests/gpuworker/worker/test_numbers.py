"""Numbers in blocks."""

import threading
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection

from gpuworker.worker.numbers import CLOCK_BEGAN_MS, NumberSupply
from tracking.models import Counter


class Blocks:
    def __init__(self):
        self.next = 1
        self.calls = 0

    def reserve(self, *, name: str, count: int) -> range:
        self.calls += 1
        start, self.next = self.next, self.next + count
        return range(start, self.next)


def test_supply_gives_numbers_in_order_and_refills_at_half():
    blocks = Blocks()
    supply = NumberSupply("tracks", block=4, reserve=blocks.reserve)
    supply.refill()
    assert [supply(), supply()] == [1, 2]
    supply.refill()
    assert blocks.calls == 2
    supply.refill()
    assert blocks.calls == 2
    assert [supply() for _ in range(6)] == [3, 4, 5, 6, 7, 8]


def test_supply_waits_for_a_block_that_is_on_its_way():
    blocks = Blocks()
    supply = NumberSupply("tracks", block=2, reserve=blocks.reserve)
    taken: list[int] = []
    taker = threading.Thread(target=lambda: taken.append(supply()))
    with patch("gpuworker.worker.numbers.WAIT_S", 10.0):
        taker.start()
        supply.refill()
        taker.join(5)
    assert taken == [1]


def test_supply_that_is_dry_counts_on_by_the_clock_until_the_next_block(caplog):
    now_ms = CLOCK_BEGAN_MS + 5
    supply = NumberSupply("tracks", block=2, slot=1030, reserve=Blocks().reserve, clock_ms=lambda: now_ms)
    with patch("gpuworker.worker.numbers.WAIT_S", 0.0):
        taken = [supply(), supply()]
        now_ms += 100
        taken.append(supply())
    # slot 1030 is 6: a step a millisecond, or one for each number where they come faster
    assert taken == [10**12 + ms * 1024 + 6 for ms in (5, 6, 105)]
    assert [m.count("no more numbers for tracks") for m in caplog.messages] == [1]
    supply.refill()
    assert [supply(), supply()] == [1, 2]


def test_supplies_that_are_dry_at_the_same_time_share_no_number():
    first, second = (
        NumberSupply("tracks", block=2, slot=slot, clock_ms=lambda: CLOCK_BEGAN_MS) for slot in (7, 8)
    )
    with patch("gpuworker.worker.numbers.WAIT_S", 0.0):
        assert len({supply() for _ in range(50) for supply in (first, second)}) == 100


def test_numbers_of_the_clock_are_ones_that_browsers_can_count_to():
    in_hundred_years_ms = CLOCK_BEGAN_MS + 100 * 365 * 86_400_000
    supply = NumberSupply("tracks", block=2, slot=1023, clock_ms=lambda: in_hundred_years_ms)
    with patch("gpuworker.worker.numbers.WAIT_S", 0.0):
        assert supply() < 2**53


@pytest.mark.django_db(transaction=True)
def test_numbers_go_on_while_the_database_takes_no_writes():
    supply = NumberSupply("tracks", block=2)
    supply.refill()
    first = [supply(), supply()]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    try:
        with pytest.raises(OperationalError):
            supply.refill()
        long = supply()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = OFF")
    supply.refill()
    assert first == [1, 2]
    assert long > 10**12
    assert supply() == 3


@pytest.mark.django_db
def test_supplies_of_two_workers_share_no_number():
    first, second = (NumberSupply("tracks", block=3) for _ in range(2))
    first.refill()
    second.refill()
    assert [first(), second(), first()] == [1, 4, 2]
    assert Counter.objects.get(name="tracks").next_value == 7


@pytest.mark.django_db
def test_numbers_left_over_are_handed_back():
    supply = NumberSupply("tracks", block=4)
    supply.refill()
    assert [supply(), supply()] == [1, 2]
    supply.refill()
    supply.hand_back()
    assert Counter.objects.get(name="tracks").next_value == 3
    supply.hand_back()
    supply.refill()
    assert supply() == 3


@pytest.mark.django_db
def test_numbers_before_those_of_another_worker_stay_unused():
    first, second = (NumberSupply("tracks", block=3) for _ in range(2))
    first.refill()
    second.refill()
    first.hand_back()
    assert Counter.objects.get(name="tracks").next_value == 7
    assert [second(), second()] == [4, 5]
    first.refill()
    assert [first() for _ in range(3)] == [7, 8, 9]
    first.refill()
    second.hand_back()
    first.hand_back()
    assert Counter.objects.get(name="tracks").next_value == 10
