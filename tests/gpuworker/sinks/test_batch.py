"""Which rows a second of tracking leaves, and that they are written once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError

from environments.models import Zone
from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch, Sampler
from gpuworker.sinks.identifiers import event_id, person_id
from tests.factories import CameraFactory, TrackingSessionFactory, ZoneFactory
from tests.gpuworker.made import at, points, result, sighting
from tracking.models import Detection, Person, Track, TrackEvent, TrackPoint


def make_sampler(*, environment_id=1, session_id=1, cameras=None, zones=None, **options) -> Sampler:
    return Sampler(
        environment_id=environment_id,
        session_id=session_id,
        cameras=cameras or {"c1": 1},
        zones=zones or {},
        **options,
    )


def batch_of(sampler, *results) -> Batch:
    batch = Batch()
    for one in results:
        sampler.add(one, batch)
    return batch


def seconds_of(points) -> list[float]:
    return [(point.time - at(0)).total_seconds() for point in points]


def test_sampler_keeps_the_points_that_have_settled():
    batch = Batch()
    sampler = make_sampler()
    sampler.add(replace(result(1.5, {7: 3, 8: 4}), settled=points(0.0, {7: 3})), batch)
    assert [(p.track_id, t) for p, t in zip(batch.points, seconds_of(batch.points), strict=True)] == [
        (7, 0.0)
    ]
    sampler.add_points(points(0.5, {7: 3}), batch)
    assert seconds_of(batch.points) == [0.0, 0.5]


def test_sampler_point_holds_state_covariance_and_cameras():
    [point] = batch_of(make_sampler(), result(0.0, {7: 3}, x_m=1.5)).points
    values = (point.x_m, point.y_m, point.vx_mps, point.vy_mps, point.var_x_m2, point.cov_xy_m2)
    assert values == (1.5, 2.0, 0.5, 0.0, 0.04, 0.0)
    assert (point.var_y_m2, point.cameras, point.track_id) == (0.09, "c1 c2", 7)


def test_sampler_gives_one_row_a_person_and_track_from_first_to_last():
    sampler = make_sampler(environment_id=4)
    batch = batch_of(sampler, result(0.0, {7: 3}), result(0.4, {7: 3, 8: 5}))
    persons = {p.number: (p.first_seen_at, p.last_seen_at) for p in batch.persons.values()}
    assert persons == {3: (at(0), at(0.4)), 5: (at(0.4), at(0.4))}
    assert {t.pk: (t.started_at, t.ended_at) for t in batch.tracks.values()} == {
        7: (at(0), at(0.4)),
        8: (at(0.4), at(0.4)),
    }
    assert set(batch.persons) == {person_id(environment_id=4, number=n) for n in (3, 5)}


def test_sampler_keeps_detections_of_a_frame_each_interval_and_camera():
    sampler = make_sampler(cameras={"c1": 11, "c2": 12}, detection_interval_s=1.0)
    ticks = [
        result(t, sightings=[sighting("c1", t, {7: 3}, nobody=1), sighting("c2", t, {7: 3})])
        for t in (0.0, 0.5, 1.0)
    ]
    rows = batch_of(sampler, *ticks).detections
    found = [(d.camera_id, (d.time - at(0)).total_seconds(), d.ordinal, d.track_id) for d in rows]
    assert found == [
        (11, 0.0, 0, 7),
        (11, 0.0, 1, None),
        (12, 0.0, 0, 7),
        (11, 1.0, 0, 7),
        (11, 1.0, 1, None),
        (12, 1.0, 0, 7),
    ]


def test_sampler_forgets_who_is_long_gone():
    sampler = make_sampler()
    batch_of(sampler, result(0.0, {7: 3}))
    batch = batch_of(sampler, result(120.0), result(121.0, {9: 3}))
    assert [(p.first_seen_at, p.last_seen_at) for p in batch.persons.values()] == [(at(121), at(121))]


def test_event_id_follows_from_what_happened():
    event = Event(kind="zone_enter", at=at(1), person=3, zone_id="z1")
    same = Event(kind="zone_enter", at=at(1), person=3, zone_id="z1", payload={"x": 1})
    other = Event(kind="zone_enter", at=at(1), person=4, zone_id="z1")
    identifiers = [event_id(environment_id=1, event=e) for e in (event, same, other)]
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert event_id(environment_id=2, event=event) != identifiers[0]


@pytest.fixture
def session():
    return TrackingSessionFactory()


def filled_batch(session) -> Batch:
    camera = CameraFactory.create(environment=session.environment, key="c1")
    zone = ZoneFactory.create(environment=session.environment, key="z1")
    sampler = make_sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={"c1": camera.pk},
        zones={"z1": zone.pk},
    )
    entered = Event(kind="zone_enter", at=at(0.5), person=3, track=7, zone_id="z1", x_m=1.0, y_m=2.0)
    lost = Event(kind="camera_offline", at=at(0.6), camera_id="c1", payload={"message": "unplugged"})
    return batch_of(
        sampler,
        result(0.0, {7: 3}, sightings=[sighting("c1", 0.0, {7: 3}, nobody=1)]),
        result(0.5, {7: 3, 8: 4}, events=[entered, lost]),
    )


def counts() -> dict[str, int]:
    return {m.__name__: m.objects.count() for m in (Person, Track, TrackPoint, Detection, TrackEvent)}


@pytest.mark.django_db
def test_batch_write_stores_everything_once_even_if_replayed(session):
    batch = filled_batch(session)
    expected = {"Person": 2, "Track": 2, "TrackPoint": 3, "Detection": 2, "TrackEvent": 2}
    batch.write()
    assert counts() == expected
    batch.write()
    assert counts() == expected
    event = TrackEvent.objects.get(kind="zone_enter")
    assert (event.person, event.track_id) == (Person.objects.get(number=3), 7)
    assert (event.zone, event.x_m) == (Zone.objects.get(), 1.0)
    assert TrackEvent.objects.get(kind="camera_offline").payload == {"message": "unplugged"}


@pytest.mark.django_db
def test_batch_write_keeps_first_seen_and_moves_last_seen(session):
    arguments = {"environment_id": session.environment_id, "session_id": session.pk}
    batch_of(make_sampler(**arguments), result(0.0, {7: 3})).write()
    # another sampler, as after a restart: it does not know when the person was first seen
    batch_of(make_sampler(**arguments), result(60.0, {9: 3})).write()
    person = Person.objects.get()
    assert (person.first_seen_at, person.last_seen_at) == (at(0), at(60))
    assert list(person.tracks.order_by("pk").values_list("pk", flat=True)) == [7, 9]


@pytest.mark.django_db
def test_batch_write_takes_a_track_to_another_person(session):
    sampler = make_sampler(environment_id=session.environment_id, session_id=session.pk)
    batch_of(sampler, result(0.0, {7: 3})).write()
    batch_of(sampler, result(0.1, {7: 4})).write()
    assert Track.objects.get().person.number == 4


@pytest.mark.django_db(transaction=True)
def test_batch_salvage_writes_what_the_database_accepts(session):
    batch = filled_batch(session)
    for person in batch.persons.values():
        person.last_seen_at = person.first_seen_at - timedelta(seconds=person.number == 4)
    with pytest.raises(IntegrityError):
        batch.write()
    assert counts()["TrackPoint"] == 0
    refused = batch.salvage()
    # persons as a whole, and tracks, which refer to them
    assert [type(error) for error in refused] == [IntegrityError, IntegrityError]
    assert counts() == {"Person": 0, "Track": 0, "TrackPoint": 3, "Detection": 2, "TrackEvent": 2}
