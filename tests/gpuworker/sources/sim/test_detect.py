"""True and noisy boxes of simulated people."""

import numpy as np
import pytest

from gpuworker.pipeline.boxes import iou
from gpuworker.sources.sim.detect import CROWD, TrueBoxes, detected, true_boxes
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.world import World
from tests.gpuworker.sources.sim.test_draw import truth_of


@pytest.fixture
def view(views):
    return views["c1"]


def test_person_in_the_open_is_wholly_seen(view):
    boxes = true_boxes(view.camera, view.backdrop, truth_of((9.0, 10.0)))
    assert boxes.visible.tolist() == [1.0]
    assert boxes.ids.tolist() == [1]
    foot = view.camera.to_picture(np.array([[9.0, 10.0]]))[0]
    assert boxes.xyxy[0, 3] == pytest.approx(foot[1], abs=5)
    assert boxes.visible_xyxy == pytest.approx(boxes.xyxy, abs=0.1)


def test_planter_hides_the_feet_of_who_stands_behind_it(view):
    boxes = true_boxes(view.camera, view.backdrop, truth_of((11.2, 8.0)))
    assert 0.4 < boxes.visible[0] < 0.95
    assert boxes.visible_xyxy[0, 3] < boxes.xyxy[0, 3] - 5
    assert boxes.visible_xyxy[0, 1] == pytest.approx(boxes.xyxy[0, 1], abs=0.1)


def test_person_behind_a_person_is_hidden(view):
    eye = view.camera.position_m[:2]
    away = np.array([8.0, 8.5]) - eye
    away /= np.linalg.norm(away)
    near, far = np.array([8.0, 8.5]), np.array([8.0, 8.5]) + 0.7 * away
    boxes = true_boxes(view.camera, view.backdrop, truth_of(tuple(far), tuple(near)))
    assert boxes.ids.tolist() == [1, 2]
    assert boxes.visible[1] == 1.0
    assert boxes.visible[0] < 0.4


def test_nobody_gives_empty_arrays(view):
    boxes = true_boxes(view.camera, view.backdrop, truth_of())
    assert boxes.xyxy.shape == (0, 4)
    assert boxes.visible.shape == (0,)


def test_detections_are_those_of_a_middling_detector(view):
    world, rng = World(7, 12), np.random.default_rng(1)
    seen = hits = found = 0
    for tick in range(0, 1500, 5):
        world.step_to(tick)
        boxes = true_boxes(view.camera, view.backdrop, world.truth())
        detections = detected(boxes, view.camera, PLAZA, rng)
        overlap = iou(boxes.xyxy, detections.xyxy)
        clear = boxes.visible > 0.8
        seen += int(clear.sum())
        hits += int((overlap[clear] > 0.5).any(axis=1).sum())
        found += len(detections)
        assert ((detections.confidence >= 0.3) & (detections.confidence < 1.0)).all()
        assert detections.xyxy.min(initial=0.0) >= 0.0
        assert (detections.xyxy[:, 2] <= 640).all()
    assert 0.85 < hits / seen < 0.99
    assert found > hits


def test_detections_are_the_same_for_the_same_seed(view):
    boxes = true_boxes(view.camera, view.backdrop, truth_of((9.0, 10.0), (12.0, 9.0)))
    one, other = (detected(boxes, view.camera, PLAZA, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(one.xyxy, other.xyxy)


def crowd_of(view, visible, frames=400):
    """Give how often the crowd's detector finds boxes of which the upper part is seen, how far off, and false ones."""
    x, y = (v.ravel() for v in np.meshgrid(np.arange(20.0, 600, 60), [20.0, 140]))
    whole = np.column_stack([x, y, x + 40, y + 100]).astype(np.float32)
    seen = whole - np.array([0, 0, 0, 100 * (1 - visible)], np.float32)
    boxes = TrueBoxes(np.arange(len(x)), whole, seen, np.full(len(x), visible))
    rng, off, wrong = np.random.default_rng(2), [], 0
    for _ in range(frames):
        found = detected(boxes, view.camera, PLAZA, rng, CROWD)
        gap = np.abs(found.xyxy[:, None, :3] - whole[None, :, :3]).max(axis=2)
        row, column = np.nonzero(gap < 12)
        off.append((found.xyxy[row] - whole[column]) / 100)
        wrong += len(found) - len(row)
    every = np.concatenate(off)
    return len(every) / frames / len(x), every, wrong / frames


def test_detector_in_a_crowd_errs_as_recorded_ones_do(view):
    recall, off, false_boxes = crowd_of(view, 1.0)
    assert recall == pytest.approx(0.963, abs=0.01)
    spread = np.median(np.abs(off), axis=0) / 0.6745
    assert spread == pytest.approx([0.006, 0.021, 0.006, 0.0165], rel=0.1)
    assert false_boxes == pytest.approx(0.593, abs=0.12)


@pytest.mark.parametrize(
    ("visible", "recall", "cut"), [(0.75, 0.81, 0.05), (0.45, 0.32, 0.11), (0.15, 0.05, 0.17)]
)
def test_detector_in_a_crowd_misses_and_cuts_the_hidden(view, visible, recall, cut):
    found, off, _ = crowd_of(view, visible)
    assert found == pytest.approx(recall, abs=0.03)
    assert -off[:, 3].mean() == pytest.approx(cut, abs=0.01)
    assert off[:, :3].mean(axis=0) == pytest.approx(0.0, abs=0.005)
