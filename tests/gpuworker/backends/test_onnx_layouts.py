import numpy as np
import pytest

from gpuworker.backends.onnx_layouts import (
    Fit,
    decode_detr,
    decode_end_to_end,
    decode_ultralytics,
    decode_yolox,
    find_layout,
    grid_of,
)

CELLS = 8 * 8 + 4 * 4 + 2 * 2  # of a 64 x 64 input at strides 8, 16, 32


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_grid_counts_cells_row_by_row_stride_by_stride():
    grid = grid_of(32, 64, (8, 16, 32))
    assert len(grid) == 4 * 8 + 2 * 4 + 1 * 2
    assert grid[[0, 1, 8, 32, 41]].tolist() == [[0, 0, 8], [8, 0, 8], [0, 8, 8], [0, 0, 16], [32, 0, 32]]


@pytest.mark.parametrize(
    ("shapes", "name", "fit", "person"),
    [
        ([(1, CELLS, 85)], "YOLOX", Fit.TOP_LEFT, 0),
        ([(1, CELLS, 6)], "YOLOX", Fit.TOP_LEFT, 0),
        ([(2, 6, CELLS)], "YOLO", Fit.CENTRE, 0),
        ([(1, 5, CELLS)], "YOLO", Fit.CENTRE, 0),
        ([(1, 300, 6)], "end-to-end YOLO", Fit.CENTRE, 0),
        ([(1, 300, 4), (1, 300, 91)], "DETR", Fit.STRETCH, 1),
        ([(1, 300, 80), (1, 300, 4)], "DETR", Fit.STRETCH, 0),
    ],
)
def test_find_layout_tells_families_by_their_shapes(shapes, name, fit, person):
    layout = find_layout([zeros(*shape) for shape in shapes], height=64, width=64, metadata={})
    assert layout is not None
    assert (layout.name, layout.fit, layout.person) == (name, fit, person)


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 1000)],
        [(1, 83, 87)],
        [(1, 5000, 6)],
        [(1, 300, 5)],
        [(1, 300, 4), (1, 200, 91)],
        [(1, 300, 5), (1, 300, 91)],
        [(1, CELLS, 85), (1, 1, 1), (1, 1, 1)],
    ],
)
def test_find_layout_knows_no_others(shapes):
    assert find_layout([zeros(*shape) for shape in shapes], height=64, width=64, metadata={}) is None


def test_find_layout_takes_the_person_from_the_class_names():
    names = {"names": "{0: 'car', 1: 'person'}"}
    layout = find_layout([zeros(1, 6, CELLS)], height=64, width=64, metadata=names)
    assert layout is not None
    assert layout.person == 1


@pytest.mark.parametrize("names", ["", "{0: ", "[1]", "__import__('os')"])
def test_find_layout_ignores_class_names_that_are_none(names):
    layout = find_layout([zeros(1, 6, CELLS)], height=64, width=64, metadata={"names": names})
    assert layout is not None
    assert layout.person == 0


def test_find_layout_refuses_other_tasks():
    assert find_layout([zeros(1, 56, CELLS)], height=64, width=64, metadata={"task": "pose"}) is None


def test_decode_yolox_adds_the_cell_and_scales_by_the_stride():
    output = zeros(1, CELLS, 7)
    output[0, 9] = [0.5, 0.25, np.log(2.0), np.log(4.0), 0.5, 0.1, 0.8]  # second column of second row
    boxes, confidence = decode_yolox(output, 1, grid_of(64, 64, (8, 16, 32)))
    # centre (8 + 4, 8 + 2), size (16, 32)
    assert boxes[0, 9].tolist() == pytest.approx([4, -6, 20, 26])
    assert confidence[0, 9] == pytest.approx(0.4)
    assert confidence.sum() == pytest.approx(0.4)


def test_find_layout_tells_yolox_that_decodes_itself():
    grid = grid_of(64, 64, (8, 16, 32))
    output = zeros(1, CELLS, 85)
    output[0, :, :2] = grid[:, :2] + grid[:, 2:] / 2
    output[0, :, 2:4] = 10.0
    layout = find_layout([output], height=64, width=64, metadata={})
    assert layout is not None
    boxes, _ = layout.decode([output], 0)
    assert boxes[0, 0].tolist() == [-1, -1, 9, 9]


def test_decode_ultralytics_turns_columns_into_rows():
    output = zeros(2, 6, 3)
    output[1, :, 2] = [30, 40, 10, 20, 0.3, 0.9]
    boxes, confidence = decode_ultralytics([output], 1)
    assert boxes[1, 2].tolist() == [25, 30, 35, 50]
    assert confidence[1].tolist() == pytest.approx([0, 0, 0.9])


def test_decode_end_to_end_keeps_people_only():
    rows = np.array([[[1, 2, 3, 4, 0.9, 0], [5, 6, 7, 8, 0.8, 2]]], np.float32)
    boxes, confidence = decode_end_to_end([rows], 0)
    assert boxes[0].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert confidence[0].tolist() == pytest.approx([0.9, 0])


def test_decode_detr_takes_the_sigmoid_of_one_class():
    boxes, confidence = decode_detr(
        np.array([[[50, 60, 20, 40]]], np.float32), np.array([[[5.0, 0.0, -1e9]]], np.float32), 1
    )
    assert boxes.tolist() == [[[40, 40, 60, 80]]]
    assert confidence.tolist() == [[0.5]]
