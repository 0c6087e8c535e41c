"""ONNX models of a few nodes whose outputs are known."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gpuworker.pipeline.values import Frame


def save_model(
    path: Path,
    outputs: Sequence[np.ndarray],
    *,
    batch: int | str = 1,
    height: int | str = 64,
    width: int | str = 64,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a model that gives the same rows (each output without its batch axis) for every picture.

    A row's last value is raised by the mean of its picture, so that pictures can be told apart.
    """
    nodes, values, initializers = [], [], []
    initializers.append(numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"))
    nodes.append(helper.make_node("ReduceMean", ["images", "axes"], ["mean"], keepdims=0))
    for i, rows in enumerate(outputs):
        last = np.zeros_like(rows, dtype=np.float32)
        last.flat[-1] = 1.0
        initializers += [
            numpy_helper.from_array(rows.astype(np.float32), f"rows{i}"),
            numpy_helper.from_array(last, f"last{i}"),
            numpy_helper.from_array(np.arange(1, rows.ndim + 1), f"new{i}"),
        ]
        nodes += [
            helper.make_node("Unsqueeze", ["mean", f"new{i}"], [f"mean{i}"]),
            helper.make_node("Mul", [f"mean{i}", f"last{i}"], [f"raise{i}"]),
            helper.make_node("Add", [f"raise{i}", f"rows{i}"], [f"out{i}"]),
        ]
        values.append(helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, [batch, *rows.shape]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, height, width])
    graph = helper.make_graph(nodes, "tiny", [images], values, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, metadata or {})
    onnx.save(model, str(path))
    return path


def frame(image: np.ndarray, camera_id: str = "c1", at_s: float = 0.0) -> Frame:
    """Give a frame taken ``at_s`` seconds into 2026."""
    at = datetime.fromtimestamp(datetime(2026, 1, 1, tzinfo=UTC).timestamp() + at_s, UTC)
    return Frame(camera_id, int(at_s * 100), at, image)


def grey_frame(height: int = 64, width: int = 64, level: int = 0) -> Frame:
    """Give a frame of one grey level."""
    return frame(np.full((height, width, 3), level, np.uint8))
