import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpuworker.backends import BackendError, make_detector
from gpuworker.backends.onnx import place
from gpuworker.backends.onnx_layouts import Fit, Layout, find_layout
from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import frame, grey_frame, save_model

SITE = Site({})
CELLS = 84  # of a 64 x 64 input


def layout(fit: Fit) -> Layout:
    shapes = {
        Fit.TOP_LEFT: [(1, CELLS, 85)],
        Fit.CENTRE: [(1, 6, CELLS)],
        Fit.STRETCH: [(1, 9, 4), (1, 9, 91)],
    }[fit]
    found = find_layout([np.zeros(s, np.float32) for s in shapes], height=64, width=64, metadata={})
    assert found is not None
    return found


def detect(path: Path, *frames, options: str = ""):
    return make_detector(f"onnx:{path}{options}", site=SITE, threads=1).detect(frames)


def test_place_puts_yolox_pictures_top_left_in_bgr():
    image = np.full((32, 16, 3), (10, 20, 30), np.uint8)
    planes, placement = place(image, layout(Fit.TOP_LEFT), 64, 64)
    assert planes[:, 0, 0].tolist() == [10, 20, 30]
    assert planes[:, 63, 31].tolist() == [10, 20, 30]
    assert planes[:, 0, 32].tolist() == [114, 114, 114]
    box = placement.to_picture(np.array([[0, 0, 32, 64]], np.float32), width=16, height=32)
    assert box.tolist() == [[0, 0, 16, 32]]


def test_place_puts_ultralytics_pictures_in_the_middle_in_rgb():
    image = np.full((32, 16, 3), (0, 51, 255), np.uint8)
    planes, placement = place(image, layout(Fit.CENTRE), 64, 64)
    assert planes[:, 0, 16].tolist() == pytest.approx([1.0, 0.2, 0.0])
    assert planes[:, 0, 15].tolist() == pytest.approx([114 / 255] * 3)
    box = placement.to_picture(np.array([[16, 0, 48, 64]], np.float32), width=16, height=32)
    assert box.tolist() == [[0, 0, 16, 32]]


def test_place_stretches_pictures_for_detr():
    image = np.full((32, 16, 3), (103.53, 116.28, 123.675), np.float32).astype(np.uint8)
    planes, placement = place(image, layout(Fit.STRETCH), 64, 64)
    assert planes.shape == (3, 64, 64)
    assert np.abs(planes).max() < 0.02  # the mean colour of ImageNet
    box = placement.to_picture(np.array([[32, 32, 64, 64]], np.float32), width=16, height=32)
    assert box.tolist() == [[8, 16, 16, 32]]


def test_yolox_boxes_come_back_in_picture_pixels(tmp_path):
    rows = np.zeros((CELLS, 85))
    rows[0] = [2, 3, np.log(2), np.log(4), 0.9, 1.0, *[0] * 79]  # centre (16, 24), size (16, 32)
    rows[1] = [1.1, 3, np.log(2), np.log(4), 0.8, 1.0, *[0] * 79]  # nearly the same box
    rows[2] = [2, 3, np.log(2), np.log(4), 0.9, 0.0, 1.0, *[0] * 78]  # no person
    path = save_model(tmp_path / "yolox.onnx", [rows])
    found = detect(path, grey_frame(128, 64))[0]  # scaled by a half
    assert found.xyxy == pytest.approx(np.array([[16, 16, 48, 80]]))
    assert found.confidence.tolist() == pytest.approx([0.9])


def test_ultralytics_boxes_are_suppressed_and_cut_at_the_picture(tmp_path):
    columns = np.zeros((6, CELLS))
    columns[:5, 0] = [20, 32, 16, 70, 0.5]
    columns[:5, 1] = [20, 33, 16, 70, 0.7]
    columns[:5, 2] = [5, 32, 8, 20, 0.9]  # beside the picture, in the letterbox
    columns[:5, 3] = [40, 32, 8, 20, 0.1]  # too weak
    path = save_model(tmp_path / "yolo.onnx", [columns])
    found = detect(path, grey_frame(64, 32))[0]
    assert found.xyxy == pytest.approx(np.array([[0, 0, 12, 64]]))
    assert found.confidence.tolist() == pytest.approx([0.7])


def test_end_to_end_boxes_are_not_suppressed_again(tmp_path):
    rows = np.zeros((300, 6))
    rows[0] = [10, 10, 20, 40, 0.9, 0]
    rows[1] = [10, 10, 20, 41, 0.8, 0]
    rows[2] = [30, 10, 40, 41, 0.8, 7]
    path = save_model(tmp_path / "end.onnx", [rows])
    found = detect(path, grey_frame())[0]
    assert found.xyxy == pytest.approx(np.array([[10, 10, 20, 40], [10, 10, 20, 41]]))


def test_detr_boxes_come_in_shares_of_the_picture(tmp_path):
    boxes, logits = np.zeros((300, 4)), np.full((300, 91), -20.0)
    boxes[0] = [0.5, 0.5, 0.25, 0.5]
    logits[0, 1] = 2.0
    logits[1, 0] = 2.0  # COCO-91 counts from 1
    path = save_model(tmp_path / "detr.onnx", [boxes, logits])
    found = detect(path, grey_frame(100, 200))[0]
    assert found.xyxy == pytest.approx(np.array([[75, 25, 125, 75]]))
    assert found.confidence.tolist() == pytest.approx([1 / (1 + np.exp(-2))])


@pytest.mark.parametrize("batch", [1, 2, "b"])
def test_every_frame_keeps_its_own_detections(tmp_path, batch):
    rows = np.zeros((1, 6))
    rows[0] = [0, 0, 10, 10, 0.5, 0]
    rows = np.vstack([rows, np.zeros((1, 6))])  # its last value, a class, counts the picture's level
    rows[1, 4] = 0.6
    rows[1, 2:4] = 20
    path = save_model(tmp_path / "net.onnx", [rows], batch=batch)
    levels = [0, 255, 0]
    found = detect(path, *(grey_frame(level=level) for level in levels))
    assert [len(one) for one in found] == [2, 1, 2]


def test_no_frames_give_no_detections(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((5, 6))], batch="b")
    assert detect(path) == []


def test_nothing_found_gives_empty_detections(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    found = detect(path, grey_frame())[0]
    assert found.xyxy.shape == (0, 4)
    assert found.confidence.shape == (0,)


def test_values_that_are_no_numbers_are_no_detections(tmp_path):
    columns = np.zeros((6, CELLS))
    columns[:4, 0] = np.nan
    columns[4, 0] = 0.9
    path = save_model(tmp_path / "net.onnx", [columns])
    assert len(detect(path, grey_frame())[0]) == 0


def test_size_is_free_only_where_the_model_leaves_it_open(tmp_path):
    fixed = save_model(tmp_path / "fixed.onnx", [np.zeros((9, 6))])
    with pytest.raises(BackendError, match="the model takes 64x64 px and nothing else"):
        detect(fixed, options="?size=128")
    open_size = save_model(tmp_path / "open.onnx", [np.zeros((9, 6))], height="h", width="w")
    assert len(detect(open_size, grey_frame(), options="?size=128")) == 1
    with pytest.raises(BackendError, match="size must be a multiple of 32, got 100"):
        detect(open_size, options="?size=100")


def test_class_must_exist(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    with pytest.raises(BackendError, match="class 2 does not exist, the model has 2"):
        detect(path, options="?class=2")
    assert len(detect(path, grey_frame(), options="?class=1")) == 1


def test_unknown_layout_is_refused_with_its_shapes(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((7, 9))])
    with pytest.raises(
        BackendError, match=r"outputs \(1, 7, 9\) for a 64x64 px input are of no known"
    ) as error:
        detect(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("model", "least_precision", "least_recall"),
    [("yolox_nano.onnx", 0.85, 0.50), ("yolo11n_int8.onnx", 0.85, 0.20)],
)
def test_known_models_find_the_rendered_crowd(shared_dir, model, least_precision, least_recall):
    weights = shared_dir / "models" / model
    scene = shared_dir / "scenes" / "multiviewx-a"
    detector = make_detector(f"onnx:{weights}?confidence=0.3", site=SITE, threads=1)
    right = found_count = true_count = 0
    for camera in json.loads((scene / "scene.json").read_text())["cameras"]:
        truth = np.loadtxt(scene / camera["gt_boxes"], delimiter=",")
        truth = truth[truth[:, 0] == 1][:, 2:6]
        truth[:, 2:] += truth[:, :2]
        image = cv2.imread(str(scene / camera["images"] / "000001.jpg"))
        assert image is not None
        found = detector.detect([frame(image, camera["id"])])[0]
        overlap = iou(truth, found.xyxy)
        # people outside the annotated floor are no mistakes: only what touches a true box is judged
        judged = overlap.max(axis=0, initial=0.0) > 0
        right += int((overlap.max(axis=1, initial=0.0) > 0.3).sum())
        found_count += int(judged.sum())
        true_count += len(truth)
    assert right / found_count >= least_precision
    assert right / true_count >= least_recall
