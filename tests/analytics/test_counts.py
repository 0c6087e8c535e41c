"""What is counted over time: the same on SQLite, PostgreSQL and TimescaleDB, and as counting by hand gives it."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from analytics.aggregates import AGGREGATES, Dialect
from analytics.models import (
    CameraMinute,
    HandoverHour,
    HeatCellHour,
    OccupancyMinute,
    TransitionHour,
    Watermark,
    ZoneOccupancyMinute,
)
from analytics.services import aggregates_refresh, dialect
from environments.models import Environment
from gpuworker.sinks.batch import Batch, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from gpuworker.sinks.identifiers import person_id
from gpuworker.sinks.writing import batch_write
from tests.factories import CameraFactory, EnvironmentFactory, TrackingSessionFactory, ZoneFactory
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    flush,
    on,
    pytest_generate_tests,
    server,
)
from tracking.models import LateSpan, Track, TrackPoint

NOW = datetime(2026, 5, 4, 15, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def no_counts_from_before(server) -> Iterator[None]:  # noqa: F811
    yield
    if dialect() == Dialect.TIMESCALE:
        flush()
        with connection.cursor() as cursor:
            for aggregate in AGGREGATES:
                cursor.execute(f"CALL refresh_continuous_aggregate('{aggregate.table}', NULL, NULL)")


class Made:
    """A place, and rows of some hours in it, with everything that counting can stumble over."""

    def __init__(self, seed: int = 1) -> None:
        self.chance = random.Random(seed)
        session = TrackingSessionFactory.create(
            environment=EnvironmentFactory.create(time_zone="Asia/Kolkata")
        )
        self.environment: Environment = session.environment
        self.session = session.pk
        self.cameras = [
            CameraFactory.create(environment=self.environment, key=key).pk for key in ("c1", "c2")
        ]
        self.zones = [ZoneFactory.create(environment=self.environment, key=key).pk for key in ("a", "b")]
        self.person = person_id(environment_id=self.environment.pk, number=1)
        self.points: list[PointRow] = []
        self.detections: list[DetectionRow] = []
        self.events: list[EventRow] = []

    def batch(self, begins_at: datetime, ends_at: datetime, *, track: int, every_s: float = 0.5) -> Batch:
        """Make the rows of a track, which wanders over cells, areas, minutes and hours."""
        batch = Batch()
        person = PersonRow(self.person, self.environment.pk, 1, begins_at, ends_at)
        batch.persons[self.person] = person
        batch.tracks[track] = TrackRow(track, self.session, self.person, begins_at, ends_at)
        x_m, y_m, at = self.chance.uniform(-3, 3), self.chance.uniform(-3, 3), begins_at
        while at <= ends_at:
            zones = self.chance.choice(["", "a", "b", "a b"])
            place = (x_m, y_m, 0.0, 0.0, 0.04, 0.0, 0.04)
            handover = self.chance.choice(["", "", "", "c1", "c1 c2", "c2 c1"])
            batch.points.append(PointRow(at, self.environment.pk, track, *place, "c1", zones, handover))
            x_m, y_m = x_m + self.chance.uniform(-0.4, 0.4), y_m + self.chance.uniform(-0.4, 0.4)
            at += timedelta(seconds=every_s)
        for ordinal in range(self.chance.randint(0, 40)):
            at = begins_at + (ends_at - begins_at) * self.chance.random()
            owner = self.chance.choice([track, None])
            camera = self.chance.choice(self.cameras)
            confidence = self.chance.randint(0, 64) / 64  # sums of these are exact in any order
            batch.detections.append(DetectionRow(at, camera, ordinal, owner, 0.0, 0.0, 9.0, 9.0, confidence))
        a, b = self.zones
        kinds = [("zone_enter", a), ("zone_enter", b), ("zone_leave", a), ("person_left", None)]
        for number in range(self.chance.randint(0, 12)):
            at = begins_at + (ends_at - begins_at) * self.chance.random()
            kind, zone = self.chance.choice(kinds)
            before = self.chance.choice([None, *self.zones])
            event = person_id(environment_id=track, number=number)
            where = (self.person, track, zone, before, None, None, None, "{}")
            batch.events.append(EventRow(event, at, self.environment.pk, kind, *where))
        return batch

    def write(self, *batches: Batch) -> None:
        """Write batches, and remember them to count by hand."""
        for batch in batches:
            batch_write(batch)
            self.points += batch.points
            self.detections += batch.detections
            self.events += batch.events

    def some_hours(self) -> list[Batch]:
        """Make tracks over three hours, up to the last minute."""
        edges = [self.batch(NOW - timedelta(seconds=90), NOW, track=1), self.batch(NOW, NOW, track=2)]
        full_hour = NOW.replace(minute=0)
        edges += [self.batch(full_hour - timedelta(seconds=1), full_hour, track=3)]
        wander = []
        for track in range(4, 16):
            begins_at = NOW - timedelta(
                seconds=self.chance.randint(0, 10_000), microseconds=self.chance.randint(1, 10**6)
            )
            wander.append(
                self.batch(
                    begins_at,
                    min(begins_at + timedelta(seconds=self.chance.randint(1, 300)), NOW),
                    track=track,
                )
            )
        return edges + wander


def minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def expected(made: Made) -> dict[type, set[tuple]]:
    """Count by hand."""
    occupancy, zones, cells = (defaultdict(list) for _ in range(3))
    for point in made.points:
        mark = point.track_id, point.time.replace(microsecond=0)
        occupancy[point.environment_id, minute(point.time)].append(mark)
        if point.zones:
            zones[point.environment_id, point.zones, minute(point.time)].append(mark)
        cell = int(point.x_m // 0.5), int(point.y_m // 0.5)
        cells[point.environment_id, *cell, hour(point.time)].append(point.track_id)
    cameras = defaultdict(list)
    for box in made.detections:
        cameras[box.camera_id, minute(box.time)].append(box)
    entries = Counter(
        (event.environment_id, event.previous_zone_id or 0, event.zone_id, hour(event.time))
        for event in made.events
        if event.kind == "zone_enter"
    )
    handovers = Counter(
        (point.environment_id, point.handover, hour(point.time)) for point in made.points if point.handover
    )
    return {
        OccupancyMinute: {
            (*key, len({t for t, _ in marks}), len(set(marks))) for key, marks in occupancy.items()
        },
        ZoneOccupancyMinute: {
            (*key, len({t for t, _ in marks}), len(set(marks))) for key, marks in zones.items()
        },
        CameraMinute: {
            (
                *key,
                len({box.time for box in boxes}),
                len(boxes),
                sum(box.track_id is not None for box in boxes),
                sum(box.confidence for box in boxes),
            )
            for key, boxes in cameras.items()
        },
        HeatCellHour: {(*key, len(tracks), len(set(tracks))) for key, tracks in cells.items()},
        TransitionHour: {(*key, count) for key, count in entries.items()},
        HandoverHour: {(*key, count) for key, count in handovers.items()},
    }


def found() -> dict[type, set[tuple]]:
    models = (OccupancyMinute, ZoneOccupancyMinute, CameraMinute, HeatCellHour, TransitionHour, HandoverHour)
    columns = {aggregate.table: aggregate.columns for aggregate in AGGREGATES}
    return {model: set(model.objects.values_list(*columns[model._meta.db_table])) for model in models}


def test_counts_are_those_by_hand():
    made = Made()
    made.write(*made.some_hours())
    aggregates_refresh(now=NOW)
    assert all(expected(made).values())
    assert found() == expected(made)


def test_nothing_gives_no_counts():
    aggregates_refresh(now=NOW)
    assert not any(found().values())


def test_counting_again_changes_nothing():
    made = Made()
    made.write(*made.some_hours())
    for later in (0, 0, 60, 600):
        aggregates_refresh(now=NOW + timedelta(seconds=later))
    assert found() == expected(made)


def test_rows_that_come_after_the_count_are_counted():
    made = Made()
    made.write(*made.some_hours())
    aggregates_refresh(now=NOW)
    # the next minutes, and a stretch of an hour ago that a worker had on disk
    made.write(made.batch(NOW, NOW + timedelta(minutes=3), track=90))
    made.write(made.batch(NOW - timedelta(minutes=62), NOW - timedelta(minutes=58), track=91))
    made.write(made.batch(NOW - timedelta(days=3), NOW - timedelta(days=3) + timedelta(minutes=2), track=92))
    assert LateSpan.objects.exists()
    aggregates_refresh(now=NOW + timedelta(minutes=3))
    assert found() == expected(made)
    assert not LateSpan.objects.exists()


def test_merged_persons_change_no_count():
    made = Made()
    made.write(*made.some_hours())
    aggregates_refresh(now=NOW)
    other = made.batch(NOW - timedelta(hours=1), NOW - timedelta(hours=1), track=99)
    made.write(other)
    Track.objects.update(person=made.person)
    aggregates_refresh(now=NOW)
    assert found() == expected(made)


def test_counts_stay_when_rows_have_been_deleted_since():
    made = Made()
    made.write(*made.some_hours())
    aggregates_refresh(now=NOW + timedelta(hours=2))
    TrackPoint.objects.all().delete()
    later = NOW + timedelta(days=40)
    # something of that time comes later than the place keeps its rows: there is nothing whole to count
    LateSpan.objects.create(begins_at=NOW - timedelta(hours=2), ends_at=NOW)
    aggregates_refresh(now=later)
    assert found()[OccupancyMinute] == expected(made)[OccupancyMinute]
    assert not LateSpan.objects.exists()


@on("sqlite", "postgres")
def test_a_count_goes_on_where_the_last_one_ended():
    made = Made()
    made.write(*made.some_hours())
    LateSpan.objects.all().delete()
    aggregates_refresh(now=NOW)
    assert set(Watermark.objects.values_list("until", flat=True)) == {NOW}
    # one stretch for each aggregate, not all of history
    assert aggregates_refresh(now=NOW + timedelta(minutes=1)) == len(AGGREGATES)


@on("timescale")
def test_what_is_newest_is_counted_at_once():
    made = Made()
    # beyond what any count has come to, whatever ran before
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    made.write(made.batch(tomorrow - timedelta(minutes=5), tomorrow, track=1))
    assert found() == expected(made)


@on("timescale")
def test_counts_and_series_have_their_policies():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proc_name, count(*) FROM timescaledb_information.jobs WHERE proc_name LIKE 'policy_%' GROUP BY 1"
        )
        jobs = dict(cursor.fetchall())
    assert {
        name: jobs[name]
        for name in ("policy_compression", "policy_refresh_continuous_aggregate", "policy_retention")
    } == {
        "policy_compression": 3,
        "policy_refresh_continuous_aggregate": 6,
        "policy_retention": 6,
    }
