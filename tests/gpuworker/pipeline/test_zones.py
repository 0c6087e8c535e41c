from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from gpuworker.pipeline.persons import Recognition
from gpuworker.pipeline.settings import EventSettings
from gpuworker.pipeline.values import People, Zone
from gpuworker.pipeline.zones import FloorEvents, distance_to_ring, distance_to_segment
from tests.gpuworker.pipeline.staging import START

SQUARE = Zone("hall", "polygon", np.array([[0.0, 0], [4, 0], [4, 4], [0, 4]]))
LINE = Zone("door", "line", np.array([[0.0, 0], [0, 4]]))  # upwards: left is x < 0


def people(at_s, cameras=(), **places):
    n = len(places)
    return People(
        at=START + timedelta(seconds=at_s),
        track=np.array([100 + int(k[1:]) for k in places], dtype=np.int64),
        person=np.array([int(k[1:]) for k in places], dtype=np.int64),
        state=np.array([[*p, 0, 0] for p in places.values()], dtype=np.float64).reshape(n, 4),
        covariance=np.zeros((n, 4, 4)),
        height_m=np.full(n, 1.7),
        confidence=np.ones(n),
        cameras=(cameras,) * n,
    )


def walk(events, *places, step_s=0.2, start_s=0.0):
    """Walk person 1 along places; give (kind, seconds) of what happened."""
    found = []
    for k, place in enumerate(places):
        found += events.step(people(start_s + k * step_s, p1=place))
    return [(e.kind, round((e.at - START).total_seconds(), 2)) for e in found]


def make(*zones):
    return FloorEvents(zones, EventSettings())


def test_events_of_a_person_who_comes_and_goes():
    events = make()
    assert walk(events, (0, 0), (1, 0)) == [("person_appeared", 0.0)]
    assert events.step(people(2.0)) == ()
    gone = events.step(people(4.0))
    assert [(e.kind, e.person, e.track, (e.x_m, e.y_m)) for e in gone] == [
        ("person_left", 1, 101, (1.0, 0.0))
    ]
    assert gone[0].at == START + timedelta(seconds=0.2)


def test_events_of_a_short_absence_are_none():
    events = make()
    walk(events, (0, 0))
    assert events.step(people(1.0)) == ()
    assert events.step(people(2.0, p1=(0, 0))) == ()


def test_zone_is_entered_and_left_once_beyond_the_margin():
    events = make(SQUARE)
    got = walk(events, (-1, 2), (0.1, 2), (0.5, 2), (2, 2), (-0.1, 2), (-0.5, 2))
    assert got == [("person_appeared", 0.0), ("zone_enter", 0.4), ("zone_leave", 1.0)]


def test_zone_does_not_flicker_with_jitter_at_its_edge():
    events = make(SQUARE)
    got = walk(events, (-1, 2), *[(0.1 * (-1) ** k, 2) for k in range(30)])
    assert got == [("person_appeared", 0.0)]


def test_zone_is_entered_by_somebody_who_stays_just_inside():
    events = make(SQUARE)
    got = walk(events, (-1, 2), *[(0.1, 2)] * 8)
    assert got == [("person_appeared", 0.0), ("zone_enter", 1.2)]


def test_zone_leave_tells_the_dwell_and_comes_when_the_person_leaves():
    events = make(SQUARE)
    walk(events, (2, 2), (2, 2))
    gone = events.step(people(9.0))
    assert [(e.kind, e.zone_id) for e in gone] == [("zone_leave", "hall"), ("person_left", None)]
    assert gone[0].payload == {"dwell_s": 0.2}


@pytest.mark.parametrize(
    ("path", "direction"),
    [(((-1, 2), (1, 2)), "left_to_right"), (((1, 2), (-1, 2)), "right_to_left")],
)
def test_line_is_crossed_in_a_direction(path, direction):
    events = make(LINE)
    found = [e for k, p in enumerate(path) for e in events.step(people(k, p1=p)) if e.kind == "line_cross"]
    assert [(e.zone_id, e.payload) for e in found] == [("door", {"direction": direction})]


def test_line_is_not_crossed_by_jitter_nor_beside_its_ends():
    events = make(LINE)
    got = walk(events, (-1, 2), (-0.1, 2), (0.1, 2), (-0.1, 2), (-1, 2), (-1, 6), (1, 6), (1, 2))
    assert got == [("person_appeared", 0.0)]


def test_line_is_crossed_once_by_slow_steps():
    events = make(LINE)
    got = walk(events, *[(-1 + 0.1 * k, 2) for k in range(21)])
    assert [kind for kind, _ in got] == ["person_appeared", "line_cross"]


def test_events_of_a_person_recognised_say_why_and_carry_on():
    events = make(SQUARE)
    walk(events, (2, 2))
    again = Recognition(101, 7, 1, similarity=0.9, evidence=3.0, absent_s=12.0, distance_m=1.5)
    found = events.step(people(0.2, p7=(2, 2)), [again])
    assert [(e.kind, e.person) for e in found] == [("reidentified", 7)]
    assert found[0].payload == {
        "previous": 1,
        "similarity": 0.9,
        "evidence": 3.0,
        "absent_s": 12.0,
        "distance_m": 1.5,
    }
    assert [e.person for e in events.step(people(9.0))] == [7, 7]


def test_events_of_somebody_who_comes_back_recognised_are_no_appearance():
    back = Recognition(101, 1, None, similarity=0.9, evidence=3.0, absent_s=12.0, distance_m=1.5)
    found = make().step(people(0.0, p1=(2, 2)), [back])
    assert [e.kind for e in found] == ["reidentified"]


def test_distances_by_hand():
    segment = np.array([[0.0, 0], [4, 0]])
    assert distance_to_segment(np.array([2.0, 3]), segment) == 3.0
    assert distance_to_segment(np.array([7.0, 4]), segment) == 5.0
    assert distance_to_segment(np.array([3.0, 4]), np.zeros((2, 2))) == 5.0
    assert distance_to_ring(np.array([1.0, 2]), SQUARE.points_m) == 1.0


# --- from camera to camera ---


def kinds(events, at_s, **given):
    return [(e.kind, e.camera_id, e.payload) for e in events.step(people(at_s, **given))]


def test_handover_names_both_cameras():
    events = make()
    kinds(events, 0.0, cameras=("c1",), p1=(0, 0))
    assert kinds(events, 1.0, cameras=("c1", "c2"), p1=(1, 0)) == []
    assert kinds(events, 2.0, cameras=("c2",), p1=(2, 0)) == []
    assert kinds(events, 3.0, cameras=("c2",), p1=(3, 0)) == [("handover", "c2", {"from": "c1"})]


def test_handover_of_somebody_recognised_between_cameras_that_do_not_overlap():
    events = make()
    kinds(events, 0.0, cameras=("c1",), p1=(0, 0))
    kinds(events, 10.0)
    again = Recognition(101, 1, 7, similarity=0.9, evidence=3.0, absent_s=12.0, distance_m=1.5)
    kinds(events, 12.0, cameras=("c2",), p7=(9, 0))
    found = events.step(people(12.2, cameras=("c2",), p1=(9, 0)), [again])
    assert [(e.kind, e.person, e.camera_id) for e in found] == [
        ("reidentified", 1, None),
        ("handover", 1, "c2"),
    ]


def test_handover_is_none_after_a_long_absence():
    events = make()
    kinds(events, 0.0, cameras=("c1",), p1=(0, 0))
    kinds(events, 100.0)
    assert [kind for kind, _, _ in kinds(events, 101.0, cameras=("c2",), p1=(9, 0))] == ["person_appeared"]


# --- capacity ---

SMALL = replace(SQUARE, capacity=1)


def capacity(events, at_s, **places):
    return [
        (e.kind, e.zone_id, e.person, e.payload)
        for e in events.step(people(at_s, **places))
        if e.kind.startswith("capacity")
    ]


def test_capacity_is_told_once_when_exceeded_and_once_when_restored():
    events = make(SMALL)
    assert capacity(events, 0.0, p1=(2, 2), p2=(9, 9)) == []
    assert capacity(events, 1.0, p1=(2, 2), p2=(2, 3)) == [
        ("capacity_exceeded", "hall", None, {"count": 2, "capacity": 1})
    ]
    assert capacity(events, 2.0, p1=(2, 2), p2=(2, 3), p3=(3, 3)) == []
    assert capacity(events, 3.0, p1=(2, 2), p2=(9, 9), p3=(3, 3)) == []
    assert capacity(events, 4.0, p1=(2, 2), p2=(9, 9), p3=(9, 3)) == [
        ("capacity_restored", "hall", None, {"count": 1, "capacity": 1})
    ]


def test_capacity_is_not_restored_by_who_is_out_of_sight_for_a_moment():
    events = make(SMALL)
    assert len(capacity(events, 0.0, p1=(2, 2), p2=(2, 3))) == 1
    assert capacity(events, 2.0, p1=(2, 2)) == []
    assert capacity(events, 3.5, p1=(2, 2)) == [
        ("capacity_restored", "hall", None, {"count": 1, "capacity": 1})
    ]


def test_capacity_of_nobody_is_exceeded_by_anybody():
    events = make(replace(SQUARE, capacity=0))
    assert [kind for kind, *_ in capacity(events, 0.0, p1=(2, 2))] == ["capacity_exceeded"]


def test_area_without_a_capacity_holds_everybody():
    assert capacity(make(SQUARE), 0.0, p1=(2, 2), p2=(2, 3)) == []
