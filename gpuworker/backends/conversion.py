"""Converts models: Ultralytics' weights to ONNX, and ONNX to half precision, to eight bits and to OpenVINO."""

import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.spec import BackendError

Batch = NDArray[np.float32]
QUANTISED = ("Conv", "MatMul", "Gemm")
PER_CHANNEL_OPSET = 13  # of ONNX, the first whose scales are one a channel


def weights_to_onnx(weights: Path, to: Path, *, size: int) -> None:
    """Export YOLO weights (.pt) to ONNX, with their names, for pictures of one size, 0 for the model's own.

    Raises:
        BackendError: the weights cannot be exported.
    """
    made = _by_ultralytics(weights, to.parent, size=size, format="onnx", simplify=True)
    shutil.move(made, to)


def weights_to_engine(weights: Path, to: Path, *, size: int, half: bool) -> None:
    """Build a TensorRT engine of YOLO weights, for this very GPU.

    Raises:
        BackendError: there is no TensorRT or no GPU.
    """
    try:
        import tensorrt  # noqa: F401, PLC0415 - only where it is asked for
        import torch  # noqa: PLC0415
    except ImportError as error:
        raise BackendError(
            f"an engine needs {error.name}, which is not installed: pip install tensorrt, on the machine with the GPU"
        ) from None
    if not torch.cuda.is_available():
        raise BackendError("an engine is built for the GPU at hand, and there is none here")
    shutil.move(_by_ultralytics(weights, to.parent, size=size, format="engine", half=half), to)


def _by_ultralytics(weights: Path, folder: Path, *, size: int, **how: Any) -> Path:
    from gpuworker.backends.ultralytics_quiet import ultralytics  # noqa: PLC0415 - heavy

    copied = folder / weights.name  # it writes beside what it reads
    shutil.copy(weights, copied)
    if size:
        how["imgsz"] = size
    try:
        with _quiet():
            return Path(ultralytics.YOLO(str(copied)).export(device=None, **how))
    except (RuntimeError, ValueError, TypeError, AttributeError, AssertionError, ImportError) as error:
        line = " ".join(str(error).split())
        raise BackendError(f"{weights} cannot be exported: {line[:300]}") from error
    finally:
        copied.unlink()


def to_half(model: Path, to: Path) -> None:
    """Write an ONNX model with weights and computation in float16; what it takes and gives stays float32."""
    import onnx  # noqa: PLC0415 - only for exports
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415

    with _quiet():
        onnx.save(convert_float_to_float16(onnx.load(str(model)), keep_io_types=True), str(to))


def to_int8(model: Path, to: Path, batches: Iterable[Batch]) -> None:
    """Write an ONNX model whose convolutions compute in eight bits, with ranges seen in calibration batches.

    Only convolutions and products of matrices: a head joins coordinates in pixels and shares below one in one array,
    which a common range of 256 steps would make useless. The last layers stay as they are: of YOLOX-Nano's mAP of
    .141 that leaves .123 on a rendered crowd where all layers leave .097, with ranges that cut off outliers.

    Raises:
        BackendError: the model cannot be quantised.
    """
    import onnx  # noqa: PLC0415 - only for exports
    from onnxruntime import quantization as ort_quantization  # noqa: PLC0415

    loaded = onnx.load(str(model))
    name = loaded.graph.input[0].name
    if loaded.opset_import[0].version < PER_CHANNEL_OPSET:
        loaded = onnx.version_converter.convert_version(loaded, PER_CHANNEL_OPSET)

    class Reader(ort_quantization.CalibrationDataReader):
        """Gives one batch after the other, as ONNX Runtime asks for them."""

        def __init__(self) -> None:
            self.left: Iterator[Batch] = iter(batches)

        def get_next(self) -> dict[str, Batch] | None:
            batch = next(self.left, None)
            return None if batch is None else {name: batch}

    with tempfile.TemporaryDirectory(dir=to.parent) as folder, _quiet():
        read, prepared = Path(folder) / "read.onnx", Path(folder) / "prepared.onnx"
        onnx.save(loaded, str(read))
        try:
            ort_quantization.shape_inference.quant_pre_process(read, prepared, skip_symbolic_shape=True)
            ort_quantization.quantize_static(
                prepared,
                to,
                Reader(),
                nodes_to_exclude=last_layers(onnx.load(str(prepared))),
                calibrate_method=ort_quantization.CalibrationMethod.Percentile,
                quant_format=ort_quantization.QuantFormat.QDQ,
                op_types_to_quantize=list(QUANTISED),
                per_channel=True,
                activation_type=ort_quantization.QuantType.QUInt8,
                weight_type=ort_quantization.QuantType.QInt8,
            )
        except (RuntimeError, ValueError) as error:
            line = " ".join(str(error).split())
            raise BackendError(f"{model} cannot be quantised: {line[:300]}") from error
    _keep_metadata(model, to)


def last_layers(model: Any) -> list[str]:
    """Give the names of the convolutions and products of an ONNX model behind which there is no other."""
    maker = {output: node for node in model.graph.node for output in node.output}
    found, seen, left = [], set(), [output.name for output in model.graph.output]
    while left:
        node = maker.get(left.pop())
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.op_type in QUANTISED:
            found.append(node.name)
        else:
            left += list(node.input)
    return sorted(found)


def _keep_metadata(source: Path, to: Path) -> None:
    """Carry over what a model says about itself."""
    import onnx  # noqa: PLC0415 - only for exports

    said = {entry.key: entry.value for entry in onnx.load(str(source)).metadata_props}
    made = onnx.load(str(to))
    onnx.helper.set_model_props(made, {**{e.key: e.value for e in made.metadata_props}, **said})
    onnx.save(made, str(to))


def to_openvino(model: Path, to: Path, *, half: bool) -> None:
    """Write an ONNX model as a folder of OpenVINO's, with the names of its classes.

    Raises:
        BackendError: OpenVINO is not installed, or cannot read the model.
    """
    try:
        import openvino  # noqa: PLC0415 - only where it is asked for
    except ImportError:
        raise BackendError("the format openvino needs OpenVINO: pip install openvino") from None
    import onnx  # noqa: PLC0415 - only for exports
    import yaml  # noqa: PLC0415

    said = {entry.key: entry.value for entry in onnx.load(str(model)).metadata_props}
    try:
        read = openvino.Core().read_model(str(model))
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise BackendError(f"{model} is nothing that OpenVINO can read: {line[:300]}") from error
    to.mkdir()
    openvino.save_model(read, to / f"{model.stem}.xml", compress_to_fp16=half)
    if said:
        (to / "metadata.yaml").write_text(yaml.safe_dump(said), encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' own reports and deprecations to themselves."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
