"""Embedder on ONNX Runtime: OSNet and other re-identification nets that turn crops into vectors."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.onnx_session import OnnxModel, open_model
from gpuworker.backends.spec import BackendError, Spec
from gpuworker.pipeline.values import Floats32, Frame

DEFAULT_SIZE = (256, 128)  # height and width where the model leaves them open
# on a GPU only a few batch sizes: memory and kernels are planned anew for each; a CPU takes any at once
GPU_BATCHES = (1, 2, 4, 8, 16, 32)
LARGEST_BATCH = GPU_BATCHES[-1]
# Source: torchvision's ImageNet statistics, which torchreid's models are trained with (RGB, 0 to 1)
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class OnnxEmbedder:
    """Describes how people look with an ONNX model (n, 3, height, width) -> (n, dimension)."""

    def __init__(self, model: OnnxModel, *, height: int, width: int, dimension: int) -> None:
        self.name = f"onnx:{model.path.stem}"
        self.dimension = dimension
        self._model = model
        self._height, self._width = height, width

    def embed(self, frame: Frame, xyxy: Floats32) -> Floats32:
        """Give unit embeddings of boxes (n, 4) px of one frame, (n, dimension); NaN beside the picture."""
        crops = [crop(frame.image, box) for box in xyxy]
        out = np.full((len(xyxy), self.dimension), np.nan, np.float32)
        inside = [i for i, picture in enumerate(crops) if picture.size]
        step = self._model.batch or LARGEST_BATCH
        for start in range(0, len(inside), step):
            rows = inside[start : start + step]
            out[rows] = self._embed_batch([crops[i] for i in rows])
        return out

    def _embed_batch(self, crops: list[NDArray[np.uint8]]) -> Floats32:
        size = len(crops)
        if self._model.batch is not None:
            size = self._model.batch
        elif self._model.on_gpu:
            size = next(b for b in GPU_BATCHES if b >= len(crops))
        batch = np.zeros((size, 3, self._height, self._width), np.float32)
        for row, picture in zip(batch, crops, strict=False):
            resized = cv2.resize(picture, (self._width, self._height))
            rgb = cv2.cvtColor(resized, cv2.COLOR_BGR2RGB).astype(np.float32) / 255.0
            row[:] = ((rgb - MEAN) / STD).transpose(2, 0, 1)
        raw = self._model.run(batch)[0][: len(crops)]
        length = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(np.divide(raw, length, out=np.full_like(raw, np.nan), where=length > 0))


def make_onnx_embedder(spec: Spec, *, threads: int | None) -> OnnxEmbedder:
    """Open the model that a spec names and check by a dry run that it gives one vector a crop.

    Raises:
        BackendError: no such file, not an ONNX model, or its output is not (n, dimension).
    """
    spec.numbers()
    model = open_model(spec.file(), threads=threads)
    height, width = model.height or DEFAULT_SIZE[0], model.width or DEFAULT_SIZE[1]
    batch = model.batch or 2
    outputs = model.run(np.zeros((batch, 3, height, width), np.float32))
    if len(outputs) != 1 or outputs[0].ndim != 2 or len(outputs[0]) != batch:
        shapes = ", ".join(str(output.shape) for output in outputs)
        raise BackendError(
            f"{model.path}: expected one output ({batch}, dimension) for {batch} crops, got {shapes}"
        )
    return OnnxEmbedder(model, height=height, width=width, dimension=outputs[0].shape[1])


def crop(image: NDArray[np.uint8], box: Floats32) -> NDArray[np.uint8]:
    """Cut a box (4,) px out of a picture; empty where it lies beside the picture or is not a number."""
    if not np.isfinite(box).all():
        return image[:0, :0]
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:], 0, [width, height])).astype(int)
    return image[top:bottom, left:right]
