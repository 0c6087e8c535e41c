"""Numbers in blocks."""

import threading

import pytest

from gpuworker.worker.numbers import NumbersExhaustedError, NumberSupply
from tests.servers import wait_for
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


def test_supply_waits_only_when_exhausted():
    blocks = Blocks()
    supply = NumberSupply("tracks", block=2, reserve=blocks.reserve)
    taken: list[int] = []
    taker = threading.Thread(target=lambda: taken.append(supply()))
    taker.start()
    assert taken == []
    supply.refill()
    wait_for(lambda: taken == [1])
    taker.join()


def test_supply_gives_up_when_the_worker_stops():
    supply = NumberSupply("tracks", block=2, reserve=Blocks().reserve, stopped=lambda: True)
    with pytest.raises(NumbersExhaustedError):
        supply()


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
