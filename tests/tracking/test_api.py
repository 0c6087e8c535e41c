"""Sessions, persons, tracks, events, positions and the state of things over REST."""

import math
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import quote_plus

import pytest
from django.conf import settings as django_settings
from redis import Redis

from accounts.rest.models import IdempotentAnswer
from accounts.rest.tasks import idempotent_answers_expire
from tests.factories import (
    T0,
    CameraFactory,
    EnvironmentFactory,
    PersonFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
    ZoneFactory,
)
from tracking import live
from tracking.choices import DesiredState, EventKind
from tracking.models import TrackingSession, TrackPoint
from tracking.serializers import PointSerializer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings")]
RANGE = {"since": "2026-05-04T11:00:00Z", "until": "2026-05-04T13:00:00Z"}


# --- sessions ---


def test_operator_steers_a_session(operator, plaza):
    made = operator.post("/api/v1/sessions/", {"environment": "plaza"})
    assert made.status_code == 201
    assert (made.json()["desired_state"], made.json()["is_held"]) == ("running", False)
    address = f"/api/v1/sessions/{made.json()['id']}"
    states = [
        operator.post(f"{address}/{verb}/").json()["desired_state"] for verb in ("pause", "resume", "stop")
    ]
    assert states == ["paused", "running", "stopped"]
    assert operator.post(f"{address}/resume/").status_code == 409
    successor = operator.post(f"{address}/start/").json()
    assert successor["id"] != made.json()["id"]
    assert operator.post(f"{address}/start/").json()["error"]["code"] == "session_open"


def test_operator_seeks_in_recordings(operator, plaza):
    session = TrackingSessionFactory.create(environment=plaza)
    camera = CameraFactory.create(environment=plaza, source_url="images:///videos/hall")
    address = f"/api/v1/sessions/{session.pk}/seek/"
    before = datetime.now(UTC)
    said = operator.post(address, {"position_s": 60})
    assert said.status_code == 200
    began_at = datetime.fromisoformat(said.json()["recordings_began_at"])
    assert timedelta(0) <= began_at - (before - timedelta(seconds=60)) < timedelta(seconds=10)

    for wrong in ({}, {"position_s": -1}, {"position_s": "60"}, {"position_s": 1e12}, {"position_s": None}):
        response = operator.post(address, wrong)
        assert (response.status_code, list(response.json()["error"]["fields"])) == (400, ["position_s"])
    camera.source_url = "rtsp://camera/"
    camera.save()
    assert operator.post(address, {"position_s": 1}).json()["error"]["code"] == "not_recorded"
    operator.post(f"/api/v1/sessions/{session.pk}/stop/")
    assert operator.post(address, {"position_s": 1}).json()["error"]["code"] == "conflict"


def test_operator_changes_the_speed_of_recordings(operator, plaza):
    started_at = datetime.now(UTC) - timedelta(seconds=100)
    session = TrackingSessionFactory.create(environment=plaza, started_at=started_at)
    camera = CameraFactory.create(environment=plaza, source_url="file:///videos/hall.mp4")
    address = f"/api/v1/sessions/{session.pk}/speed/"
    said = operator.post(address, {"speed": 4}).json()
    assert said["recordings_speed"] == 4.0
    # it stays where it was: 100 s of recording are 25 s at this speed
    began_at = datetime.fromisoformat(said["recordings_began_at"])
    assert abs(began_at - (datetime.now(UTC) - timedelta(seconds=25))) < timedelta(seconds=5)
    said = operator.post(f"/api/v1/sessions/{session.pk}/seek/", {"position_s": 60}).json()
    began_at = datetime.fromisoformat(said["recordings_began_at"])
    assert abs(began_at - (datetime.now(UTC) - timedelta(seconds=15))) < timedelta(seconds=5)

    for wrong in ({}, {"speed": 0}, {"speed": 5}, {"speed": "2"}, {"speed": None}):
        response = operator.post(address, wrong)
        assert (response.status_code, list(response.json()["error"]["fields"])) == (400, ["speed"])
    operator.post(f"/api/v1/sessions/{session.pk}/pause/")
    assert operator.post(address, {"speed": 1}).json()["error"]["code"] == "not_running"
    camera.source_url = "rtsp://camera/"
    camera.save()
    assert operator.post(address, {"speed": 1}).json()["error"]["code"] == "not_recorded"
    session.refresh_from_db()
    assert session.recordings_speed == 4.0


def test_speed_is_changed_where_it_began_only(operator, plaza):
    session = TrackingSessionFactory.create(environment=plaza)
    CameraFactory.create(environment=plaza, source_url="file:///videos/hall.mp4")
    response = operator.post(f"/api/v1/sessions/{session.pk}/speed/", {"speed": 2})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "not_running")


def test_session_is_asked_for_once(operator, plaza):
    TrackingSessionFactory.create(environment=plaza)
    response = operator.post("/api/v1/sessions/", {"environment": "plaza"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "session_open")


def test_job_that_is_asked_for_again_with_its_key_is_started_once(operator, plaza):
    def ask(key, body=None):
        return operator.post("/api/v1/sessions/", body or {"environment": "plaza"}, HTTP_IDEMPOTENCY_KEY=key)

    first, again = ask("k1"), ask("k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (first.get("Idempotency-Replayed"), again["Idempotency-Replayed"]) == (None, "true")
    assert ask("k1", {"environment": "yard"}).json()["error"]["code"] == "idempotency_key_reused"
    assert ask("k2").json()["error"]["code"] == "session_open"
    assert ask("k2").json()["error"]["code"] == "session_open"  # what failed is tried again
    assert [ask(key).status_code for key in ("", "x" * 65, "a b")] == [400, 400, 400]
    assert TrackingSession.objects.count() == 1


def test_keys_are_each_users_own(operator, admin, plaza):
    body = {"environment": "plaza"}
    operator.post("/api/v1/sessions/", body, HTTP_IDEMPOTENCY_KEY="k")
    assert admin.post("/api/v1/sessions/", body, HTTP_IDEMPOTENCY_KEY="k").status_code == 409


def test_answers_are_forgotten_after_a_day(operator, plaza):
    operator.post("/api/v1/sessions/", {"environment": "plaza"}, HTTP_IDEMPOTENCY_KEY="k")
    assert idempotent_answers_expire() == 0
    IdempotentAnswer.objects.update(created_at=T0)
    assert idempotent_answers_expire() == 1


def test_viewer_looks_at_sessions_and_steers_none(viewer, plaza):
    session = TrackingSessionFactory.create(environment=plaza)
    assert viewer.get(f"/api/v1/sessions/{session.pk}/").status_code == 200
    assert viewer.post("/api/v1/sessions/", {"environment": "plaza"}).status_code == 403
    assert viewer.post(f"/api/v1/sessions/{session.pk}/stop/").status_code == 403
    session.refresh_from_db()
    assert session.desired_state == DesiredState.RUNNING


def test_sessions_of_other_places_are_invisible(operator):
    session = TrackingSessionFactory.create()
    assert operator.post(f"/api/v1/sessions/{session.pk}/stop/").status_code == 404
    body = {"environment": session.environment.slug}
    assert operator.post("/api/v1/sessions/", body).status_code == 400
    assert TrackingSession.objects.get().desired_state == DesiredState.RUNNING


# --- persons, tracks, events ---


def test_persons_are_narrowed_by_place_number_and_time(viewer, plaza):
    seven = PersonFactory.create(environment=plaza, number=7)
    PersonFactory.create(number=7)
    late = PersonFactory.create(
        environment=plaza,
        number=8,
        first_seen_at=T0 + timedelta(hours=2),
        last_seen_at=T0 + timedelta(hours=3),
    )

    def numbers(**query):
        return [p["number"] for p in viewer.get("/api/v1/persons/", query).json()["results"]]

    assert numbers() == [8, 7]
    assert numbers(ordering="number") == [7, 8]
    assert numbers(number=7) == [7]
    assert numbers(since=late.first_seen_at.isoformat()) == [8]
    assert numbers(until=late.first_seen_at.isoformat()) == [7]
    shown = viewer.get(f"/api/v1/persons/{seven.pk}/").json()
    assert shown == {
        "id": str(seven.pk),
        "environment": "plaza",
        "number": 7,
        "first_seen_at": "2026-05-04T12:00:00Z",
        "last_seen_at": "2026-05-04T12:01:00Z",
    }


@pytest.mark.parametrize(
    "query",
    [
        {"environment": "nowhere"},
        {"number": "x"},
        {"number": "-1"},
        {"number": str(2**70)},
        {"since": "yesterday"},
        {"since": "9999-99-99T00:00:00Z"},
    ],
)
def test_narrowing_by_nonsense_is_refused(viewer, query):
    response = viewer.get("/api/v1/persons/", query)
    assert (response.status_code, list(response.json()["error"]["fields"])) == (400, list(query))


def test_place_that_is_not_granted_is_as_if_it_were_not_there(viewer):
    hidden = PersonFactory.create(environment=EnvironmentFactory.create(slug="hidden"))
    real = viewer.get("/api/v1/persons/", {"environment": "hidden"})
    none = viewer.get("/api/v1/persons/", {"environment": "nowhere"})
    assert (real.status_code, real.content) == (none.status_code, none.content)
    assert viewer.get(f"/api/v1/persons/{hidden.pk}/").status_code == 404
    assert viewer.get(f"/api/v1/persons/{hidden.pk}/journey/").status_code == 404
    assert viewer.get("/api/v1/positions/", {"environment": "hidden"}).status_code == 404
    assert viewer.get("/api/v1/positions/history/", {"environment": "hidden"}).status_code == 404


def test_tracks_are_narrowed_by_person(viewer, track):
    TrackFactory.create()
    (shown,) = viewer.get("/api/v1/tracks/").json()["results"]
    assert (shown["id"], shown["person"], shown["environment"]) == (track.pk, 7, "plaza")
    assert viewer.get("/api/v1/tracks/", {"person": 8}).json()["count"] == 0
    assert viewer.get("/api/v1/tracks/", {"person_id": str(track.person_id)}).json()["count"] == 1
    assert viewer.get(f"/api/v1/tracks/{track.pk}/").json() == shown


def test_events_come_in_pages_that_begin_where_the_last_one_ended(viewer, plaza):
    for second in range(5):
        TrackEventFactory.create(environment=plaza, time=T0 + timedelta(seconds=second))
    TrackEventFactory.create()
    first = viewer.get("/api/v1/events/", {"page_size": 3}).json()
    assert (first["count"], first["previous"]) == (5, None)
    TrackEventFactory.create(environment=plaza, time=T0 + timedelta(seconds=9))
    second = viewer.get(first["next"]).json()
    at = [event["at"] for event in first["results"] + second["results"]]
    assert at == [f"2026-05-04T12:00:0{second}Z" for second in (4, 3, 2, 1, 0)]
    assert second["next"] is None


def test_events_are_shown_as_live_and_narrowed(viewer, plaza):
    person = PersonFactory.create(environment=plaza, number=7)
    zone = ZoneFactory.create(environment=plaza, key="door")
    TrackEventFactory.create(
        environment=plaza, kind=EventKind.ZONE_ENTER, person=person, zone=zone, payload={"count": 2}
    )
    TrackEventFactory.create(environment=plaza, kind=EventKind.CAMERA_ONLINE)
    (event,) = viewer.get("/api/v1/events/", {"zone": "door", "kind": "zone_enter", "person": 7}).json()[
        "results"
    ]
    assert (event["person"], event["zone"], event["camera"], event["payload"]) == (
        7,
        "door",
        None,
        {"count": 2},
    )
    assert viewer.get(f"/api/v1/events/{event['id']}/").json() == event
    several = viewer.get("/api/v1/events/?kind=zone_enter&kind=camera_online").json()
    assert several["count"] == 2
    assert viewer.get("/api/v1/events/", {"kind": "dance"}).status_code == 400


# --- positions ---


def say_now(environment, people, at=None):
    value = live.now(at=at or datetime.now(UTC), people=people, cameras_up=1)

    with Redis.from_url(django_settings.REDIS_URL) as client:
        client.set(live.now_key(environment.pk), value, ex=live.NOW_TTL_S)


SOMEBODY = {
    "person": 7,
    "track": 70,
    "x_m": 1.5,
    "y_m": 2.5,
    "vx_mps": 0.0,
    "vy_mps": 0.0,
    "std_m": 0.1,
    "cov_m2": [0.01, 0.0, 0.01],
    "cameras": ["c1"],
}


def test_live_positions_are_what_the_worker_says(viewer, plaza):
    say_now(plaza, [SOMEBODY], at=T0)
    answer = viewer.get("/api/v1/positions/", {"environment": "plaza"}).json()
    assert answer["results"] == [
        {"environment": "plaza", "at": "2026-05-04T12:00:00Z", "is_stale": False, "people": [SOMEBODY]}
    ]
    assert viewer.get("/api/v1/positions/").json() == answer


def test_silence_gives_what_was_stored_last_and_says_so(viewer, plaza, track):
    other = TrackFactory.create(session=track.session, person__number=8)
    TrackPointFactory.create(track=other, time=T0)  # gone long before
    (answer,) = viewer.get("/api/v1/positions/").json()["results"]
    assert (answer["is_stale"], answer["at"]) == (True, "2026-05-04T12:00:09Z")
    assert [(p["person"], p["x_m"], p["std_m"], p["cameras"]) for p in answer["people"]] == [
        (7, 9.0, 0.2, ["c1", "c2"])
    ]


def test_place_where_nobody_was_ever_seen_is_empty(viewer, plaza):
    (answer,) = viewer.get("/api/v1/positions/").json()["results"]
    assert answer == {"environment": "plaza", "at": None, "is_stale": True, "people": []}


def test_redis_away_gives_what_was_stored(viewer, track, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    (answer,) = viewer.get("/api/v1/positions/").json()["results"]
    assert (answer["is_stale"], len(answer["people"])) == (True, 1)


@pytest.mark.parametrize("max_points", [1, 3, 9, 10, 1000])
def test_history_is_thinned_to_what_is_asked(viewer, track, max_points):
    query = RANGE | {"environment": "plaza", "max_points": max_points}
    answer = viewer.get("/api/v1/positions/history/", query).json()
    x_m = [point["x_m"] for point in answer["results"]]
    assert answer["seen"] == 10
    assert x_m[0] == 0.0
    assert len(x_m) <= max_points
    assert len({b - a for a, b in pairwise(x_m)}) <= 1
    assert viewer.get(f"/api/v1/persons/{track.person_id}/journey/", query).json() == answer


@pytest.mark.parametrize("max_points", [1, 4, 11, 25, 30])
def test_points_of_many_tracks_are_thinned_as_one_list(viewer, track, max_points, monkeypatch):
    monkeypatch.setattr("tracking.positions.AT_ONCE", 2)
    tracks = [track, *TrackFactory.create_batch(2, session=track.session, person=track.person)]
    for number, one in enumerate(tracks[1:], 1):
        begin = T0 + timedelta(minutes=10 * number)
        for second in range(7 + number):
            TrackPointFactory.create(track=one, time=begin + timedelta(seconds=second))
        type(one).objects.filter(pk=one.pk).update(started_at=begin, ended_at=begin + timedelta(seconds=20))
    stored = list(TrackPoint.objects.order_by("track_id", "time").select_related("track__person"))
    expected = PointSerializer(stored[:: math.ceil(len(stored) / max_points)], many=True).data
    query = RANGE | {"environment": "plaza", "max_points": max_points}
    for address, more in (
        (f"/api/v1/persons/{track.person_id}/journey/", {}),
        ("/api/v1/positions/history/", {}),
        ("/api/v1/positions/history/", {"person": 7}),
    ):
        answer = viewer.get(address, query | more).json()
        assert (answer["seen"], answer["results"]) == (len(stored), [dict(row) for row in expected])


def test_history_is_narrowed_by_time_and_person(viewer, track):
    query = {"environment": "plaza", "since": "2026-05-04T12:00:02Z", "until": "2026-05-04T12:00:05Z"}
    answer = viewer.get("/api/v1/positions/history/", query).json()
    assert [point["at"][17:19] for point in answer["results"]] == ["02", "03", "04"]
    assert viewer.get("/api/v1/positions/history/", query | {"person": 8}).json()["seen"] == 0
    assert viewer.get("/api/v1/positions/history/", query | {"person": 7}).json()["seen"] == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_points": 0}, "max_points"),
        ({"max_points": "x"}, "max_points"),
        ({"since": "2026-05-04T14:00:00Z"}, "since"),
        ({"since": "2020-05-04T14:00:00Z"}, "since"),
        ({"since": "1"}, "since"),
        ({"environment": "a b"}, "environment"),
        ({"person": 2**60}, "person"),
    ],
)
def test_history_of_nonsense_is_refused(viewer, change, field):
    query = RANGE | {"environment": "plaza"} | change
    response = viewer.get("/api/v1/positions/history/", query)
    assert (response.status_code, list(response.json()["error"]["fields"])) == (400, [field])


def test_journey_of_a_time_in_which_nobody_was_there_is_empty(viewer, track):
    address = f"/api/v1/persons/{track.person_id}/journey/"
    later = {"since": "2026-05-05T00:00:00Z", "until": "2026-05-06T00:00:00Z"}
    answer = viewer.get(address, later)
    assert (answer.status_code, answer.json()) == (200, {"seen": 0, "results": []})


def test_instants_are_read_whatever_their_offset(viewer, plaza):
    TrackEventFactory.create(environment=plaza, time=T0)
    for since, count in (("2026-05-05T09:25:00+21:25", 1), ("2026-05-05T09:25:01+21:25", 0)):
        assert viewer.get("/api/v1/events/", {"since": since}).json()["count"] == count
    for nowhere in ({"since": "9999-12-31T23:00:00-21:25"}, {"until": "0001-01-01T00:00:00+21:25"}):
        response = viewer.get("/api/v1/events/", nowhere)
        assert response.json()["error"]["fields"] == {name: ["It is out of range."] for name in nowhere}


@pytest.mark.parametrize(
    "position", ["0001-01-01", "2026-05-04 12:00:00", "2026-05-04 12:00:00+21:25", "2026-13-01 00:00:00"]
)
def test_cursor_that_is_not_ours_is_refused(viewer, plaza, position):
    cursor = b64encode(f"p={quote_plus(position)}".encode()).decode()
    response = viewer.get("/api/v1/events/", {"cursor": cursor})
    assert (response.status_code, response.json()["error"]["message"]) == (404, "Invalid cursor")


def test_history_needs_a_place(viewer):
    assert viewer.get("/api/v1/positions/history/", RANGE).status_code == 400
    early = viewer.get(
        "/api/v1/positions/history/", {"environment": "plaza", "until": "0001-01-01T00:00:00Z"}
    )
    assert early.status_code == 400


# --- the state of things ---


def test_operator_sees_how_their_places_are_doing(operator, plaza):
    TrackingSessionFactory.create(environment=plaza)
    CameraFactory.create(environment=plaza, key="c1", state="online")
    TrackingSessionFactory.create()
    said = operator.get("/api/v1/system/").json()
    assert (said["database"], said["redis"]) == (True, True)
    (place,) = said["environments"]
    assert (place["environment"], place["session"]["actual_state"]) == ("plaza", "waiting")
    assert place["cameras"] == [{"id": "c1", "state": "online", "message": ""}]


def test_state_of_things_is_not_for_viewers(viewer):
    assert viewer.get("/api/v1/system/").status_code == 403


# --- how much it takes ---


@pytest.mark.parametrize("address", ["sessions", "persons", "tracks", "events", "positions", "system"])
def test_lists_take_few_queries_however_long_they_are(address, admin, django_assert_max_num_queries):
    for _ in range(8):
        track = TrackFactory.create()
        TrackPointFactory.create(track=track)
        TrackEventFactory.create(environment=track.session.environment, person=track.person)
        CameraFactory.create(environment=track.session.environment)
    with django_assert_max_num_queries(5):
        response = admin.get(f"/api/v1/{address}/")
        assert len(response.json()["environments" if address == "system" else "results"]) == 8
