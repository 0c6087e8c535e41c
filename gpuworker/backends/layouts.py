"""How known families of detectors take their picture and give their boxes.

Arrays are batched: a model's raw outputs become boxes (b, n, 4) xyxy in pixels of the model's input and
confidences (b, n) of the class person. They are decoded where they are: arrays on the host, tensors on their device.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.arrays import Array, namespace, on_device_of
from gpuworker.backends.spec import BackendError

Floats32 = NDArray[np.float32]
Decode = Callable[[Sequence[Array], int], tuple[Array, Array]]
"""Takes the raw outputs and the class of a person; gives boxes, to be indexed by picture and row, and confidences."""

STRIDE_SETS = ((8, 16, 32), (4, 8, 16, 32), (8, 16, 32, 64))
MAX_QUERIES = 1000  # no end-to-end or DETR export known gives more boxes
COCO_91 = 91  # logits over the original COCO ids, where person is 1
DETECT_TASKS = ("detect", "")


class Fit(Enum):
    """How a picture is brought to the input's size."""

    TOP_LEFT = "letterbox, picture in the upper left corner"
    CENTRE = "letterbox, picture in the middle"
    STRETCH = "stretched"


@dataclass(frozen=True, slots=True)
class Layout:
    """One family of detectors.

    Attributes:
        fit: how pictures are brought to the input's size.
        rgb: True for RGB input, False for BGR.
        mean, std: of the input per channel, on pixel values 0 to 255.
        decode: turns raw outputs into boxes and confidences.
        person: class of a person.
        classes: how many classes the model knows, None where its output does not tell.
        overlapping: True where several boxes of one person are given and have to be suppressed.
        names: of the classes, empty where the model does not tell.
    """

    name: str
    fit: Fit
    rgb: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    decode: Decode
    person: int
    classes: int | None
    overlapping: bool
    names: tuple[str, ...] = ()


def find_layout(
    outputs: Sequence[Floats32], *, height: int, width: int, metadata: Mapping[str, str]
) -> Layout | None:
    """Recognise a model by the outputs of one grey picture of height x width px; None if unknown."""
    if metadata.get("task", "") not in DETECT_TASKS:
        return None
    names = _class_names(metadata)
    layout = _find_by_shape(outputs, height=height, width=width, names=len(names))
    if layout is None or not names:
        return layout
    return replace(layout, names=tuple(names[i] for i in sorted(names)))


def choose_person(layout: Layout, wanted: int) -> Layout:
    """Settle which class is a person: the one asked for, the one of that name, or the family's usual one.

    Args:
        layout: as recognised.
        wanted: the class asked for, negative for none.

    Raises:
        BackendError: that class does not exist, the names do not fit the output, or none is a person.
    """
    names, classes = layout.names, layout.classes
    if names and classes is not None and len(names) != classes:
        raise BackendError(f"the model names {len(names)} classes and gives {classes}: it is damaged")
    count = classes if classes is not None else len(names) or None
    if wanted >= 0:
        if count is not None and wanted >= count:
            raise BackendError(f"class {wanted} does not exist, the model has {count}")
        return replace(layout, person=wanted)
    if "person" in names:
        return replace(layout, person=names.index("person"))
    if len(names) > 1:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise BackendError(f"none of the model's classes is a person ({shown}): name one with class=NUMBER")
    return layout if count is None or layout.person < count else replace(layout, person=0)


def _find_by_shape(outputs: Sequence[Floats32], *, height: int, width: int, names: int) -> Layout | None:
    shapes = [output.shape for output in outputs]
    if any(len(shape) != 3 for shape in shapes):
        return None
    if len(shapes) == 2:
        return _detr(outputs, height, width)
    if len(shapes) != 1:
        return None
    _, rows, columns = shapes[0]
    across = rows > 4 and bool(_strides(columns, height, width))
    # 80 classes and four sides are as many as the cells of 64 x 64 px: then the names tell
    strides = () if across and names == rows - 4 else _strides(rows, height, width)
    if columns > 5 and strides:
        return _yolox(outputs[0], strides, height, width)
    if across:
        return _ultralytics("YOLO", decode_ultralytics, classes=rows - 4, overlapping=True)
    if columns == 6 and rows <= MAX_QUERIES:
        return _ultralytics("end-to-end YOLO", decode_end_to_end, classes=None, overlapping=False)
    return None


def _yolox(output: Floats32, strides: tuple[int, ...], height: int, width: int) -> Layout:
    grid = grid_of(height, width, strides)
    # an export that decodes itself gives centres near their cells; raw offsets are a few units
    decoded = bool(np.median(np.abs(output[0, :, :2] - grid[:, :2]) / grid[:, 2:]) < 2.0)

    def decode(outputs: Sequence[Array], person: int) -> tuple[Array, Array]:
        return decode_yolox(outputs[0], person, None if decoded else grid)

    return Layout(
        name="YOLOX",
        fit=Fit.TOP_LEFT,
        rgb=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        decode=decode,
        person=0,
        classes=output.shape[2] - 5,
        overlapping=True,
    )


def _ultralytics(name: str, decode: Decode, *, classes: int | None, overlapping: bool) -> Layout:
    return Layout(
        name=name,
        fit=Fit.CENTRE,
        rgb=True,
        mean=(0.0, 0.0, 0.0),
        std=(255.0, 255.0, 255.0),
        decode=decode,
        person=0,
        classes=classes,
        overlapping=overlapping,
    )


def _detr(outputs: Sequence[Floats32], height: int, width: int) -> Layout | None:
    widths = [output.shape[2] for output in outputs]
    rows = {output.shape[1] for output in outputs}
    if len(rows) != 1 or rows.pop() > MAX_QUERIES or 4 not in widths:
        return None
    # a model of four classes gives two alike outputs: the boxes come first in every export known
    boxes = widths.index(4)
    logits = 1 - boxes
    size = np.array([width, height, width, height], np.float32)

    def decode(raw: Sequence[Array], person: int) -> tuple[Array, Array]:
        return decode_detr(raw[boxes] * on_device_of(size, raw[boxes]), raw[logits], person)

    return Layout(
        name="DETR",
        fit=Fit.STRETCH,
        rgb=True,
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
        decode=decode,
        person=1 if widths[logits] == COCO_91 else 0,
        classes=widths[logits],
        overlapping=False,
    )


def grid_of(height: int, width: int, strides: Sequence[int]) -> Floats32:
    """Give the cells of a one-anchor-per-cell detector, (n, 3): x and y of the corner in px, stride in px."""
    cells = []
    for stride in strides:
        ys, xs = np.mgrid[0 : height // stride, 0 : width // stride] * stride
        cells.append(np.column_stack([xs.ravel(), ys.ravel(), np.full(xs.size, stride)]))
    return np.concatenate(cells).astype(np.float32)


def decode_yolox(output: Array, person: int, grid: Floats32 | None) -> tuple["YoloxBoxes", Array]:
    """Decode YOLOX's (b, n, 5 + classes): offsets from the grid, or px where ``grid`` is None.

    Source: Ge et al., YOLOX (2021); ``decode_outputs`` of its head: centre = (offset + cell) x stride,
    size = exp(raw) x stride, confidence = objectness x class.
    """
    cells = None if grid is None else on_device_of(grid, output)
    return YoloxBoxes(output, cells), output[..., 4] * output[..., 5 + person]


@dataclass(frozen=True, slots=True)
class YoloxBoxes:
    """Boxes (b, n, 4) that are decoded when they are asked for: of thousands of cells few hold a person.

    Attributes:
        output: (b, n, 5 + classes), raw.
        cells: (n, 3) as of :func:`grid_of`, None where the model has decoded.
    """

    output: Array
    cells: Array | None

    def __getitem__(self, at: tuple[Any, Any]) -> Array:
        """Give the boxes of pictures and rows, in xyxy px."""
        raw = self.output[at]
        centre, size = raw[..., :2], raw[..., 2:4]
        if self.cells is not None:
            cells = self.cells[at[1]]
            stride = cells[..., 2:]
            centre = centre * stride + cells[..., :2]
            size = namespace(raw).exp(size) * stride
        return _from_centre(centre, size)


def decode_ultralytics(outputs: Sequence[Array], person: int) -> tuple[Array, Array]:
    """Decode YOLOv8's and later (b, 4 + classes, n): centre and size in px, class scores."""
    boxes = namespace(outputs[0]).swapaxes(outputs[0][:, :4], 1, 2)
    return _from_centre(boxes[..., :2], boxes[..., 2:]), outputs[0][:, 4 + person]


def decode_end_to_end(outputs: Sequence[Array], person: int) -> tuple[Array, Array]:
    """Decode rows (b, n, 6) of xyxy px, confidence and class, as YOLOv10 and YOLO26 give without NMS."""
    rows = outputs[0]
    return rows[..., :4], rows[..., 4] * (namespace(rows).round(rows[..., 5]) == person)


def decode_detr(boxes: Array, logits: Array, person: int) -> tuple[Array, Array]:
    """Decode boxes (b, n, 4) as centre and size in px, and logits (b, n, classes).

    Source: RF-DETR's and Deformable DETR's PostProcess: a sigmoid makes each class a question of its own.
    """
    raw = logits[..., person]
    return _from_centre(boxes[..., :2], boxes[..., 2:]), 1.0 / (1.0 + namespace(raw).exp(-raw.clip(-60, 60)))


def _from_centre(centre: Array, size: Array) -> Array:
    half = size / 2
    return namespace(centre).concatenate([centre - half, centre + half], -1)


def _strides(cells: int, height: int, width: int) -> tuple[int, ...]:
    for strides in STRIDE_SETS:
        if cells == sum((height // s) * (width // s) for s in strides):
            return strides
    return ()


def _class_names(metadata: Mapping[str, str]) -> dict[int, str]:
    try:
        names = ast.literal_eval(metadata.get("names", "{}"))
    except (ValueError, SyntaxError):
        return {}
    return {int(index): str(name) for index, name in names.items()} if isinstance(names, dict) else {}
