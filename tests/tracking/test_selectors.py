from datetime import UTC, datetime, timedelta

import pytest

from tests.factories import (
    T0,
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    PersonFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    ZoneFactory,
)
from tracking import selectors

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def test_layout_of_an_empty_environment_is_empty():
    environment = EnvironmentFactory.create()
    assert selectors.live_layout(environment=environment) == {"cameras": [], "zones": [], "floor_map": None}


def test_layout_describes_cameras_zones_and_plan(django_assert_num_queries):
    environment = EnvironmentFactory.create(slug="plaza")
    first = CameraFactory.create(environment=environment, key="a", name="Door")
    CameraFactory.create(environment=environment, key="b")
    CameraFactory.create(environment=environment, key="c", enabled=False)
    CalibrationFactory.create(camera=first)
    ZoneFactory.create(environment=environment, key="hall", name="Hall", capacity=5)
    FloorPlanFactory.create(environment=environment, origin_x_px=10.0, origin_y_px=60.0)

    with django_assert_num_queries(5):  # plan, cameras and calibrations, cameras, zones
        layout = selectors.live_layout(environment=environment)

    door, bare = layout["cameras"]
    assert {k: v for k, v in door.items() if k != "field_of_view_m"} == {
        "id": "a",
        "name": "Door",
        "width": 640,
        "height": 480,
        "state": "off",
        "position_m": None,
    }
    # the picture shows x from -3.2 to 3.2 and y from -2.4 to 2.4 m, the plan begins at (-1, -2) m
    xs, ys = zip(*door["field_of_view_m"], strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (-1.0, 3.2, -2.0, 2.4)
    assert (bare["id"], bare["name"], bare["field_of_view_m"]) == ("b", "b", [])
    assert layout["zones"] == [
        {
            "id": "hall",
            "name": "Hall",
            "kind": "polygon",
            "points_m": [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]],
            "capacity": 5,
        }
    ]
    assert layout["floor_map"] == {
        "image_url": "/environments/plaza/plan/",
        "width_px": 100,
        "height_px": 80,
        "metres_per_px": 0.1,
        "origin_px": [10.0, 60.0],
    }


def test_view_beside_the_plan_is_empty():
    environment = EnvironmentFactory.create()
    CalibrationFactory.create(camera=CameraFactory.create(environment=environment))
    FloorPlanFactory.create(environment=environment, origin_x_px=-1000.0)
    (camera,) = selectors.live_layout(environment=environment)["cameras"]
    assert camera["field_of_view_m"] == []


def test_status_without_a_session_is_off():
    camera = CameraFactory.create(key="a", state="online")
    assert selectors.live_status(environment=camera.environment, now=T0) == {
        "session": None,
        "cameras": [{"id": "a", "state": "off", "message": "", "fps": None, "age_ms": None}],
    }


def test_status_tells_what_the_worker_said_while_it_holds_the_session():
    camera = CameraFactory.create(key="a", state="offline", state_message="no route to host")
    session = TrackingSessionFactory.create(
        environment=camera.environment,
        actual_state="running",
        worker="w1",
        lease_expires_at=T0 + timedelta(seconds=5),
    )

    status = selectors.live_status(environment=camera.environment, now=T0)
    shown = {"id": session.pk, "state": "running", "message": "", "worker": "w1", "recordings": None}
    assert status["session"] == shown
    assert status["cameras"][0]["state"] == "offline"
    assert status["cameras"][0]["message"] == "no route to host"

    later = selectors.live_status(environment=camera.environment, now=T0 + timedelta(seconds=6))
    assert later["session"]["state"] == "waiting"
    assert later["cameras"][0]["state"] == "off"


def test_stopped_session_is_none():
    session = TrackingSessionFactory.create(desired_state="stopped", actual_state="stopped")
    assert selectors.live_status(environment=session.environment, now=T0)["session"] is None


def test_present_are_those_with_a_fresh_track():
    session = TrackingSessionFactory.create()
    here = PersonFactory.create(environment=session.environment, number=4)
    TrackFactory.create(session=session, person=here, started_at=T0, ended_at=T0 + timedelta(minutes=5))
    TrackFactory.create(session=session, started_at=T0, ended_at=T0 + timedelta(minutes=4))
    TrackFactory.create(started_at=T0, ended_at=T0 + timedelta(minutes=5))

    now = T0 + timedelta(minutes=5, seconds=2)
    assert selectors.present_since(environment=session.environment, now=now) == [
        {"person": 4, "since": "2026-05-04T12:00:00.000Z"}
    ]


def test_recent_events_come_newest_first_shaped_as_on_the_wire(django_assert_num_queries):
    environment = EnvironmentFactory.create()
    person = PersonFactory.create(environment=environment, number=9)
    zone = ZoneFactory.create(environment=environment, key="hall")
    TrackEventFactory.create(environment=environment, time=T0)
    entered = TrackEventFactory.create(
        environment=environment,
        time=T0 + timedelta(seconds=1),
        kind="zone_enter",
        person=person,
        zone=zone,
        payload={"count": 2},
    )
    TrackEventFactory.create()

    with django_assert_num_queries(1):
        newest, oldest = selectors.recent_events(environment=environment)
    assert newest == {
        "type": "event",
        "id": str(entered.id),
        "at": "2026-05-04T12:00:01.000Z",
        "kind": "zone_enter",
        "person": 9,
        "zone": "hall",
        "camera": None,
        "payload": {"count": 2},
        "acknowledged": None,
    }
    assert (oldest["kind"], oldest["person"]) == ("person_appeared", None)


def test_card_tells_visits_and_last_zone():
    session = TrackingSessionFactory.create()
    person = PersonFactory.create(environment=session.environment, number=9)
    zone = ZoneFactory.create(environment=session.environment, name="Hall")
    TrackFactory.create(session=session, person=person, started_at=T0)
    TrackFactory.create(
        session=session,
        person=person,
        started_at=T0 + timedelta(minutes=3),
        ended_at=T0 + timedelta(minutes=4),
    )
    TrackEventFactory.create(environment=session.environment, person=person, zone=zone, kind="zone_enter")

    assert selectors.person_card(environment=session.environment, number=9) == {
        "first_seen_at": "2026-05-04T12:00:00.000Z",
        "last_seen_at": "2026-05-04T12:01:00.000Z",
        "since": "2026-05-04T12:03:00.000Z",
        "visits": 2,
        "zone": "Hall",
    }


def test_card_of_a_number_of_another_environment_is_none():
    person = PersonFactory.create(number=9)
    assert selectors.person_card(environment=EnvironmentFactory.create(), number=9) is None
    assert selectors.person_card(environment=person.environment, number=10) is None


def test_crossings_are_counted_since_the_places_day_began(django_assert_num_queries):
    place = EnvironmentFactory.create(time_zone="Europe/Vienna")
    line = ZoneFactory.create(environment=place, key="door", kind="line", points_m=[[0, 0], [1, 0]])
    midnight = datetime(2026, 5, 3, 22, tzinfo=UTC)  # of 4 May in Vienna
    crossed = {"environment": place, "zone": line, "kind": "line_cross"}
    for minutes, direction in (
        (-1, "left_to_right"),
        (1, "left_to_right"),
        (2, "left_to_right"),
        (3, "right_to_left"),
    ):
        at = midnight + timedelta(minutes=minutes)
        TrackEventFactory.create(time=at, payload={"direction": direction}, **crossed)
    TrackEventFactory.create(environment=place, zone=line, kind="zone_enter", time=T0)
    TrackEventFactory.create(kind="line_cross", time=T0, zone=None)
    with django_assert_num_queries(1):
        counted = selectors.crossings_today(environment=place, now=T0)
    assert counted == [
        {"zone": "door", "direction": "left_to_right", "count": 2},
        {"zone": "door", "direction": "right_to_left", "count": 1},
    ]
