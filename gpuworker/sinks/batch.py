"""What one second of tracking leaves in the database: choosing the rows, and writing them once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

import numpy as np
from django.db import DatabaseError, InterfaceError, OperationalError, transaction

from gpuworker.pipeline.values import NO_ID, Event, People, Points, Sighting, StepResult
from gpuworker.sinks.identifiers import event_id, person_id
from tracking.models import Detection, Person, Track, TrackEvent, TrackPoint

FORGET_AFTER = timedelta(seconds=60)  # somebody unseen for so long starts anew in memory, not in the database
ROWS_PER_STATEMENT = 500
AWAY = (OperationalError, InterfaceError)  # the database cannot be asked now
REFUSED = (DatabaseError, TypeError, ValueError)  # a row that cannot be written, now or ever


@dataclass(slots=True)
class Batch:
    """Rows that belong into one transaction; persons and tracks are the newest word on each."""

    persons: dict[UUID, Person] = field(default_factory=dict)
    tracks: dict[int, Track] = field(default_factory=dict)
    points: list[TrackPoint] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    events: list[TrackEvent] = field(default_factory=list)

    def __len__(self) -> int:
        return (
            len(self.persons) + len(self.tracks) + len(self.points) + len(self.detections) + len(self.events)
        )

    def write(self) -> None:
        """Write all rows in one transaction; rows that are there already stay as they are or grow newer.

        Raises:
            AWAY: the database is away or busy; write again later.
            REFUSED: a row cannot be written.
        """
        with transaction.atomic():
            self._write_persons()
            self._write_tracks()
            self._write_series()

    def salvage(self) -> list[Exception]:
        """Write part by part what cannot be written as a whole; give what was wrong with the rest.

        Raises:
            AWAY: the database is away or busy; write again later.
        """
        refused: list[Exception] = []
        parts = [self._write_persons, self._write_tracks]
        parts += [partial(_insert, rows) for rows in (self.points, self.detections, self.events)]
        for part in parts:
            try:
                with transaction.atomic():
                    part()
            except AWAY:
                raise
            except REFUSED as error:
                refused.append(error)
        return refused

    def _write_persons(self) -> None:
        Person.objects.bulk_create(
            self.persons.values(),
            ROWS_PER_STATEMENT,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["last_seen_at"],
        )

    def _write_tracks(self) -> None:
        Track.objects.bulk_create(
            self.tracks.values(),
            ROWS_PER_STATEMENT,
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["person", "ended_at"],
        )

    def _write_series(self) -> None:
        for rows in (self.points, self.detections, self.events):
            _insert(rows)


def _insert(rows: list[TrackPoint] | list[Detection] | list[TrackEvent]) -> None:
    if rows:
        type(rows[0]).objects.bulk_create(rows, ROWS_PER_STATEMENT, ignore_conflicts=True)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Stay:
    """What is remembered of a track while it goes on."""

    first_at: datetime
    last_at: datetime


class Sampler:
    """Makes of the results of a session, in order of time, the rows to keep."""

    def __init__(
        self,
        *,
        environment_id: int,
        session_id: int,
        cameras: Mapping[str, int],
        zones: Mapping[str, int],
        detection_interval_s: float = 1.0,
    ) -> None:
        """Begin with nobody; ``detection_interval_s`` lies between two frames whose boxes are kept."""
        self._environment_id = environment_id
        self._session_id = session_id
        self._cameras = cameras  # primary keys by key
        self._zones = zones
        self._detection_every = timedelta(seconds=detection_interval_s)
        self._stays: dict[int, _Stay] = {}
        self._persons: dict[int, tuple[datetime, datetime]] = {}  # first and last seen by number
        self._detected_at: dict[str, datetime] = {}

    def add(self, result: StepResult, batch: Batch) -> None:
        """Add one tick's rows to a batch."""
        self._add_people(result.people, batch)
        self.add_points(result.settled, batch)
        for sighting in result.sightings:
            self._add_detections(sighting, batch)
        for event in result.events:
            self.add_event(event, batch)

    def add_event(self, event: Event, batch: Batch) -> None:
        """Add something that happened; its person is written too, so that nothing refers to nobody."""
        person = None
        if event.person is not None:
            person = person_id(environment_id=self._environment_id, number=event.person)
            if event.person not in self._persons:
                self._see_person(event.person, event.at, batch)
        batch.events.append(
            TrackEvent(
                id=event_id(environment_id=self._environment_id, event=event),
                time=event.at,
                environment_id=self._environment_id,
                kind=event.kind,
                person_id=person,
                track_id=event.track,
                zone_id=None if event.zone_id is None else self._zones.get(event.zone_id),
                camera_id=None if event.camera_id is None else self._cameras.get(event.camera_id),
                x_m=event.x_m,
                y_m=event.y_m,
                payload=event.payload,
            )
        )

    def add_points(self, points: Points, batch: Batch) -> None:
        """Add points of paths."""
        rows = zip(
            points.at,
            points.track.tolist(),
            points.state.tolist(),
            points.covariance[:, [0, 0, 1], [0, 1, 1]].tolist(),
            points.cameras,
            strict=True,
        )
        for at, track, (x, y, vx, vy), (var_x, cov_xy, var_y), cameras in rows:
            batch.points.append(
                TrackPoint(
                    time=at,
                    environment_id=self._environment_id,
                    track_id=track,
                    x_m=x,
                    y_m=y,
                    vx_mps=vx,
                    vy_mps=vy,
                    var_x_m2=var_x,
                    cov_xy_m2=cov_xy,
                    var_y_m2=var_y,
                    cameras=" ".join(cameras),
                )
            )

    def _add_people(self, people: People, batch: Batch) -> None:
        for track, number in zip(people.track.tolist(), people.person.tolist(), strict=True):
            person = self._see_person(number, people.at, batch)
            stay = self._stays.setdefault(track, _Stay(people.at, people.at))
            stay.last_at = max(stay.last_at, people.at)
            batch.tracks[track] = Track(
                id=track,
                session_id=self._session_id,
                person_id=person,
                started_at=stay.first_at,
                ended_at=stay.last_at,
            )
        for track in [t for t, stay in self._stays.items() if people.at - stay.last_at > FORGET_AFTER]:
            del self._stays[track]
        for number in [n for n, (_, last) in self._persons.items() if people.at - last > FORGET_AFTER]:
            del self._persons[number]

    def _see_person(self, number: int, at: datetime, batch: Batch) -> UUID:
        identifier = person_id(environment_id=self._environment_id, number=number)
        first, last = self._persons.get(number, (at, at))
        self._persons[number] = first, max(last, at)
        batch.persons[identifier] = Person(
            id=identifier,
            environment_id=self._environment_id,
            number=number,
            first_seen_at=first,
            last_seen_at=max(last, at),
        )
        return identifier

    def _add_detections(self, sighting: Sighting, batch: Batch) -> None:
        before = self._detected_at.get(sighting.camera_id)
        if before is not None and sighting.captured_at - before < self._detection_every:
            return
        self._detected_at[sighting.camera_id] = sighting.captured_at
        boxes = sighting.detections.xyxy.tolist()
        confidences = np.clip(sighting.detections.confidence, 0.0, 1.0).tolist()
        for ordinal, (box, confidence, track) in enumerate(
            zip(boxes, confidences, sighting.track.tolist(), strict=True)
        ):
            batch.detections.append(
                Detection(
                    time=sighting.captured_at,
                    camera_id=self._cameras[sighting.camera_id],
                    ordinal=ordinal,
                    track_id=None if track == NO_ID else track,
                    left_px=box[0],
                    top_px=box[1],
                    right_px=box[2],
                    bottom_px=box[3],
                    confidence=confidence,
                )
            )
