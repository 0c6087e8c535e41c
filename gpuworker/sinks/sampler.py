"""Which rows a second of tracking leaves in the database."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from gpuworker.pipeline.values import NO_ID, Event, People, Sighting, StepResult
from gpuworker.sinks.batch import Batch, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from gpuworker.sinks.identifiers import event_id, person_id

logger = logging.getLogger(__name__)

FORGET_AFTER = timedelta(seconds=60)  # somebody unseen for so long starts anew in memory, not in the database


@dataclass(slots=True)
class _Stay:
    """What is remembered of a track while it goes on."""

    first_at: datetime
    last_at: datetime
    written_at: datetime | None = None  # of the newest point that is in a batch
    waiting: PointRow | None = None  # the newest point that is in none


@dataclass(frozen=True, slots=True)
class Sampling:
    """How much of what is seen is kept.

    Attributes:
        point_interval_s: seconds between two points of a track; its first and its last are always kept.
        detection_interval_s: seconds between two frames of a camera whose detections are kept.
    """

    point_interval_s: float = 0.5
    detection_interval_s: float = 1.0


class Sampler:
    """Chooses from the results of a session, in order of time, the rows to keep."""

    def __init__(
        self,
        *,
        environment_id: int,
        session_id: int,
        cameras: Mapping[str, int],
        zones: Mapping[str, int],
        sampling: Sampling,
    ) -> None:
        self._environment_id = environment_id
        self._session_id = session_id
        self._cameras = cameras  # primary keys by key
        self._zones = zones
        self._point_every = timedelta(seconds=sampling.point_interval_s)
        self._detection_every = timedelta(seconds=sampling.detection_interval_s)
        self._stays: dict[int, _Stay] = {}
        self._persons: dict[int, tuple[datetime, datetime]] = {}  # first and last seen by number
        self._detected_at: dict[str, datetime] = {}

    def add(self, result: StepResult, batch: Batch) -> None:
        """Add one tick's rows to a batch."""
        self._add_people(result.people, batch)
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
            EventRow(
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
                payload=_payload(event),
            )
        )

    def finish(self, batch: Batch) -> None:
        """Add the last point of every track that is still open."""
        for stay in self._stays.values():
            _settle(stay, batch)
        self._stays.clear()

    def _add_people(self, people: People, batch: Batch) -> None:
        tracks, numbers = people.track.tolist(), people.person.tolist()
        for row, (track, number) in enumerate(zip(tracks, numbers, strict=True)):
            person = self._see_person(number, people.at, batch)
            stay = self._stays.setdefault(track, _Stay(people.at, people.at))
            stay.last_at = max(stay.last_at, people.at)
            batch.tracks[track] = TrackRow(
                id=track,
                session_id=self._session_id,
                person_id=person,
                started_at=stay.first_at,
                ended_at=stay.last_at,
            )
            stay.waiting = self._point(people, row)
            if stay.written_at is None or people.at - stay.written_at >= self._point_every:
                _settle(stay, batch)
        present = set(tracks)
        for track in [track for track in self._stays if track not in present]:
            stay = self._stays[track]
            _settle(stay, batch)
            if people.at - stay.last_at > FORGET_AFTER:
                del self._stays[track]
        for number in [n for n, (_, last) in self._persons.items() if people.at - last > FORGET_AFTER]:
            del self._persons[number]

    def _see_person(self, number: int, at: datetime, batch: Batch) -> UUID:
        identifier = person_id(environment_id=self._environment_id, number=number)
        first, last = self._persons.get(number, (at, at))
        self._persons[number] = first, max(last, at)
        batch.persons[identifier] = PersonRow(
            id=identifier,
            environment_id=self._environment_id,
            number=number,
            first_seen_at=first,
            last_seen_at=max(last, at),
        )
        return identifier

    def _point(self, people: People, row: int) -> PointRow:
        x, y, vx, vy = people.state[row].tolist()
        covariance = people.covariance[row]
        return PointRow(
            time=people.at,
            environment_id=self._environment_id,
            track_id=int(people.track[row]),
            x_m=x,
            y_m=y,
            vx_mps=vx,
            vy_mps=vy,
            var_x_m2=float(covariance[0, 0]),
            cov_xy_m2=float(covariance[0, 1]),
            var_y_m2=float(covariance[1, 1]),
            cameras=" ".join(people.cameras[row]),
        )

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
                DetectionRow(
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


def _settle(stay: _Stay, batch: Batch) -> None:
    if stay.waiting is not None:
        batch.points.append(stay.waiting)
        stay.written_at = stay.waiting.time
        stay.waiting = None


def _payload(event: Event) -> str:
    """Write an event's details; those that are no JSON are lost, the event is not."""
    try:
        return json.dumps(event.payload, allow_nan=False)
    except (TypeError, ValueError) as error:
        logger.error("The details of an event (%s at %s) are lost: %s", event.kind, event.at, error)
        return "{}"
