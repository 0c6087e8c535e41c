"""What happens on the floor: people appear and leave, enter and leave zones, cross lines, go from camera to camera.

Positions jitter, so an edge counts as crossed only once the person is clearly on its other side. An area is too full
while more people than its capacity have entered and not left it, so that nobody at its edge makes it flicker either.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from environments.geometry import crossing_direction, points_in_polygon
from gpuworker.pipeline.handover import Holders
from gpuworker.pipeline.persons import Recognition, Renamed
from gpuworker.pipeline.settings import EventSettings
from gpuworker.pipeline.values import Event, People, Zone

Floats = NDArray[np.float64]

DIRECTIONS = {1: "left_to_right", -1: "right_to_left"}


@dataclass(slots=True)
class _Presence:
    """What is remembered of a person who is on the floor."""

    track: int
    seen_at: datetime
    place_m: Floats
    inside_since: dict[str, datetime] = field(default_factory=dict)  # zone -> entry, event given
    doubtful_since: dict[str, datetime] = field(
        default_factory=dict
    )  # zone -> since the other side, no event yet
    clear_side_m: dict[str, Floats] = field(default_factory=dict)  # line -> last place clearly beside it


class FloorEvents:
    """Turns positions into events."""

    def __init__(self, zones: tuple[Zone, ...], settings: EventSettings) -> None:
        """Begin with nobody on the floor."""
        self._zones = zones
        self._settings = settings
        self._present: dict[int, _Presence] = {}
        self._holders = Holders()
        self._too_full: set[str] = set()  # areas

    def step(
        self, people: People, recognised: Sequence[Recognition] = (), renamed: Sequence[Renamed] = ()
    ) -> tuple[Event, ...]:
        """Give the events of a tick, in order of time."""
        self._rename(renamed)
        returned = {r.person: r for r in recognised}
        for r in recognised:
            if r.previous is not None and r.previous in self._present:
                self._present[r.person] = self._present.pop(r.previous)
            if r.previous is not None:
                self._holders.recognise(r.previous, r.person)
        events = self._departures(people)
        why = {r.person: r for r in renamed}
        for i, person in enumerate(people.person.tolist()):
            place, track = people.state[i, :2], int(people.track[i])
            known = self._present.get(person)
            if known is None:
                known = _Presence(track, people.at, place)
                self._present[person] = known
                if person not in returned:
                    events.append(_event("person_appeared", people.at, person, known))
            known.track, known.seen_at, known.place_m = track, people.at, place
            if person in why:
                kind = "identity_merged" if why[person].is_merged else "identity_revised"
                events.append(_event(kind, people.at, person, known, None, _why_renamed(why[person])))
            if person in returned:
                events.append(_event("reidentified", people.at, person, known, None, _why(returned[person])))
            for zone in self._zones:
                events += (self._line if zone.kind == "line" else self._polygon)(zone, person, known)
            events += self._handover(person, known, people.cameras[i])
        events += self._capacities(people.at)
        return tuple(sorted(events, key=lambda e: e.at))

    def _rename(self, renamed: Sequence[Renamed]) -> None:
        """Let what is remembered of a place follow the track, whoever it is said to be."""
        self._holders.rename({r.person: r.previous for r in renamed})
        moved = {r.person: self._present.pop(r.previous, None) for r in renamed}
        for person, known in moved.items():
            before = self._present.pop(person, None)
            if known is None:
                continue
            if before is not None:  # had been out of sight for a moment: still in the same zones
                known.inside_since |= before.inside_since
            self._present[person] = known

    def _handover(self, person: int, known: _Presence, cameras: Sequence[str]) -> list[Event]:
        taken = self._holders.see(person, known.seen_at, cameras)
        if taken is None or taken.before is None:
            return []
        event = _event("handover", known.seen_at, person, known, payload={"from": taken.before})
        return [replace(event, camera_id=taken.camera)]

    def _capacities(self, at: datetime) -> list[Event]:
        events = []
        for zone in self._zones:
            if zone.capacity is None:
                continue
            count = sum(zone.zone_id in known.inside_since for known in self._present.values())
            if (count > zone.capacity) == (zone.zone_id in self._too_full):
                continue
            self._too_full ^= {zone.zone_id}
            kind = "capacity_exceeded" if count > zone.capacity else "capacity_restored"
            payload: dict[str, object] = {"count": count, "capacity": zone.capacity}
            events.append(Event(kind=kind, at=at, zone_id=zone.zone_id, payload=payload))
        return events

    def _departures(self, people: People) -> list[Event]:
        here = set(people.person.tolist())
        patience = timedelta(seconds=self._settings.left_after_s)
        gone = [
            person
            for person, known in self._present.items()
            if person not in here and people.at - known.seen_at > patience
        ]
        events = []
        for person in gone:
            known = self._present.pop(person)
            for zone_id, since in known.inside_since.items():
                events.append(_left_zone(zone_id, known.seen_at, since, person, known))
            events.append(_event("person_left", known.seen_at, person, known))
        if gone:
            self._holders.forget_before(people.at - timedelta(seconds=self._settings.handover_within_s))
        return events

    def _polygon(self, zone: Zone, person: int, known: _Presence) -> list[Event]:
        inside = bool(points_in_polygon(known.place_m[None], zone.points_m)[0])
        was_inside = zone.zone_id in known.inside_since
        if inside == was_inside:
            known.doubtful_since.pop(zone.zone_id, None)
            return []
        since = known.doubtful_since.setdefault(zone.zone_id, known.seen_at)
        settled = known.seen_at - since >= timedelta(seconds=self._settings.settle_s)
        if not settled and distance_to_ring(known.place_m, zone.points_m) < self._settings.margin_m:
            return []
        del known.doubtful_since[zone.zone_id]
        if inside:
            known.inside_since[zone.zone_id] = since
            return [_event("zone_enter", known.seen_at, person, known, zone.zone_id)]
        entered = known.inside_since.pop(zone.zone_id)
        return [_left_zone(zone.zone_id, known.seen_at, entered, person, known)]

    def _line(self, zone: Zone, person: int, known: _Presence) -> list[Event]:
        if distance_to_segment(known.place_m, zone.points_m) < self._settings.margin_m:
            return []
        before = known.clear_side_m.get(zone.zone_id)
        known.clear_side_m[zone.zone_id] = known.place_m
        direction = 0 if before is None else crossing_direction(before, known.place_m, zone.points_m)
        if direction == 0:
            return []
        payload: dict[str, object] = {"direction": DIRECTIONS[direction]}
        return [_event("line_cross", known.seen_at, person, known, zone.zone_id, payload)]


def distance_to_segment(point_m: Floats, segment_m: Floats) -> float:
    """Give the distance of a point (2,) to a segment (2, 2), m."""
    a, b = segment_m
    along = b - a
    length2 = float(along @ along)
    t = min(1.0, max(0.0, float((point_m - a) @ along) / length2)) if length2 > 0 else 0.0
    return float(np.linalg.norm(point_m - a - t * along))


def distance_to_ring(point_m: Floats, ring_m: Floats) -> float:
    """Give the distance of a point (2,) to the border of a polygon (k, 2), m."""
    after = np.roll(ring_m, -1, axis=0)
    return min(distance_to_segment(point_m, np.stack([a, b])) for a, b in zip(ring_m, after, strict=True))


def _why(recognition: Recognition) -> dict[str, object]:
    r = recognition
    return {
        "previous": r.previous,
        "similarity": round(r.similarity, 3),
        "evidence": round(r.evidence, 2),
        "absent_s": round(r.absent_s, 3),
        "distance_m": round(r.distance_m, 2),
    }


def _why_renamed(renamed: Renamed) -> dict[str, object]:
    r = renamed.why
    return {
        "previous": renamed.previous,
        "similarity": None if np.isnan(r.similarity) else round(r.similarity, 3),
        "evidence": round(r.evidence, 2),
        "runner_up": round(r.runner_up, 2) if np.isfinite(r.runner_up) else None,
        "absent_s": round(r.absent_s, 3),
    }


def _left_zone(zone_id: str, at: datetime, entered: datetime, person: int, known: _Presence) -> Event:
    payload: dict[str, object] = {"dwell_s": round((at - entered).total_seconds(), 3)}
    return _event("zone_leave", at, person, known, zone_id, payload)


def _event(
    kind: str,
    at: datetime,
    person: int,
    known: _Presence,
    zone_id: str | None = None,
    payload: dict[str, object] | None = None,
) -> Event:
    return Event(
        kind=kind,
        at=at,
        person=person,
        track=known.track,
        zone_id=zone_id,
        x_m=float(known.place_m[0]),
        y_m=float(known.place_m[1]),
        payload=payload or {},
    )
