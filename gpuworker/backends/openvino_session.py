"""A model opened with OpenVINO: ONNX files and its own, on the CPU, in bfloat16 where the processor has it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.spec import BackendError

HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
CAPABILITIES = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}


@dataclass(frozen=True, slots=True)
class OpenVinoModel:
    """A compiled model with one picture input (batch, 3, height, width).

    Attributes:
        request: OpenVINO's, made once; the model runs one batch at a time.
        precision: in which it computes, as OpenVINO says it.
    """

    path: Path
    request: Any
    batch: int | None
    height: int | None
    width: int | None
    precision: str
    device: str = "cpu"
    metadata: dict[str, str] = field(default_factory=dict)

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Give the model's outputs for pictures (b, 3, height, width), as float32.

        Raises:
            BackendError: the model does not take this batch.
        """
        try:
            outputs = self.request.infer({0: batch}, share_inputs=True, share_outputs=True)
        except RuntimeError as error:
            line = " ".join(str(error).split())
            raise BackendError(f"{self.path}: cannot run on input {batch.shape}: {line}") from error
        return [np.asarray(output, dtype=np.float32) for output in outputs.values()]


def open_openvino(path: Path, *, threads: int | None, precision: str) -> OpenVinoModel:
    """Open an ONNX file, an ``.xml`` of OpenVINO or a folder that holds one.

    Raises:
        BackendError: OpenVINO is not installed, the file cannot be read, or its input is not one batch of
            three-channel pictures.
    """
    try:
        import openvino  # noqa: PLC0415 - only where it is asked for
    except ImportError:
        raise BackendError("runtime=openvino needs OpenVINO: pip install openvino") from None
    file = next(iter(sorted(path.glob("*.xml"))), path) if path.is_dir() else path
    core = openvino.Core()
    config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _hint(core, path, precision)}
    if threads is not None:
        config["INFERENCE_NUM_THREADS"] = str(threads)
    try:
        model = core.read_model(str(file))
        compiled = core.compile_model(model, "CPU", config)
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise BackendError(f"{path} is no model that OpenVINO can load: {line}") from error
    shape = compiled.inputs[0].partial_shape
    if len(compiled.inputs) != 1 or len(shape) != 4 or shape[1].is_dynamic or shape[1].get_length() != 3:
        got = ", ".join(str(one.partial_shape) for one in compiled.inputs)
        raise BackendError(f"{path}: expected one float input of shape (batch, 3, height, width), got {got}")
    batch, height, width = (
        None if shape[axis].is_dynamic else int(shape[axis].get_length()) for axis in (0, 2, 3)
    )
    return OpenVinoModel(
        path=path,
        request=compiled.create_infer_request(),
        batch=batch,
        height=height,
        width=width,
        precision=str(compiled.get_property("INFERENCE_PRECISION_HINT").to_string()),
        metadata=_metadata(file, model),
    )


def _hint(core: Any, path: Path, precision: str) -> str:
    has = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "auto":
        return "bf16" if "BF16" in has else "f32"
    hint = HINTS[precision]
    if CAPABILITIES[hint] not in has:
        raise BackendError(
            f"{path}: this processor has no {precision} ({', '.join(has)}): leave precision out"
        )
    return hint


def _metadata(file: Path, model: Any) -> dict[str, str]:
    """Give what Ultralytics wrote down with a model: class names and task."""
    kept = file.with_name("metadata.yaml")
    if kept.is_file():
        import yaml  # noqa: PLC0415 - only beside Ultralytics' own exports

        read = yaml.safe_load(kept.read_text(encoding="utf-8"))
        return {key: str(value) for key, value in read.items()} if isinstance(read, dict) else {}
    if not model.has_rt_info(["framework"]):
        return {}
    return {
        key: str(model.get_rt_info(["framework", key]).value)
        for key in ("names", "task")
        if model.has_rt_info(["framework", key])
    }
