import cv2
import numpy as np
import pytest
import torch

from gpuworker.backends.crops import batches, by_frame, crop, units
from gpuworker.backends.torch_crops import cut_crops, normalise

CPU = torch.device("cpu")
RNG = np.random.default_rng(1)


def smooth_picture(height=240, width=320):
    small = RNG.integers(0, 255, (12, 16, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def test_crops_on_the_device_are_those_of_the_cpu():
    image = smooth_picture()
    boxes = np.array(
        [[20.3, 10.7, 99.2, 200.9], [150, 0, 170, 40], [-30, -5, 40, 60], [250, 100, 400, 300]], np.float32
    )
    crops, inside = cut_crops(image, boxes, size=(64, 32), device=CPU)
    assert inside.tolist() == [True] * 4
    for got, box in zip(crops, boxes, strict=True):
        piece = crop(image, box)
        how = cv2.INTER_AREA if piece.shape[0] > 64 else cv2.INTER_LINEAR
        expected = cv2.resize(piece, (32, 64), interpolation=how)[..., ::-1].transpose(2, 0, 1)
        assert np.abs(got.numpy() - expected).mean() < 2.5  # of 255


def test_one_colour_stays_that_colour_in_rgb():
    image = np.full((30, 20, 3), (10, 20, 30), np.uint8)
    crops, _ = cut_crops(image, np.array([[2, 2, 12, 22]], np.float32), size=(8, 4), device=CPU)
    assert crops.shape == (1, 3, 8, 4)
    assert crops[0, :, 4, 2].tolist() == [30, 20, 10]


def test_boxes_beside_the_picture_are_zeros_and_told():
    boxes = np.array([[-9, -9, -1, -1], [np.nan] * 4, [5, 5, 5, 9], [0, 0, 4, 4], [90, 0, 99, 9]], np.float32)
    crops, inside = cut_crops(np.full((20, 20, 3), 99, np.uint8), boxes, size=(4, 4), device=CPU)
    assert inside.tolist() == [False, False, False, True, False]
    assert crops[~inside].abs().sum() == 0
    none, nothing = cut_crops(np.zeros((20, 20, 3), np.uint8), boxes[:0], size=(4, 4), device=CPU)
    assert (none.shape, nothing.shape) == ((0, 3, 4, 4), (0,))


def test_normalise_takes_the_mean_off():
    crops = torch.tensor([0.0, 127.5, 255.0])[None, :, None, None]
    assert normalise(crops, (0.5, 0.5, 0.5), (0.5, 0.5, 0.25)).flatten().tolist() == [-1.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("count", "fixed", "is_padded", "sizes"),
    [
        (0, None, True, []),
        (1, None, True, [1]),
        (5, None, True, [8]),
        (5, None, False, [5]),
        (33, None, True, [32, 1]),
        (5, 2, False, [2, 2, 2]),
        (40, 64, True, [64]),
    ],
)
def test_batches_have_few_sizes(count, fixed, is_padded, sizes):
    got = list(batches(count, fixed=fixed, is_padded=is_padded))
    assert [size for _, size in got] == sizes
    assert [i for rows, _ in got for i in range(rows.start, rows.stop)] == list(range(count))


def test_rows_come_back_by_frame_and_as_units():
    rows = units(np.array([[3, 4], [0, 0], [np.nan, 1]], np.float32))
    assert rows[0] == pytest.approx([0.6, 0.8])
    assert np.isnan(rows[1:]).all()
    one, none, two = by_frame(rows, [np.zeros((n, 4), np.float32) for n in (1, 0, 2)])
    assert (len(one), len(none), len(two)) == (1, 0, 2)
    assert by_frame(rows[:0], []) == []
