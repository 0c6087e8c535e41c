"""What a model costs and is worth: measured on the pictures of a scene, before and after it is converted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuworker.backends import make_detector, make_embedder
from gpuworker.backends.onnx_embedder import DEFAULT_SIZE, OnnxEmbedder
from gpuworker.backends.onnx_session import OnnxModel, open_model
from gpuworker.backends.picture_detector import PictureDetector
from gpuworker.evaluation import EPOCH, captured_at
from gpuworker.model_scoring import score_detections, separation_auc
from gpuworker.pipeline.values import Detections, Floats32, Frame, Site
from gpuworker.scenes import Scene, SceneError, read_pictures, read_true_boxes

MAX_PICTURES = 64  # of a scene, evenly over its cameras and ticks
LEAST = 0.01  # confidence that counts for average precision
SURE = 0.25  # confidence of the original's boxes that stand in for true ones
MB = 1e6

Batch = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """What a model costs and is worth.

    Attributes:
        megabytes: on disk.
        ms: median of one picture, or of one crop, with what comes before and after the model.
        accuracy: None where there is no scene.
    """

    megabytes: float
    ms: float
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class Shown:
    """Pictures of a scene with the true boxes in them and whose they are; both empty where that is not known."""

    frames: list[Frame]
    boxes: list[Floats32]
    persons: list[NDArray[np.int64]]


class Judge(Protocol):
    """Measures models of one kind.

    Attributes:
        accuracy_of: what its accuracy is, in words.
    """

    accuracy_of: str

    def spec(self, path: Path) -> str:
        """Give how a file is named as a detector or an embedder."""
        ...

    def measure(self, path: Path) -> Measured:
        """Run a model over the pictures; the original first."""
        ...

    def batches(self, path: Path) -> list[Batch]:
        """Give what the pictures become for an ONNX model."""
        ...


def show(scene: Scene) -> Shown:
    """Read pictures of a scene, spread evenly.

    Raises:
        SceneError: there are none, or a file is wrong.
    """
    every = max(1, -(-scene.frames * len(scene.cameras) // MAX_PICTURES))
    shown = Shown([], [], [])
    for camera in scene.cameras:
        truth = read_true_boxes(camera, scene.frames) if camera.true_boxes else None
        for tick, image in enumerate(read_pictures(camera, scene.frames) if camera.has_pictures else ()):
            if image is None or tick % every:
                continue
            shown.frames.append(Frame(camera.model.camera_id, tick, captured_at(scene, camera, tick), image))
            if truth:
                shown.persons.append(truth[tick][0])
                shown.boxes.append(truth[tick][1])
    if not shown.frames:
        raise SceneError(f"scene {scene.name} has no pictures")
    if len(shown.boxes) != len(shown.frames):
        return Shown(shown.frames, [], [])
    return shown


class BoxJudge:
    """Judges detectors by mAP, against true boxes or, where there are none, the original's own."""

    def __init__(self, shown: Shown | None, *, size: int, threads: int | None) -> None:
        """Take the pictures, and the size that weights are asked for, px."""
        self._frames = shown.frames if shown else []
        self._truth = shown.boxes if shown else []
        self.accuracy_of = (
            "mAP 50-95" if self._truth or not shown else "mAP 50-95 against the original's boxes"
        )
        self._size, self._threads = size, threads

    def spec(self, path: Path) -> str:
        """Give how a file is named as a detector."""
        if path.suffix in (".pt", ".engine"):
            return f"yolo:{path}"
        return f"onnx:{path}" + ("?runtime=openvino" if path.is_dir() else "")

    def measure(self, path: Path) -> Measured:
        """Run a detector over the pictures; the original first."""
        spec = self.spec(path)
        options = f"confidence={LEAST}" + (
            f"&size={self._size}" if self._size and path.suffix == ".pt" else ""
        )
        detector = self._open(f"{spec}{'&' if '?' in spec else '?'}{options}")
        ms, found = timed(lambda frame: detector.detect([frame])[0], self._frames or [_grey()])
        return Measured(megabytes(path), ms, self._accuracy(found) if self._frames else None)

    def batches(self, path: Path) -> list[Batch]:
        """Give what the pictures become for an ONNX model."""
        detector = self._open(f"onnx:{path}")
        recording = Recording(detector.run)
        detector.run = recording
        detector.detect(self._frames)
        return recording.batches

    def _open(self, spec: str) -> PictureDetector:
        detector = make_detector(spec, site=Site({}), device="cpu", threads=self._threads)
        assert isinstance(detector, PictureDetector)  # noqa: S101 - as all that are named here
        return detector

    def _accuracy(self, found: Sequence[Detections]) -> float:
        if not self._truth:
            self._truth = [one.xyxy[one.confidence >= SURE] for one in found]
        return score_detections(found, self._truth, confidence=SURE).map_50_95


class LooksJudge:
    """Judges embedders by how well they tell persons apart across cameras."""

    accuracy_of = "AUC across cameras"

    def __init__(self, shown: Shown | None, *, threads: int | None) -> None:
        """Take the pictures.

        Raises:
            SceneError: nobody is marked in them.
        """
        if shown and not shown.boxes:
            raise SceneError("an embedder is judged by a scene with true boxes (gt_boxes)")
        self._shown, self._threads = shown, threads

    def spec(self, path: Path) -> str:
        """Give how a file is named as an embedder."""
        return f"onnx:{path}"

    def measure(self, path: Path) -> Measured:
        """Run an embedder over the true boxes."""
        embedder = make_embedder(self.spec(path), device="cpu", threads=self._threads)
        assert embedder is not None  # noqa: S101 - only the spec none gives none
        box = np.array([[0, 0, 60, 120]], np.float32)
        ms, _ = timed(lambda frame: embedder.embed([frame], [box]), [_grey()])
        if self._shown is None:
            return Measured(megabytes(path), ms, None)
        frames, boxes = self._shown.frames, self._shown.boxes
        looks = np.concatenate([embedder.embed([f], [b])[0] for f, b in zip(frames, boxes, strict=True)])
        names = sorted({frame.camera_id for frame in frames})
        camera = np.repeat([names.index(f.camera_id) for f in frames], [len(b) for b in boxes])
        auc = separation_auc(looks.astype(np.float64), np.concatenate(self._shown.persons), camera)
        return Measured(megabytes(path), ms, auc)

    def batches(self, path: Path) -> list[Batch]:
        """Give what the crops become for an ONNX model."""
        model: Any = RecordedModel(open_model(path, device="cpu", threads=self._threads))
        height, width = model.height or DEFAULT_SIZE[0], model.width or DEFAULT_SIZE[1]
        dimension = dimension_of(model)
        model.run.batches.clear()
        if self._shown and dimension:
            embedder = OnnxEmbedder(model, height=height, width=width, dimension=dimension)
            for frame, boxes in zip(self._shown.frames, self._shown.boxes, strict=True):
                embedder.embed([frame], [boxes])
        recording: Recording = model.run
        return recording.batches


class Recording:
    """A model's call that keeps what it was given."""

    def __init__(self, run: Callable[[Any], Sequence[Any]]) -> None:
        """Take the call."""
        self._run = run
        self.batches: list[Batch] = []

    def __call__(self, batch: Batch) -> Sequence[Any]:
        """Run the model."""
        self.batches.append(batch.copy())
        return self._run(batch)


class RecordedModel:
    """A model whose batches are kept."""

    def __init__(self, model: OnnxModel) -> None:
        """Take the model."""
        self._model = model
        self.run = Recording(model.run)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def dimension_of(model: OnnxModel) -> int | None:
    """Give the length of an embedder's vectors, None for a model that gives none."""
    height, width = model.height or DEFAULT_SIZE[0], model.width or DEFAULT_SIZE[1]
    outputs = model.run(np.zeros((model.batch or 1, 3, height, width), np.float32))
    return outputs[0].shape[1] if len(outputs) == 1 and outputs[0].ndim == 2 else None


def timed(call: Callable[[Frame], Any], frames: Sequence[Frame]) -> tuple[float, list[Any]]:
    """Give the median ms of a call over frames, of ten at least, and what it gave for each."""
    call(frames[0])
    spent, given = [], []
    for i in range(max(len(frames), 10)):
        began = perf_counter()
        one = call(frames[i % len(frames)])
        spent.append((perf_counter() - began) * 1e3)
        if i < len(frames):
            given.append(one)
    return float(np.median(spent)), given


def megabytes(path: Path) -> float:
    """Give the size of a file, or of a folder's files."""
    files = [file for file in path.rglob("*") if file.is_file()] if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files) / MB


def _grey() -> Frame:
    return Frame("grey", 0, EPOCH, np.full((480, 640, 3), 114, np.uint8))
