"""What counts over time."""

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction

from analytics.aggregates import AGGREGATES, KEPT_DAYS, Aggregate, Dialect
from analytics.models import Watermark
from environments.models import Camera, Environment
from tracking.models import LateSpan

logger = logging.getLogger(__name__)

Span = tuple[datetime, datetime]
OWNERS: dict[str, type[Environment] | type[Camera]] = {"environment_id": Environment, "camera_id": Camera}

# how far each count reaches back: rows that come later than half of it are noted as late, and the other half is for
# transactions that were open at the last count
REACHES_BACK = timedelta(minutes=20)
SLICE = timedelta(days=1)  # counted in one transaction


def dialect() -> Dialect:
    """Say how the database writes time."""
    if "timescale" in connection.settings_dict["ENGINE"]:
        return Dialect.TIMESCALE
    return Dialect.SQLITE if connection.vendor == "sqlite" else Dialect.POSTGRES


def aggregates_refresh(*, now: datetime) -> int:
    """Count what is new, and what came late, again; give how many stretches of time were counted.

    Can be called at any time, by several at once and again after it was killed: each stretch is counted anew from the
    rows that are there, and replaces what was counted before. TimescaleDB counts what is new by itself.
    """
    late = list(LateSpan.objects.order_by("begins_at").values_list("pk", "begins_at", "ends_at"))
    spans = _merged([(begins_at, ends_at) for _, begins_at, ends_at in late])
    counted = 0
    for aggregate in AGGREGATES:
        if dialect() == Dialect.TIMESCALE:
            counted += sum(_refresh_view(aggregate, span) for span in _countable(spans, now))
        else:
            new = _new(aggregate, now)
            counted += sum(_count(aggregate, part, is_new=True) for part in _slices(*new))
            old = [(begins_at, min(ends_at, new[0])) for begins_at, ends_at in _countable(spans, now)]
            counted += sum(_count(aggregate, part) for span in old for part in _slices(*span))
            _forget_old(aggregate, now)
    LateSpan.objects.filter(pk__in=[pk for pk, _, _ in late]).delete()
    return counted


def _merged(spans: list[Span]) -> list[Span]:
    """Join spans, in order of their begins, that overlap or nearly do."""
    merged: list[Span] = []
    for begins_at, ends_at in spans:
        if merged and begins_at <= merged[-1][1] + timedelta(hours=1):
            merged[-1] = merged[-1][0], max(merged[-1][1], ends_at)
        else:
            merged.append((begins_at, ends_at))
    return merged


def _countable(spans: list[Span], now: datetime) -> list[Span]:
    """Leave out what lies so far back that rows may have been deleted since: its counts stay as they are."""
    oldest = _whole_since(now)
    return [(max(begins_at, oldest), ends_at) for begins_at, ends_at in spans if ends_at >= oldest]


def _whole_since(now: datetime) -> datetime:
    """Say since when no row can have been deleted for its age."""
    shortest = min(Environment.objects.values_list("retention_days", flat=True), default=KEPT_DAYS)
    return now - timedelta(days=shortest) + timedelta(hours=2)


def _slices(begins_at: datetime, ends_at: datetime) -> list[Span]:
    """Cut a span into slices, each to be counted in one transaction."""
    slices = []
    while begins_at <= ends_at:
        slices.append((begins_at, min(begins_at + SLICE, ends_at)))
        begins_at += SLICE
    return slices


def _new(aggregate: Aggregate, now: datetime) -> Span:
    """Give what is to be counted as new: from where the last count ended, a little before that, up to now."""
    mark = Watermark.objects.filter(pk=aggregate.table).first()
    if mark is None:
        return _oldest(aggregate) or now, now
    return max(mark.until - REACHES_BACK, min(mark.until, _whole_since(now))), now


def _oldest(aggregate: Aggregate) -> datetime | None:
    """Give the time of the first row that is counted; None where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min(time) FROM {aggregate.source}")  # noqa: S608 - a name of ours
        (oldest,) = cursor.fetchone()
    if isinstance(oldest, str):
        return datetime.fromisoformat(oldest + "+00:00")
    return oldest  # type: ignore[no-any-return]


def _count(aggregate: Aggregate, span: Span, *, is_new: bool = False) -> int:
    """Count all buckets that a span touches; 1, for the sum of stretches."""
    first = aggregate.floor(span[0])
    end = aggregate.floor(span[1]) + aggregate.width
    bounds = [connection.ops.adapt_datetimefield_value(at) for at in (first, end)]
    with transaction.atomic():
        # the mark is the lock: one counts an aggregate at a time
        Watermark.objects.get_or_create(pk=aggregate.table, defaults={"until": first})
        mark = Watermark.objects.select_for_update().get(pk=aggregate.table)
        if is_new and span[1] > mark.until:
            mark.until = span[1]
            mark.save()
        owners = list(OWNERS[aggregate.owner].objects.order_by("pk").values_list("pk", flat=True))
        with connection.cursor() as cursor:
            cursor.execute(f"DELETE FROM {aggregate.table} WHERE bucket >= %s AND bucket < %s", bounds)  # noqa: S608
            if owners:
                query = aggregate.query(dialect(), owners=len(owners))
                columns = ", ".join(aggregate.columns)
                cursor.execute(f"INSERT INTO {aggregate.table} ({columns}) {query}", [*bounds, *owners])
    return 1


def _forget_old(aggregate: Aggregate, now: datetime) -> None:
    oldest = connection.ops.adapt_datetimefield_value(now - timedelta(days=KEPT_DAYS))
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {aggregate.table} WHERE bucket < %s", [oldest])  # noqa: S608


def _refresh_view(aggregate: Aggregate, span: Span) -> int:
    """Have TimescaleDB count a span that lies further back than it looks by itself."""
    first = aggregate.floor(span[0])
    end = aggregate.floor(span[1]) + aggregate.width
    with connection.cursor() as cursor:
        # not within a transaction: it makes several of its own
        cursor.execute(
            "CALL refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz)",
            [aggregate.table, first, end],
        )
    return 1
