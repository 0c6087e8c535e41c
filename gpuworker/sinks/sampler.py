"""Which rows a second of tracking leaves in the database."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np

from environments.geometry import Floats, points_in_polygon
from gpuworker.pipeline.handover import Holders
from gpuworker.pipeline.values import NO_ID, Event, People, Points, Sighting, StepResult
from gpuworker.sinks.batch import Batch, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from gpuworker.sinks.identifiers import event_id, person_id
from tracking.choices import EventKind

logger = logging.getLogger(__name__)

FORGET_AFTER = timedelta(seconds=60)  # somebody unseen for so long starts anew in memory, not in the database


@dataclass(slots=True)
class _Stay:
    """What is remembered of a track while it goes on."""

    number: int  # of its person
    first_at: datetime
    last_at: datetime
    said_at: datetime | None = None  # up to when rows tell of it


class Sampler:
    """Makes of the results of a session, in order of time, the rows to keep."""

    def __init__(
        self,
        *,
        environment_id: int,
        session_id: int,
        cameras: Mapping[str, int],
        zones: Mapping[str, int],
        areas: Mapping[str, Floats] | None = None,
        detection_interval_s: float = 1.0,
        seen_interval_s: float = 0.0,
    ) -> None:
        """Begin with nobody.

        Args:
            environment_id, session_id: primary keys.
            cameras, zones: primary keys by key.
            areas: rings of the zones that are areas by key, (k, 2) m.
            detection_interval_s: between two frames of a camera whose boxes are kept.
            seen_interval_s: between two words on when a track and its person were seen last, but for the first, the
                last, and those on whose track it is.
        """
        self._environment_id = environment_id
        self._session_id = session_id
        self._cameras = cameras
        self._zones = zones
        self._detection_every = timedelta(seconds=detection_interval_s)
        self._seen_every = timedelta(seconds=seen_interval_s)
        self._stays: dict[int, _Stay] = {}
        self._present: set[int] = set()  # tracks of the last tick
        self._persons: dict[int, tuple[datetime, datetime]] = {}  # first and last seen by number
        self._areas = dict(sorted((areas or {}).items()))
        self._entered: dict[int, int] = {}  # the area that a person entered last, by number
        self._holders = Holders()
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
        zone = None if event.zone_id is None else self._zones.get(event.zone_id)
        batch.events.append(
            EventRow(
                id=event_id(environment_id=self._environment_id, event=event),
                time=event.at,
                environment_id=self._environment_id,
                kind=event.kind,
                person_id=person,
                track_id=event.track,
                zone_id=zone,
                previous_zone_id=self._previous_zone(event, zone),
                camera_id=None if event.camera_id is None else self._cameras.get(event.camera_id),
                x_m=event.x_m,
                y_m=event.y_m,
                payload=_payload(event),
            )
        )

    def _previous_zone(self, event: Event, zone: int | None) -> int | None:
        """Give the area that somebody who enters one had entered before; those who leave begin anew."""
        if event.person is None or event.kind not in (EventKind.ZONE_ENTER, EventKind.PERSON_LEFT):
            return None
        previous = self._entered.pop(event.person, None)
        if event.kind == EventKind.PERSON_LEFT:
            return None
        if zone is not None:
            self._entered[event.person] = zone
        return previous

    def add_points(self, points: Points, batch: Batch) -> None:
        """Add points of paths."""
        rows = zip(
            points.at,
            points.track.tolist(),
            points.person.tolist(),
            points.state.tolist(),
            points.covariance[:, [0, 0, 1], [0, 1, 1]].tolist(),
            points.cameras,
            self._zones_of(points),
            strict=True,
        )
        for at, track, number, (x, y, vx, vy), (var_x, cov_xy, var_y), cameras, zones in rows:
            batch.points.append(
                PointRow(
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
                    zones=zones,
                    handover=self._handover(number, at, cameras),
                )
            )

    def _handover(self, number: int, at: datetime, cameras: Sequence[str]) -> str:
        """Say by keys that another camera took somebody over; nothing while the same one has them."""
        taken = self._holders.see(number, at, cameras)
        if taken is None:
            return ""
        return taken.camera if taken.before is None else f"{taken.before} {taken.camera}"

    def add_present(self, batch: Batch) -> None:
        """Add when everybody in the last tick was seen last; ``add`` does so at intervals."""
        for track in sorted(self._present):
            self._say_seen(track, batch)

    def add_provisional(self, points: Points, batch: Batch) -> None:
        """Add points as they are by now, that are to come again; nothing is remembered of them."""
        holders = self._holders.copy()
        self.add_points(points, batch)
        self._holders = holders

    def _add_people(self, people: People, batch: Batch) -> None:
        present = dict(zip(people.track.tolist(), people.person.tolist(), strict=True))
        for track in self._present - set(present):
            self._say_seen(track, batch)
        self._present = set(present)
        for track, number in present.items():
            stay = self._stays.setdefault(track, _Stay(number, people.at, people.at))
            is_due = (
                stay.said_at is None or number != stay.number or people.at - stay.said_at >= self._seen_every
            )
            stay.number, stay.last_at = number, max(stay.last_at, people.at)
            first, last = self._persons.get(number, (people.at, people.at))
            self._persons[number] = first, max(last, people.at)
            if is_due:
                stay.said_at = stay.last_at
                self._say_seen(track, batch)
        for track in [t for t, stay in self._stays.items() if people.at - stay.last_at > FORGET_AFTER]:
            del self._stays[track]
        for number in [n for n, (_, last) in self._persons.items() if people.at - last > FORGET_AFTER]:
            del self._persons[number]
            self._entered.pop(number, None)
            self._holders.forget(number)

    def _say_seen(self, track: int, batch: Batch) -> None:
        stay = self._stays[track]
        batch.tracks[track] = TrackRow(
            id=track,
            session_id=self._session_id,
            person_id=self._see_person(stay.number, stay.last_at, batch),
            started_at=stay.first_at,
            ended_at=stay.last_at,
        )

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

    def _zones_of(self, points: Points) -> list[str]:
        """Give for each point the keys of the areas that it is in."""
        if not self._areas or not len(points):
            return [""] * len(points)
        names = list(self._areas)
        inside = np.stack([points_in_polygon(points.state[:, :2], ring) for ring in self._areas.values()])
        return [
            " ".join(name for name, is_in in zip(names, of_one, strict=True) if is_in) for of_one in inside.T
        ]

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


def _payload(event: Event) -> str:
    """Write an event's details; those that are no JSON are lost, the event is not."""
    try:
        return json.dumps(event.payload, allow_nan=False)
    except (TypeError, ValueError) as error:
        logger.error("The details of an event (%s at %s) are lost: %s", event.kind, event.at, error)
        return "{}"
