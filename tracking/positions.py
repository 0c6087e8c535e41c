"""Where people are and were: live from Redis, stored from the database, thinned to what can be shown."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import OuterRef, Q, Subquery
from rest_framework.renderers import JSONRenderer

from accounts.rest.redis_pool import AWAY, redis_at
from environments.models import Environment
from tracking import live
from tracking.models import Person, Track, TrackPoint

AT_ONCE = 100  # stretches of time that one query asks for
LAST_SEEN = timedelta(seconds=2)  # before the last stored point: who was there together


@dataclass(frozen=True, slots=True)
class Presence:
    """Who is in a place, or was when it was last known.

    Attributes:
        at: when; None where nobody was ever seen.
        is_stale: nothing is heard of the place now, so that this is what was stored last.
        people: as in a positions message.
    """

    environment: str
    at: datetime | None
    is_stale: bool
    people: list[dict[str, Any]] = field(default_factory=list)


def redis_answers() -> bool:
    """Say whether Redis answers."""
    try:
        return bool(redis_at(settings.REDIS_URL).ping())
    except AWAY:
        return False


def presences(*, environments: Sequence[Environment]) -> list[Presence]:
    """Say who is where now, by environment; in few queries, however many they are."""
    heard = dict(zip(environments, _heard(environments), strict=True))
    silent = [environment for environment in environments if heard[environment] is None]
    stored = _stored(silent) if silent else {}
    return [heard[environment] or stored[environment.pk] for environment in environments]


def presence_shown(presence: Presence) -> dict[str, Any]:
    """Give a presence as it is answered."""
    return {
        "environment": presence.environment,
        "at": presence.at,
        "is_stale": presence.is_stale,
        "people": presence.people,
    }


def live_answer(*, environment: Environment) -> bytes | None:
    """Write who is where now in a place, as one who asks for it alone is answered; None where nothing is heard of it."""
    (presence,) = _heard([environment])
    return None if presence is None else JSONRenderer().render(answer_of_one(presence))


def answer_of_one(presence: Presence) -> dict[str, Any]:
    """Give the answer to who asks for one place."""
    return {"count": 1, "next": None, "previous": None, "results": [presence_shown(presence)]}


def _heard(environments: Sequence[Environment]) -> list[Presence | None]:
    """Give what the workers said within the last seconds; None for silence, and for all while Redis is away."""
    if not environments:
        return []
    try:
        texts = redis_at(settings.REDIS_URL).mget([live.now_key(place.pk) for place in environments])
    except AWAY:
        return [None] * len(environments)
    return [
        None if text is None else _read(environment, text)
        for environment, text in zip(environments, texts, strict=True)
    ]


def _read(environment: Environment, text: bytes) -> Presence:
    said = json.loads(text)
    return Presence(environment.slug, datetime.fromisoformat(said["at"]), False, said["people"])


def _stored(environments: Iterable[Environment]) -> dict[int, Presence]:
    """Give who was seen last, as it is stored."""
    newest = TrackPoint.objects.filter(environment=OuterRef("pk")).order_by("-time").values("time")[:1]
    places = Environment.objects.filter(pk__in=[place.pk for place in environments])
    last = {place.pk: (place.slug, place.last) for place in places.annotate(last=Subquery(newest))}
    together = Q()
    for key, (_, at) in last.items():
        if at is not None:
            together |= Q(environment=key, time__gt=at - LAST_SEEN, time__lte=at)
    newest_of_track: dict[tuple[int, int], TrackPoint] = {}
    if together:
        points = TrackPoint.objects.filter(together).select_related("track__person").order_by("time")
        newest_of_track = {(point.environment_id, point.track_id): point for point in points}
    return {
        key: Presence(
            slug, at, True, [person_of(p) for (place, _), p in newest_of_track.items() if place == key]
        )
        for key, (slug, at) in last.items()
    }


def person_of(point: TrackPoint) -> dict[str, Any]:
    """Give a stored point as a positions message lists somebody."""
    return {
        "person": point.track.person.number,
        "track": point.track_id,
        "x_m": point.x_m,
        "y_m": point.y_m,
        "vx_mps": point.vx_mps,
        "vy_mps": point.vy_mps,
        "std_m": worst_std_m(point),
        "cov_m2": [point.var_x_m2, point.cov_xy_m2, point.var_y_m2],
        "cameras": point.cameras.split(),
    }


def worst_std_m(point: TrackPoint) -> float:
    """Give the square root of the larger eigenvalue of a point's covariance."""
    return _worst_std_m(point.var_x_m2, point.cov_xy_m2, point.var_y_m2)


@dataclass(frozen=True, slots=True)
class Thinned:
    """Points of a time range, evenly thinned.

    Attributes:
        seen: how many there are.
        points: those that are given, in order of track and time, as PointSerializer shows them.
    """

    seen: int
    points: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Points of an environment, or of tracks, in a range of time.

    Attributes:
        column: of TrackPoint, ``environment_id`` or ``track_id``.
        keys: its values.
        since, before: of the range.
    """

    column: str
    keys: tuple[int, ...]
    since: datetime
    before: datetime


def place_stretches(*, environment: Environment, since: datetime, until: datetime) -> list[Stretch]:
    """Give where everybody's points in a range of time are."""
    return [Stretch("environment_id", (environment.pk,), since, until)]


def journey_stretches(*, person: Person, since: datetime, until: datetime) -> list[Stretch]:
    """Give where a person's points in a range of time are, track by track, each within the time that the track lasted.

    So the database looks at a few days, where asked for all tracks at once at all of the range; of very many tracks, a
    few are asked for together.
    """
    tracks = person.tracks.filter(ended_at__gte=since, started_at__lt=until).order_by("pk")
    stays = list(tracks.values_list("pk", "started_at", "ended_at"))
    some = -(-len(stays) // AT_ONCE) or 1
    stretches = []
    for first in range(0, len(stays), some):
        keys, begins, ends = zip(*stays[first : first + some], strict=True)
        before = min(until, max(ends) + timedelta(microseconds=1))
        stretches.append(Stretch("track_id", keys, max(since, min(begins)), before))
    return stretches


def points_thinned(*, stretches: Sequence[Stretch], max_points: int) -> Thinned:
    """Give every n-th point, in order of track and time, so that there are at most ``max_points``.

    The database does it, in one query, which is written by hand: to put it together out of Django's parts took longer
    than to answer it.
    """
    if not stretches:
        return Thinned(0, [])
    parts, given = [], []
    for stretch in stretches:
        keys = ", ".join(["%s"] * len(stretch.keys))
        parts.append(PART.format(column=stretch.column, keys=keys))
        instants = [connection.ops.adapt_datetimefield_value(at) for at in (stretch.since, stretch.before)]
        given += [*stretch.keys, *instants]
    with connection.cursor() as cursor:
        cursor.execute(EVERY.format(parts=" UNION ALL ".join(parts)), [*given, max_points - 1, max_points])
        rows = cursor.fetchall()
    numbers = dict(Track.objects.filter(pk__in={row[0] for row in rows}).values_list("pk", "person__number"))
    seen = rows[0][-1] if rows else 0
    return Thinned(seen, [_point_shown(row, numbers[row[0]]) for row in rows if row[0] in numbers])


# constants alone are put together here, whatever is asked for is given apart
SHOWN = "track_id, x_m, y_m, vx_mps, vy_mps, var_x_m2, cov_xy_m2, var_y_m2, cameras"
PART = (
    f"SELECT {SHOWN}, time FROM {TrackPoint._meta.db_table} "  # noqa: S608
    "WHERE {column} IN ({keys}) AND time >= %s AND time < %s"
)
# the time as text: to make an object of each, and a text again, takes a quarter of the answer
EVERY = (
    f"SELECT {SHOWN}, CAST(time AS text), seen FROM (SELECT *, COUNT(*) OVER () AS seen, "  # noqa: S608
    "ROW_NUMBER() OVER (ORDER BY track_id, time) AS place FROM ({parts}) AS points) AS numbered "
    "WHERE (place - 1) %% ((seen + %s) / %s) = 0 ORDER BY place"
)


def _point_shown(row: tuple[Any, ...], number: int) -> dict[str, Any]:
    track, x_m, y_m, vx_mps, vy_mps, var_x_m2, cov_xy_m2, var_y_m2, cameras, at, _ = row
    return {
        "at": _at_shown(at),
        "person": number,
        "track": track,
        "x_m": x_m,
        "y_m": y_m,
        "vx_mps": vx_mps,
        "vy_mps": vy_mps,
        "std_m": _worst_std_m(var_x_m2, cov_xy_m2, var_y_m2),
        "cameras": cameras.split(),
    }


def _at_shown(text: str) -> str:
    """Write an instant as every answer does; databases give UTC, with an offset or without, and fractions cut short."""
    date, _, time = text.removesuffix("+00").partition(" ")
    seconds, _, fraction = time.partition(".")
    if fraction.strip("0"):
        seconds = f"{seconds}.{fraction:0<6}"
    return f"{date}T{seconds}Z"


def _worst_std_m(var_x_m2: float, cov_xy_m2: float, var_y_m2: float) -> float:
    mean = (var_x_m2 + var_y_m2) / 2
    half = math.hypot((var_x_m2 - var_y_m2) / 2, cov_xy_m2)
    return round(math.sqrt(max(mean + half, 0.0)), 3)
