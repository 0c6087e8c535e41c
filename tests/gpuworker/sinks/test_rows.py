"""The lossless sink: rows in order, on disk until the database has them."""

import logging
import threading

import pytest
from django.db import OperationalError

from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.spool import spool_create
from tests.factories import TrackingSessionFactory
from tests.gpuworker.made import at, points, result, sighting
from tests.servers import wait_for
from tracking.models import Person, Track, TrackPoint


class Database:
    """Takes batches, or is away."""

    def __init__(self):
        self.is_away = False
        self.points: list[float] = []
        self.attempts = 0

    def write(self, batch: Batch) -> None:
        self.attempts += 1
        if self.is_away:
            raise OperationalError("database is locked")
        self.points += [(point.time - at(0)).total_seconds() for point in batch.points]


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def make_sink(database, monkeypatch, tmp_path):
    for name in ("WRITE_S", "LOOK_S"):
        monkeypatch.setattr(f"gpuworker.sinks.rows.{name}", 0.02)
    monkeypatch.setattr("gpuworker.sinks.rows.RETRY_S", (0.02,))
    sinks = []

    def make(**options) -> RowsSink:
        sampler = Sampler(
            environment_id=1,
            session_id=1,
            cameras={"c1": 1},
            zones={},
        )
        options = {"folder": tmp_path, "max_bytes": 10**6, "write": database.write} | options
        sinks.append(RowsSink(sampler, **options))
        return sinks[-1]

    yield make
    database.is_away = False
    for sink in sinks:
        sink.close()


def wait_for_attempt(database):
    attempts = database.attempts
    wait_for(lambda: database.attempts > attempts)


def test_rows_are_written_in_order(database, make_sink, tmp_path):
    sink = make_sink()
    for t in range(5):
        sink.put(result(t, {7: 3}), [])
    wait_for(lambda: len(database.points) == 5)
    assert database.points == [0, 1, 2, 3, 4]
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_close_writes_what_waits(database, make_sink):
    sink = make_sink()
    sink.put(result(0, {7: 3}), [])
    sink.put_event(Event(kind="camera_online", at=at(1), camera_id="c1"))
    sink.close()
    assert database.points == [0]


def test_rows_wait_while_the_database_is_away_and_follow_in_order(database, make_sink, caplog):
    caplog.set_level(logging.INFO, "gpuworker.sinks.rows")
    sink = make_sink()
    database.is_away = True
    for t in range(3):
        sink.put(result(t, {7: 3}), [])
        assert sink.waiting().rows == 3 * (t + 1)
    wait_for_attempt(database)
    waiting = sink.waiting()
    # person, track and point of each second
    assert (waiting.rows, waiting.memory_rows, waiting.dropped_rows) == (9, 0, 0)
    database.is_away = False
    sink.put(result(3, {7: 3}), [])
    wait_for(lambda: len(database.points) == 4)
    assert database.points == [0, 1, 2, 3]
    wait_for(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "away (database is locked): rows wait on disk" in caplog.messages[0]
    assert "back" in caplog.messages[1]


def test_rows_are_kept_on_disk_while_a_write_hangs(database, make_sink):
    is_writing, may_go_on = threading.Event(), threading.Event()

    def hang(batch):
        is_writing.set()
        may_go_on.wait(10)
        database.write(batch)

    sink = make_sink(write=hang)
    sink.put(result(0, {7: 3}), [])
    assert is_writing.wait(10)
    sink.put(result(1, {7: 3}), [])
    assert sink.waiting().memory_rows == 0
    assert database.points == []
    may_go_on.set()
    wait_for(lambda: database.points == [0, 1])


def test_close_is_bounded_and_leaves_on_disk_what_the_next_worker_writes(database, make_sink, caplog):
    caplog.set_level(logging.INFO, "gpuworker.sinks.rows")
    sink = make_sink(name="first")
    database.is_away = True
    sink.put(result(0, {7: 3}), [])
    sink.close(timeout_s=0.2)
    wait_for(lambda: "rows first" not in [thread.name for thread in threading.enumerate()])
    assert "3 rows wait on disk until the database is back" in caplog.text
    database.is_away = False
    next_sink = make_sink()
    wait_for(lambda: database.points == [0])
    next_sink.put(result(1, {7: 3}), [])
    next_sink.close()
    assert database.points == [0, 1]
    assert "3 rows that another worker has left are written now" in caplog.text


def test_rows_left_on_disk_wait_while_the_database_is_away(database, make_sink, tmp_path):
    sink = make_sink()
    database.is_away = True
    sink.put(result(0, {7: 3}), [])
    sink.close(timeout_s=0.1)
    make_sink()
    wait_for_attempt(database)
    wait_for_attempt(database)
    database.is_away = False
    wait_for(lambda: database.points == [0])


def test_a_full_spool_falls_back_to_memory_and_loses_nothing(database, make_sink, caplog):
    sink = make_sink(max_bytes=250)
    database.is_away = True
    for t in range(6):
        sink.put(result(t, {7: 3}), [])
        assert sink.waiting().rows == 3 * (t + 1)
    assert 0 < sink.waiting().memory_rows < 18
    database.is_away = False
    wait_for(lambda: len(database.points) == 6)
    assert database.points == [0, 1, 2, 3, 4, 5]
    assert len([m for m in caplog.messages if "takes no more rows" in m]) == 1
    wait_for(lambda: sink.waiting().rows == 0)


def test_a_result_that_makes_no_rows_takes_no_other_along(database, make_sink, caplog):
    sink = make_sink()
    sink.put(result(0, sightings=[sighting("unknown", 0, {7: 3})]), [])
    wait_for(lambda: "The rows of a result are lost" in caplog.text)
    sink.put(result(1, {7: 3}), [])
    wait_for(lambda: database.points == [1])


def test_a_fault_of_the_writer_is_told_and_survived(database, make_sink, caplog):
    faults = [RuntimeError("no more memory")]

    def write(batch):
        if faults:
            raise faults.pop()
        database.write(batch)

    sink = make_sink(write=write)
    sink.put(result(0, {7: 3}), [])
    wait_for(lambda: database.points == [0])
    assert "Rows cannot be written now" in caplog.text
    sink.close()


def test_points_that_may_still_change_are_written_by_the_next_worker(database, make_sink, tmp_path):
    sink = make_sink()
    database.is_away = True
    for t in range(3):
        sink.put(result(t, {7: 3}), [], provisional=points(t + 0.5, {7: 3}))
    sink.close(timeout_s=0.1)  # and no word of the last points: as after a kill
    wait_for(lambda: not [thread for thread in threading.enumerate() if "rows" in thread.name])
    database.is_away = False
    make_sink()
    wait_for(lambda: len(database.points) == 5)
    # what is held repeats the tick's own rows, which the database knows to ignore
    assert database.points == [0, 1, 2, 2, 2.5]
    wait_for(lambda: len(list(tmp_path.iterdir())) == 0)


def test_points_that_became_final_are_not_held(database, make_sink, tmp_path):
    sink = make_sink()
    sink.put(result(0, {7: 3}), [], provisional=points(0.5, {7: 3}))
    sink.put_last(points(0.6, {7: 3}))
    sink.close()
    assert database.points == [0, 0.6]
    assert list(tmp_path.iterdir()) == []


def test_records_that_are_no_batch_are_told_and_passed_over(database, make_sink, tmp_path, caplog):
    spool = spool_create(tmp_path, name="old", max_bytes=10**6)
    spool.append(b"no batch", rows=2, at_s=0.0)
    spool.append(Batch().encode(), rows=0, at_s=0.0)
    spool.close()
    make_sink()
    wait_for(lambda: not spool.folder.exists())
    assert "A record of 8 bytes is lost: no batch of rows" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_rows_that_cannot_be_written_take_no_others_along(caplog, tmp_path):
    session = TrackingSessionFactory.create()
    sampler = Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={"c1": 1},
        zones={},
    )
    sink = RowsSink(sampler, folder=tmp_path, max_bytes=10**6)
    sink.put(result(0, {7: 3, 8: 0}), [])  # there is no person 0
    sink.put(result(1, {7: 3}), [])
    sink.close()
    assert (Person.objects.count(), Track.objects.count(), TrackPoint.objects.count()) == (1, 1, 3)
    assert caplog.messages[-1] == "2 rows are lost"


def test_refill_is_called_off_the_hot_path(make_sink):
    calls: list[str] = []
    make_sink(refill=[lambda: calls.append(threading.current_thread().name)], name="test")
    wait_for(lambda: calls)
    assert calls[0] == "rows test"
