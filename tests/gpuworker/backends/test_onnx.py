import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gpuworker.backends import BackendError, make_detector
from gpuworker.backends.layouts import find_layout
from gpuworker.backends.onnx import on_device
from gpuworker.backends.onnx_session import open_model
from gpuworker.backends.picture_detector import detector_options
from gpuworker.backends.spec import parse_spec
from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import frame, grey_frame, save_model

SITE = Site({})
CELLS = 84  # of a 64 x 64 input


def detect(path: Path, *frames, options: str = ""):
    return make_detector(f"onnx:{path}{options}", site=SITE, threads=1).detect(frames)


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


RUNTIMES = pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])


@RUNTIMES
def test_every_runtime_finds_the_same(tmp_path, runtime):
    if runtime == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed: extra models")
    columns = np.zeros((6, CELLS))
    columns[:5, 0] = [20, 32, 16, 40, 0.5]
    columns[:5, 1] = [20, 33, 16, 40, 0.75]
    path = save_model(tmp_path / "yolo.onnx", [columns], metadata={"names": "{0: 'person', 1: 'car'}"})
    found = detect(path, grey_frame(), grey_frame(128, 64), options=f"?runtime={runtime}")
    assert found[0].xyxy == pytest.approx(np.array([[12, 13, 28, 53]]), abs=0.2)
    assert found[0].confidence.tolist() == pytest.approx([0.75], abs=0.01)
    assert found[1].xyxy == pytest.approx(np.array([[0, 26, 24, 106]]), abs=0.4)


def test_openvino_knows_its_own_folders_with_their_class_names(tmp_path):
    openvino = pytest.importorskip("openvino", reason="OpenVINO is not installed: extra models")
    columns = np.zeros((6, CELLS))
    columns[[0, 1, 2, 3, 5], 0] = [20, 32, 16, 40, 0.75]
    read = openvino.Core().read_model(save_model(tmp_path / "yolo.onnx", [columns]))
    folder = tmp_path / "yolo_openvino_model"
    openvino.save_model(read, folder / "yolo.xml")
    (folder / "metadata.yaml").write_text("task: detect\nnames:\n  0: car\n  1: person\n", encoding="utf-8")
    found = detect(folder, grey_frame(), options="?runtime=openvino")
    assert found[0].xyxy == pytest.approx(np.array([[12, 12, 28, 52]]), abs=0.2)


@pytest.mark.parametrize("content", [b"", b"not a model"])
def test_openvino_refuses_what_is_no_model_in_one_line(tmp_path, content):
    pytest.importorskip("openvino", reason="OpenVINO is not installed: extra models")
    (tmp_path / "broken.onnx").write_bytes(content)
    with pytest.raises(BackendError, match=r"broken\.onnx is no model that OpenVINO can load") as error:
        detect(tmp_path / "broken.onnx", options="?runtime=openvino")
    assert "\n" not in str(error.value)


def test_without_openvino_one_line_says_what_to_install(tmp_path, monkeypatch):
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendError, match="runtime=openvino needs OpenVINO: pip install openvino"):
        detect(path, options="?runtime=openvino")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?runtime=torch", "runtime must be one of auto, onnxruntime, openvino, tensorrt, got 'torch'"),
        ("?runtime=openvino&device=cuda", "OpenVINO does not run on CUDA: leave device out"),
        ("?precision=fp16", "precision=fp16 goes with runtime=openvino or runtime=tensorrt"),
        (
            "?conf=1",
            "unknown option 'conf'; options of onnx: class, confidence, device, iou, precision, runtime",
        ),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    with pytest.raises(BackendError, match=message):
        detect(path, options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?device=cuda", "this ONNX Runtime has no CUDAExecutionProvider"),
        ("?runtime=tensorrt", "this ONNX Runtime has no TensorrtExecutionProvider"),
    ],
)
def test_what_onnx_runtime_does_not_have_is_said(tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    with pytest.raises(BackendError, match=message):
        detect(path, options=options)


@pytest.mark.parametrize("batch", [1, "b"])
def test_tensors_go_through_a_model_without_leaving_their_device(tmp_path, batch):
    """The path of a GPU, on the CPU: pictures, model and boxes are tensors."""
    pytest.importorskip("torch", reason="torch is not installed: extra models")
    rows = np.zeros((CELLS, 85))
    rows[0] = [2, 3, np.log(2), np.log(4), 0.9, 1.0, *[0] * 79]
    rows[1] = [1.1, 3, np.log(2), np.log(4), 0.8, 1.0, *[0] * 79]
    path = save_model(tmp_path / "yolox.onnx", [rows], batch=batch)
    spec = parse_spec(f"onnx:{path}")
    model = open_model(path, threads=1)
    layout = find_layout([rows[None].astype(np.float32)], height=64, width=64, metadata={})
    assert layout is not None
    on_tensors = on_device(
        "onnx:x", model, layout=layout, options=detector_options(spec), height=64, width=64
    )
    frames = [grey_frame(128, 64), grey_frame(64, 64), grey_frame(40, 50)]
    for ours, theirs in zip(on_tensors.detect(frames), detect(path, *frames), strict=True):
        assert len(ours) == 1
        assert ours.xyxy == pytest.approx(theirs.xyxy, abs=1e-3)


@pytest.mark.gpu
def test_on_cuda_the_same_is_found(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has no CUDA: onnxruntime-gpu is not installed")
    columns = np.zeros((6, CELLS))
    columns[:5, 0] = [20, 32, 16, 40, 0.75]
    path = save_model(tmp_path / "yolo.onnx", [columns], batch="b")
    frames = [grey_frame() for _ in range(5)]
    for one in detect(path, *frames, options="?device=cuda"):
        assert one.xyxy == pytest.approx(np.array([[12, 12, 28, 52]]), abs=0.1)


def test_telemetry_of_onnx_runtime_is_off_and_the_home_folder_stays_empty(tmp_path):
    path = save_model(tmp_path / "net.onnx", [np.zeros((6, CELLS))])
    home = tmp_path / "home"
    home.mkdir()
    code = (
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'spoton.settings_test'\n"
        "import django; django.setup()\n"
        "from gpuworker.backends import make_detector\nfrom gpuworker.pipeline.values import Site\n"
        f"make_detector('onnx:{path}', site=Site({{}}))\n"
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORT_", "CI"))}
    subprocess.run(
        [sys.executable, "-c", code],
        env=kept | {"HOME": str(home)},
        cwd=Path(__file__).parents[3],
        check=True,
    )
    assert [path for path in home.rglob("*") if path.is_file()] == []
