import json
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gpuworker.backends import conversion, make_detector
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import grey_frame

onnx = pytest.importorskip("onnx", reason="onnx is not installed: extra models")

CELLS = 16 * 16 + 8 * 8 + 4 * 4  # of 128 x 128 px
HEIGHT, WIDTH = 128, 128


def save_net(path: Path) -> Path:
    """Write a YOLOX-like net of two convolutions that sees one person wherever a picture is bright."""
    random = np.random.default_rng(1)
    features = random.normal(0, 0.02, (4, 3, 8, 8)).astype(np.float32)
    features[0] = 1 / 192 / 255  # brightness
    head = np.zeros((85, 4, 1, 1), np.float32)
    head[4, 0] = head[5, 0] = 8.0
    bias = np.zeros(85, np.float32)
    bias[2:4] = np.log(4.0)
    bias[4:6] = -4.0
    make, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes = [
        make("Conv", ["images", "features"], ["seen"], strides=[8, 8], name="first"),
        make("Conv", ["seen", "head", "bias"], ["raw"], name="last"),
        make("Reshape", ["raw", "shape"], ["rows"]),
        make("Transpose", ["rows"], ["cells"], perm=[0, 2, 1]),
        make("Split", ["cells", "parts"], ["sides", "shares"], axis=2),
        make("Sigmoid", ["shares"], ["sure"]),
        make("Concat", ["sides", "sure"], ["fine"], axis=2),
        make("Concat", ["fine", "rest"], ["out"], axis=1),
    ]
    initializers = [
        tensor(features, "features"),
        tensor(head, "head"),
        tensor(bias, "bias"),
        tensor(np.array([1, 85, 256]), "shape"),
        tensor(np.array([4, 81]), "parts"),
        tensor(np.zeros((1, CELLS - 256, 85), np.float32), "rest"),
    ]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [value("images", onnx.TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [value("out", onnx.TensorProto.FLOAT, [1, CELLS, 85])],
        initializers,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, {"names": str({i: "person" if not i else str(i) for i in range(80)})})
    onnx.save(model, str(path))
    return path


def save_scene(folder: Path, *, with_truth: bool = True) -> Path:
    """Write a scene of one camera whose pictures have a bright square somewhere, which is a person."""
    (folder / "images/c1").mkdir(parents=True)
    random, rows = np.random.default_rng(2), []
    for tick in range(1, 9):
        x, y = random.integers(2, 14, 2) * 8
        image = random.integers(0, 40, (HEIGHT, WIDTH, 3), np.uint8)
        image[y : y + 8, x : x + 8] = 250
        cv2.imwrite(str(folder / f"images/c1/{tick:06d}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 98])
        rows.append(f"{tick},1,{x - 16},{y - 16},32,32,1,-1,-1,-1")
    camera = {
        "id": "c1",
        "width": WIDTH,
        "height": HEIGHT,
        "homography_image_to_world": [[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1]],
        "images": "images/c1",
    }
    if with_truth:
        (folder / "boxes.txt").write_text("\n".join(rows))
        camera["gt_boxes"] = "boxes.txt"
    scene = {"name": "squares", "fps": 2, "frames": 8, "bounds_m": [0, 0, 13, 13], "cameras": [camera]}
    (folder / "scene.json").write_text(json.dumps(scene))
    return folder


@pytest.fixture
def net(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    return save_net(folder / "net.onnx")


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    return save_scene(tmp_path_factory.mktemp("squares"))


def export(*args):
    out = StringIO()
    call_command("export_model", *map(str, args), "--threads", "1", stdout=out)
    return out.getvalue()


def refused(*args) -> str:
    with pytest.raises(CommandError) as error:
        export(*args)
    assert error.value.returncode == 2
    assert "\n" not in str(error.value)
    return str(error.value)


def written(net: Path) -> list[str]:
    return sorted(path.name for path in net.parent.iterdir())


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (["--format", "onnx", "--int8"], ["net-int8.onnx", "net.onnx"]),
        (["--format", "onnx", "--half"], ["net-fp16.onnx", "net.onnx"]),
        (["--format", "openvino"], ["net.onnx", "net_openvino_model"]),
        (["--format", "openvino", "--int8"], ["net-int8_openvino_model", "net.onnx"]),
        (["--format", "onnx,openvino", "--half"], ["net-fp16.onnx", "net-fp16_openvino_model", "net.onnx"]),
    ],
)
def test_a_detector_is_written_measured_and_finds_the_same(net, scene, options, made):
    if "openvino" in options[1]:
        pytest.importorskip("openvino", reason="OpenVINO is not installed: extra models")
    said = export(net, *options, "--data", scene)
    assert written(net) == made
    picture = grey_frame(HEIGHT, WIDTH, 20)
    picture.image[24:32, 24:32] = 250
    for line in said.splitlines():
        if line.endswith(" written"):
            use = line.removesuffix(" written")
            found = make_detector(use, site=Site({}), threads=1).detect([picture])[0]
            assert len(found) == 1
            assert found.xyxy[0] == pytest.approx([8, 8, 40, 40], abs=1.5)
        else:
            assert "MB" in line
            assert float(line.rpartition("mAP 50-95 ")[2]) > 0.9


def test_eight_bits_take_less_room_and_keep_the_names(net, scene):
    export(net, "--format", "onnx", "--int8", "--data", scene)
    model = onnx.load(str(net.with_name("net-int8.onnx")))
    assert {entry.key for entry in model.metadata_props} >= {"names"}
    quantised = {node.name for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert any("images" in name for name in quantised)
    assert not any("raw" in name for name in quantised)  # the last layer stays as it is


def test_a_model_that_lost_too_much_is_not_written(net, scene, monkeypatch):
    def spoil(model, to, batches):
        broken = onnx.load(str(model))
        broken.graph.initializer[1].CopyFrom(
            onnx.numpy_helper.from_array(np.zeros((85, 4, 1, 1), np.float32), "head")
        )
        onnx.save(broken, str(to))

    monkeypatch.setattr(conversion, "to_int8", spoil)
    said = refused(net, "--format", "onnx", "--int8", "--data", scene)
    assert "onnx lost 100.0% of mAP 50-95" in said
    assert "may lose 5.0% (--max-loss): nothing was written" in said
    assert written(net) == ["net.onnx"]
    assert "net-int8.onnx written" in export(
        net, "--format", "onnx", "--int8", "--data", scene, "--max-loss", 1
    )


def test_without_true_boxes_the_originals_stand_in_for_them(net, tmp_path):
    scene = save_scene(tmp_path / "untrue", with_truth=False)
    said = export(net, "--format", "onnx", "--half", "--data", scene)
    assert "mAP 50-95 against the original's boxes 1.000" in said


def test_without_a_scene_the_accuracy_is_said_to_be_unknown(net):
    said = export(net, "--format", "onnx", "--half")
    assert "accuracy was not measured: name a scene with --data" in said
    assert "mAP" not in said


def test_what_does_not_go_together_is_refused(net, scene, tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"x")
    assert "is no file of weights that can be exported" in refused(
        tmp_path / "weights.pth", "--format", "onnx"
    )
    assert "is no file of weights" in refused(tmp_path / "none.pt", "--format", "onnx")
    assert "no format tflite: choose from onnx, openvino, engine" in refused(net, "--format", "tflite")
    assert "exclude each other" in refused(net, "--format", "onnx", "--half", "--int8", "--data", scene)
    assert "--int8 needs pictures to calibrate with" in refused(net, "--format", "onnx", "--int8")
    assert "is onnx already" in refused(net, "--format", "onnx")
    assert "onnx:PATH?runtime=tensorrt" in refused(net, "--format", "engine")
    assert "has no scene.json" in refused(net, "--format", "openvino", "--data", tmp_path)
    assert written(net) == ["net.onnx"]


def test_what_is_there_already_is_never_overwritten(net):
    net.with_name("net-fp16.onnx").write_bytes(b"mine")
    assert "is there already: move it away" in refused(net, "--format", "onnx", "--half")
    assert net.with_name("net-fp16.onnx").read_bytes() == b"mine"


def test_files_that_are_no_models_are_refused(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"not a model")
    assert "is not an ONNX model" in refused(tmp_path / "broken.onnx", "--format", "onnx", "--half")


def test_an_engine_needs_what_builds_it(tmp_path, monkeypatch):
    tiny_yolo = pytest.importorskip("tests.gpuworker.backends.tiny_yolo", reason="extra models is absent")
    weights = tiny_yolo.save_yolo(tmp_path / "yolo.pt", "yolo11n")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    said = refused(weights, "--format", "engine", "--size", tiny_yolo.SIZE)
    assert "an engine needs tensorrt, which is not installed" in said
    assert written(weights) == ["yolo.pt", "yolo11n.yaml"]


def test_yolo_weights_become_onnx_and_the_weights_stay(tmp_path, scene):
    tiny_yolo = pytest.importorskip("tests.gpuworker.backends.tiny_yolo", reason="extra models is absent")
    weights = tiny_yolo.save_yolo(tmp_path / "yolo.pt", "yolo11n")
    said = export(weights, "--format", "onnx", "--size", tiny_yolo.SIZE, "--data", scene)
    assert f"onnx:{tmp_path / 'yolo.onnx'} written" in said
    assert written(weights) == ["yolo.onnx", "yolo.pt", "yolo11n.yaml"]


SLOW = """
import sys, time
import django
django.setup()
from django.core.management import call_command
from gpuworker.backends import conversion
def wait(model, to):
    to.write_bytes(b"half")
    print("begun", flush=True)
    time.sleep(60)
conversion.to_half = wait
call_command("export_model", sys.argv[1], "--format", "onnx", "--half")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_early_it_leaves_nothing(net, number):
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(net)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "spoton.settings_test"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as out:
        assert out.readline() == "begun\n"
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(timeout=60) != 0
    assert time.monotonic() - began < 50
    assert written(net) == ["net.onnx"]


def test_an_embedder_is_judged_by_how_it_tells_persons_apart(shared_dir, tmp_path):
    source = shared_dir / "models" / "osnet_x0_25_msmt17.onnx"
    copied = tmp_path / "osnet.onnx"
    copied.write_bytes(source.read_bytes())
    scene = shared_dir / "scenes" / "multiviewx-a"
    said = export(copied, "--format", "onnx", "--half", "--data", scene)
    before, after = (float(line.rpartition("AUC across cameras ")[2]) for line in said.splitlines()[1:3])
    assert before > 0.75
    assert abs(before - after) < 0.01
    assert "choose the format onnx" in refused(copied, "--format", "openvino", "--data", scene)
