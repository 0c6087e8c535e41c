"""An ONNX model opened with ONNX Runtime: one picture batch in, arrays out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime as ort
from django.conf import settings
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from gpuworker.backends.accelerator import accelerator_errors, choose_device
from gpuworker.backends.arrays import Array
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
MOST_GPUS = 16  # of a machine; ONNX Runtime itself says which are there
FLOAT_TYPES: dict[str, type[np.floating]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
RUNTIMES = ("auto", "onnxruntime", "openvino", "tensorrt")


class PictureModel(Protocol):
    """A model with one picture input (batch, 3, height, width).

    Attributes:
        path: of the file.
        batch, height, width: of the input; None where the model leaves it open.
        metadata: key and value texts in the file.
    """

    @property
    def path(self) -> Path: ...
    @property
    def batch(self) -> int | None: ...
    @property
    def height(self) -> int | None: ...
    @property
    def width(self) -> int | None: ...
    @property
    def metadata(self) -> dict[str, str]: ...
    @property
    def device(self) -> str:
        """Give where the model runs: ``cpu`` or ``cuda:N``."""
        ...

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Give the model's outputs for pictures (b, 3, height, width), as float32.

        Raises:
            BackendError: the model does not take this batch.
        """
        ...


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A model in an ONNX Runtime session.

    Attributes:
        session: ONNX Runtime's.
        device: ``cpu`` or ``cuda:N``.
        dtype: of the input.
    """

    path: Path
    session: ort.InferenceSession
    batch: int | None
    height: int | None
    width: int | None
    dtype: type[np.floating]
    device: str = "cpu"
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Say whether the model runs on a GPU."""
        return self.device != "cpu"

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

    def run_on_device(self, batch: Array) -> list[Array]:
        """Give the model's outputs for a tensor (b, 3, height, width) on its device, as tensors there.

        Raises:
            BackendError: the model does not take this batch.
        """
        import torch  # noqa: PLC0415 - only where there are tensors

        kind, _, number = self.device.partition(":")
        device_id = int(number or 0)
        batch = batch.contiguous()
        if kind == "cuda":
            torch.cuda.synchronize(device_id)  # ONNX Runtime has a stream of its own
        binding = self.session.io_binding()
        binding.bind_input(
            self.session.get_inputs()[0].name,
            kind,
            device_id,
            self.dtype,
            tuple(batch.shape),
            batch.data_ptr(),
        )
        for output in self.session.get_outputs():
            binding.bind_output(output.name, kind, device_id)
        with accelerator_errors(self.path.name):
            try:
                self.session.run_with_iobinding(binding)
            except ORT_ERRORS as error:
                shape = tuple(batch.shape)
                raise BackendError(f"{self.path}: cannot run on input {shape}: {_line(error)}") from error
        values = binding.get_outputs()
        return [torch.utils.dlpack.from_dlpack(value._get_c_value()).float().clone() for value in values]


def open_model(
    path: Path,
    *,
    threads: int | None,
    runtime: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> OnnxModel:
    """Open an ONNX file with ONNX Runtime, on the GPU where it has one, otherwise on the CPU.

    Raises:
        BackendError: not an ONNX file, its input is not one batch of three-channel pictures, or what was
            asked for is not there.
    """
    providers, where = _providers(path, runtime=runtime, device=device, precision=precision)
    try:
        session = ort.InferenceSession(str(path), session_options(threads), providers=providers)
    except ORT_ERRORS as error:
        raise BackendError(f"{path} is not an ONNX model that can be loaded: {_line(error)}") from error
    inputs = session.get_inputs()
    shape = inputs[0].shape
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or inputs[0].type not in FLOAT_TYPES:
        got = ", ".join(f"{i.name} {i.shape} {i.type}" for i in inputs)
        raise BackendError(f"{path}: expected one float input of shape (batch, 3, height, width), got {got}")
    if session.get_providers()[0] == CPU and where != "cpu":
        if runtime == "tensorrt" or device != "auto":
            raise BackendError(f"{path}: ONNX Runtime cannot use {where}: see its log, or use device=cpu")
        where = "cpu"
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
        device=where,
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def session_options(threads: int | None) -> ort.SessionOptions:
    """Give the options of a session that leaves the cores to others while it waits."""
    options = ort.SessionOptions()
    # threads that spin while they wait steal the cores from decoding and tracking
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return options


def _providers(path: Path, *, runtime: str, device: str, precision: str) -> tuple[Sequence[Any], str]:
    """Choose ONNX Runtime's execution providers, and say where they run."""
    if precision not in ("auto", "fp32") and runtime != "tensorrt":
        raise BackendError(
            f"{path}: precision={precision} goes with runtime=openvino or runtime=tensorrt; with ONNX Runtime it "
            "is the model's own"
        )
    available = ort.get_available_providers()
    wanted = TENSORRT if runtime == "tensorrt" else CUDA
    if wanted not in available and (runtime == "tensorrt" or device.startswith("cuda")):
        raise BackendError(
            f"{path}: this ONNX Runtime has no {wanted} (it has {', '.join(available)}): "
            "install onnxruntime-gpu in place of onnxruntime, or use device=cpu"
        )
    where = choose_device(device, free_bytes=lambda: [0] * (MOST_GPUS if wanted in available else 0))
    if where == "cpu":
        if runtime == "tensorrt":
            raise BackendError(f"{path}: TensorRT does not run on the CPU: leave device=cpu out")
        return [CPU], where
    gpu = int(where.partition(":")[2])
    chain: list[Any] = [(CUDA, {"device_id": gpu, "cudnn_conv_algo_search": "HEURISTIC"}), CPU]
    if runtime == "tensorrt":
        folder = settings.DATA_DIR / "engines"
        folder.mkdir(parents=True, exist_ok=True)
        cache = {
            "device_id": gpu,
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(folder),
            "trt_fp16_enable": precision in ("auto", "fp16"),
        }
        chain.insert(0, (TENSORRT, cache))
    return chain, where


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
