"""Coverage from geometry: cases that can be worked out by hand."""

import numpy as np
import pytest

from environments.geometry import CameraModel
from environments.geometry.coverage import Grid, blind_spots, coverage_of, least_sure, sight_of
from tests.environments.geometry.rig import camera

DOWN = CameraModel.create(
    camera_id="d",
    width=640,
    height=480,
    h_image_to_world=np.array([[0.01, 0, -3.2], [0, -0.01, 2.4], [0, 0, 1]]),
)


def test_grid_lies_in_the_middle_of_its_floor():
    grid = Grid.over((0, 0, 2, 1), most=8)
    assert (grid.step_m, grid.columns, grid.rows) == (0.5, 4, 2)
    assert grid.points_m[[0, -1]].tolist() == [[0.25, 0.25], [1.75, 0.75]]


def test_straight_down_a_pixel_is_a_centimetre():
    sight = sight_of(DOWN, np.array([[0.0, 0.0], [3.1, 0.0], [3.3, 0.0]]))
    assert sight.sees.tolist() == [True, True, False]
    assert sight.m_per_px[:2] == pytest.approx([0.01, 0.01])
    assert np.isnan(sight.m_per_px[2])
    assert sight.error_m[0] == pytest.approx(np.hypot(0.03, 0.12))


def test_further_away_people_are_smaller_and_less_sure():
    sight = sight_of(camera(), np.array([[5.0, 0.0], [10.0, 0.0], [80.0, 0.0], [-5.0, 0.0]]))
    assert sight.sees.tolist() == [True, True, False, False]
    assert sight.person_px[0] > sight.person_px[1] > 40
    assert sight.error_m[0] < sight.error_m[1]


def test_two_cameras_are_surer_than_one():
    grid = Grid.over((-2, -2, 2, 2), most=100)
    one, two = coverage_of({"a": DOWN}, grid), coverage_of({"a": DOWN, "b": DOWN}, grid)
    assert (one.blind, one.overlap, two.overlap) == (0.0, 0.0, 1.0)
    assert two.error_m == pytest.approx(one.error_m / np.sqrt(2))
    assert two.shared_m2("a", "b") == pytest.approx(16.0)


def test_blind_spots_are_joined_and_the_largest_is_first():
    coverage = coverage_of({"a": DOWN}, Grid.over((-6, -2, 10, 2), most=400))
    (first, second) = blind_spots(coverage)
    assert first[2] > second[2]
    assert first[:2] == pytest.approx((6.6, 0.0), abs=0.3)
    assert coverage.blind == pytest.approx(9.6 / 16, abs=0.05)


def test_least_sure_spot_is_among_those_seen():
    covariance = np.array([1.0, 4.0, 9.0, np.nan])[:, None, None] * np.eye(2)
    assert least_sure(covariance, np.array([True, True, False, True])) == 1
    assert least_sure(covariance, np.zeros(4, dtype=bool)) is None
