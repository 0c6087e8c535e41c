"""Integrity of what was seen, in the database."""

from datetime import timedelta

import pytest
from django.db import IntegrityError

from tests.factories import (
    T0,
    CounterFactory,
    DetectionFactory,
    PersonFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
)
from tracking.choices import DesiredState
from tracking.models import TrackPoint

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("session_desired_known", lambda: TrackingSessionFactory(desired_state="fast")),
        ("session_actual_known", lambda: TrackingSessionFactory(actual_state="fast")),
        ("counter_positive", lambda: CounterFactory(next_value=0)),
        ("person_number_positive", lambda: PersonFactory(number=0)),
        ("person_seen_in_order", lambda: PersonFactory(last_seen_at=T0 - timedelta(seconds=1))),
        ("track_in_order", lambda: TrackFactory(ended_at=T0 - timedelta(seconds=1))),
        ("detection_confidence", lambda: DetectionFactory(confidence=1.01)),
        ("detection_confidence", lambda: DetectionFactory(confidence=-0.01)),
    ],
)
def test_database_refuses_values(name, make):
    with pytest.raises(IntegrityError, match=name):
        make()


def twice_open():
    TrackingSessionFactory(
        environment=TrackingSessionFactory().environment, desired_state=DesiredState.PAUSED
    )


def twice_counter():
    CounterFactory(name=CounterFactory().name)


def twice_number():
    person = PersonFactory()
    PersonFactory(environment=person.environment, number=person.number)


def twice_point():
    point = TrackPointFactory()
    TrackPointFactory(track=point.track, time=point.time)


def twice_box():
    box = DetectionFactory()
    DetectionFactory(camera=box.camera, time=box.time, ordinal=box.ordinal)


def twice_event():
    event = TrackEventFactory()
    TrackEventFactory(id=event.id, time=event.time)


@pytest.mark.parametrize(
    ("columns", "name", "make"),  # SQLite names the columns, PostgreSQL the constraint
    [
        ("tracking_trackingsession.environment_id", "session_one_open", twice_open),
        ("tracking_counter.name", "tracking_counter_pkey", twice_counter),
        ("tracking_person.environment_id, tracking_person.number", "person_number_once", twice_number),
        ("tracking_trackpoint.track_id, tracking_trackpoint.time", "track_point_once", twice_point),
        (
            "tracking_detection.camera_id, tracking_detection.time, tracking_detection.ordinal",
            "detection_once",
            twice_box,
        ),
        ("tracking_trackevent.id", "tracking_trackevent_pkey|track_event_once", twice_event),
    ],
)
def test_database_refuses_the_same_twice(columns, name, make):
    with pytest.raises(IntegrityError, match=f"UNIQUE constraint failed: {columns}|{name}"):
        make()


def test_stopped_sessions_may_be_many():
    environment = TrackingSessionFactory(desired_state=DesiredState.STOPPED).environment
    TrackingSessionFactory(environment=environment, desired_state=DesiredState.STOPPED)
    TrackingSessionFactory(environment=environment)
    assert environment.sessions.count() == 3


def test_numbers_are_per_environment():
    assert PersonFactory(number=1).environment != PersonFactory(number=1).environment


def test_box_holds_as_much_as_it_may():
    assert DetectionFactory(confidence=0.0).pk != DetectionFactory(confidence=1.0).pk


def test_points_may_outlive_nothing_but_wait_for_their_track():
    # rows arrive in batches: the reference carries no constraint in the database
    session = TrackingSessionFactory()
    point = TrackPointFactory(track_id=123456, track=None, environment=session.environment)
    assert TrackPoint.objects.get(pk=point.pk).track_id == 123456
