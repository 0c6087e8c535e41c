"""Detector on Ultralytics: YOLO weights (.pt), and their exports to ONNX, OpenVINO and TensorRT."""

import pickle
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gpuworker.backends.layouts import choose_person, find_layout
from gpuworker.backends.onnx_session import ORT_ERRORS, session_options
from gpuworker.backends.picture_detector import (
    DetectorOptions,
    PictureDetector,
    detector_options,
    input_size,
    unknown_layout,
)
from gpuworker.backends.placing import GREY, HostPlacer
from gpuworker.backends.spec import BackendError, Spec
from gpuworker.backends.tensor_placing import TensorPlacer
from gpuworker.backends.torch_device import torch_device
from gpuworker.backends.ultralytics_quiet import autobackend

OPENVINO_FOLDER = "_openvino_model"  # how Ultralytics names an export to OpenVINO
SUFFIXES = (".pt", ".onnx", ".engine", OPENVINO_FOLDER)
AutoBackend: Any = autobackend.AutoBackend
LOAD_ERRORS: tuple[type[Exception], ...] = (
    *ORT_ERRORS,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    IndexError,
    KeyError,
    OSError,
    RuntimeError,
    StopIteration,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
)


def make_yolo_detector(spec: Spec, *, device: str, threads: int | None) -> PictureDetector:
    """Open the YOLO weights that a spec names, a path or an official name in the folder of models.

    Raises:
        BackendError: Ultralytics is not installed, no such file, or it holds no detector.
    """
    options = detector_options(spec, device=device)
    path = spec.file(suffix=".pt", folders=True)
    if not str(path).endswith(SUFFIXES):
        raise BackendError(f"{spec.text!r}: expected a file ending in one of {', '.join(SUFFIXES)}")
    if threads is not None:
        torch.set_num_threads(threads)
    where, is_half = torch_device(spec, options.device, precision=options.precision)
    model = _load(path, device=where, is_half=is_half, threads=threads)
    return _detector(spec, path, model, options)


def _detector(spec: Spec, path: Path, model: Any, options: DetectorOptions) -> PictureDetector:
    is_fixed = model.format != "pt" and not model.dynamic
    fixed = [int(side) for side in model.imgsz] if is_fixed else [None, None]
    height, width = input_size(spec, options, height=fixed[0], width=fixed[1])
    on_gpu = model.device.type == "cuda"
    dtype = torch.float16 if model.fp16 else torch.float32

    def run(batch: Any) -> list[Any]:
        tensor = batch if on_gpu else torch.from_numpy(batch)
        with torch.inference_mode():
            outputs = model(tensor)
        # weights give what the training needs, too
        first = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
        return [first.float()] if on_gpu else [first.float().numpy()]

    grey = np.full((1, 3, height, width), GREY / 255, np.float32)
    try:
        trial = run(torch.from_numpy(grey).to(model.device) if on_gpu else grey)
    except LOAD_ERRORS as error:
        raise _unusable(path, error) from error
    outputs = [np.asarray(output.cpu() if on_gpu else output) for output in trial]
    task = model.task or getattr(model.model, "task", "")  # of an export, or of weights
    metadata = {"task": task, "names": str(model.names)}
    layout = find_layout(outputs, height=height, width=width, metadata=metadata)
    if layout is None:
        raise unknown_layout(f"{path} ({task})", [one.shape for one in outputs], height, width)
    try:
        layout = choose_person(layout, options.person)
    except BackendError as error:
        raise BackendError(f"{spec.text!r}: {error}") from None
    placer: Any = HostPlacer(layout, height=height, width=width)
    if on_gpu:
        placer = TensorPlacer(layout, height=height, width=width, device=str(model.device), dtype=dtype)
    return PictureDetector(
        f"yolo:{path.stem}",
        run=run,
        placer=placer,
        layout=layout,
        options=options,
        batch=model.batch if is_fixed else None,
        on_gpu=on_gpu,
    )


def _load(path: Path, *, device: str, is_half: bool, threads: int | None) -> Any:

    # threads that do not spin in ONNX Runtime
    onnx = partial(AutoBackend._BACKEND_MAP["onnx"], session_options=session_options(threads))
    backend = type("Backend", (AutoBackend,), {"_BACKEND_MAP": {**AutoBackend._BACKEND_MAP, "onnx": onnx}})
    try:
        return backend(model=str(path), device=torch.device(device), fp16=is_half, verbose=False).eval()
    except LOAD_ERRORS as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: BaseException) -> BackendError:
    line = " ".join(str(error).split())
    return BackendError(f"{path} is no YOLO model that can be loaded: {type(error).__name__}: {line[:300]}")
