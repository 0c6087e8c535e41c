import numpy as np
import pytest

from gpuworker.pipeline.boxes import areas, covered_share, iou, nms, visible_share

PICTURE = np.array([0.0, 0.0, 100.0, 100.0])


def test_iou_of_half_overlapping_boxes_is_a_third():
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[5, 0, 15, 10], [0, 0, 10, 10], [10, 0, 20, 10], [50, 50, 60, 60]], np.float32)
    assert iou(a, b) == pytest.approx(np.array([[1 / 3, 1.0, 0.0, 0.0]]))


def test_iou_of_nothing_has_no_rows():
    assert iou(np.zeros((0, 4)), np.ones((3, 4))).shape == (0, 3)


def test_iou_of_boxes_without_area_is_zero():
    assert iou(np.zeros((1, 4)), np.zeros((1, 4))) == pytest.approx(np.zeros((1, 1)))


def test_areas_of_an_inverted_box_is_zero():
    assert areas(np.array([[10, 10, 0, 20], [0, 0, 2, 3]])) == pytest.approx(np.array([0.0, 6.0]))


def test_nms_keeps_the_most_confident_of_duplicates():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    assert nms(boxes, np.array([0.5, 0.9, 0.7]), 0.5).tolist() == [1, 2]


def test_nms_of_equal_boxes_keeps_the_first():
    boxes = np.array([[0, 0, 10, 10]] * 3, np.float32)
    assert nms(boxes, np.array([0.5, 0.5, 0.5]), 0.5).tolist() == [0]


def test_nms_of_nothing_is_empty():
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).tolist() == []


def test_nms_chain_keeps_a_box_whose_suppressor_was_suppressed():
    boxes = np.array([[0, 0, 10, 10], [4, 0, 14, 10], [8, 0, 18, 10]], np.float32)
    assert nms(boxes, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0, 2]


def test_covered_share_counts_the_worst_neighbour():
    boxes = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [8, 0, 18, 10]])
    assert covered_share(boxes) == pytest.approx(np.array([0.5, 0.7, 0.7]))


def test_covered_share_leaves_boxes_aside_that_are_not_finite():
    boxes = np.array([[0, 0, 10, 10], [np.nan] * 4, [-np.inf, 0, np.inf, 10], [5, 0, 15, 10]], np.float32)
    assert covered_share(boxes).tolist() == [0.5, 1, 1, 0.5]


def visible(box, *occluders):
    """Whole and lower visible share of one box behind occluders."""
    front = np.array(occluders, dtype=np.float64).reshape(-1, 4)
    whole, lower = visible_share(
        np.array([box], dtype=np.float64), PICTURE[None], np.zeros(len(front), int), front
    )
    return whole[0], lower[0]


def test_visible_share_of_a_free_box_is_one():
    assert visible((10, 10, 20, 40)) == (1.0, 1.0)


def test_visible_share_halves_behind_half_of_it():
    assert visible((10, 10, 22, 40), (16, 0, 50, 50))[0] == pytest.approx(0.5)


def test_visible_share_counts_what_two_hide_once():
    assert visible((10, 10, 22, 40), (16, 0, 50, 50), (16, 0, 50, 25)) == pytest.approx((0.5, 0.5))
    assert visible((10, 10, 22, 40), (16, 0, 50, 50), (0, 0, 16, 50)) == (0.0, 0.0)


def test_visible_share_of_hidden_feet_shows_in_the_lower_fifth_only():
    assert visible((10, 0, 20, 50), (0, 40, 50, 60)) == pytest.approx((0.8, 0.0))


def test_visible_share_of_a_box_cut_by_the_picture_edge():
    assert visible((-10, 0, 10, 50))[0] == pytest.approx(0.5)
    assert visible([np.nan] * 4) == (0.0, 0.0)


def test_visible_share_of_a_box_is_its_own():
    boxes = np.array([[10.0, 0, 20, 50], [60.0, 0, 70, 50]])
    whole, _ = visible_share(
        boxes, np.tile(PICTURE, (2, 1)), np.array([1, 0]), np.array([[0.0, 0, 100, 25], [0, 0, 5, 5]])
    )
    assert whole == pytest.approx([1.0, 0.5], abs=0.04)


def test_covered_share_is_by_frame():
    boxes = np.array([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [5.0, 0, 15, 10]])
    assert covered_share(boxes, np.array([0, 0, 1])).tolist() == [0.5, 0.5, 0.0]
    assert covered_share(boxes).tolist() == [0.5, 1.0, 1.0]
