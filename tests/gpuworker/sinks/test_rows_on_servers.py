"""The lossless sink on SQLite, PostgreSQL and TimescaleDB, each a real server."""

import logging
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection

from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch, Sampler
from gpuworker.sinks.rows import RowsSink
from tests.factories import CameraFactory, TrackingSessionFactory
from tests.gpuworker.made import at, result, sighting
from tests.servers import wait_for
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    on,
    pytest_generate_tests,
    server,
)
from tracking.models import Detection, Person, Track, TrackEvent, TrackPoint
from tracking.services import history_expire

pytestmark = pytest.mark.usefixtures("server")


def make_sampler() -> Sampler:
    session = TrackingSessionFactory.create()
    camera = CameraFactory.create(environment=session.environment, key="c1")
    return Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={"c1": camera.pk},
        zones={},
    )


def filled_batch() -> Batch:
    sampler, batch = make_sampler(), Batch()
    left = Event(kind="person_left", at=at(1), person=3, track=7)
    sampler.add(result(0, {7: 3}, sightings=[sighting("c1", 0, {7: 3}, nobody=1)]), batch)
    sampler.add(result(1, {7: 3, 8: 4}, events=[left]), batch)
    return batch


def counts() -> dict[str, int]:
    return {m.__name__: m.objects.count() for m in (Person, Track, TrackPoint, Detection, TrackEvent)}


def test_a_replayed_batch_is_written_once():
    batch = filled_batch()
    for _ in range(2):
        batch.write()
        assert counts() == {"Person": 2, "Track": 2, "TrackPoint": 3, "Detection": 2, "TrackEvent": 1}


def test_a_row_that_is_refused_takes_no_other_kind_along():
    batch = filled_batch()
    for person in batch.persons.values():
        person.last_seen_at = person.first_seen_at - timedelta(seconds=person.number == 4)
    with pytest.raises(IntegrityError):
        batch.write()
    assert len(batch.salvage()) == 2
    assert counts() == {"Person": 0, "Track": 0, "TrackPoint": 3, "Detection": 2, "TrackEvent": 1}


def test_history_that_is_too_old_is_deleted():
    filled_batch().write()
    history_expire(now=at(0) + timedelta(days=1))
    assert counts()["TrackPoint"] == 3
    assert history_expire(now=at(0) + timedelta(days=60)) == 10
    assert set(counts().values()) == {0}


@on("postgres", "timescale")
def test_rows_survive_a_connection_that_the_server_ends(monkeypatch, caplog):
    caplog.set_level(logging.INFO, "gpuworker.sinks.rows")
    monkeypatch.setattr("gpuworker.sinks.rows.BATCH_S", 0.02)
    monkeypatch.setattr("gpuworker.sinks.rows.RETRY_S", (0.02,))
    sink = RowsSink(make_sampler())
    sink.put(result(0, {7: 3}), [])
    wait_for(TrackPoint.objects.exists)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    for t in range(1, 4):
        sink.put(result(t, {7: 3}), [])
    wait_for(lambda: TrackPoint.objects.count() == 4)
    sink.close()
    assert [point.time for point in TrackPoint.objects.order_by("time")] == [at(t) for t in range(4)]
    wait_for(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
