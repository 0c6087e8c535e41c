"""Batches into the database: all at once, written again without harm, whole or, where something is wrong, row by row.

One statement serves every database: ``INSERT ... ON CONFLICT``. On PostgreSQL the rows come from a temporary table that
COPY filled, elsewhere one by one. Rows of the time series that are there already stay as they are; of persons and tracks
each column keeps the widest of what is there and what comes, whatever the order in which batches arrive.
"""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection, transaction
from django.db.models import Model
from django.utils import timezone

from environments.models import Environment
from gpuworker.sinks.batch import Batch, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from tracking.models import Detection, LateSpan, Person, Track, TrackEvent, TrackPoint

logger = logging.getLogger(__name__)

REFUSED = (
    DataError,
    IntegrityError,
    TypeError,
    ValueError,
    OverflowError,
)  # a row cannot be written, now or ever
AWAY = (DatabaseError, InterfaceError)  # all else: the database is away, busy, full, being migrated, ...

LATE = timedelta(minutes=10)  # counting goes back as far by itself; see analytics.services.aggregates_refresh

SEEN = """ON CONFLICT (id) DO UPDATE SET
    first_seen_at = {least}({table}.first_seen_at, excluded.first_seen_at),
    last_seen_at = {greatest}({table}.last_seen_at, excluded.last_seen_at)
WHERE excluded.first_seen_at < {table}.first_seen_at OR excluded.last_seen_at > {table}.last_seen_at"""
# whose a track is: the newest word counts, and an old batch that comes late is not the newest
STAYED = """ON CONFLICT (id) DO UPDATE SET
    person_id = CASE WHEN excluded.ended_at < {table}.ended_at THEN {table}.person_id ELSE excluded.person_id END,
    started_at = {least}({table}.started_at, excluded.started_at),
    ended_at = {greatest}({table}.ended_at, excluded.ended_at)
WHERE excluded.started_at < {table}.started_at OR excluded.ended_at > {table}.ended_at
    OR (excluded.ended_at = {table}.ended_at AND excluded.person_id <> {table}.person_id)"""
ONCE = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class _Table:
    """Where rows of a kind go, and what happens to those that are there already."""

    model: type[Model]
    row: type[NamedTuple]
    on_conflict: str


# persons before the tracks that refer to them
TABLES = (
    _Table(Person, PersonRow, SEEN),
    _Table(Track, TrackRow, STAYED),
    _Table(TrackPoint, PointRow, ONCE),
    _Table(Detection, DetectionRow, ONCE),
    _Table(TrackEvent, EventRow, ONCE),
)


def batch_write(batch: Batch) -> None:
    """Write all rows in one transaction.

    Raises:
        REFUSED: a row cannot be written.
        AWAY: the database is away or busy; write again later.
    """
    with transaction.atomic():
        for table, rows in _parts(batch):
            _insert(table, rows)
        _note_late(batch)


def batch_salvage(batch: Batch) -> int:
    """Write what the database accepts of a batch that it refused as a whole; give how many rows it does not.

    Raises:
        AWAY: the database is away or busy; write again later.
    """
    environments = batch.environments
    if environments and not Environment.objects.filter(pk__in=environments).exists():
        logger.warning("%d rows are dropped: their environment was deleted", len(batch))
        return len(batch)
    refused: list[Exception] = []
    for table, rows in _parts(batch):
        _insert_acceptable(table, rows, refused)
    _note_late(batch)
    for message in sorted({str(error).strip() for error in refused})[:5]:
        logger.error("A row is lost: %s", message)
    return len(refused)


def _note_late(batch: Batch) -> None:
    """Have what was counted over the rows' time counted again, if they come too late for the first count."""
    span = batch.span
    if span is not None and span[0] < timezone.now() - LATE:
        LateSpan.objects.create(begins_at=span[0], ends_at=span[1])


def _parts(batch: Batch) -> Iterable[tuple[_Table, Sequence[NamedTuple]]]:
    # persons and tracks in the order of their ids: two workers that write the same ones then never wait in a circle
    persons = sorted(batch.persons.values(), key=lambda row: row.id)
    tracks = sorted(batch.tracks.values(), key=lambda row: row.id)
    return zip(TABLES, (persons, tracks, batch.points, batch.detections, batch.events), strict=True)


def _insert_acceptable(table: _Table, rows: Sequence[NamedTuple], refused: list[Exception]) -> None:
    """Halve what is refused until the single rows that are to blame are left."""
    try:
        with transaction.atomic():
            _insert(table, rows)
    except REFUSED as error:
        if len(rows) == 1:
            refused.append(error)
            return
        half = len(rows) // 2
        _insert_acceptable(table, rows[:half], refused)
        _insert_acceptable(table, rows[half:], refused)


def _insert(table: _Table, rows: Sequence[NamedTuple]) -> None:
    if not rows:
        return
    name, columns = table.model._meta.db_table, table.row._fields
    is_sqlite = connection.vendor == "sqlite"
    on_conflict = table.on_conflict.format(
        table=name, least="MIN" if is_sqlite else "LEAST", greatest="MAX" if is_sqlite else "GREATEST"
    )
    insert = f"INSERT INTO {name} ({', '.join(columns)})"
    with connection.cursor() as cursor:
        if is_sqlite:
            values = ", ".join(["%s"] * len(columns))
            adapted = [[_for_sqlite(value) for value in row] for row in rows]
            cursor.executemany(f"{insert} VALUES ({values}) {on_conflict}", adapted)
        else:
            cursor.execute(f"{insert} {_stage(cursor, table, rows)} {on_conflict}")


def _for_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) else value


def _stage(cursor: Any, table: _Table, rows: Sequence[NamedTuple]) -> str:
    """Copy rows into a temporary table, which the end of the transaction empties; give the query that reads them."""
    name = f"staged_{table.model._meta.db_table}"
    columns = table.row._fields
    fields = [table.model._meta.get_field(column) for column in columns]
    # JSON is text on its way
    types = [
        "text"
        if field.get_internal_type() == "JSONField"
        else str(field.db_type(connection)).partition("(")[0]
        for field in fields
    ]
    definition = ", ".join(f"{column} {type_}" for column, type_ in zip(columns, types, strict=True))
    cursor.execute(f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} ({definition}) ON COMMIT DELETE ROWS")
    cursor.execute(f"TRUNCATE {name}")
    copy_in = f"COPY {name} ({', '.join(columns)}) FROM STDIN (FORMAT BINARY)"
    with connection.wrap_database_errors, cursor.copy(copy_in) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)
    values = [
        f"{column}::jsonb" if field.get_internal_type() == "JSONField" else column
        for column, field in zip(columns, fields, strict=True)
    ]
    return f"SELECT {', '.join(values)} FROM {name}"  # noqa: S608 - names of ours
