"""An ONNX model opened with ONNX Runtime: one picture batch in, arrays out."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from gpuworker.backends.accelerator import accelerator_errors, choose_device
from gpuworker.backends.spec import BackendError

# ONNX Runtime's errors have no ancestor of their own
ORT_ERRORS: tuple[type[Exception], ...] = (
    ort_errors.EPFail,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
FLOAT_TYPES: dict[str, type[np.floating]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
MOST_GPUS = 16  # of a machine; ONNX Runtime itself says which are there
PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model with one picture input (batch, 3, height, width).

    Attributes:
        path: of the file.
        session: ONNX Runtime's.
        batch, height, width: of the input; None where the model leaves it open.
        metadata: key and value texts in the file.
    """

    path: Path
    session: ort.InferenceSession
    batch: int | None
    height: int | None
    width: int | None
    dtype: type[np.floating]
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Say whether the model runs on a GPU."""
        return bool(self.session.get_providers()[0] != PROVIDERS[-1])

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Give the model's outputs for pictures (b, 3, height, width), as float32.

        Raises:
            BackendError: the model does not take this batch.
            AcceleratorFullError, AcceleratorLostError: the GPU cannot.
        """
        name = self.session.get_inputs()[0].name
        with accelerator_errors(self.path.name):
            try:
                outputs: list[Any] = self.session.run(None, {name: batch.astype(self.dtype, copy=False)})
            except ORT_ERRORS as error:
                raise BackendError(
                    f"{self.path}: cannot run on input {batch.shape}: {_line(error)}"
                ) from error
        return [np.asarray(output, dtype=np.float32) for output in outputs]


def open_model(path: Path, *, device: str = "auto", threads: int | None) -> OnnxModel:
    """Open an ONNX file on a device: ``auto`` is the GPU where ONNX Runtime has one, otherwise the CPU.

    Raises:
        BackendError: not an ONNX file, its input is not one batch of three-channel pictures, or no such device.
    """
    options = ort.SessionOptions()
    # threads that spin while they wait steal the cores from decoding and tracking
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        session = ort.InferenceSession(str(path), options, providers=_providers(device))
    except ORT_ERRORS as error:
        raise BackendError(f"{path} is not an ONNX model that can be loaded: {_line(error)}") from error
    if device.startswith("cuda") and session.get_providers()[0] != PROVIDERS[0]:
        raise BackendError(f"{path}: ONNX Runtime cannot use {device}: see its log, or choose the device cpu")
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type not in FLOAT_TYPES:
        got = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        raise BackendError(f"{path}: expected one float input of shape (batch, 3, height, width), got {got}")
    batch, height, width = (
        size if isinstance(size, int) else None for size in (shape[0], shape[2], shape[3])
    )
    return OnnxModel(
        path=path,
        session=session,
        batch=batch,
        height=height,
        width=width,
        dtype=FLOAT_TYPES[inputs[0].type],
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def _providers(device: str) -> list[Any]:
    gpus = MOST_GPUS if PROVIDERS[0] in ort.get_available_providers() else 0
    where = choose_device(device, free_bytes=lambda: [0] * gpus)
    gpu = [(PROVIDERS[0], {"device_id": where.partition(":")[2]})] if where != "cpu" else []
    return [*gpu, PROVIDERS[-1]]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
