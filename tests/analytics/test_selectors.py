"""What is asked of history, on every database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from analytics import selectors
from analytics.dwell import dwell
from analytics.selectors import CameraCount, Flow, HeatCell, Occupancy
from analytics.services import aggregates_refresh
from tests.analytics.test_counts import no_counts_from_before  # noqa: F401 - a fixture
from tests.factories import (
    CameraFactory,
    DetectionFactory,
    EnvironmentFactory,
    TrackEventFactory,
    TrackFactory,
    TrackPointFactory,
    ZoneFactory,
)
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    pytest_generate_tests,
    server,
)
from tracking.choices import EventKind
from tracking.models import LateSpan, TrackPoint

pytestmark = pytest.mark.usefixtures("server")

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def stay(track, *, since_s: int, seconds: int, x_m: float = 1.0, zones: str = "") -> None:
    """Let a track have a point a second."""
    environment = track.session.environment
    about = {"track": track, "environment": environment, "y_m": 2.0, "vx_mps": 0, "vy_mps": 0}
    about |= {"var_x_m2": 1, "cov_xy_m2": 0, "var_y_m2": 1, "cameras": "c1"}
    times = [at(since_s + second) for second in range(seconds)]
    TrackPoint.objects.bulk_create(TrackPoint(time=t, x_m=x_m, zones=zones, **about) for t in times)


def count() -> None:
    LateSpan.objects.create(begins_at=at(-86_400), ends_at=at(2 * 86_400))
    aggregates_refresh(now=at(2 * 86_400))


def test_occupancy_is_people_on_average_and_at_most():
    first = TrackFactory()
    environment = first.session.environment
    second = TrackFactory(session=first.session)
    stay(first, since_s=0, seconds=90)
    stay(second, since_s=30, seconds=30)
    stay(TrackFactory(), since_s=0, seconds=60)  # elsewhere
    count()
    hour = {"environment": environment, "since": at(0), "until": at(3600)}
    assert selectors.occupancy(**hour, step="minute") == [
        Occupancy(at(0), 1.5, 1.5),
        Occupancy(at(60), 0.5, 0.5),
    ]
    assert selectors.occupancy(**hour, step="hour") == [Occupancy(at(0), 120 / 3600, 1.5)]
    # of an hour that the range cuts off, what lies in it
    half = {"environment": environment, "since": at(60), "until": at(180)}
    assert selectors.occupancy(**half, step="hour") == [Occupancy(at(0), 0.25, 0.5)]
    assert selectors.occupancy(**hour | {"since": at(3000)}, step="hour") == []


def test_days_are_those_of_the_place():
    environment = EnvironmentFactory(time_zone="Europe/Vienna")
    track = TrackFactory(session__environment=environment)
    stay(track, since_s=-60, seconds=60)
    stay(track, since_s=10 * 3600 + 30, seconds=30)  # 22:00:30 UTC, past midnight there
    count()
    days = selectors.occupancy(environment=environment, since=at(-86_400), until=at(86_400), step="day")
    vienna = ZoneInfo("Europe/Vienna")
    assert days == [
        Occupancy(datetime(2026, 5, 4, tzinfo=vienna), 60 / 86_400, 1.0),
        Occupancy(datetime(2026, 5, 5, tzinfo=vienna), 30 / (14 * 3600), 0.5),
    ]


def test_a_day_in_which_clocks_change_is_as_long_as_it_is():
    vienna = ZoneInfo("Europe/Vienna")
    day = datetime(2026, 3, 29, tzinfo=vienna)
    far = (day - timedelta(days=9), day + timedelta(days=9))
    assert selectors._length_s(day, "day", *far) == 23 * 3600
    assert (
        selectors._length_s(datetime(2026, 10, 25, tzinfo=vienna), "day", far[0], day.replace(year=2027))
        == 25 * 3600
    )


def hours_of(zone: str, *instants: datetime, step: str) -> list[Occupancy]:
    """Let somebody be in a place of a time zone for the half minute after each instant, and ask."""
    track = TrackFactory(session__environment__time_zone=zone)
    for instant in instants:
        stay(track, since_s=int((instant - NOON).total_seconds()), seconds=30)
    LateSpan.objects.create(begins_at=min(instants), ends_at=max(instants) + timedelta(hours=1))
    aggregates_refresh(now=max(instants) + timedelta(days=1))
    day = {"since": min(instants) - timedelta(days=1), "until": max(instants) + timedelta(days=1)}
    return selectors.occupancy(environment=track.session.environment, **day, step=step)


def test_hour_that_comes_twice_is_two_hours():
    vienna = ZoneInfo("Europe/Vienna")
    first, second = (datetime(2026, 10, 25, hour, 15, tzinfo=UTC) for hour in (0, 1))
    hours = hours_of("Europe/Vienna", first, second, step="hour")
    assert [(row.at.hour, row.at.fold, row.mean) for row in hours] == [(2, 0, 30 / 3600), (2, 1, 30 / 3600)]
    assert [row.at.astimezone(UTC).hour for row in hours] == [0, 1]
    minutes = hours_of("Europe/Vienna", first, second, step="minute")
    assert [row.at for row in minutes] == [at.astimezone(vienna) for at in (first, second)]
    assert [row.mean for row in minutes] == [0.5, 0.5]
    (day,) = hours_of("Europe/Vienna", first, second, step="day")
    assert (day.at, day.mean) == (datetime(2026, 10, 25, tzinfo=vienna), 60 / (25 * 3600))


def test_hour_that_does_not_come_is_absent():
    before, after = (datetime(2026, 3, 29, hour, 15, tzinfo=UTC) for hour in (0, 1))
    hours = hours_of("Europe/Vienna", before, after, step="hour")
    assert [(row.at.hour, row.mean) for row in hours] == [(1, 30 / 3600), (3, 30 / 3600)]


def test_day_without_a_midnight_begins_an_hour_later():
    (day,) = hours_of("Africa/Cairo", datetime(2026, 4, 24, 9, tzinfo=UTC), step="day")
    assert (day.at.isoformat(), day.mean) == ("2026-04-24T01:00:00+03:00", 30 / (23 * 3600))


def test_hours_are_those_of_the_places_clock():
    (hour,) = hours_of("Asia/Kolkata", datetime(2026, 5, 4, 12, 15, tzinfo=UTC), step="hour")
    assert (hour.at.isoformat(), hour.mean) == ("2026-05-04T17:00:00+05:30", 30 / 3600)


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="step: expected one of minute, hour, day, got 'week'"):
        selectors.occupancy(environment=EnvironmentFactory(), since=at(0), until=at(1), step="week")


def test_zone_occupancy_adds_all_sets_that_name_the_zone():
    first = TrackFactory()
    second = TrackFactory(session=first.session)
    stay(first, since_s=0, seconds=30, zones="a")
    stay(first, since_s=30, seconds=30, zones="a b")
    stay(second, since_s=0, seconds=15, zones="a")
    stay(second, since_s=60, seconds=60, zones="aa")
    count()
    hour = {"environment": first.session.environment, "since": at(0), "until": at(3600), "step": "hour"}
    assert selectors.zone_occupancy(**hour, zone="a") == [Occupancy(at(0), 75 / 3600, 75 / 60)]
    assert selectors.zone_occupancy(**hour, zone="b") == [Occupancy(at(0), 30 / 3600, 0.5)]
    assert selectors.zone_occupancy(**hour, zone="c") == []


def test_camera_counts_are_of_the_cameras_of_the_place():
    camera = CameraFactory()
    track = TrackFactory()
    DetectionFactory(camera=camera, time=at(1), ordinal=0, confidence=0.5)
    DetectionFactory(camera=camera, time=at(1), ordinal=1, confidence=1.0, track=track)
    DetectionFactory(camera=camera, time=at(61), ordinal=0, confidence=0.75)
    DetectionFactory(time=at(1))
    count()
    hour = {"environment": camera.environment, "since": at(0), "until": at(3600)}
    assert selectors.camera_counts(**hour, step="hour") == [CameraCount(at(0), camera.key, 2, 3, 1, 0.75)]
    assert [row.detections for row in selectors.camera_counts(**hour, step="minute")] == [2, 1]


def test_heat_map_gives_cells_by_their_corners():
    track = TrackFactory()
    stay(track, since_s=0, seconds=3, x_m=0.49)
    stay(track, since_s=3600, seconds=1, x_m=-0.01)
    stay(track, since_s=7200, seconds=5, x_m=9.0)
    count()
    environment = track.session.environment
    assert selectors.heat_map(environment=environment, since=at(600), until=at(7200)) == [
        HeatCell(-0.5, 2.0, 1, 0.25),
        HeatCell(0.0, 2.0, 3, 0.75),
    ]
    assert selectors.heat_map(environment=environment, since=at(86_400), until=at(90_000)) == []


def test_flows_between_areas_are_named_by_keys():
    a = ZoneFactory(key="a")
    b = ZoneFactory(key="b", environment=a.environment)
    for zone, before in ((b, a), (b, a), (a, None), (a, ZoneFactory())):
        TrackEventFactory(
            environment=a.environment,
            kind=EventKind.ZONE_ENTER,
            zone=zone,
            previous_zone=before,
            time=at(zone.pk),
        )
    TrackEventFactory(environment=a.environment, kind=EventKind.ZONE_LEAVE, zone=a, time=at(5))
    count()
    hour = {"environment": a.environment, "since": at(60), "until": at(3600)}
    # who came from an area that is no longer there came from none
    assert selectors.flows(**hour, between="zones") == [Flow(None, "a", 2), Flow("a", "b", 2)]
    assert selectors.flows(**hour, between="cameras") == []


def test_flows_between_cameras_are_their_handovers():
    track = TrackFactory()
    for second, handover in enumerate(["c1", "", "c1 c2", "c2 c1", "c1 c2", ""]):
        TrackPointFactory(track=track, time=at(second), handover=handover)
    TrackPointFactory(track=track, time=at(3600), handover="c2 c1")
    TrackPointFactory(time=at(1), handover="c1 c2")  # elsewhere
    count()
    hour = {"environment": track.session.environment, "since": at(60), "until": at(3600)}
    assert selectors.flows(**hour, between="cameras") == [
        Flow(None, "c1", 1),
        Flow("c1", "c2", 2),
        Flow("c2", "c1", 1),
    ]
    assert selectors.flows(**hour, between="zones") == []


def test_each_question_takes_a_fixed_number_of_queries():
    track = TrackFactory()
    stay(track, since_s=0, seconds=120, zones="a")
    for _ in range(2):
        CameraFactory(environment=track.session.environment)
        ZoneFactory(environment=track.session.environment)
    count()
    hour = {"environment": track.session.environment, "since": at(0), "until": at(3600)}
    asked = {
        "occupancy": lambda: selectors.occupancy(**hour, step="hour"),
        "zone_occupancy": lambda: selectors.zone_occupancy(**hour, zone="a", step="hour"),
        "camera_counts": lambda: selectors.camera_counts(**hour, step="hour"),
        "heat_map": lambda: selectors.heat_map(**hour),
        "flows between zones": lambda: selectors.flows(**hour, between="zones"),
        "flows between cameras": lambda: selectors.flows(**hour, between="cameras"),
        "dwell": lambda: dwell(**hour),
    }
    queries = {}
    for name, ask in asked.items():
        with CaptureQueriesContext(connection) as captured:
            ask()
        queries[name] = len(captured)
    assert queries == {
        "occupancy": 1,
        "zone_occupancy": 2,
        "camera_counts": 2,
        "heat_map": 1,
        "flows between zones": 2,
        "flows between cameras": 1,
        "dwell": 2,
    }
