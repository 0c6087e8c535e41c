"""What is asked of history: what was counted.

The same on every database; see aggregates for what the numbers are. A range of time goes from ``since`` to before
``until``; counts are kept by minute or hour, so a range of counts begins with the bucket that ``since`` lies in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Max, Sum
from django.db.models.functions import Trunc

from analytics.aggregates import CELL_M
from analytics.models import (
    CameraMinute,
    HandoverHour,
    HeatCellHour,
    OccupancyMinute,
    TransitionHour,
    ZoneOccupancyMinute,
)
from environments.models import Environment

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
        camera: key.
        frames: with a box at least.
        detections, tracked: boxes, and those of them that belong to a track.
        confidence: on average; None where there was no box.
    """

    at: datetime
    camera: str
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
class Flow:
    """How often people went from one area to another, or were handed from one camera to another; keys.

    Attributes:
        origin: None for who came from none.
    """

    origin: str | None
    destination: str
    count: int


def occupancy(*, environment: Environment, since: datetime, until: datetime, step: str) -> list[Occupancy]:
    """Give how many people were there, in steps of a minute, an hour or a day; steps without anybody are absent."""
    rows = (
        OccupancyMinute.objects.filter(environment_id=environment.pk, **_buckets(since, until))
        .annotate(at=_step(environment, step, since))
        .values_list("at")
        .annotate(Sum("person_seconds"), Max("person_seconds"))
        .order_by("at")
    )
    return [
        Occupancy(at, seconds / _length_s(at, step, since, until), peak / 60)
        for at, seconds, peak in _by_the_clock(environment, rows)
    ]


def zone_occupancy(
    *, environment: Environment, zone: str, since: datetime, until: datetime, step: str
) -> list[Occupancy]:
    """Give how many people were in an area, by its key, as it was drawn at the time."""
    counts = ZoneOccupancyMinute.objects.filter(environment_id=environment.pk, **_buckets(since, until))
    named = [zones for zones in counts.values_list("zones", flat=True).distinct() if zone in zones.split()]
    minutes = (
        counts.filter(zones__in=named)
        .annotate(at=_step(environment, step, since))
        .values_list("at", "bucket")
        .annotate(Sum("person_seconds"))
        .order_by("at", "bucket")
    )
    by_step: dict[datetime, list[int]] = defaultdict(list)
    for at, _, seconds in _by_the_clock(environment, minutes):
        by_step[at].append(seconds)
    return [
        Occupancy(at, sum(seconds) / _length_s(at, step, since, until), max(seconds) / 60)
        for at, seconds in by_step.items()
    ]


def camera_counts(
    *, environment: Environment, since: datetime, until: datetime, step: str
) -> list[CameraCount]:
    """Give what each camera showed, in steps of a minute, an hour or a day, in order of time and camera."""
    cameras = dict(environment.cameras.values_list("pk", "key"))
    rows = (
        CameraMinute.objects.filter(camera_id__in=list(cameras), **_buckets(since, until))
        .annotate(at=_step(environment, step, since))
        .values_list("at", "camera_id")
        .annotate(Sum("frames"), Sum("detections"), Sum("tracked"), Sum("confidence_sum"))
        .order_by("at", "camera_id")
    )
    return [
        CameraCount(
            at, cameras[camera], frames, detections, tracked, confidence / detections if detections else None
        )
        for at, camera, frames, detections, tracked, confidence in _by_the_clock(environment, rows)
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


def flows(*, environment: Environment, since: datetime, until: datetime, between: str) -> list[Flow]:
    """Give how often people went from one area to another, or from camera to camera, by hours; in order of the keys.

    Args:
        environment: the place.
        since, until: the range of time.
        between: ``zones`` or ``cameras``.
    """
    count = {"zones": _transitions, "cameras": _handovers}[between]
    counts = count(environment, _buckets(since.replace(minute=0), until))
    return [Flow(*way, counts[way]) for way in sorted(counts, key=lambda way: (way[0] or "", way[1]))]


def _transitions(environment: Environment, buckets: dict[str, datetime]) -> dict[tuple[str | None, str], int]:
    keys = dict(environment.zones.values_list("pk", "key"))
    counted = TransitionHour.objects.filter(
        environment_id=environment.pk, to_zone_id__in=list(keys), **buckets
    )
    counts: dict[tuple[str | None, str], int] = defaultdict(int)
    for before, after, entries in counted.values_list("from_zone_id", "to_zone_id").annotate(Sum("entries")):
        counts[keys.get(before), keys[after]] += entries
    return dict(counts)


def _handovers(environment: Environment, buckets: dict[str, datetime]) -> dict[tuple[str | None, str], int]:
    counted = HandoverHour.objects.filter(environment_id=environment.pk, **buckets)
    counts: dict[tuple[str | None, str], int] = {}
    for handover, count in counted.values_list("handover").annotate(Sum("count")):
        *before, after = handover.split()
        counts[before[0] if before else None, after] = count
    return counts


def _buckets(since: datetime, until: datetime) -> dict[str, datetime]:
    return {"bucket__gte": since.replace(second=0, microsecond=0), "bucket__lt": until}


def _step(environment: Environment, step: str, since: datetime) -> Trunc:
    """Cut time into steps: days by the calendar of the place, hours and minutes as they pass.

    An hour of the clock that comes twice, when clocks go back, is two hours. Hours begin when the place's clock showed
    full ones at ``since``; that is not every zone's whole hour of UTC.
    """
    if step not in STEPS:
        raise ValueError(f"step: expected one of {', '.join(STEPS)}, got {step!r}")
    zone: tzinfo = ZoneInfo(environment.time_zone)
    if step != "day":
        ahead_s = (since.astimezone(zone).utcoffset() or timedelta(0)).total_seconds()
        zone = timezone(timedelta(minutes=ahead_s // 60 % 60))
    return Trunc("bucket", step, tzinfo=zone)


def _by_the_clock(environment: Environment, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Give rows that begin with an instant, with that by the place's clock; a midnight that was left out is later."""
    zone = ZoneInfo(environment.time_zone)
    for at, *rest in rows:
        yield at.astimezone(UTC).astimezone(zone), *rest


def _length_s(at: datetime, step: str, since: datetime, until: datetime) -> float:
    """Give how much of a step lies within a range that begins with a minute."""
    if step == "minute":
        return 60.0
    begin = at.astimezone(UTC)
    end = begin + timedelta(hours=1)
    if step == "day":  # by the calendar: it may have 23 or 25 hours
        end = datetime.combine(at.date() + timedelta(days=1), time(), at.tzinfo).astimezone(UTC)
    within = min(end, until) - max(begin, since.replace(second=0, microsecond=0))
    return max(within.total_seconds(), 60.0)
