"""Rows on their way to the database, as plain tuples: merged, and written as bytes and read again."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgpack

FORMAT = 1  # of the bytes; another number is another order of columns
UUID_CODE = 1  # of a UUID in msgpack


class BatchError(ValueError):
    """Bytes that are no batch."""


class PersonRow(NamedTuple):
    """A person, with the newest word on when they were seen."""

    id: UUID
    environment_id: int
    number: int
    first_seen_at: datetime
    last_seen_at: datetime


class TrackRow(NamedTuple):
    """A track, with the newest word on whose it is and how long it lasted."""

    id: int
    session_id: int
    person_id: UUID
    started_at: datetime
    ended_at: datetime


class PointRow(NamedTuple):
    """Where a track was; ``cameras``, ``zones`` and ``handover`` are keys, separated by spaces."""

    time: datetime
    environment_id: int
    track_id: int
    x_m: float
    y_m: float
    vx_mps: float
    vy_mps: float
    var_x_m2: float
    cov_xy_m2: float
    var_y_m2: float
    cameras: str
    zones: str
    handover: str = ""  # rows of an earlier version have none


class DetectionRow(NamedTuple):
    """A box."""

    time: datetime
    camera_id: int
    ordinal: int
    track_id: int | None
    left_px: float
    top_px: float
    right_px: float
    bottom_px: float
    confidence: float


class EventRow(NamedTuple):
    """Something that happened; ``payload`` is JSON text."""

    id: UUID
    time: datetime
    environment_id: int
    kind: str
    person_id: UUID | None
    track_id: int | None
    zone_id: int | None
    previous_zone_id: int | None
    camera_id: int | None
    x_m: float | None
    y_m: float | None
    payload: str


@dataclass(slots=True)
class Batch:
    """Rows that belong into one transaction; persons and tracks by their ids."""

    persons: dict[UUID, PersonRow] = field(default_factory=dict)
    tracks: dict[int, TrackRow] = field(default_factory=dict)
    points: list[PointRow] = field(default_factory=list)
    detections: list[DetectionRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def __len__(self) -> int:
        return (
            len(self.persons) + len(self.tracks) + len(self.points) + len(self.detections) + len(self.events)
        )

    @property
    def environments(self) -> set[int]:
        """Give the environments that the rows name."""
        persons = {row.environment_id for row in self.persons.values()}
        return (
            persons
            | {row.environment_id for row in self.points}
            | {row.environment_id for row in self.events}
        )

    @property
    def span(self) -> tuple[datetime, datetime] | None:
        """Give the first and the last instant of the time series; None when there is none."""
        times = [row.time for rows in (self.points, self.detections, self.events) for row in rows]
        return (min(times), max(times)) if times else None

    def merge(self, later: "Batch") -> None:
        """Take in the rows of a batch that came later."""
        for person in later.persons.values():
            known = self.persons.get(person.id, person)
            self.persons[person.id] = person._replace(
                first_seen_at=min(known.first_seen_at, person.first_seen_at),
                last_seen_at=max(known.last_seen_at, person.last_seen_at),
            )
        for track in later.tracks.values():
            before = self.tracks.get(track.id, track)
            self.tracks[track.id] = track._replace(
                started_at=min(before.started_at, track.started_at),
                ended_at=max(before.ended_at, track.ended_at),
            )
        self.points += later.points
        self.detections += later.detections
        self.events += later.events

    def encode(self) -> bytes:
        """Write the batch as bytes."""
        kinds = (self.persons.values(), self.tracks.values(), self.points, self.detections, self.events)
        packed: bytes = msgpack.packb((FORMAT, *map(list, kinds)), datetime=True, default=_pack_uuid)
        return packed

    @classmethod
    def decode(cls, data: bytes) -> "Batch":
        """Read a batch.

        Raises:
            BatchError: the bytes are none, or of another version.
        """
        try:
            version, persons, tracks, points, detections, events = msgpack.unpackb(
                data, timestamp=3, use_list=False, ext_hook=_unpack_uuid
            )
            if version != FORMAT:
                raise BatchError(f"rows of format {version} cannot be read, only of {FORMAT}")
            return cls(
                persons={row[0]: PersonRow(*row) for row in persons},
                tracks={row[0]: TrackRow(*row) for row in tracks},
                points=[PointRow(*row) for row in points],
                detections=[DetectionRow(*row) for row in detections],
                events=[EventRow(*row) for row in events],
            )
        except BatchError:
            raise
        except (ValueError, TypeError, IndexError, OverflowError, msgpack.UnpackException) as error:
            raise BatchError(f"no batch of rows: {error}") from error


def _pack_uuid(value: object) -> msgpack.ExtType:
    if isinstance(value, UUID):
        return msgpack.ExtType(UUID_CODE, value.bytes)
    raise TypeError(f"{type(value).__name__} cannot be stored")


def _unpack_uuid(code: int, data: bytes) -> Any:
    if code == UUID_CODE:
        return UUID(bytes=bytes(data))
    raise ValueError(f"unknown type {code}")
