"""Lenses: hand-computed cases, OpenCV as the reference, properties."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.geometry import (
    GeometryError,
    Lens,
)
from tests.environments.geometry.rig import BARREL, HEIGHT, MATRIX, WIDTH, camera, pose


class TestLens:
    def test_lens_without_distortion_changes_nothing(self):
        lens = Lens.create(matrix=MATRIX)
        points = np.array([[0.0, 0.0], [100.0, 200.0]])
        assert not lens.is_distorting
        assert lens.undistort(points) is points
        assert lens.distort(points) is points
        assert lens.reach2 == np.inf

    def test_lens_with_one_coefficient_by_hand(self):
        # r = 0.5, k1 = -0.2: the factor is 1 - 0.2 * 0.25 = 0.95; f = 100 px
        lens = Lens.create(matrix=[[100, 0, 0], [0, 100, 0], [0, 0, 1]], distortion=[-0.2, 0, 0, 0, 0])
        assert lens.distort(np.array([[50.0, 0.0]])) == pytest.approx(np.array([[47.5, 0.0]]))
        assert lens.undistort(np.array([[47.5, 0.0]])) == pytest.approx(np.array([[50.0, 0.0]]), abs=1e-3)

    def test_lens_gives_nothing_for_nothing(self):
        lens = Lens.create(matrix=MATRIX, distortion=BARREL)
        assert lens.distort(np.zeros((0, 2))).shape == (0, 2)
        assert lens.undistort(np.zeros((0, 2))).shape == (0, 2)

    @given(st.floats(0, WIDTH), st.floats(0, HEIGHT))
    def test_lens_there_and_back_over_the_picture(self, u, v):
        lens = Lens.create(matrix=MATRIX, distortion=BARREL)
        point = np.array([[u, v]])
        assert lens.distort(lens.undistort(point)) == pytest.approx(point, abs=0.01)

    @given(
        st.floats(-1.0, 0.5),
        st.floats(-0.5, 0.5),
        st.floats(0, WIDTH),
        st.floats(0, HEIGHT),
    )
    def test_lens_of_any_strength_is_right_or_silent(self, k1, k2, u, v):
        lens = Lens.create(matrix=MATRIX, distortion=[k1, k2, 0, 0, 0])
        point = np.array([[u, v]])
        undistorted = lens.undistort(point)
        if np.isfinite(undistorted).all():
            assert lens.distort(undistorted) == pytest.approx(point, abs=0.5)

    def test_lens_is_silent_where_it_shows_nothing(self):
        # r (1 - 0.4 r^2) is never more than 0.61; the corner lies at 1.0
        lens = Lens.create(matrix=MATRIX, distortion=[-0.4, 0, 0, 0, 0])
        corner, middle = lens.undistort(np.array([[1920.0, 1080.0], [960.0, 600.0]]))
        assert np.isnan(corner).all()
        assert np.isfinite(middle).all()

    def test_lens_does_not_fold_far_points_into_the_picture(self):
        # r (1 - 0.2 r^2) turns back at r^2 = 1 / 0.6
        lens = Lens.create(matrix=[[100, 0, 0], [0, 100, 0], [0, 0, 1]], distortion=[-0.2, 0, 0, 0, 0])
        assert lens.reach2 == pytest.approx(1 / 0.6)
        inside, outside = 100 * np.sqrt(1 / 0.6) + np.array([-1.0, 1.0])
        folded = lens.distort(np.array([[inside, 0.0], [outside, 0.0]]))
        assert np.isfinite(folded[0]).all()
        assert np.isnan(folded[1]).all()

    def test_lens_agrees_with_opencv(self):
        rng = np.random.default_rng(1)
        points_m = np.column_stack([rng.uniform(5, 12, 50), rng.uniform(-2, 2, 50), rng.uniform(0, 2, 50)])
        rotation, t = pose()
        expected, _ = cv2.projectPoints(points_m, cv2.Rodrigues(rotation)[0], t, MATRIX, BARREL)
        model = camera(distortion=BARREL)
        assert model.to_picture_at_height(points_m[:, :2], points_m[:, 2]) == pytest.approx(
            expected.reshape(-1, 2), abs=1e-6
        )

    @pytest.mark.parametrize(
        ("matrix", "distortion", "message"),
        [
            (np.eye(2), None, r"camera matrix: expected shape \(3, 3\), got \(2, 2\)"),
            (np.diag([0.0, 100, 1]), None, "positive fx and fy"),
            (np.diag([-100.0, 100, 1]), None, "positive fx and fy"),
            (np.diag([100.0, 100, 2]), None, r"\[0, 0, 1\]"),
            (MATRIX, [0.1, 0.2], r"distortion: expected shape \(5,\), got \(2,\)"),
            (MATRIX, [0.1, 0.2, 0, 0, np.nan], "distortion has values that are not numbers"),
        ],
    )
    def test_lens_refuses(self, matrix, distortion, message):
        with pytest.raises(GeometryError, match=message):
            Lens.create(matrix=matrix, distortion=distortion)

    def test_lens_checks_shapes_of_arrays(self):
        with pytest.raises(GeometryError, match="camera matrix"):
            Lens(np.eye(2), np.zeros(5))
        with pytest.raises(GeometryError, match="distortion"):
            Lens(np.eye(3), np.zeros(4))
