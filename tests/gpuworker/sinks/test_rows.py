"""The lossless sink: batches in order, kept while the database is away."""

import logging
import threading

import pytest
from django.db import OperationalError

from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler, Sampling
from tests.factories import TrackingSessionFactory
from tests.gpuworker.made import at, result
from tests.servers import wait_for
from tracking.models import Person, Track, TrackPoint


class Database:
    """Takes batches, or is away."""

    def __init__(self):
        self.is_away = False
        self.points: list[float] = []
        self.attempts = 0
        self.closed = threading.Event()

    def write(self, batch: Batch) -> None:
        self.attempts += 1
        if self.is_away:
            raise OperationalError("database is locked")
        self.points += [(point.time - at(0)).total_seconds() for point in batch.points]


@pytest.fixture
def database():
    return Database()


@pytest.fixture
def make_sink(database, monkeypatch):
    monkeypatch.setattr("gpuworker.sinks.rows.BATCH_S", 0.02)
    monkeypatch.setattr("gpuworker.sinks.rows.RETRY_S", (0.02,))
    sinks = []

    def make(**options) -> RowsSink:
        sampler = Sampler(
            environment_id=1,
            session_id=1,
            cameras={"c1": 1},
            zones={},
            sampling=Sampling(point_interval_s=0.0),
        )
        sinks.append(RowsSink(sampler, write=database.write, **options))
        return sinks[-1]

    yield make
    database.is_away = False
    for sink in sinks:
        sink.close()


def wait_for_attempt(database):
    attempts = database.attempts
    wait_for(lambda: database.attempts > attempts)


def test_rows_are_written_in_order(database, make_sink):
    sink = make_sink()
    for t in range(5):
        sink.put(result(t, {7: 3}), [])
    wait_for(lambda: len(database.points) == 5)
    assert database.points == [0, 1, 2, 3, 4]


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
        wait_for_attempt(database)
    database.is_away = False
    sink.put(result(3, {7: 3}), [])
    wait_for(lambda: len(database.points) == 4)
    assert database.points == [0, 1, 2, 3]
    wait_for(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "away (database is locked)" in caplog.messages[0]
    assert "back" in caplog.messages[1]
    assert sink.dropped == 0


def test_oldest_rows_are_dropped_when_memory_is_full(database, make_sink, caplog):
    sink = make_sink(max_rows=9)
    database.is_away = True
    for t in range(6):
        sink.put(result(t, {7: 3}), [])
        wait_for_attempt(database)
    database.is_away = False
    wait_for(lambda: database.points)
    # person, track and point of a second: three rows; three seconds fit
    assert database.points == [3, 4, 5]
    assert sink.dropped == 9
    assert len([m for m in caplog.messages if "dropped" in m]) == 1


def test_close_is_bounded_while_the_database_is_away(database, make_sink, caplog):
    sink = make_sink()
    database.is_away = True
    sink.put(result(0, {7: 3}), [])
    sink.close(timeout_s=0.2)
    assert "did not take the last 3 rows" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_rows_that_cannot_be_written_take_no_others_along(caplog):
    session = TrackingSessionFactory.create()
    sampler = Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={"c1": 1},
        zones={},
        sampling=Sampling(),
    )
    sink = RowsSink(sampler)
    sink.put(result(0, {7: 3, 8: 0}), [])  # there is no person 0
    sink.put(result(1, {7: 3}), [])
    sink.close()
    assert (Person.objects.count(), Track.objects.count(), TrackPoint.objects.count()) == (1, 1, 3)
    assert caplog.messages[-1] == "2 rows are lost"


def test_refill_is_called_off_the_hot_path(database, make_sink):
    calls: list[str] = []
    make_sink(refill=[lambda: calls.append(threading.current_thread().name)], name="rows of a test")
    wait_for(lambda: calls)
    assert calls[0] == "rows of a test"
