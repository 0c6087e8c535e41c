from typing import Any

import numpy as np
import pytest

from gpuworker.backends.candidates import select
from gpuworker.backends.layouts import Fit, Layout, find_layout
from gpuworker.backends.placing import HostPlacer
from gpuworker.backends.tensor_placing import TensorPlacer

torch = pytest.importorskip("torch", reason="torch is not installed: extra models")
CELLS = 84  # of a 64 x 64 input


def layout(fit: Fit) -> Layout:
    shapes = {
        Fit.TOP_LEFT: [(1, CELLS, 85)],
        Fit.CENTRE: [(1, 6, CELLS)],
        Fit.STRETCH: [(1, 9, 4), (1, 9, 91)],
    }[fit]
    found = find_layout([np.zeros(s, np.float32) for s in shapes], height=64, width=64, metadata={})
    assert found is not None
    return found


def on_host(fit: Fit) -> Any:
    return HostPlacer(layout(fit), height=64, width=64)


def on_device(fit: Fit) -> Any:
    return TensorPlacer(layout(fit), height=64, width=64, device="cpu", dtype=torch.float32)


PLACERS = pytest.mark.parametrize("placer", [on_host, on_device])


def box_in_picture(placement: Any, box: list[float]) -> list[float]:
    found = select(
        np.array([[box]], np.float32), np.ones((1, 1), np.float32), [placement], least=0.5, iou=None
    )
    return list(map(float, found[0].xyxy[0]))


@PLACERS
def test_yolox_pictures_lie_top_left_in_bgr(placer):
    picture = np.full((32, 16, 3), (10, 20, 30), np.uint8)
    batch, placements = placer(Fit.TOP_LEFT).place([picture], 1)
    assert batch[0, :, 0, 0].tolist() == [10, 20, 30]
    assert batch[0, :, 63, 31].tolist() == [10, 20, 30]
    assert batch[0, :, 0, 32].tolist() == [114, 114, 114]
    assert box_in_picture(placements[0], [0, 0, 32, 64]) == [0, 0, 16, 32]


@PLACERS
def test_ultralytics_pictures_lie_in_the_middle_in_rgb(placer):
    picture = np.full((32, 16, 3), (0, 51, 255), np.uint8)
    batch, placements = placer(Fit.CENTRE).place([picture], 1)
    assert batch[0, :, 0, 16].tolist() == pytest.approx([1.0, 0.2, 0.0])
    assert batch[0, :, 0, 15].tolist() == pytest.approx([114 / 255] * 3)
    assert box_in_picture(placements[0], [16, 0, 48, 64]) == [0, 0, 16, 32]


@PLACERS
def test_detr_pictures_are_stretched(placer):
    picture = np.full((32, 16, 3), (103.53, 116.28, 123.675), np.float32).astype(np.uint8)
    batch, placements = placer(Fit.STRETCH).place([picture], 1)
    assert tuple(batch.shape) == (1, 3, 64, 64)
    assert abs(batch).max() < 0.02  # the mean colour of ImageNet
    assert box_in_picture(placements[0], [32, 32, 64, 64]) == [8, 16, 16, 32]


@PLACERS
def test_pictures_of_several_sizes_share_a_batch_whose_other_rows_are_empty(placer):
    pictures = [np.full((32, 16, 3), 50, np.uint8), np.full((40, 80, 3), 90, np.uint8)]
    batch, placements = placer(Fit.TOP_LEFT).place(pictures, 4)
    assert tuple(batch.shape) == (4, 3, 64, 64)
    assert [float(row[0, 0, 0]) for row in batch[:2]] == [50, 90]
    assert [(p.width, p.height) for p in placements] == [(16, 32), (80, 40)]


@pytest.mark.parametrize("shape", [(90, 160), (48, 37), (64, 64), (1, 1), (700, 20)])
@pytest.mark.parametrize("fit", list(Fit))
def test_host_and_device_see_the_same(fit, shape):
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    host, placed = on_host(fit).place([noise], 1)
    device, also_placed = on_device(fit).place([noise], 1)
    assert placed == also_placed
    level = 1.0 / min(layout(fit).std)  # one grey level, by which OpenCV's fixed-point numbers may differ
    assert np.abs(host - device.numpy()).max() <= 1.01 * level
