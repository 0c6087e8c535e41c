"""Homographies: hand-computed cases, numerical derivatives."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.geometry import (
    homography_jacobian,
    orient_homography,
    project,
)
from tests.environments.geometry.rig import HEIGHT, WIDTH, camera, poses


class TestProject:
    def test_project_by_hand(self):
        # (u, v) -> (2u, 3v) / (v + 1)
        h = np.array([[2.0, 0, 0], [0, 3, 0], [0, 1, 1]])
        out = project(h, np.array([[1.0, 0.0], [4.0, 1.0]]))
        assert out.tolist() == [[2.0, 0.0], [4.0, 1.5]]

    def test_project_gives_nan_at_and_beyond_the_horizon(self):
        h = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])  # the horizon is v = 0
        assert np.isnan(project(h, np.array([[5.0, 0.0], [5.0, -1.0]]))).all()
        assert np.isnan(homography_jacobian(h, np.array([[5.0, 0.0], [5.0, -1.0]]))).all()

    def test_project_gives_nothing_for_nothing(self):
        assert project(np.eye(3), np.zeros((0, 2))).shape == (0, 2)
        assert homography_jacobian(np.eye(3), np.zeros((0, 2))).shape == (0, 2, 2)

    def test_project_keeps_nan(self):
        assert np.isnan(project(np.eye(3), np.array([[np.nan, 1.0]]))).all()

    @given(poses, st.floats(0, WIDTH), st.floats(0.6 * HEIGHT, HEIGHT))
    def test_project_agrees_with_opencv(self, where, u, v):
        h = camera(**where).h_image_to_world
        point = np.array([[u, v]])
        ours = project(h, point)
        if np.isfinite(ours).all():
            theirs = cv2.perspectiveTransform(point.reshape(1, 1, 2), h).reshape(1, 2)
            assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)

    def test_jacobian_of_a_scaling_by_hand(self):
        jac = homography_jacobian(np.diag([2.0, 3.0, 1.0]), np.array([[7.0, 8.0]]))
        assert jac.tolist() == [[[2.0, 0.0], [0.0, 3.0]]]

    @given(poses, st.floats(0, WIDTH), st.floats(0.7 * HEIGHT, HEIGHT))
    def test_jacobian_agrees_with_central_differences(self, where, u, v):
        h = camera(**where).h_image_to_world
        step = 1e-3
        shifts = np.array([[step, 0], [0, step]])
        point = np.array([u, v])
        plus, minus = project(h, point + shifts), project(h, point - shifts)
        jac = homography_jacobian(h, point[None])[0]
        expected = ((plus - minus) / (2 * step)).T
        near = np.linalg.norm(project(h, point[None])[0] - [where["x_m"], where["y_m"]]) < 200
        if np.isfinite(expected).all() and near:
            assert jac == pytest.approx(expected, rel=1e-4, abs=1e-7)


class TestOrient:
    def test_orientation_makes_the_lower_edge_positive(self):
        h = np.array([[1.0, 0, 0], [0, 1, 0], [0, -1, 100]])  # positive above v = 100
        oriented = orient_homography(h, width=640, height=480)
        assert oriented[2] @ [320, 480, 1] > 0

    def test_orientation_of_a_horizon_on_the_lower_edge_takes_the_larger_side(self):
        h = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -480]])  # zero on the lower edge, negative above it
        oriented = orient_homography(h, width=640, height=480)
        assert oriented[2] @ [320, 240, 1] > 0
