import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuworker.backends.candidates import MAX_CANDIDATES, select
from gpuworker.backends.placing import Placement

torch = pytest.importorskip("torch", reason="torch is not installed: extra models")
WHOLE = Placement(100, 100, (100, 100))
HALF = Placement(160, 200, (80, 100), (10, 0))


def both_ways(boxes, confidence, placements, **settings):
    """Select on the host and as tensors; they have to agree."""
    boxes, confidence = np.asarray(boxes, np.float32), np.asarray(confidence, np.float32)
    host = select(boxes, confidence, placements, **settings)
    device = select(torch.from_numpy(boxes), torch.from_numpy(confidence), placements, **settings)
    for one, other in zip(host, device, strict=True):
        assert one.xyxy.dtype == other.xyxy.dtype == np.float32
        assert other.xyxy == pytest.approx(one.xyxy, abs=1e-3)
        assert other.confidence == pytest.approx(one.confidence)
    return host


def test_weak_boxes_go_and_strong_ones_come_first():
    boxes = [[[0, 0, 10, 20], [30, 0, 40, 20], [60, 0, 70, 20]]]
    found = both_ways(boxes, [[0.3, 0.2, 0.9]], [WHOLE], least=0.25, iou=0.5)[0]
    assert found.xyxy.tolist() == [[60, 0, 70, 20], [0, 0, 10, 20]]


def test_boxes_come_back_to_the_pixels_of_their_own_picture():
    boxes = [[[10, 10, 20, 20]], [[10, 10, 20, 20]]]
    first, second = both_ways(boxes, [[0.5], [0.5]], [WHOLE, HALF], least=0.1, iou=None)
    assert first.xyxy.tolist() == [[10, 10, 20, 20]]
    assert second.xyxy.tolist() == [[0, 20, 20, 40]]


def test_boxes_are_cut_at_the_picture_and_go_where_nothing_is_left():
    boxes = [[[-5, -5, 10, 110], [101, 0, 120, 20], [5, 5, 5.5, 40], [np.nan, 0, 9, 9], [40, 9, 20, 1]]]
    found = both_ways(boxes, [[0.9] * 5], [WHOLE], least=0.1, iou=None)[0]
    assert found.xyxy.tolist() == [[0, 0, 10, 100]]


def test_the_weaker_of_two_boxes_of_one_picture_goes():
    boxes = [[[0, 0, 10, 20], [0, 1, 10, 21]], [[0, 0, 10, 20], [50, 1, 60, 21]]]
    found = both_ways(boxes, [[0.4, 0.6], [0.6, 0.4]], [WHOLE, WHOLE], least=0.1, iou=0.5)
    assert [len(one) for one in found] == [1, 2]
    assert found[0].xyxy.tolist() == [[0, 1, 10, 21]]


def test_confidence_that_is_no_number_or_beyond_one():
    found = both_ways([[[0, 0, 9, 9], [20, 0, 29, 9]]], [[np.nan, 1.5]], [WHOLE], least=0.1, iou=0.5)[0]
    assert found.confidence.tolist() == [1.0]


def test_rows_beyond_the_pictures_are_ignored():
    assert len(both_ways([[[0, 0, 9, 9]]] * 2, [[0.9]] * 2, [WHOLE], least=0.1, iou=0.5)) == 1
    assert select(np.zeros((1, 0, 4)), np.zeros((1, 0)), [], least=0.1, iou=0.5) == []


def test_nothing_confident_gives_empty_detections():
    found = both_ways([[[0, 0, 9, 9]]], [[0.05]], [WHOLE], least=0.1, iou=0.5)[0]
    assert (found.xyxy.shape, found.confidence.shape) == ((0, 4), (0,))


def test_of_too_many_candidates_the_strongest_stay():
    count = MAX_CANDIDATES + 50
    confidence = np.linspace(0.2, 0.9, count)[None]
    found = both_ways(np.tile([0, 0, 9, 9], (1, count, 1)), confidence, [WHOLE], least=0.1, iou=None)[0]
    assert len(found) == MAX_CANDIDATES
    assert found.confidence.min() == pytest.approx(confidence[0, 50])


@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.floats(0, 1), st.floats(0, 1))
def test_host_and_device_agree_on_crowds(seed, count, least, iou):
    random = np.random.default_rng(seed)
    corner = random.uniform(-20, 100, (2, count, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0, 60, corner.shape)], -1)
    both_ways(
        boxes, random.permutation(count * 2).reshape(2, count) / 100, [WHOLE, HALF], least=least, iou=iou
    )
