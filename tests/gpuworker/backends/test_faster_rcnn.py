import sys
from importlib.util import find_spec

import numpy as np
import pytest

from gpuworker.backends import BackendError, make_detector
from gpuworker.backends.picture_detector import detector_options
from gpuworker.backends.spec import parse_spec
from gpuworker.pipeline.values import Site
from tests.gpuworker.backends.tiny_models import frame

if find_spec("torchvision") is None:
    pytest.skip("torchvision is not installed: extra models", allow_module_level=True)

import torch
from torchvision.models import detection

from gpuworker.backends.faster_rcnn import build_model

SITE = Site({})
SIZE = 96
CLASSES = 4  # the background, a person and two others


def made(architecture: str, classes: int = CLASSES, **settings):
    """Make a model with random weights that is sure of some of its random answers."""
    torch.manual_seed(3)
    model = getattr(detection, architecture)(
        weights=None, weights_backbone=None, num_classes=classes, **settings
    )
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=1.0)
    return model.eval()


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("rcnn") / "mine.pth"
    model = made("fasterrcnn_mobilenet_v3_large_fpn", min_size=SIZE)
    logits = []
    hook = model.roi_heads.box_predictor.cls_score.register_forward_hook(lambda *a: logits.append(a[2]))
    with torch.no_grad():
        model.backbone.train()  # its normalisation is to fit what passes through
        for module in model.backbone.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.5
        for _ in range(8):
            model.backbone(torch.rand(4, 3, SIZE, SIZE))
        model.eval()([torch.from_numpy(noise(1).image.copy()).permute(2, 0, 1).flip(0) / 255])
        model.roi_heads.box_predictor.cls_score.bias -= logits[0].mean(0)  # no class is the usual one
    hook.remove()
    torch.save(model.state_dict(), path)
    return path


def noise(seed: int, height: int = 60, width: int = 80):
    return frame(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def test_people_are_those_that_torchvision_finds(weights):
    least, iou = 0.1, 0.4
    detector = make_detector(
        f"faster_rcnn:{weights}?size={SIZE}&confidence={least}&iou={iou}", site=SITE, threads=1
    )
    frames = [noise(1), noise(2, 90, 40), noise(3)]
    reference = made(
        "fasterrcnn_mobilenet_v3_large_fpn",
        min_size=SIZE,
        max_size=round(SIZE * 1333 / 800),
        box_score_thresh=least,
        box_nms_thresh=iou,
        box_detections_per_img=1000,
    )
    reference.load_state_dict(torch.load(weights, weights_only=True))
    counted = 0
    for ours, one in zip(detector.detect(frames), frames, strict=True):
        planes = torch.from_numpy(one.image[..., ::-1].copy()).permute(2, 0, 1).float() / 255
        with torch.inference_mode():
            theirs = reference([planes])[0]
        people = theirs["labels"] == 1
        assert ours.xyxy == pytest.approx(theirs["boxes"][people].numpy(), abs=1e-2)
        assert ours.confidence == pytest.approx(theirs["scores"][people].numpy(), abs=1e-4)
        counted += len(ours)
    assert counted > 3


def test_another_class_may_be_a_person(weights):
    one = noise(1)
    spec = f"faster_rcnn:{weights}?size={SIZE}&confidence=0.1"
    first = make_detector(spec, site=SITE, threads=1).detect([one])[0]
    second = make_detector(f"{spec}&class=2", site=SITE, threads=1).detect([one])[0]
    assert first.xyxy.tolist() != second.xyxy.tolist()


def test_no_frames_and_no_people(weights):
    detector = make_detector(f"faster_rcnn:{weights}?size={SIZE}&confidence=1", site=SITE, threads=1)
    assert detector.detect([]) == []
    found = detector.detect([noise(1)])[0]
    assert (found.xyxy.shape, found.confidence.shape) == ((0, 4), (0,))


@pytest.mark.parametrize(
    "architecture",
    ["fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn"],
)
def test_the_architecture_is_that_of_the_weights(tmp_path, architecture):
    options = detector_options(parse_spec("faster_rcnn:x?confidence=0.3"))
    model = build_model(tmp_path / "any.pth", made(architecture).state_dict(), options)
    assert len(model.state_dict()) == len(made(architecture).state_dict())
    assert (model.transform.min_size, model.transform.max_size) == ((800,), 1333)
    assert model.roi_heads.score_thresh == 0.3


def test_low_resolution_weights_are_known_by_their_name(tmp_path):
    options = detector_options(parse_spec("faster_rcnn:x"))
    state = made("fasterrcnn_mobilenet_v3_large_320_fpn").state_dict()
    model = build_model(tmp_path / "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth", state, options)
    assert model.transform.min_size == (320,)


def test_weights_may_lie_in_a_checkpoint(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    torch.save({"model": state, "epoch": 3}, tmp_path / "checkpoint.pth")
    spec = f"faster_rcnn:{tmp_path / 'checkpoint.pth'}?size={SIZE}"
    assert make_detector(spec, site=SITE, threads=1).name == "faster_rcnn:checkpoint"


def test_without_a_path_the_official_weights_are_looked_for(settings, tmp_path):
    settings.SPOTON_MODELS = tmp_path
    with pytest.raises(BackendError, match=r"'faster_rcnn': no file at .*fb6a3cc7\.pth or in "):
        make_detector("faster_rcnn", site=SITE)


@pytest.mark.parametrize("content", [b"", b"not weights", b"PK\x03\x04" + b"\0" * 40])
def test_files_without_weights_are_refused_in_one_line(tmp_path, content):
    (tmp_path / "broken.pth").write_bytes(content)
    with pytest.raises(BackendError, match=r"broken\.pth holds no weights that torch can load") as error:
        make_detector(f"faster_rcnn:{tmp_path / 'broken.pth'}", site=SITE)
    assert "\n" not in str(error.value)


def test_other_weights_are_refused(tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save(torch.zeros(3), tmp_path / "tensor.pth")
    torch.save({"roi_heads.box_predictor.cls_score.bias": torch.zeros(3)}, tmp_path / "part.pth")
    for name in ("other", "tensor", "part"):
        with pytest.raises(BackendError, match=rf"{name}\.pth holds no Faster R-CNN of torchvision") as error:
            make_detector(f"faster_rcnn:{tmp_path / name}.pth", site=SITE)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("?class=4", "class 4 does not exist, the model has 1 to 3 and the background"),
        ("?class=0", "class 0 does not exist, the model has 1 to 3 and the background"),
        ("?device=cuda:99", "no device cuda:99: there"),
        ("?precision=fp16&device=cpu", "faster_rcnn computes in fp32, and on CUDA also in fp16"),
        ("?precision=bf16", "faster_rcnn computes in fp32, and on CUDA also in fp16"),
        ("?runtime=openvino", "unknown option 'runtime'; options of faster_rcnn: class, confidence, device"),
    ],
)
def test_wrong_options_are_refused(weights, options, message):
    with pytest.raises(BackendError, match=message):
        make_detector(f"faster_rcnn:{weights}{options}", site=SITE)


def test_without_torchvision_one_line_says_what_to_install(monkeypatch, weights):
    monkeypatch.setitem(sys.modules, "gpuworker.backends.faster_rcnn", None)
    with pytest.raises(BackendError, match="faster_rcnn needs torchvision, which is not installed"):
        make_detector(f"faster_rcnn:{weights}", site=SITE)


@pytest.mark.gpu
def test_on_cuda_people_are_found_in_one_batch(weights):
    spec = f"faster_rcnn:{weights}?size={SIZE}&confidence=0.5&precision=fp32"
    frames = [noise(i) for i in range(4)]
    host = make_detector(f"{spec}&device=cpu", site=SITE, threads=1).detect(frames)
    cuda = make_detector(f"{spec}&device=cuda", site=SITE, threads=1).detect(frames)
    assert [len(one) for one in cuda] == pytest.approx([len(one) for one in host], abs=2)
