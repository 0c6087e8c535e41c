"""Worker, database and disk fail while rows are written: what is there in the end is all that was published."""

import random
from collections.abc import Iterator

import pytest

from tests.gpuworker.sinks.place import BOUND_S, TICKS, Place
from tests.servers import short_folder, wait_for


@pytest.fixture(
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "timescale")]
)
def place(request, tmp_path, django_db_blocker) -> Iterator[Place]:
    with short_folder("spoton-kills-") as folder, django_db_blocker.unblock():
        made = Place(request.param, tmp_path, folder)
        yield made
        made.close()


pytestmark = [pytest.mark.slow]


def assert_all_that_was_published_is_there(place: Place) -> None:
    found, expected = place.finish()
    # everybody is in the picture in every tick but for those that a worker was killed in
    assert expected["tracking_detection"][0] >= (TICKS - len(place.begun)) * 10
    assert expected["tracking_trackpoint"][0] > expected["tracking_detection"][0] / 4
    assert found == expected


def test_a_worker_is_killed_again_and_again(place):
    chance = random.Random(1)
    for _ in range(4):
        worker = place.feed()
        place.wait_for_ticks(chance.randint(5, 80))
        place.kill(worker)
    assert_all_that_was_published_is_there(place)


def test_the_database_stops_under_load(place):
    worker = place.feed()
    place.wait_for_ticks(50)
    place.stop_database()
    place.wait_for_ticks(200)
    place.start_database()
    assert worker.wait(BOUND_S) == 0, place.log()
    assert "The database is away" in place.log()
    assert_all_that_was_published_is_there(place)


def test_the_disk_is_full_while_the_database_is_away(place):
    worker = place.feed(file_bytes=20_000)
    place.wait_for_ticks(20)
    place.stop_database()
    wait_for(lambda: "takes no more rows ([Errno 27] File too large)" in place.log(), timeout_s=BOUND_S)
    place.start_database()
    assert worker.wait(BOUND_S) == 0, place.log()
    assert_all_that_was_published_is_there(place)


def test_worker_database_and_disk_fail_together(place):
    chance = random.Random(2)
    for is_disk_full in (False, True, False):
        worker = place.feed(file_bytes=250_000 if is_disk_full else None)
        place.wait_for_ticks(chance.randint(5, 50))
        place.stop_database()
        if is_disk_full:
            # what neither disk nor database take is in the memory of the worker alone: it lives until one of them does
            wait_for(lambda: "takes no more rows" in place.log(), timeout_s=BOUND_S)
            place.start_database()
            wait_for(lambda: "The spool takes rows again" in place.log(), timeout_s=BOUND_S)
        else:
            place.wait_for_ticks(50)
        place.kill(worker)
        if not is_disk_full:
            place.start_database()
    assert_all_that_was_published_is_there(place)
