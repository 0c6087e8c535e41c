import numpy as np
import pytest

from gpuworker.model_scoring import average_precision, score_detections, separation_auc
from gpuworker.pipeline.values import Detections

A, B = [0, 0, 10, 20], [50, 0, 60, 20]


def boxes(*rows):
    return np.array(rows, np.float32).reshape(-1, 4)


def found(*rows, confidence=None):
    given = np.array(confidence if confidence is not None else [0.9] * len(rows), np.float32)
    return Detections(boxes(*rows), given)


def score(detections, truth, confidence=0.5):
    return score_detections([detections], [truth], confidence=confidence)


def test_all_right_scores_one():
    scores = score(found(A, B), boxes(A, B))
    assert (scores.precision, scores.recall, scores.map_50, scores.map_50_95) == (1, 1, 1, 1)


def test_nothing_found_scores_nothing():
    scores = score(found(), boxes(A))
    assert (scores.precision, scores.recall, scores.map_50, scores.boxes, scores.people) == (0, 0, 0, 0, 1)


def test_no_people_and_no_pictures():
    assert score(found(A), boxes()).boxes == 0
    assert score_detections([], [], confidence=0.5).recall == 0


def test_a_second_box_of_one_person_is_wrong():
    scores = score(found(A, A), boxes(A))
    assert (scores.precision, scores.recall) == (0.5, 1)


def test_a_box_that_touches_nobody_is_not_judged_and_one_that_does_is_wrong():
    assert score(found(A, [200, 0, 210, 20]), boxes(A)).precision == 1
    assert score(found(A, [0, 18, 10, 38]), boxes(A)).precision == 0.5


def test_weak_boxes_count_for_the_average_only():
    scores = score(found(A, B, confidence=[0.9, 0.3]), boxes(A, B))
    assert (scores.precision, scores.recall, scores.map_50) == (1, 0.5, 1)


def test_the_more_confident_box_takes_the_person():
    scores = score(found([1, 0, 11, 20], A, confidence=[0.9, 0.8]), boxes(A))
    assert (scores.precision, scores.recall) == (0.5, 1)
    assert scores.map_50 == 1


def test_map_falls_with_the_precision_of_places():
    # IoU 10 x 19 / (10 x 21): right up to .90
    assert score(found([0, 1, 10, 21]), boxes(A)).map_50_95 == pytest.approx(0.9)


def test_average_precision_by_hand():
    # right, wrong, right: precision 1 up to half of the people, then 2/3
    area = average_precision(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2)
    assert area == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert average_precision(np.zeros(0), np.zeros(0, bool), 3) == 0


def test_separation_auc_counts_pairs_of_different_cameras():
    vectors = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]], np.float32)
    person, camera = np.array([1, 2, 1, 2]), np.array([0, 0, 1, 1])
    # same: .8 and .8; different: .6 and .6; the pair of one camera does not count
    assert separation_auc(vectors, person, camera) == 1
    assert separation_auc(vectors, np.array([1, 2, 2, 1]), camera) == 0
    assert separation_auc(np.ones((4, 2), np.float32), person, camera) == 0.5


def test_separation_auc_is_unknown_without_pairs():
    assert np.isnan(separation_auc(np.zeros((0, 2), np.float32), np.zeros(0, int), np.zeros(0, int)))
    assert np.isnan(separation_auc(np.full((2, 2), np.nan, np.float32), np.arange(2), np.arange(2)))
