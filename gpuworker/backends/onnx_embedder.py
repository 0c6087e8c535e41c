"""Embedder on ONNX Runtime: OSNet and other re-identification nets that turn crops into vectors."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.crops import batches, by_frame, crop, units
from gpuworker.backends.digest import digest
from gpuworker.backends.onnx_session import OnnxModel, open_model
from gpuworker.backends.placing import fill_planes
from gpuworker.backends.spec import BackendError, Spec
from gpuworker.pipeline.values import Floats32, Frame

DEFAULT_SIZE = (256, 128)  # height and width where the model leaves them open
# Source: torchvision's ImageNet statistics, which torchreid's models are trained with (RGB, 0 to 1)
BGR_TO_RGB = (2, 1, 0)
MEAN = tuple(np.array([0.485, 0.456, 0.406], np.float32) * 255)
FACTOR = tuple(1 / (np.array([0.229, 0.224, 0.225], np.float32) * 255))


class OnnxEmbedder:
    """Describes how people look with an ONNX model (n, 3, height, width) -> (n, dimension)."""

    def __init__(self, model: OnnxModel, *, height: int, width: int, dimension: int) -> None:
        self.name = f"onnx:{model.path.stem}@{digest(model.path)}"
        self.dimension = dimension
        self._model = model
        self._height, self._width = height, width

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[Floats32]) -> list[Floats32]:
        """Give unit embeddings of boxes (n, 4) px of each frame, (n, dimension); NaN beside the picture."""
        crops = [crop(frame.image, box) for frame, boxes in zip(frames, xyxy, strict=True) for box in boxes]
        out = np.full((len(crops), self.dimension), np.nan, np.float32)
        inside = np.array([i for i, picture in enumerate(crops) if picture.size], np.int64)
        for rows, size in batches(len(inside), fixed=self._model.batch, is_padded=self._model.on_gpu):
            out[inside[rows]] = self._embed_batch([crops[i] for i in inside[rows]], size)
        return by_frame(out, xyxy)

    def _embed_batch(self, crops: list[NDArray[np.uint8]], size: int) -> Floats32:
        batch = np.zeros((size, 3, self._height, self._width), np.float32)
        for row, picture in zip(batch, crops, strict=False):
            resized = np.asarray(cv2.resize(picture, (self._width, self._height)), np.uint8)
            fill_planes(row, resized, order=BGR_TO_RGB, mean=MEAN, factor=FACTOR)
        return units(self._model.run(batch)[0][: len(crops)])


def make_onnx_embedder(spec: Spec, *, device: str, threads: int | None) -> OnnxEmbedder:
    """Open the model that a spec names and check by a dry run that it gives one vector a crop.

    Raises:
        BackendError: no such file, not an ONNX model, or its output is not (n, dimension).
    """
    spec.numbers(texts=("device",))
    model = open_model(spec.file(), device=spec.options.get("device", device), threads=threads)
    height, width = model.height or DEFAULT_SIZE[0], model.width or DEFAULT_SIZE[1]
    batch = model.batch or 2
    outputs = model.run(np.zeros((batch, 3, height, width), np.float32))
    if len(outputs) != 1 or outputs[0].ndim != 2 or len(outputs[0]) != batch:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise BackendError(
            f"{model.path}: expected one output ({batch}, dimension) for {batch} crops, got {shapes}"
        )
    return OnnxEmbedder(model, height=height, width=width, dimension=outputs[0].shape[1])
