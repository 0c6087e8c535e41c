"""Detector on ONNX Runtime: YOLOX, Ultralytics YOLO, end-to-end YOLO and DETR-style models, without torch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.onnx_layouts import Fit, Floats32, Layout, find_layout
from gpuworker.backends.onnx_session import OnnxModel, open_model
from gpuworker.backends.spec import BackendError, Number, Spec
from gpuworker.pipeline.boxes import nms
from gpuworker.pipeline.values import Detections, Frame

GREY = 114  # what YOLO models see beside the picture in training
DEFAULT_SIZE = 640  # for a model that takes any size
LARGEST_STRIDE = 32
MAX_CANDIDATES = 1000  # per frame before suppression; a crowd of hundreds still fits


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the model's input: input = picture * scale + offset, x and y apart."""

    scale: NDArray[np.float64]  # (2,)
    offset: NDArray[np.float64]  # (2,)

    def to_picture(self, xyxy: Floats32, *, width: int, height: int) -> Floats32:
        """Map boxes (n, 4) of the input to the picture, cut at its edges."""
        boxes = (xyxy - np.tile(self.offset, 2)) / np.tile(self.scale, 2)
        return np.clip(boxes, 0.0, [width, height, width, height]).astype(np.float32)


class OnnxDetector:
    """Finds people with an ONNX model whose layout was recognised."""

    def __init__(
        self,
        model: OnnxModel,
        layout: Layout,
        *,
        height: int,
        width: int,
        confidence: float,
        iou: float,
    ) -> None:
        self.name = f"onnx:{model.path.stem}"
        self._model = model
        self._layout = layout
        self._height, self._width = height, width
        self._confidence, self._iou = confidence, iou

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the people of each frame, batched as far as the model's batch axis allows."""
        step = self._model.batch or max(len(frames), 1)
        found: list[Detections] = []
        for start in range(0, len(frames), step):
            found += self._detect_batch(frames[start : start + step])
        return found

    def _detect_batch(self, frames: Sequence[Frame]) -> list[Detections]:
        placed = [place(frame.image, self._layout, self._height, self._width) for frame in frames]
        batch = np.zeros((self._model.batch or len(frames), 3, self._height, self._width), np.float32)
        for row, (planes, _) in zip(batch, placed, strict=False):
            row[:] = planes
        boxes, confidence = self._layout.decode(self._model.run(batch), self._layout.person)
        return [
            self._select(boxes[i], confidence[i], placement, frame)
            for i, (frame, (_, placement)) in enumerate(zip(frames, placed, strict=True))
        ]

    def _select(
        self, boxes: Floats32, confidence: Floats32, placement: Placement, frame: Frame
    ) -> Detections:
        strong = np.flatnonzero(confidence >= self._confidence)
        strong = strong[np.argsort(-confidence[strong], kind="stable")[:MAX_CANDIDATES]]
        height, width = frame.image.shape[:2]
        xyxy = placement.to_picture(boxes[strong], width=width, height=height)
        whole = ((xyxy[:, 2:] - xyxy[:, :2]) > 1.0).all(axis=1)  # beside the picture, or not a number
        xyxy, strong = xyxy[whole], strong[whole]
        found = Detections(xyxy, np.clip(confidence[strong], 0.0, 1.0).astype(np.float32))
        if not self._layout.overlapping:
            return found
        return found.select(nms(found.xyxy, found.confidence, self._iou))


def make_onnx_detector(spec: Spec, *, threads: int | None) -> OnnxDetector:
    """Open the model that a spec names and recognise its layout by a dry run on a grey picture.

    Options: ``confidence`` of a box, ``iou`` above which the weaker of two boxes goes, ``class`` of a
    person where it is not the usual one, ``size`` of the input in px where the model leaves it open.

    Raises:
        BackendError: no such file, not an ONNX model, or a layout that is not known.
    """
    options = spec.numbers(
        texts=(),
        confidence=Number(0.25, 0.0, 1.0),
        iou=Number(0.6, 0.0, 1.0),
        size=Number(0, 0, 4096),
        **{"class": Number(-1, -1, 10_000)},
    )
    model = open_model(spec.file(), threads=threads)
    height, width = _input_size(spec, model, int(options["size"]))
    layout = _recognise(model, height, width)
    person = int(options["class"]) if options["class"] >= 0 else layout.person
    if layout.classes is not None and person >= layout.classes:
        raise BackendError(f"{spec.text!r}: class {person} does not exist, the model has {layout.classes}")
    return OnnxDetector(
        model,
        replace(layout, person=person),
        height=height,
        width=width,
        confidence=options["confidence"],
        iou=options["iou"],
    )


def place(image: NDArray[np.uint8], layout: Layout, height: int, width: int) -> tuple[Floats32, Placement]:
    """Bring a BGR picture to a model's input: planes (3, height, width) and where the picture lies."""
    rows, columns = image.shape[:2]
    scale = np.array([width / columns, height / rows])
    if layout.fit is not Fit.STRETCH:
        scale[:] = scale.min()
    size = np.maximum(np.rint([columns * scale[0], rows * scale[1]]).astype(int), 1)
    margin = np.array([width, height]) - size
    offset = np.floor(margin / 2) if layout.fit is Fit.CENTRE else np.zeros(2)
    x, y = offset.astype(int)
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[y : y + size[1], x : x + size[0]] = cv2.resize(image, (int(size[0]), int(size[1])))
    planes = canvas.transpose(2, 0, 1)
    if layout.rgb:
        planes = planes[::-1]
    mean = np.array(layout.mean, np.float32)[:, None, None]
    std = np.array(layout.std, np.float32)[:, None, None]
    return (planes - mean) / std, Placement(scale=scale, offset=offset.astype(np.float64))


def _input_size(spec: Spec, model: OnnxModel, size: int) -> tuple[int, int]:
    if size % LARGEST_STRIDE:
        raise BackendError(f"{spec.text!r}: size must be a multiple of {LARGEST_STRIDE}, got {size}")
    height, width = model.height or size or DEFAULT_SIZE, model.width or size or DEFAULT_SIZE
    if size and (height, width) != (size, size):
        raise BackendError(
            f"{spec.text!r}: the model takes {width}x{height} px and nothing else: leave size out"
        )
    return height, width


def _recognise(model: OnnxModel, height: int, width: int) -> Layout:
    grey = np.full((model.batch or 1, 3, height, width), GREY, np.float32)
    outputs = model.run(grey)
    layout = find_layout(outputs, height=height, width=width, metadata=model.metadata)
    if layout is None:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise BackendError(
            f"{model.path}: outputs {shapes} for a {width}x{height} px input are of no known detector: "
            "expected YOLOX (b, n, 5 + classes), Ultralytics detect (b, 4 + classes, n), end-to-end "
            "(b, n, 6), or DETR boxes (b, n, 4) with logits (b, n, classes)"
        )
    return layout
