from importlib import import_module

import array_api_strict
import numpy as np
import pytest

from environments import bulk_mapping
from environments.geometry import CameraModel, Lens

MATRIX = np.array([[900.0, 0, 640], [0, 880.0, 360], [0, 0, 1]])
LENSES = {
    "none": None,
    "straight": Lens(MATRIX, np.zeros(5)),
    "barrel": Lens(MATRIX, np.array([-0.28, 0.09, 0.001, -0.0005, -0.01])),
    "pincushion": Lens(MATRIX, np.array([0.12, -0.05, -0.0008, 0.0004, 0.0])),
}
H = np.array([[0.01, 0.001, -6.0], [0.0005, 0.02, -3.0], [0.00003, 0.0012, -0.1]])


def camera(lens):
    return CameraModel.create(camera_id="c1", width=1280, height=720, h_image_to_world=H, lens=lens)


def pixels(n=500):
    return np.random.default_rng(4).uniform([0, 0], [1280, 720], (n, 2))


def gpu():
    return import_module("cupy")


NAMESPACES = [
    pytest.param(lambda: np, id="numpy"),
    pytest.param(lambda: array_api_strict, id="strict"),
    pytest.param(gpu, id="cupy", marks=pytest.mark.gpu),
]


def on_cpu(array):
    return np.asarray(array.get() if hasattr(array, "get") else array)


@pytest.mark.parametrize("load", NAMESPACES)
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_floor_points_and_covariances_are_those_of_the_cameras_own_geometry(load, lens):
    xp, model = load(), camera(lens)
    points, sigma2 = pixels(), np.tile([[9.0, 1.0], [1.0, 4.0]], (500, 1, 1))
    expected, covariance = model.to_floor_with_covariance(points, sigma2)
    got, got_covariance = bulk_mapping.to_floor_with_covariance(
        xp, model, xp.asarray(points), xp.asarray(sigma2)
    )
    assert np.isnan(expected).any(axis=1).sum() > 0  # some pixels are above the horizon
    assert np.isnan(on_cpu(got)).tolist() == np.isnan(expected).tolist()
    tolerance = 1e-6 if lens is None or not lens.is_distorting else 1e-4  # OpenCV stops a little earlier
    near = np.isfinite(expected).all(axis=1) & (np.abs(expected) < 100).all(axis=1)
    assert on_cpu(got)[near] == pytest.approx(expected[near], abs=tolerance)
    assert on_cpu(got_covariance)[near] == pytest.approx(covariance[near], rel=1e-4, abs=tolerance)
    assert on_cpu(bulk_mapping.to_floor(xp, model, xp.asarray(points)))[near] == pytest.approx(
        expected[near], abs=tolerance
    )


@pytest.mark.parametrize("load", NAMESPACES[1:])
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_every_library_gives_the_same_to_a_millionth(load, lens):
    xp, model, points = load(), camera(lens), pixels()
    expected = bulk_mapping.to_floor(np, model, points)
    got = on_cpu(bulk_mapping.to_floor(xp, model, xp.asarray(points)))
    near = (np.abs(np.nan_to_num(expected)) < 1e3).all(axis=1)
    assert got[near] == pytest.approx(expected[near], abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["barrel", "pincushion"])
def test_undistorting_undoes_what_distorting_does(name):
    lens, points = LENSES[name], pixels()
    assert lens is not None
    there = bulk_mapping.distort(np, lens, points)
    back = bulk_mapping.undistort(np, lens, there)
    reached = np.isfinite(there).all(axis=1)
    assert reached.sum() > 400
    assert back[reached] == pytest.approx(points[reached], abs=1e-6)
    assert there[reached] == pytest.approx(lens.distort(points)[reached], abs=1e-9)


def test_no_points_give_none():
    none = np.zeros((0, 2))
    assert bulk_mapping.to_floor(np, camera(LENSES["none"]), none).shape == (0, 2)
    assert bulk_mapping.heat_map(np, none, bounds_m=(0, 0, 2, 1), cell_m=0.5).tolist() == [[0] * 4] * 2


@pytest.mark.parametrize("load", [NAMESPACES[0], NAMESPACES[2]])
def test_heat_map_counts_what_lies_in_each_cell(load):
    xp = load()
    points = [[0.1, 0.1], [0.4, 0.4], [1.6, 0.9], [2.0, 0.5], [-0.1, 0.5], [np.nan, 0.5], [0.5, 0.0]]
    counts = bulk_mapping.heat_map(xp, xp.asarray(points), bounds_m=(0, 0, 2, 1), cell_m=0.5)
    assert on_cpu(counts).tolist() == [[2, 1, 0, 0], [0, 0, 0, 1]]


def test_heat_map_is_numpys_histogram():
    points = np.random.default_rng(0).normal(5, 3, (20_000, 2))
    counts = bulk_mapping.heat_map(np, points, bounds_m=(0, 0, 10, 8), cell_m=0.5)
    expected, _, _ = np.histogram2d(
        points[:, 1], points[:, 0], bins=(np.arange(0, 8.1, 0.5), np.arange(0, 10.1, 0.5))
    )
    assert counts.tolist() == expected.tolist()
