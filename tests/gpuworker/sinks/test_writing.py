"""Batches written to SQLite, PostgreSQL and TimescaleDB, each a real server."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.db import IntegrityError, connection

from environments.models import Zone
from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch
from gpuworker.sinks.identifiers import person_id
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.writing import TABLES, batch_salvage, batch_write
from tests.factories import CameraFactory, TrackingSessionFactory, ZoneFactory
from tests.gpuworker.made import at, result, sighting
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    on,
    pytest_generate_tests,
    server,
)
from tracking.models import Detection, LateSpan, Person, Track, TrackEvent, TrackingSession, TrackPoint
from tracking.services import history_expire

pytestmark = pytest.mark.usefixtures("server")


def make_session() -> TrackingSession:
    session: TrackingSession = TrackingSessionFactory.create()
    CameraFactory.create(environment=session.environment, key="c1")
    ZoneFactory.create(environment=session.environment, key="z1")
    return session


def make_sampler(session: TrackingSession) -> Sampler:
    return Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras=dict(session.environment.cameras.values_list("key", "pk")),
        zones=dict(session.environment.zones.values_list("key", "pk")),
    )


def batch_of(sampler: Sampler, *results) -> Batch:
    batch = Batch()
    for one in results:
        sampler.add(one, batch)
    return batch


def filled_batch() -> Batch:
    entered = Event(kind="zone_enter", at=at(0.5), person=3, track=7, zone_id="z1", x_m=1.0, y_m=2.0)
    lost = Event(kind="camera_offline", at=at(0.6), camera_id="c1", payload={"message": 'un"plugged\n'})
    return batch_of(
        make_sampler(make_session()),
        result(0.0, {7: 3}, sightings=[sighting("c1", 0.0, {7: 3}, nobody=1)]),
        result(0.5, {7: 3, 8: 4}, events=[entered, lost]),
    )


def counts() -> dict[str, int]:
    return {m.__name__: m.objects.count() for m in (Person, Track, TrackPoint, Detection, TrackEvent)}


ALL = {"Person": 2, "Track": 2, "TrackPoint": 3, "Detection": 2, "TrackEvent": 2}


def test_rows_name_every_column():
    for table in TABLES:
        columns = [field.attname for field in table.model._meta.concrete_fields]
        assert sorted(table.row._fields) == sorted(
            column for column in columns if column != "id" or "id" in table.row._fields
        )


def test_everything_is_stored_once_even_if_written_again():
    batch = filled_batch()
    for _ in range(2):
        batch_write(batch)
        assert counts() == ALL
    event = TrackEvent.objects.get(kind="zone_enter")
    assert (event.person, event.track_id) == (Person.objects.get(number=3), 7)
    assert (event.zone, event.x_m) == (Zone.objects.get(), 1.0)
    assert TrackEvent.objects.get(kind="camera_offline").payload == {"message": 'un"plugged\n'}


def test_rows_are_read_by_django_as_they_were_given():
    batch = filled_batch()
    batch_write(batch)
    given: list[list] = [[*batch.persons.values()], [*batch.tracks.values()], batch.points, batch.detections]
    for table, rows in zip(TABLES[:4], given, strict=True):
        stored = table.model._default_manager.values_list(*table.row._fields)
        assert sorted(map(repr, stored)) == sorted(repr(tuple(row)) for row in rows)


def test_batches_give_the_same_whatever_their_order():
    session = make_session()
    # each with a sampler of its own, as after restarts: none knows when the person was first seen
    batches = [
        batch_of(make_sampler(session), result(0.0, {7: 3})),
        batch_of(make_sampler(session), result(1.0, {7: 4})),
        batch_of(make_sampler(session), result(60.0, {9: 3})),
    ]
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0, 0, 1)):
        for index in order:
            batch_write(batches[index])
        first, second = Person.objects.order_by("number")
        assert (first.number, first.first_seen_at, first.last_seen_at) == (3, at(0), at(60))
        assert (second.number, second.first_seen_at, second.last_seen_at) == (4, at(1), at(1))
        tracks = Track.objects.order_by("pk").values_list("pk", "person__number", "started_at", "ended_at")
        assert list(tracks) == [(7, 4, at(0), at(1)), (9, 3, at(60), at(60))]
        Person.objects.all().delete()


def test_a_track_goes_to_another_person_within_one_instant():
    session = make_session()
    for person in (3, 4):
        batch_write(batch_of(make_sampler(session), result(0.0, {7: person})))
    assert Track.objects.get().person.number == 4


def test_a_row_that_is_refused_takes_no_other_along(caplog):
    batch = filled_batch()
    wrong = person_id(environment_id=batch.points[0].environment_id, number=4)
    row = batch.persons[wrong]
    batch.persons[wrong] = row._replace(last_seen_at=row.first_seen_at - timedelta(seconds=1))
    batch.detections[1] = batch.detections[1]._replace(confidence=1.5)
    batch.points[2] = batch.points[2]._replace(cameras=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        batch_write(batch)
    assert set(counts().values()) == {0}
    # the person, the track that refers to it, the box and the point
    assert batch_salvage(batch) == 4
    assert counts() == {"Person": 1, "Track": 1, "TrackPoint": 2, "Detection": 1, "TrackEvent": 2}
    assert len([m for m in caplog.messages if m.startswith("A row is lost: ")]) == 4


def test_rows_of_a_deleted_environment_are_dropped(caplog):
    batch = filled_batch()
    TrackingSession.objects.get().environment.delete()
    with pytest.raises(IntegrityError):
        batch_write(batch)
    assert batch_salvage(batch) == len(batch)
    assert set(counts().values()) == {0}
    assert caplog.messages == [f"{len(batch)} rows are dropped: their environment was deleted"]


def test_rows_that_come_late_are_noted_and_others_are_not():
    batch_write(filled_batch())
    assert list(LateSpan.objects.values_list("begins_at", "ends_at")) == [(at(0), at(0.6))]
    with patch("gpuworker.sinks.writing.timezone.now", lambda: at(600)):
        batch_write(batch_of(make_sampler(TrackingSession.objects.get()), result(0.0, {7: 3})))
    assert LateSpan.objects.count() == 1
    batch_write(Batch())
    assert LateSpan.objects.count() == 1


@on("postgres", "timescale")
def test_nothing_stays_staged():
    batch_write(filled_batch())
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM staged_tracking_trackpoint")
        assert cursor.fetchone() == (0,)


def test_history_that_is_too_old_is_deleted():
    batch_write(filled_batch())
    history_expire(now=at(0) + timedelta(days=1))
    assert counts() == ALL
    assert history_expire(now=at(0) + timedelta(days=60)) == sum(ALL.values())
    assert set(counts().values()) == {0}
