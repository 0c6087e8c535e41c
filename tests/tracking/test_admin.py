"""Sessions and the raw time series in the admin pages."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Role
from tests.factories import (
    CounterFactory,
    DetectionFactory,
    EnvironmentFactory,
    PersonFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
    UserFactory,
)
from tracking import admin as pages
from tracking.choices import ActualState, DesiredState
from tracking.models import TrackingSession

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC)
SERIES: dict[str, Any] = {
    "trackpoint": TrackPointFactory,
    "detection": DetectionFactory,
    "trackevent": TrackEventFactory,
}
READ_ONLY: dict[str, Any] = {
    **SERIES,
    "person": PersonFactory,
    "track": TrackFactory,
    "counter": CounterFactory,
}


@pytest.fixture
def admin(client):
    client.force_login(UserFactory(role=Role.ADMIN))
    return client


def page_of(name: str, kind: str = "changelist", *args) -> str:
    return reverse(f"admin:tracking_{name}_{kind}", args=args)


def rows_of(response) -> list:
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


@pytest.mark.parametrize("name", [*READ_ONLY, "trackingsession"])
def test_list_does_not_ask_more_for_more_rows(admin, name, django_assert_num_queries):
    def some() -> None:
        track = TrackFactory()
        TrackPointFactory(track=track, time=NOW)
        DetectionFactory(time=NOW)
        TrackEventFactory(time=NOW, person=track.person, camera=DetectionFactory(time=NOW).camera)
        CounterFactory()

    some()
    admin.get(page_of(name))
    with CaptureQueriesContext(connection) as few:
        before = len(rows_of(admin.get(page_of(name))))
    some()
    some()
    with django_assert_num_queries(len(few)):
        assert len(rows_of(admin.get(page_of(name)))) == 3 * before


@pytest.mark.parametrize("name", READ_ONLY)
def test_rows_of_the_worker_are_for_reading(admin, name):
    row = READ_ONLY[name]()
    for address in (page_of(name, "add"), page_of(name, "delete", row.pk)):
        assert admin.get(address).status_code == 403
        assert admin.post(address, {"post": "yes"}).status_code == 403
    response = admin.post(page_of(name, "change", row.pk), {"cameras": "x"})
    assert response.status_code == 403
    assert type(row).objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("trackpoint", "track_point_recent (environment_id=? AND time>?)"),
        ("detection", "(camera_id=? AND time>?)"),
        ("trackevent", "track_event_recent (environment_id=? AND time>?)"),
    ],
)
def test_time_series_are_read_from_the_index(admin, name, index):
    if connection.vendor != "sqlite":
        pytest.skip("the plan is SQLite's")
    SERIES[name](time=NOW)
    plan = admin.get(page_of(name)).context["cl"].queryset.explain()
    assert index in plan


@pytest.mark.parametrize("name", SERIES)
def test_time_series_are_bounded_in_time(admin, name):
    for age in (timedelta(minutes=5), timedelta(minutes=50), timedelta(hours=20), timedelta(days=6)):
        SERIES[name](time=datetime.now(UTC) - age)
    SERIES[name](time=datetime.now(UTC) - timedelta(days=40))
    counts = {
        last: len(rows_of(admin.get(page_of(name), {"last": last}))) for last in ("10m", "1d", "7d", "30d")
    }
    assert counts == {"10m": 1, "1d": 3, "7d": 4, "30d": 4}
    assert len(rows_of(admin.get(page_of(name)))) == 2
    assert len(rows_of(admin.get(page_of(name), {"last": "for ever"}))) == 2


def test_time_series_are_counted_up_to_a_limit(admin, monkeypatch):
    monkeypatch.setattr(pages, "COUNTED_ROWS", 3)
    track = TrackFactory()
    for second in range(5):
        TrackPointFactory(track=track, time=NOW - timedelta(seconds=second))
    response = admin.get(page_of("trackpoint"))
    assert response.context["cl"].result_count == 3
    assert response.context["cl"].full_result_count is None


def test_points_of_one_track(admin):
    point = TrackPointFactory(time=NOW)
    TrackPointFactory(time=NOW)
    page = admin.get(page_of("track")).content.decode()
    address = page_of("trackpoint") + f"?track__id__exact={point.track_id}&last=30d"
    assert address.replace("&", "&amp;") in page
    assert rows_of(admin.get(address)) == [point]


def test_tracks_of_one_person(admin):
    track = TrackFactory()
    TrackFactory()
    address = page_of("track") + f"?person__id__exact={track.person_id}"
    assert address in admin.get(page_of("person")).content.decode()
    assert rows_of(admin.get(address)) == [track]


def test_person_is_found_by_number(admin):
    person = PersonFactory(number=4711)
    PersonFactory()
    assert rows_of(admin.get(page_of("person"), {"q": "4711"})) == [person]


class TestSessions:
    def act(self, client, action, *sessions):
        return client.post(
            page_of("trackingsession"),
            {"action": action, "_selected_action": [session.pk for session in sessions]},
            follow=True,
        )

    def test_session_is_asked_for(self, admin):
        environment = EnvironmentFactory()
        response = admin.post(page_of("trackingsession", "add"), {"environment": environment.pk})
        assert response.status_code == 302
        assert environment.sessions.get().desired_state == DesiredState.RUNNING

    def test_second_session_is_refused_at_the_form(self, admin):
        session = TrackingSessionFactory()
        response = admin.post(page_of("trackingsession", "add"), {"environment": session.environment_id})
        assert response.status_code == 200
        assert "is being tracked already: stop that session first" in response.content.decode()
        assert TrackingSession.objects.count() == 1

    @pytest.mark.parametrize(
        ("action", "desired", "actual"),
        [
            ("pause", DesiredState.PAUSED, ActualState.WAITING),
            ("start", DesiredState.RUNNING, ActualState.WAITING),
            ("stop", DesiredState.STOPPED, ActualState.STOPPED),
        ],
    )
    def test_action_asks_the_session(self, admin, action, desired, actual):
        session = TrackingSessionFactory(desired_state=DesiredState.PAUSED)
        assert self.act(admin, action, session).status_code == 200
        session.refresh_from_db()
        assert (session.desired_state, session.actual_state) == (desired, actual)

    def test_start_gives_a_stopped_session_a_successor(self, admin):
        session = TrackingSessionFactory(desired_state=DesiredState.STOPPED)
        self.act(admin, "start", session)
        assert session.environment.sessions.exclude(pk=session.pk).get().desired_state == DesiredState.RUNNING

    def test_start_says_where_tracking_goes_on_already(self, admin):
        stopped = TrackingSessionFactory(desired_state=DesiredState.STOPPED)
        TrackingSessionFactory(environment=stopped.environment)
        page = self.act(admin, "start", stopped).content.decode()
        assert "is being tracked already: stop that session first" in page
        assert "Asked to run" not in page

    def test_sessions_are_not_edited(self, admin):
        session = TrackingSessionFactory()
        response = admin.post(
            page_of("trackingsession", "change", session.pk), {"environment": EnvironmentFactory().pk}
        )
        assert response.status_code == 403

    def test_sessions_are_not_deleted(self, admin):
        session = TrackingSessionFactory()
        address = page_of("trackingsession", "delete", session.pk)
        assert admin.post(address, {"post": "yes"}).status_code == 403
        self.act(admin, "delete_selected", session)
        assert TrackingSession.objects.count() == 1

    def test_list_leads_to_the_live_view(self, admin):
        session = TrackingSessionFactory()
        assert (
            reverse("live", args=[session.environment.slug])
            in admin.get(page_of("trackingsession")).content.decode()
        )
