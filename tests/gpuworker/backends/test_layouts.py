import numpy as np
import pytest

from gpuworker.backends.layouts import (
    Fit,
    Layout,
    choose_person,
    decode_detr,
    decode_end_to_end,
    decode_ultralytics,
    decode_yolox,
    find_layout,
    grid_of,
)
from gpuworker.backends.spec import BackendError

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


def named(names: str, *, shape: tuple[int, ...] = (1, 6, CELLS)) -> Layout:
    layout = find_layout([zeros(*shape)], height=64, width=64, metadata={"names": names})
    assert layout is not None
    return layout


@pytest.mark.parametrize(
    ("names", "wanted", "person"),
    [
        ("{0: 'car', 1: 'person'}", -1, 1),
        ("{0: 'car', 1: 'person'}", 0, 0),
        ("{0: 'car', 1: 'bus'}", 1, 1),
        ("", -1, 0),
        ("", 1, 1),
    ],
)
def test_choose_person_goes_by_number_then_name_then_family(names, wanted, person):
    assert choose_person(named(names), wanted).person == person


def test_find_layout_tells_small_ultralytics_models_by_their_names():
    # 80 classes and four sides are as many as the cells
    names = {"names": str({i: str(i) for i in range(80)})}
    for metadata, name in ((names, "YOLO"), ({}, "YOLOX")):
        layout = find_layout([zeros(1, 84, CELLS)], height=64, width=64, metadata=metadata)
        assert layout is not None
        assert layout.name == name


def test_choose_person_takes_the_only_class_whatever_its_name():
    assert choose_person(named("{0: 'pedestrian'}", shape=(1, 5, CELLS)), -1).person == 0
    assert choose_person(named("{0: 'head'}", shape=(1, 300, 6)), -1).person == 0


@pytest.mark.parametrize(
    ("names", "wanted", "message"),
    [
        ("{0: 'car', 1: 'bus'}", -1, r"none of the model's classes is a person \(car, bus\): name one"),
        ("{0: 'car', 1: 'person'}", 2, "class 2 does not exist, the model has 2"),
        ("", 2, "class 2 does not exist, the model has 2"),
        ("{0: 'person'}", -1, "the model names 1 classes and gives 2: it is damaged"),
        ("{0: 'person', 1: 'b', 2: 'c'}", -1, "the model names 3 classes and gives 2: it is damaged"),
    ],
)
def test_choose_person_refuses_what_does_not_fit(names, wanted, message):
    with pytest.raises(BackendError, match=message):
        choose_person(named(names), wanted)


def test_choose_person_knows_the_classes_of_end_to_end_models_by_their_names():
    with pytest.raises(BackendError, match="class 2 does not exist, the model has 2"):
        choose_person(named("{0: 'car', 1: 'bus'}", shape=(1, 300, 6)), 2)


@pytest.mark.parametrize(
    "shapes",
    [[(2, CELLS, 85)], [(2, 6, CELLS)], [(2, 300, 6)], [(2, 300, 4), (2, 300, 91)]],
)
def test_layouts_decode_tensors_as_arrays(shapes):
    torch = pytest.importorskip("torch", reason="torch is not installed: extra models")
    random = np.random.default_rng(5)
    outputs = [random.uniform(-1, 1, shape).astype(np.float32) for shape in shapes]
    layout = find_layout(outputs, height=64, width=64, metadata={})
    assert layout is not None
    boxes, confidence = layout.decode(outputs, layout.person)
    on_device = layout.decode([torch.from_numpy(output) for output in outputs], layout.person)
    assert on_device[0][:, :].numpy() == pytest.approx(boxes[:, :], abs=1e-4)
    assert on_device[1].numpy() == pytest.approx(confidence, abs=1e-6)


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
