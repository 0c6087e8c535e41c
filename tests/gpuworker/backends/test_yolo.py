import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpuworker.backends import BackendError, make_detector
from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.values import Detections, Site
from tests.gpuworker.backends.tiny_models import frame

if find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed: extra models", allow_module_level=True)

import torch

from gpuworker.backends.ultralytics_quiet import ultralytics
from gpuworker.backends.yolo import OPENVINO_FOLDER
from tests.gpuworker.backends.tiny_yolo import SIZE, export_yolo, save_yolo

SITE = Site({})
LEAST, IOU = 0.6, 0.5
EXPORTS: dict[str, dict[str, Any]] = {
    "onnx": {"format": "onnx", "simplify": False},
    "onnx, any batch": {"format": "onnx", "simplify": False, "dynamic": True},
    "onnx with suppression": {"format": "onnx", "simplify": False, "nms": True, "conf": LEAST, "iou": IOU},
    "openvino": {"format": "openvino"},
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("yolo")
    return {
        family: save_yolo(folder / f"{family}.pt", family, classes=("person",))
        for family in ("yolo11n", "yolo26n")
    }


@pytest.fixture(scope="session")
def exported(weights, tmp_path_factory):
    """Give exports, each made once."""
    folder = tmp_path_factory.mktemp("exported")

    @cache
    def make(family: str, export: str) -> Path:
        suffix = OPENVINO_FOLDER if export == "openvino" else ".onnx"
        name = f"{family}-{export.replace(', ', '-').replace(' ', '-')}{suffix}"
        return export_yolo(weights[family], folder / name, **EXPORTS[export])

    return make


def noise(seed: int, height: int = 48, width: int = 80):
    """Give a frame of large random blocks, which a random network answers differently from place to place."""
    blocks = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    return frame(np.kron(blocks, np.ones((8, 8, 1), np.uint8)))


def detect(path: Path, *frames, options: str = "") -> list[Detections]:
    spec = f"yolo:{path}?confidence={LEAST}&iou={IOU}{options}"
    return make_detector(spec, site=SITE, threads=1).detect(frames)


def by_ultralytics(path: Path, picture: np.ndarray) -> Detections:
    found = ultralytics.YOLO(str(path), task="detect").predict(
        picture, conf=LEAST, iou=IOU, imgsz=SIZE, rect=False, verbose=False, max_det=300
    )[0]
    return Detections(found.boxes.xyxy.cpu().numpy(), found.boxes.conf.cpu().numpy())


def assert_same(ours: Detections, theirs: Detections) -> None:
    assert len(ours) == len(theirs) > 3
    pairs = iou(ours.xyxy, theirs.xyxy)
    assert pairs.max(axis=1).min() > 0.98
    assert np.sort(ours.confidence) == pytest.approx(np.sort(theirs.confidence), abs=2e-3)


@pytest.mark.parametrize("family", ["yolo11n", "yolo26n"])
def test_weights_find_what_ultralytics_finds(weights, family):
    one = noise(1)
    assert_same(
        detect(weights[family], one, options=f"&size={SIZE}")[0], by_ultralytics(weights[family], one.image)
    )


@pytest.mark.parametrize(
    ("family", "export"),
    [
        *(("yolo11n", export) for export in EXPORTS),
        ("yolo26n", "onnx"),
        ("yolo26n", "onnx with suppression"),
    ],
)
def test_exports_find_what_their_weights_find(weights, exported, family, export):
    path = exported(family, export)
    frames = [noise(1), noise(2, 80, 40), noise(3)]
    options = f"&size={SIZE}" if "any" in export else ""
    for ours, theirs in zip(
        detect(path, *frames, options=options),
        detect(weights[family], *frames, options=f"&size={SIZE}"),
        strict=True,
    ):
        if export == "openvino":  # in bfloat16 where the processor has it
            assert iou(ours.xyxy, theirs.xyxy).max(axis=1).mean() > 0.9
        else:
            assert_same(ours, theirs)


def test_onnx_back_end_finds_the_same_in_an_export(exported):
    path = exported("yolo11n", "onnx")
    onnx = make_detector(f"onnx:{path}?confidence={LEAST}&iou={IOU}", site=SITE, threads=1)
    assert_same(onnx.detect([noise(1)])[0], detect(path, noise(1))[0])


def test_person_is_the_class_of_that_name_or_the_one_asked_for(tmp_path):
    path = save_yolo(tmp_path / "three.pt", "yolo11n", classes=("car", "person", "bus"))
    named = detect(path, noise(1), options=f"&size={SIZE}")[0]
    asked = detect(path, noise(1), options=f"&size={SIZE}&class=1")[0]
    other = detect(path, noise(1), options=f"&size={SIZE}&class=0")[0]
    assert asked.xyxy.tolist() == named.xyxy.tolist() != other.xyxy.tolist()


def test_an_official_name_is_found_in_the_folder_of_models(weights, settings):
    settings.SPOTON_MODELS = weights["yolo11n"].parent
    assert make_detector(f"yolo:yolo11n?size={SIZE}", site=SITE, threads=1).name == "yolo:yolo11n"
    with pytest.raises(BackendError, match=f"no file at .* or in {settings.SPOTON_MODELS}: put the model"):
        make_detector("yolo:yolo11x", site=SITE)


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04" + b"\0" * 40])
@pytest.mark.parametrize("name", ["a.pt", "a.onnx", "a.engine"])
def test_files_that_are_no_models_are_refused_in_one_line(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BackendError, match=rf"{name} is no YOLO model that can be loaded") as error:
        make_detector(f"yolo:{path}", site=SITE, threads=1)
    assert "\n" not in str(error.value)


def test_a_pickle_that_runs_something_is_refused_without_running_it(tmp_path):
    class Mischief:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "ran"),))

    torch.save({"model": Mischief()}, tmp_path / "bad.pt")
    with pytest.raises(BackendError, match="is no YOLO model that can be loaded"):
        make_detector(f"yolo:{tmp_path / 'bad.pt'}", site=SITE, threads=1)
    assert not (tmp_path / "ran").exists()


def test_an_empty_folder_is_no_model(tmp_path):
    folder = tmp_path / "a_openvino_model"
    folder.mkdir()
    with pytest.raises(BackendError, match="is no YOLO model that can be loaded"):
        make_detector(f"yolo:{folder}", site=SITE, threads=1)


def test_other_suffixes_are_refused_with_the_choices(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"x")
    with pytest.raises(BackendError, match=r"expected a file ending in one of \.pt, \.onnx, \.engine"):
        make_detector(f"yolo:{path}", site=SITE)


@pytest.mark.parametrize("task", ["-pose", "-cls"])
def test_weights_of_another_task_are_no_detector(tmp_path, task):
    path = save_yolo(tmp_path / "other.pt", "yolo11n", task=task)
    with pytest.raises(
        BackendError, match=r"\(pose\): outputs .* of no known detector|\(classify\): outputs"
    ):
        make_detector(f"yolo:{path}?size={SIZE}", site=SITE, threads=1)


def test_weights_without_a_class_person_are_refused(tmp_path):
    path = save_yolo(tmp_path / "cars.pt", "yolo11n", classes=("car", "bus"))
    with pytest.raises(BackendError, match=r"none of the model's classes is a person \(car, bus\)"):
        make_detector(f"yolo:{path}?size={SIZE}", site=SITE, threads=1)
    with pytest.raises(BackendError, match="class 3 does not exist, the model has 2"):
        make_detector(f"yolo:{path}?size={SIZE}&class=3", site=SITE, threads=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "?conf=1",
            "unknown option 'conf'; options of yolo: class, confidence, device, iou, precision, size",
        ),
        ("?size=100", "size must be a multiple of 32, got 100"),
        ("?device=gpu", "no device 'gpu': choose one of auto, cpu, cuda, cuda:N"),
        ("?device=cuda:99", "no device cuda:99: there"),
        ("?precision=int8", "precision must be one of auto, fp32, fp16, bf16, got 'int8'"),
        ("?precision=bf16", "yolo computes in fp32, and on CUDA also in fp16"),
    ],
)
def test_wrong_options_are_refused(weights, options, message):
    with pytest.raises(BackendError, match=message):
        make_detector(f"yolo:{weights['yolo11n']}{options}", site=SITE)


def test_exports_of_one_size_take_no_other(exported):
    path = exported("yolo11n", "onnx")
    with pytest.raises(BackendError, match="the model takes 64x64 px and nothing else: leave size out"):
        make_detector(f"yolo:{path}?size=128", site=SITE, threads=1)


QUIETLY = """
import os, socket, subprocess, sys, threading
os.environ["DJANGO_SETTINGS_MODULE"] = "spoton.settings_test"
import django
django.setup()
reached = []
def refuse(*args, **kwargs):
    reached.append(args)
    raise OSError("no network in this test")
socket.getaddrinfo = socket.create_connection = refuse
started = subprocess.Popen
class Watched(started):
    def __init__(self, args, *more, **how):
        if "pip" in str(args) or "uv" in str(args).split():
            reached.append(args)
        super().__init__(args, *more, **how)
subprocess.Popen = Watched
from gpuworker.backends import make_detector
from gpuworker.pipeline.values import Site
import numpy as np
from tests.gpuworker.backends.tiny_models import frame
detector = make_detector(sys.argv[1], site=Site({}), threads=1)
detector.detect([frame(np.zeros((64, 64, 3), np.uint8))] * 3)
import ultralytics
from ultralytics.utils import events
assert ultralytics.SETTINGS["sync"] is False and events.events.enabled is False
print("reached", reached, "omp", os.environ.get("OMP_NUM_THREADS"), "threads", threading.active_count())
"""


def test_ultralytics_sends_nothing_installs_nothing_and_writes_only_into_the_data_folder(weights, tmp_path):
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    (home / ".config").mkdir()
    # not a test run in its eyes, where it would keep quiet by itself
    env = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("YOLO", "PYTEST", "ULTRALYTICS", "OMP", "ORT_", "CI"))
    }
    env |= {"HOME": str(home), "SPOTON_TEST_DATA": str(data), "MPLCONFIGDIR": str(data)}
    ended = subprocess.run(
        [sys.executable, "-c", QUIETLY, f"yolo:{weights['yolo11n']}?size={SIZE}"],
        env=env,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["reached", "[]", "omp", "None", "threads", "1"]
    assert sorted(path for path in home.rglob("*") if path.is_file()) == []
    assert (data / "Ultralytics" / "settings.json").is_file()


def test_without_ultralytics_one_line_says_what_to_install(monkeypatch, tmp_path):
    (tmp_path / "a.pt").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "gpuworker.backends.yolo", None)
    with pytest.raises(
        BackendError, match=r"yolo needs ultralytics, which is not installed .*: pip install 'spo"
    ):
        make_detector(f"yolo:{tmp_path / 'a.pt'}", site=SITE)


@pytest.mark.gpu
def test_on_cuda_the_same_is_found(weights):
    frames = [noise(i) for i in range(4)]
    host = detect(weights["yolo11n"], *frames, options=f"&size={SIZE}&device=cpu")
    cuda = detect(weights["yolo11n"], *frames, options=f"&size={SIZE}&device=cuda&precision=fp32")
    for ours, theirs in zip(cuda, host, strict=True):
        assert iou(ours.xyxy, theirs.xyxy).max(axis=1).mean() > 0.9
