"""Leases that expire and history that is too old."""

from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from spoton.celery import app
from tests.factories import (
    CameraFactory,
    DetectionFactory,
    EnvironmentFactory,
    PersonFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
)
from tracking import services, tasks
from tracking.models import Detection, Person, Track, TrackEvent, TrackPoint

pytestmark = pytest.mark.django_db

NOW = timezone.now()
OLD = NOW - timedelta(days=8)
YOUNG = NOW - timedelta(days=6)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def environment():
    return EnvironmentFactory.create(retention_days=7)


def make_stay(environment, started_at, ended_at):
    """Make a person with a track that has a point, a detection and an event at both ends."""
    session = TrackingSessionFactory.create(environment=environment, desired_state="stopped")
    person = PersonFactory.create(environment=environment, first_seen_at=started_at, last_seen_at=ended_at)
    track = TrackFactory.create(session=session, person=person, started_at=started_at, ended_at=ended_at)
    camera = CameraFactory.create(environment=environment)
    for at in (started_at, ended_at):
        TrackPointFactory.create(track=track, time=at)
        DetectionFactory.create(camera=camera, track=track, time=at)
        TrackEventFactory.create(environment=environment, person=person, track=track, time=at)
    return track


def left() -> dict[str, int]:
    return {m.__name__: m.objects.count() for m in (Person, Track, TrackPoint, Detection, TrackEvent)}


def test_history_expire_deletes_what_an_environment_does_not_keep(environment):
    make_stay(environment, OLD, OLD + timedelta(minutes=45))
    kept = make_stay(environment, YOUNG, YOUNG + timedelta(minutes=1))
    assert services.history_expire(now=NOW) == 8
    assert left() == {"Person": 1, "Track": 1, "TrackPoint": 2, "Detection": 2, "TrackEvent": 2}
    assert Track.objects.get() == kept


def test_history_expire_keeps_a_track_that_reaches_into_what_is_kept(environment):
    make_stay(environment, OLD, YOUNG)
    assert services.history_expire(now=NOW) == 3
    assert left() == {"Person": 1, "Track": 1, "TrackPoint": 1, "Detection": 1, "TrackEvent": 1}


def test_history_expire_keeps_a_person_who_came_back(environment):
    track = make_stay(environment, OLD, OLD + MINUTE)
    Person.objects.update(last_seen_at=YOUNG)
    session = TrackingSessionFactory.create(environment=environment, desired_state="stopped")
    TrackFactory.create(session=session, person=track.person, started_at=YOUNG, ended_at=YOUNG)
    services.history_expire(now=NOW)
    assert Person.objects.count() == 1
    assert [t.ended_at for t in Track.objects.all()] == [YOUNG]


def test_history_expire_leaves_other_environments_alone(environment):
    make_stay(EnvironmentFactory.create(retention_days=30), OLD, OLD + MINUTE)
    before = left()
    assert services.history_expire(now=NOW) == 0
    assert left() == before


def test_history_expire_deletes_in_short_slices(environment, monkeypatch):
    monkeypatch.setattr(services, "EXPIRE_ROWS", 2)
    for i in range(5):
        make_stay(environment, OLD - timedelta(days=i), OLD + MINUTE - timedelta(days=i))
    services.history_expire(now=NOW)
    assert left() == {"Person": 0, "Track": 0, "TrackPoint": 0, "Detection": 0, "TrackEvent": 0}


def test_expired_leases_release_shows_sessions_as_waiting():
    session = TrackingSessionFactory.create(
        worker="gone", actual_state="running", lease_expires_at=timezone.now() - timedelta(seconds=1)
    )
    assert tasks.expired_leases_release() == 1
    session.refresh_from_db()
    assert (session.actual_state, session.worker, session.lease_expires_at) == ("waiting", "", None)


def test_history_expire_task_deletes_by_the_clock(environment):
    make_stay(environment, OLD, OLD + MINUTE)
    assert tasks.history_expire() > 0
    assert left()["Track"] == 0


def test_beat_names_tasks_that_exist():
    app.loader.import_default_modules()
    names = {str(entry["task"]) for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    wanted = {name for name in names if name.startswith("tracking.tasks.")}
    assert wanted == {"tracking.tasks.expired_leases_release", "tracking.tasks.history_expire"}
    assert wanted <= set(app.tasks)
