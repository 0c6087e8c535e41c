"""Converts weights to other formats, and keeps only what is accurate enough."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gpuworker.backends import conversion
from gpuworker.backends.onnx_session import open_model
from gpuworker.export_judges import BoxJudge, Judge, LooksJudge, Measured, dimension_of, show
from gpuworker.scenes import read_scene

FORMATS = ("onnx", "openvino", "engine")
SUFFIXES = {"onnx": ".onnx", "openvino": "_openvino_model", "engine": ".engine"}


class ExportError(Exception):
    """A model that cannot be converted, or lost too much; the message says why, on one line."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be made of which weights.

    Attributes:
        source: weights, ``.pt`` of YOLO or ``.onnx``.
        formats: of :data:`FORMATS`.
        half, int8: compute in float16, or convolutions in eight bits.
        scene: pictures for calibration and accuracy, None for none.
        max_loss: share of the accuracy that may be lost.
        size: of the pictures that YOLO weights are exported for, px, 0 for their own.
        threads: of the CPU, None leaves the choice to the libraries.
    """

    source: Path
    formats: Sequence[str]
    half: bool = False
    int8: bool = False
    scene: Path | None = None
    max_loss: float = 0.05
    size: int = 0
    threads: int | None = None

    def target(self, name: str) -> Path:
        """Give where a format is written: beside the weights."""
        kind = "-int8" if self.int8 else "-fp16" if self.half else ""
        return self.source.with_name(f"{self.source.stem}{kind}{SUFFIXES[name]}")


@dataclass(frozen=True, slots=True)
class Exported:
    """A model that was written.

    Attributes:
        use: how it is named as a detector or an embedder.
        before, after: the original's figures, and its own.
        accuracy_of: what the accuracy is, in words.
    """

    use: str
    before: Measured
    after: Measured
    accuracy_of: str


def export_models(wanted: Wanted) -> Iterator[Exported]:
    """Write weights in other formats beside them, one after the other.

    Each is made in a folder of its own and moved when it was measured, so that nothing half is ever there.

    Raises:
        ExportError: what was asked for does not go together, or a model lost too much.
        BackendError: the weights are no model, or a package or a GPU is missing.
        SceneError: the scene is wrong.
    """
    _check(wanted)
    shown = show(read_scene(wanted.scene)) if wanted.scene else None
    judge: Judge = BoxJudge(shown, size=wanted.size, threads=wanted.threads)
    if _is_embedder(wanted):
        if list(wanted.formats) != ["onnx"]:
            raise ExportError("an embedder runs on ONNX Runtime: choose the format onnx")
        judge = LooksJudge(shown, threads=wanted.threads)
    before = judge.measure(wanted.source)
    for name in wanted.formats:
        yield _export(wanted, name, judge, before)


def _check(wanted: Wanted) -> None:
    source, formats = wanted.source, wanted.formats
    if not source.is_file() or source.suffix not in (".pt", ".onnx"):
        raise ExportError(f"{source} is no file of weights that can be exported: .pt of YOLO, or .onnx")
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ExportError(f"no format {', '.join(unknown)}: choose from {', '.join(FORMATS)}")
    if wanted.half and wanted.int8:
        raise ExportError("--half and --int8 exclude each other: run the command twice")
    if wanted.int8 and wanted.scene is None:
        raise ExportError("--int8 needs pictures to calibrate with: --data SCENE")
    if "engine" in formats and wanted.int8:
        raise ExportError("an engine is built in float32 or float16: leave --int8 out for it")
    if "engine" in formats and source.suffix == ".onnx":
        raise ExportError(
            "an engine is made of .pt weights; of ONNX, ONNX Runtime makes its own: onnx:PATH?runtime=tensorrt"
        )
    for name in formats:
        if wanted.target(name) == source:
            raise ExportError(f"{source} is {name} already: add --half or --int8, or choose another format")
        if wanted.target(name).exists():
            raise ExportError(f"{wanted.target(name)} is there already: move it away to write it anew")


def _is_embedder(wanted: Wanted) -> bool:
    if wanted.source.suffix != ".onnx":
        return False
    return dimension_of(open_model(wanted.source, device="cpu", threads=wanted.threads)) is not None


def _export(wanted: Wanted, name: str, judge: Judge, before: Measured) -> Exported:
    target = wanted.target(name)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
            made = Path(folder) / target.name
            _convert(wanted, name, made, judge)
            after = judge.measure(made)
            _check_loss(wanted, name, before, after, judge.accuracy_of)
            made.replace(target)
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error}") from error
    return Exported(judge.spec(target), before, after, judge.accuracy_of)


def _convert(wanted: Wanted, name: str, made: Path, judge: Judge) -> None:
    if name == "engine":
        conversion.weights_to_engine(wanted.source, made, size=wanted.size, half=wanted.half)
        return
    plain = made.parent / "plain" / f"{wanted.source.stem}.onnx"
    plain.parent.mkdir()
    if wanted.source.suffix == ".pt":
        conversion.weights_to_onnx(wanted.source, plain, size=wanted.size)
    else:
        shutil.copy(wanted.source, plain)
    smaller = plain.with_name(f"{plain.stem}-small.onnx")
    if wanted.int8:
        conversion.to_int8(plain, smaller, judge.batches(plain))
    elif wanted.half and name == "onnx":
        conversion.to_half(plain, smaller)
    else:
        smaller = plain
    if name == "openvino":
        conversion.to_openvino(smaller, made, half=wanted.half)
    else:
        smaller.replace(made)


def _check_loss(wanted: Wanted, name: str, before: Measured, after: Measured, accuracy_of: str) -> None:
    if before.accuracy is None or after.accuracy is None:
        return
    lost = (before.accuracy - after.accuracy) / before.accuracy if before.accuracy > 0 else 0.0
    if not lost <= wanted.max_loss:  # NaN, too
        raise ExportError(
            f"{name} lost {lost:.1%} of {accuracy_of} ({before.accuracy:.3f}, now {after.accuracy:.3f}) and may lose "
            f"{wanted.max_loss:.1%} (--max-loss): nothing was written"
        )
