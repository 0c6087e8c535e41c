"""Which rows a second of tracking leaves."""

from dataclasses import replace

import numpy as np

from gpuworker.pipeline.values import Event
from gpuworker.sinks.batch import Batch
from gpuworker.sinks.identifiers import event_id, person_id
from gpuworker.sinks.sampler import Sampler
from tests.gpuworker.made import at, points, result, sighting


def make_sampler(
    *, environment_id=1, session_id=1, cameras=None, zones=None, areas=None, **options
) -> Sampler:
    return Sampler(
        environment_id=environment_id,
        session_id=session_id,
        cameras=cameras or {"c1": 1},
        zones=zones or {},
        areas=areas,
        **options,
    )


def batch_of(sampler, *results) -> Batch:
    batch = Batch()
    for one in results:
        sampler.add(one, batch)
    return batch


def seconds_of(points) -> list[float]:
    return [(point.time - at(0)).total_seconds() for point in points]


def test_sampler_keeps_the_points_that_have_settled():
    batch, sampler = Batch(), make_sampler()
    sampler.add(replace(result(1.5, {7: 3, 8: 4}), settled=points(0.0, {7: 3})), batch)
    assert [(p.track_id, t) for p, t in zip(batch.points, seconds_of(batch.points), strict=True)] == [
        (7, 0.0)
    ]
    sampler.add_points(points(0.5, {7: 3}), batch)
    assert seconds_of(batch.points) == [0.0, 0.5]


def test_sampler_point_holds_state_covariance_and_cameras():
    [point] = batch_of(make_sampler(), result(0.0, {7: 3}, x_m=1.5)).points
    values = (point.x_m, point.y_m, point.vx_mps, point.vy_mps, point.var_x_m2, point.cov_xy_m2)
    assert values == (1.5, 2.0, 0.5, 0.0, 0.04, 0.0)
    assert (point.var_y_m2, point.cameras, point.track_id) == (0.09, "c1 c2", 7)


def test_sampler_gives_one_row_a_person_and_track_from_first_to_last():
    sampler = make_sampler(environment_id=4)
    batch = batch_of(sampler, result(0.0, {7: 3}), result(0.4, {7: 3, 8: 5}))
    persons = {p.number: (p.first_seen_at, p.last_seen_at) for p in batch.persons.values()}
    assert persons == {3: (at(0), at(0.4)), 5: (at(0.4), at(0.4))}
    assert {t.id: (t.started_at, t.ended_at) for t in batch.tracks.values()} == {
        7: (at(0), at(0.4)),
        8: (at(0.4), at(0.4)),
    }
    assert set(batch.persons) == {person_id(environment_id=4, number=n) for n in (3, 5)}


def test_sampler_says_at_intervals_when_tracks_were_seen_and_at_once_what_is_new():
    sampler = make_sampler(seen_interval_s=1.0)

    def said(seconds: float, tracks: dict[int, int]) -> dict[int, float]:
        batch = batch_of(sampler, result(seconds, tracks))
        assert {row.person_id for row in batch.tracks.values()} == set(batch.persons)
        return {t.id: (t.ended_at - at(0)).total_seconds() for t in batch.tracks.values()}

    assert said(0.0, {7: 3}) == {7: 0.0}
    assert said(0.5, {7: 3, 8: 4}) == {8: 0.5}
    assert said(0.9, {7: 3, 8: 3}) == {8: 0.9}  # whose it is has changed
    assert said(1.0, {7: 3, 8: 3}) == {7: 1.0}
    assert said(1.2, {8: 3}) == {7: 1.0}  # gone: seen last in the tick before
    batch = Batch()
    sampler.add_present(batch)
    assert [(t.id, t.ended_at) for t in batch.tracks.values()] == [(8, at(1.2))]
    assert [p.last_seen_at for p in batch.persons.values()] == [at(1.2)]
    assert said(1.3, {}) == {8: 1.2}


def test_sampler_keeps_detections_of_a_frame_each_interval_and_camera():
    sampler = make_sampler(cameras={"c1": 11, "c2": 12}, detection_interval_s=1.0)
    ticks = [
        result(t, sightings=[sighting("c1", t, {7: 3}, nobody=1), sighting("c2", t, {7: 3})])
        for t in (0.0, 0.5, 1.0)
    ]
    rows = batch_of(sampler, *ticks).detections
    found = [(d.camera_id, (d.time - at(0)).total_seconds(), d.ordinal, d.track_id) for d in rows]
    assert found == [
        (11, 0.0, 0, 7),
        (11, 0.0, 1, None),
        (12, 0.0, 0, 7),
        (11, 1.0, 0, 7),
        (11, 1.0, 1, None),
        (12, 1.0, 0, 7),
    ]


def test_sampler_forgets_who_is_long_gone():
    sampler = make_sampler()
    batch_of(sampler, result(0.0, {7: 3}))
    batch = batch_of(sampler, result(120.0), result(121.0, {9: 3}))
    assert [(p.first_seen_at, p.last_seen_at) for p in batch.persons.values()] == [(at(121), at(121))]


def test_event_id_follows_from_what_happened():
    event = Event(kind="zone_enter", at=at(1), person=3, zone_id="z1")
    same = Event(kind="zone_enter", at=at(1), person=3, zone_id="z1", payload={"x": 1})
    other = Event(kind="zone_enter", at=at(1), person=4, zone_id="z1")
    identifiers = [event_id(environment_id=1, event=e) for e in (event, same, other)]
    assert identifiers[0] == identifiers[1] != identifiers[2]
    assert event_id(environment_id=2, event=event) != identifiers[0]


def test_sampler_keeps_an_event_whose_details_cannot_be_stored(caplog):
    batch = Batch()
    for evidence in (object(), float("nan")):
        make_sampler().add_event(Event(kind="zone_enter", at=at(0), payload={"evidence": evidence}), batch)
    assert [event.payload for event in batch.events] == ["{}", "{}"]
    assert [m.count("The details of an event (zone_enter at ") for m in caplog.messages] == [1, 1]


def square(x_m: float, size_m: float) -> np.ndarray:
    return np.array([[x_m, 0], [x_m + size_m, 0], [x_m + size_m, 4], [x_m, 4]], float)


def test_sampler_point_names_the_areas_it_is_in():
    # people stand at (x, 2) m
    sampler = make_sampler(areas={"wide": square(0, 10), "left": square(0, 3)})
    batch = batch_of(sampler, result(0, {7: 3}), result(1, {7: 3}, x_m=5.0), result(2, {7: 3}, x_m=11.0))
    assert [point.zones for point in batch.points] == ["left wide", "wide", ""]


def test_sampler_entry_names_the_area_entered_before():
    def event(kind, zone=None, person=3):
        return Event(kind=kind, at=at(0), person=person, zone_id=zone)

    happened = [
        event("zone_enter", "a"),
        event("zone_leave", "a"),
        event("line_cross", "line"),
        event("zone_enter", "b", person=4),
        event("zone_enter", "b"),
        event("zone_enter", "a"),
        event("person_left"),
        event("zone_enter", "b"),
    ]
    sampler = make_sampler(zones={"a": 1, "b": 2, "line": 3})
    rows = batch_of(sampler, result(0, {7: 3, 8: 4}, events=happened)).events
    assert [(row.zone_id, row.previous_zone_id) for row in rows] == [
        (1, None),
        (1, None),
        (3, None),
        (2, None),
        (2, 1),
        (1, 2),
        (None, None),
        (2, None),
    ]


def handovers_of(sampler, *seen: tuple[float, int, str]) -> list[str]:
    """Give what the points of track 7 say that were seen at so many seconds, as a person, by some cameras."""
    batch = Batch()
    for seconds, person, cameras in seen:
        point = replace(points(seconds, {7: person}), cameras=(tuple(cameras.split()),))
        sampler.add_points(point, batch)
    return [point.handover for point in batch.points]


def test_camera_hands_over_who_has_not_been_seen_by_it_for_a_while():
    way = ["c1", "c1 c2", "c2", "c1 c2", "c2", "c2", "c2 c3", "c2"]
    found = handovers_of(make_sampler(), *[(float(s), 3, cameras) for s, cameras in enumerate(way)])
    # c1 misses them once at 2, and has them until 3; at 5 it has not for 2 s
    assert found == ["c1", "", "", "", "", "c1 c2", "", ""]


def test_cameras_that_do_not_overlap_hand_over_at_once():
    found = handovers_of(make_sampler(), (0.0, 3, "c1"), (1.0, 3, ""), (30.0, 3, "c2 c3"), (31.0, 3, "c3"))
    assert found == ["c1", "", "c1 c2", ""]


def test_handovers_are_each_persons_own():
    found = handovers_of(make_sampler(), (0.0, 3, "c1"), (5.0, 4, "c2"), (5.0, 3, "c2"))
    assert found == ["c1", "c2", "c1 c2"]


def test_stay_after_a_long_absence_begins_anew():
    sampler, batch = make_sampler(), Batch()
    for seconds in (0.0, 1.0, 100.0, 101.0):
        there = {7: 3} if seconds < 50 else {8: 4} if seconds == 100.0 else {9: 3}
        sampler.add(result(seconds, there), batch)
    assert [(p.track_id, p.handover) for p in batch.points] == [(7, "c1"), (7, ""), (8, "c1"), (9, "c1")]


def test_sampler_remembers_nothing_of_points_that_are_to_come_again():
    sampler, held = make_sampler(), Batch()
    sampler.add_provisional(points(0.0, {7: 3}), held)
    sampler.add_provisional(points(0.0, {7: 3}), held)
    batch = Batch()
    sampler.add_points(points(0.0, {7: 3}), batch)
    assert [point.handover for point in held.points] == ["c1", "c1"]
    assert batch.points[0] == held.points[0]
