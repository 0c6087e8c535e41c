"""Detector on torchvision: Faster R-CNN with a MobileNet or ResNet-50 backbone."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models import detection

from gpuworker.backends.accelerator import accelerator_errors
from gpuworker.backends.picture_detector import DetectorOptions, detector_options
from gpuworker.backends.spec import BackendError, Spec
from gpuworker.backends.torch_device import torch_device
from gpuworker.pipeline.values import Detections, Frame

# Source: torchvision/models/detection/faster_rcnn.py, the weights' addresses
DEFAULT_FILE = "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth"
PERSON = 1  # COCO counts from 1, and 0 is the background
LONG_SIDE = 1333 / 800  # of torchvision's usual limits of the input, longest to shortest side
LOW_RESOLUTION = "320"  # in the name of a file whose architecture differs in nothing but its input


def make_faster_rcnn_detector(spec: Spec, *, device: str, threads: int | None) -> "FasterRcnnDetector":
    """Open Faster R-CNN weights; without a path the official MobileNet ones in the folder of models.

    Raises:
        BackendError: torchvision is not installed, no such file, or other weights.
    """
    options = detector_options(spec, device=device)
    named = spec if spec.argument else Spec(spec.text, spec.kind, DEFAULT_FILE, spec.options)
    path = named.file(suffix=".pth")
    where, is_half = torch_device(spec, options.device, precision=options.precision)
    if threads is not None:
        torch.set_num_threads(threads)
    weights = _read(path)
    model = build_model(path, weights, options)
    classes = len(weights["roi_heads.box_predictor.cls_score.bias"])
    person = options.person if options.person >= 0 else PERSON
    if not 0 < person < classes:
        raise BackendError(
            f"{spec.text!r}: class {person} does not exist, the model has 1 to {classes - 1} and the background"
        )
    model.roi_heads.box_predictor = OnePerson(model.roi_heads.box_predictor, person)
    return FasterRcnnDetector(
        f"faster_rcnn:{path.stem}",
        model.to(where).eval(),
        device=where,
        half=is_half,
    )


class FasterRcnnDetector:
    """Finds people with a Faster R-CNN that was made to look for one class."""

    def __init__(self, name: str, model: Any, *, device: str, half: bool) -> None:
        """Take a model that is on its device and in evaluation mode."""
        self.name = name
        self._model, self._device, self._half = model, device, half

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the people of each frame; all frames are one batch on a GPU."""
        step = len(frames) if self._device != "cpu" else 1
        found: list[Detections] = []
        for start in range(0, len(frames), max(step, 1)):
            found += self._detect(frames[start : start + step])
        return found

    def _detect(self, frames: Sequence[Frame]) -> list[Detections]:
        pictures = [torch.from_numpy(np.ascontiguousarray(frame.image)).to(self._device) for frame in frames]
        with (
            accelerator_errors(self.name),
            torch.inference_mode(),
            torch.autocast(self._device.partition(":")[0], enabled=self._half),
        ):
            planes = [picture.permute(2, 0, 1).flip(0).float().div_(255.0) for picture in pictures]
            outputs = self._model(planes)
        return [
            Detections(
                output["boxes"].float().cpu().numpy().reshape(-1, 4), output["scores"].float().cpu().numpy()
            )
            for output in outputs
        ]


def _read(path: Path) -> Mapping[str, Any]:
    """Give the weights in a file, by name."""
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        line = " ".join(str(error).split())[:200]
        raise BackendError(f"{path} holds no weights that torch can load: {line}") from error
    for wrapper in ("model", "state_dict"):
        if isinstance(weights, Mapping) and isinstance(weights.get(wrapper), Mapping):
            weights = weights[wrapper]
    wanted = "roi_heads.box_predictor.cls_score.bias"
    if not isinstance(weights, Mapping) or wanted not in weights:
        raise BackendError(f"{path} holds no Faster R-CNN of torchvision: it has no {wanted}")
    return weights


def build_model(path: Path, weights: Mapping[str, Any], options: DetectorOptions) -> Any:
    """Make the architecture that weights are of, and load them."""
    sides: dict[str, int] = {}
    if options.size:
        sides = {"min_size": options.size, "max_size": round(options.size * LONG_SIDE)}
    if "backbone.body.0.0.weight" in weights:
        is_low = LOW_RESOLUTION in path.stem
        make = (
            detection.fasterrcnn_mobilenet_v3_large_320_fpn
            if is_low
            else detection.fasterrcnn_mobilenet_v3_large_fpn
        )
    elif "rpn.head.conv.1.0.weight" in weights:
        make = detection.fasterrcnn_resnet50_fpn_v2
    else:
        make = detection.fasterrcnn_resnet50_fpn
    model = make(
        weights=None,
        weights_backbone=None,
        num_classes=len(weights["roi_heads.box_predictor.cls_score.bias"]),
        box_score_thresh=options.confidence,
        box_nms_thresh=options.iou,
        **sides,
    )
    if make is detection.fasterrcnn_resnet50_fpn:
        _normalise_as_trained(model)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise BackendError(f"{path} holds no Faster R-CNN of torchvision: {line}") from error
    return model


def _normalise_as_trained(model: Any) -> None:
    """Leave out the epsilon of the backbone's normalisation.

    Source: torchvision's ``fasterrcnn_resnet50_fpn``, which does so for its published weights (overwrite_eps).
    """
    for module in model.backbone.body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 0.0


class OnePerson(nn.Module):
    """A box predictor that answers for one class, so that nothing is sorted and suppressed for the others.

    Of the classes' logits two are made whose softmax gives a person the same probability as before.
    """

    def __init__(self, predictor: Any, person: int) -> None:
        """Take the predictor of all classes, and which is a person."""
        super().__init__()
        self.predictor, self.person = predictor, person

    def forward(self, features: Any) -> tuple[Any, Any]:
        """Give logits (n, 2) of the background and a person, and box offsets (n, 8), of proposals."""
        logits, offsets = self.predictor(features)
        person = self.person
        others = torch.cat([logits[:, :person], logits[:, person + 1 :]], 1).logsumexp(1)
        mine = offsets[:, 4 * person : 4 * person + 4]
        return torch.stack([others, logits[:, person]], 1), torch.cat([mine, mine], 1)
