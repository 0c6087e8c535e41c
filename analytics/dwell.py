"""How long people stay in areas, from the events of entering and leaving; those who are still there included."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from analytics.survival import stay_quantiles
from environments.models import Environment, ZoneKind
from tracking.choices import EventKind
from tracking.models import TrackEvent

BINS_S = (0.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
SHARES = (0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, slots=True)
class DwellBin:
    """How many visits lasted from ``from_s`` to before ``to_s`` (None: or longer), or had when they were seen last."""

    from_s: float
    to_s: float | None
    open: int
    ended: int


@dataclass(frozen=True, slots=True)
class Dwell:
    """How long people stayed in an area.

    Attributes:
        zone: key.
        open, ended: visits that had not ended when the range did or the person was seen last, and those that had.
        p25_s, median_s, p75_s, p90_s: what as many visits do not outlast; open ones count as longer than they were so
            far. None where too few have ended to tell.
        histogram: all visits.
    """

    zone: str
    open: int
    ended: int
    p25_s: float | None
    median_s: float | None
    p75_s: float | None
    p90_s: float | None
    histogram: tuple[DwellBin, ...]


@dataclass(slots=True)
class _Visit:
    """A stay in an area, so far."""

    began_at: datetime
    seen_at: datetime
    has_ended: bool = False

    @property
    def length_s(self) -> float:
        return max((self.seen_at - self.began_at).total_seconds(), 0.0)

    def end(self, at: datetime, dwell_s: float | None) -> None:
        """Note the end; an entry is sure only a moment after it was made, and the leaving tells when that was."""
        if dwell_s is not None:
            self.began_at = at - timedelta(seconds=dwell_s)
        self.seen_at, self.has_ended = at, True


def dwell(
    *, environment: Environment, since: datetime, until: datetime, zone: str | None = None
) -> list[Dwell]:
    """Give how long the visits lasted that began in a range of time, as it was known at its end, by area.

    Args:
        environment: the place.
        since, until: when they began.
        zone: key of the only area to tell of.
    """
    areas = environment.zones.filter(kind=ZoneKind.POLYGON).order_by("key")
    keys = dict((areas if zone is None else areas.filter(key=zone)).values_list("pk", "key"))
    visits = _visits(environment, keys, since, until)
    return [_dwell(key, visits[pk]) for pk, key in keys.items()]


def _visits(
    environment: Environment, keys: dict[int, str], since: datetime, until: datetime
) -> dict[int, list[_Visit]]:
    """Give the visits by the areas' primary keys.

    An entry is followed by its track and by its person, for either can become another one while somebody stays.
    """
    events = TrackEvent.objects.filter(
        environment=environment,
        kind__in=[EventKind.ZONE_ENTER, EventKind.ZONE_LEAVE],
        zone__in=list(keys),
        time__gte=since,
        time__lt=until,
    ).order_by("time", "kind")  # who enters and leaves at one instant enters first
    columns = ("kind", "zone_id", "time", "person_id", "track_id", "track__ended_at", "payload")
    rows: Iterable[tuple[Any, ...]] = events.values_list(*columns)
    visits: dict[int, list[_Visit]] = defaultdict(list)
    inside: dict[tuple[int, Any], _Visit] = {}
    for kind, area, at, person, track, seen_at, payload in rows:
        names = [(area, name) for name in (person, track) if name is not None]
        if kind == EventKind.ZONE_ENTER:
            visit = _Visit(at, min(max(seen_at or at, at), until))
            visits[area].append(visit)
            inside |= dict.fromkeys(names, visit)
            continue
        stayed = [inside.pop(name) for name in names if name in inside]
        for visit in [visit for visit in stayed if not visit.has_ended][:1]:
            visit.end(at, payload.get("dwell_s"))
    return visits


def _dwell(zone: str, visits: list[_Visit]) -> Dwell:
    counts = [[0, 0] for _ in BINS_S]  # open, ended
    for visit in visits:
        counts[bisect_right(BINS_S, visit.length_s) - 1][visit.has_ended] += 1
    edges = pairwise([*BINS_S, None])
    bins = [DwellBin(low or 0.0, high, *count) for (low, high), count in zip(edges, counts, strict=True)]
    ended = [visit.has_ended for visit in visits]
    p25_s, median_s, p75_s, p90_s = stay_quantiles([visit.length_s for visit in visits], ended, SHARES)
    return Dwell(
        zone, ended.count(False), ended.count(True), p25_s, median_s, p75_s, p90_s, histogram=tuple(bins)
    )
