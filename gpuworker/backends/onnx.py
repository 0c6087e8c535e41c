"""Detector on ONNX Runtime or OpenVINO: YOLOX, Ultralytics YOLO, end-to-end YOLO and DETR-style models."""

from importlib.util import find_spec

import numpy as np

from gpuworker.backends.layouts import Layout, choose_person, find_layout
from gpuworker.backends.onnx_session import RUNTIMES, OnnxModel, PictureModel, open_model
from gpuworker.backends.openvino_session import open_openvino
from gpuworker.backends.picture_detector import (
    DetectorOptions,
    PictureDetector,
    detector_options,
    input_size,
    unknown_layout,
)
from gpuworker.backends.placing import GREY, HostPlacer
from gpuworker.backends.spec import BackendError, Spec


def make_onnx_detector(spec: Spec, *, device: str, threads: int | None) -> PictureDetector:
    """Open the model that a spec names and recognise its layout by a dry run on a grey picture.

    Options: those of every detector with a model, and ``runtime``.

    Raises:
        BackendError: no such file, not an ONNX model, or a layout that is not known.
    """
    options = detector_options(spec, device=device, also=("runtime",))
    runtime = spec.choice("runtime", RUNTIMES)
    model = _open(spec, options, runtime=runtime, threads=threads)
    height, width = input_size(spec, options, height=model.height, width=model.width)
    outputs = model.run(np.full((model.batch or 1, 3, height, width), GREY, np.float32))
    layout = find_layout(outputs, height=height, width=width, metadata=model.metadata)
    if layout is None:
        raise unknown_layout(model.path, [output.shape for output in outputs], height, width)
    try:
        layout = choose_person(layout, options.person)
    except BackendError as error:
        raise BackendError(f"{spec.text!r}: {error}") from None
    name = f"onnx:{model.path.stem}"
    if isinstance(model, OnnxModel) and model.on_gpu and find_spec("torch"):
        return on_device(name, model, layout=layout, options=options, height=height, width=width)
    return PictureDetector(
        name,
        run=model.run,
        placer=HostPlacer(layout, height=height, width=width),
        layout=layout,
        options=options,
        batch=model.batch,
        on_gpu=model.device != "cpu",
    )


def _open(spec: Spec, options: DetectorOptions, *, runtime: str, threads: int | None) -> PictureModel:
    path = spec.file(folders=runtime == "openvino")
    if runtime != "openvino":
        return open_model(
            path, threads=threads, runtime=runtime, device=options.device, precision=options.precision
        )
    if options.device.startswith("cuda"):
        raise BackendError(f"{spec.text!r}: OpenVINO does not run on CUDA: leave device out")
    return open_openvino(path, threads=threads, precision=options.precision)


def on_device(
    name: str, model: OnnxModel, *, layout: Layout, options: DetectorOptions, height: int, width: int
) -> PictureDetector:
    """Make a detector whose pictures and boxes stay tensors on the model's device."""
    import torch  # noqa: PLC0415 - only on a GPU

    from gpuworker.backends.tensor_placing import TensorPlacer  # noqa: PLC0415

    dtype = torch.float16 if model.dtype is np.float16 else torch.float32
    return PictureDetector(
        name,
        run=model.run_on_device,
        placer=TensorPlacer(layout, height=height, width=width, device=model.device, dtype=dtype),
        layout=layout,
        options=options,
        batch=model.batch,
        on_gpu=model.on_gpu,
    )
