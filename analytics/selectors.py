"""What is asked of history: who was where, and what was counted.

The same on every database; see aggregates for what the numbers are. A range of time goes from ``since`` to before
``until``; counts are kept by minute or hour, so a range of counts begins with the bucket that ``since`` lies in.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Max, QuerySet, Sum, Window
from django.db.models.functions import Mod, RowNumber, Trunc

from analytics.aggregates import CELL_M
from analytics.models import CameraMinute, HeatCellHour, OccupancyMinute, TransitionHour, ZoneOccupancyMinute
from environments.models import Environment
from tracking.models import Person, TrackPoint

AT_ONCE = 100  # tracks that one query asks for
STEPS = ("minute", "hour", "day")


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many people there were in a minute, an hour or a day.

    Attributes:
        at: its begin, in the place's time zone.
        mean: people on average; a step that the range cuts off counts as far as it lies in it.
        peak: the most of its minutes' averages.
    """

    at: datetime
    mean: float
    peak: float


@dataclass(frozen=True, slots=True)
class CameraCount:
    """What a camera's stored frames showed in a minute, an hour or a day.

    Attributes:
        at: its begin, in the place's time zone.
        camera: primary key.
        frames: with a box at least.
        detections, tracked: boxes, and those of them that belong to a track.
        confidence: on average; None where there was no box.
    """

    at: datetime
    camera: int
    frames: int
    detections: int
    tracked: int
    confidence: float | None


@dataclass(frozen=True, slots=True)
class HeatCell:
    """How often people were in a square of CELL_M of the floor.

    Attributes:
        x_m, y_m: its corner with the least coordinates.
        points: stored positions in it.
        share: of all positions in the range, 0 to 1.
    """

    x_m: float
    y_m: float
    points: int
    share: float


@dataclass(frozen=True, slots=True)
class Position:
    """Where a track was."""

    time: datetime
    track: int
    x_m: float
    y_m: float


def occupancy(*, environment: Environment, since: datetime, until: datetime, step: str) -> list[Occupancy]:
    """Give how many people were there, in steps of a minute, an hour or a day; steps without anybody are absent."""
    rows = (
        OccupancyMinute.objects.filter(environment_id=environment.pk, **_buckets(since, until))
        .annotate(at=_step(environment, step))
        .values_list("at")
        .annotate(Sum("person_seconds"), Max("person_seconds"))
        .order_by("at")
    )
    return [
        Occupancy(at, seconds / _length_s(at, step, since, until), peak / 60) for at, seconds, peak in rows
    ]


def zone_occupancy(
    *, environment: Environment, zone: str, since: datetime, until: datetime, step: str
) -> list[Occupancy]:
    """Give how many people were in an area, by its key, as it was drawn at the time."""
    counts = ZoneOccupancyMinute.objects.filter(environment_id=environment.pk, **_buckets(since, until))
    named = [zones for zones in counts.values_list("zones", flat=True).distinct() if zone in zones.split()]
    minutes = (
        counts.filter(zones__in=named)
        .annotate(at=_step(environment, step))
        .values_list("at", "bucket")
        .annotate(Sum("person_seconds"))
        .order_by("at", "bucket")
    )
    by_step: dict[datetime, list[int]] = defaultdict(list)
    for at, _, seconds in minutes:
        by_step[at].append(seconds)
    return [
        Occupancy(at, sum(seconds) / _length_s(at, step, since, until), max(seconds) / 60)
        for at, seconds in by_step.items()
    ]


def camera_counts(
    *, environment: Environment, since: datetime, until: datetime, step: str
) -> list[CameraCount]:
    """Give what each camera showed, in steps of a minute, an hour or a day, in order of time and camera."""
    cameras = list(environment.cameras.values_list("pk", flat=True))
    rows = (
        CameraMinute.objects.filter(camera_id__in=cameras, **_buckets(since, until))
        .annotate(at=_step(environment, step))
        .values_list("at", "camera_id")
        .annotate(Sum("frames"), Sum("detections"), Sum("tracked"), Sum("confidence_sum"))
        .order_by("at", "camera_id")
    )
    return [
        CameraCount(at, camera, frames, detections, tracked, confidence / detections if detections else None)
        for at, camera, frames, detections, tracked, confidence in rows
    ]


def heat_map(*, environment: Environment, since: datetime, until: datetime) -> list[HeatCell]:
    """Give the cells of the floor that people were in, by hours; in order of x and y."""
    since = since.replace(minute=0, second=0, microsecond=0)
    cells = list(
        HeatCellHour.objects.filter(environment_id=environment.pk, **_buckets(since, until))
        .values_list("cell_x", "cell_y")
        .annotate(Sum("points"))
        .order_by("cell_x", "cell_y")
    )
    total = sum(points for _, _, points in cells)
    return [HeatCell(x * CELL_M, y * CELL_M, points, points / total) for x, y, points in cells]


def transitions(
    *, environment: Environment, since: datetime, until: datetime
) -> dict[tuple[str | None, str], int]:
    """Give how often people went from one area to another, by hours, by the areas' keys; None is no area before."""
    since = since.replace(minute=0, second=0, microsecond=0)
    keys = dict(environment.zones.values_list("pk", "key"))
    rows = (
        TransitionHour.objects.filter(
            environment_id=environment.pk, to_zone_id__in=list(keys), **_buckets(since, until)
        )
        .values_list("from_zone_id", "to_zone_id")
        .annotate(Sum("entries"))
    )
    counts: dict[tuple[str | None, str], int] = defaultdict(int)
    for before, after, entries in rows:
        counts[keys.get(before), keys[after]] += entries
    return dict(counts)


def positions(
    *, environment: Environment, since: datetime, until: datetime, max_points: int
) -> list[Position]:
    """Give everybody's positions in a range of time, in order of time.

    Each track is thinned evenly, its first position kept, so that no more than ``max_points`` and one for each track
    are left.
    """
    points = TrackPoint.objects.filter(environment=environment, time__gte=since, time__lt=until)
    return _thinned([points], max_points)


def journey(
    *, person: Person, since: datetime | None = None, until: datetime | None = None, max_points: int
) -> list[Position]:
    """Give where a person was, over all their tracks, in order of time; thinned as :func:`positions`."""
    tracks = person.tracks.all()
    if since is not None:
        tracks = tracks.filter(ended_at__gte=since)
    if until is not None:
        tracks = tracks.filter(started_at__lt=until)
    # each track within its own time: the database looks at a few days, where asked for all at once at months
    parts = []
    for pk, started_at, ended_at in tracks.order_by("started_at").values_list("pk", "started_at", "ended_at"):
        part = TrackPoint.objects.filter(track=pk, time__lte=ended_at)
        part = part.filter(time__gte=started_at if since is None else max(started_at, since))
        parts.append(part if until is None else part.filter(time__lt=until))
    return _thinned(parts, max_points)


def _thinned(parts: list[QuerySet[TrackPoint]], max_points: int) -> list[Position]:
    """Give the points of parts that share no track, in order of time."""
    count = sum(joined.count() for joined in _joined([part.values("time") for part in parts]))
    every = -(-count // max(max_points, 1))
    if every > 1:
        in_track = Window(RowNumber(), partition_by="track_id", order_by="time")
        parts = [part.annotate(place=Mod(in_track - 1, every)).filter(place=0) for part in parts]
    chosen = [part.values_list("time", "track_id", "x_m", "y_m") for part in parts]
    rows = [row for joined in _joined(chosen) for row in joined.order_by("time", "track_id")]
    return [Position(*row) for row in (sorted(rows) if len(parts) > AT_ONCE else rows)]


def _joined(parts: list[Any]) -> list[Any]:
    """Join queries to one, or to a few where they are very many."""
    some = [parts[first : first + AT_ONCE] for first in range(0, len(parts), AT_ONCE)]
    return [few[0].union(*few[1:], all=True) if len(few) > 1 else few[0] for few in some]


def _buckets(since: datetime, until: datetime) -> dict[str, datetime]:
    return {"bucket__gte": since.replace(second=0, microsecond=0), "bucket__lt": until}


def _step(environment: Environment, step: str) -> Trunc:
    if step not in STEPS:
        raise ValueError(f"step: expected one of {', '.join(STEPS)}, got {step!r}")
    return Trunc("bucket", step, tzinfo=ZoneInfo(environment.time_zone))


def _length_s(at: datetime, step: str, since: datetime, until: datetime) -> float:
    """Give how much of a step lies within a range that begins and ends with a minute."""
    if step == "minute":
        return 60.0
    # by the calendar: a day may have 23 or 25 hours
    end = (at + timedelta(days=1)) if step == "day" else at + timedelta(hours=1)
    first, last = max(at, since.replace(second=0, microsecond=0)), min(end, until)
    return max((last.astimezone(ZoneInfo("UTC")) - first.astimezone(ZoneInfo("UTC"))).total_seconds(), 60.0)
