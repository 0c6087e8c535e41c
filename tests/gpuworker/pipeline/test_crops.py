from dataclasses import replace

import numpy as np
import pytest

from gpuworker.pipeline.crops import CropChoice, Expected
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.values import Detections
from tests.gpuworker.made import frame

SETTINGS = replace(PipelineSettings(), known_looks=5.0, doubt_s=2.0, look_again_s=1.0, look_apart_s=0.1)


def box(i):
    return [100.0 * i, 0.0, 100.0 * i + 40, 100.0]


def found(*places):
    xyxy = np.array([box(i) for i in places], np.float32).reshape(-1, 4)
    return Detections(xyxy, np.full(len(xyxy), 0.9, np.float32))


def expected(*people, frames=1):
    """People as (serial, place of the box, x in m, looks known)."""
    rows = np.array(people, dtype=float).reshape(-1, 4)
    boxes = np.array([box(place) for place in rows[:, 1]]).reshape(-1, 4)
    return Expected(
        rows[:, 0].astype(int),
        np.tile(boxes, (frames, 1, 1)),
        np.column_stack([rows[:, 2], np.zeros(len(rows))]),
        rows[:, 3],
    )


@pytest.fixture
def choice():
    return CropChoice(SETTINGS)


def choose(choice, detections, people, now_s=0.0, budget=9):
    return choice.choose([frame()] * len(detections), detections, people, now_s, budget)


def test_a_box_of_nobody_known_is_looked_at(choice):
    assert [c.tolist() for c in choose(choice, [found(0, 1)], expected())] == [[0, 1]]


def test_somebody_well_known_is_looked_at_now_and_then(choice):
    people = expected((1, 0, 0.0, 9.0))
    looked = [len(choose(choice, [found(0)], people, now_s=t)[0]) for t in (0.0, 0.5, 0.9, 1.0, 1.5, 2.0)]
    assert looked == [1, 0, 0, 1, 0, 1]


def test_somebody_little_known_is_looked_at_soon_again(choice):
    people = expected((1, 0, 0.0, 2.0))
    assert [len(choose(choice, [found(0)], people, now_s=t)[0]) for t in (0.0, 0.05, 0.1, 0.2)] == [
        1,
        0,
        1,
        1,
    ]


def test_who_was_near_somebody_is_looked_at_for_a_while(choice):
    near, apart = expected((1, 0, 0.0, 9.0), (2, 1, 1.0, 9.0)), expected((1, 0, 0.0, 9.0), (2, 1, 5.0, 9.0))
    assert choose(choice, [found(0, 1)], near, now_s=0.0)[0].tolist() == [0, 1]
    assert choose(choice, [found(0, 1)], apart, now_s=0.5)[0].tolist() == [0, 1]
    assert choose(choice, [found(0, 1)], apart, now_s=1.0)[0].tolist() == [0, 1]
    assert choose(choice, [found(0, 1)], apart, now_s=1.9)[0].tolist() == [0, 1]
    assert choose(choice, [found(0, 1)], apart, now_s=2.5)[0].tolist() == []


def test_the_budget_goes_to_newcomers_then_to_doubt_then_to_the_rest(choice):
    people = expected((1, 0, 0.0, 9.0), (2, 1, 20.0, 9.0), (3, 2, 21.0, 9.0))
    for budget, places in ((1, [3]), (3, [1, 2, 3]), (4, [0, 1, 2, 3])):
        assert choose(CropChoice(SETTINGS), [found(0, 1, 2, 3)], people, budget=budget)[0].tolist() == places


def test_the_budget_is_of_all_frames_together(choice):
    chosen = choose(choice, [found(0, 1), found(0, 1)], expected(frames=2), budget=3)
    assert sum(map(len, chosen)) == 3
    assert choose(choice, [found(0)], expected(), budget=0)[0].tolist() == []


def test_covered_and_small_boxes_are_left_out(choice):
    covered = np.array([box(0), [0, 30, 40, 130], [300, 0, 310, 20]], np.float32)
    detections = Detections(covered, np.full(3, 0.9, np.float32))
    assert choose(choice, [detections], expected())[0].tolist() == []


def test_people_behind_the_camera_own_no_box(choice):
    people = expected((1, 0, 0.0, 9.0))
    hidden = replace(people, boxes=np.full_like(people.boxes, np.nan))
    choose(choice, [found(0)], people)
    assert choose(choice, [found(0)], hidden, now_s=0.1)[0].tolist() == [0]
