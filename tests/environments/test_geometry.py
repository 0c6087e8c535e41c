"""Camera geometry: hand-computed cases, OpenCV as the reference, numerical derivatives, properties."""

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments.geometry import (
    CameraModel,
    GeometryError,
    Lens,
    camera_matrix_from_homography,
    fit_homography,
    homography_jacobian,
    is_singular,
    orient_homography,
    project,
)
from environments.polygons import as_floats

WIDTH, HEIGHT = 1920, 1080
Values = dict[str, Any]
MATRIX = np.array([[1100.0, 0, 960], [0, 1100, 540], [0, 0, 1]])
BARREL = np.array([-0.3, 0.12, 0.001, -0.0005, -0.01])


def pose(*, x_m=0.0, y_m=0.0, height_m=3.0, yaw_deg=0.0, pitch_deg=30.0):
    """Give R and t of a camera that stands at a place and looks along yaw, pitched down."""
    yaw, pitch = np.radians([yaw_deg, pitch_deg])
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    rotation = np.stack([right, np.cross(forward, right), forward])
    return rotation, -rotation @ np.array([x_m, y_m, height_m])


def camera(*, matrix=MATRIX, distortion=None, full=True, scale=1.0, **where):
    """Make the model of a camera at a pose, from the full calibration or from its homography alone."""
    rotation, t = pose(**where)
    h = np.linalg.inv(matrix @ np.column_stack([rotation[:, 0], rotation[:, 1], t]))
    known: Values = (
        {"lens": Lens.create(matrix=matrix, distortion=distortion)} if full or distortion is not None else {}
    )
    if full:
        known |= {"rotation": rotation, "translation_m": t}
    return CameraModel.create(camera_id="c1", width=WIDTH, height=HEIGHT, h_image_to_world=scale * h, **known)


poses = st.fixed_dictionaries(
    {
        "x_m": st.floats(-20, 20),
        "y_m": st.floats(-20, 20),
        "height_m": st.floats(2, 12),
        "yaw_deg": st.floats(-180, 180),
        "pitch_deg": st.floats(8, 75),
    }
)


class TestAsFloats:
    def test_as_floats_gives_numbers(self):
        assert as_floats("x", [[1, 2]], (1, 2)).dtype == np.float64

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([1, 2], r"x: expected shape \(3,\), got \(2,\)"),
            ([1, float("nan"), 3], "x has values that are not numbers"),
            ([1, float("inf"), 3], "x has values that are not numbers"),
            ([1, None, 3], "x has values that are not numbers"),
            ([1, "a", 3], "x: expected numbers"),
            ([[1], [2, 3], 4], "x: expected numbers"),
            ({"a": 1}, "x: expected numbers"),
        ],
    )
    def test_as_floats_refuses(self, values, message):
        with pytest.raises(GeometryError, match=message):
            as_floats("x", values, (3,))


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


class TestCameraModel:
    def test_camera_straight_down_by_hand(self):
        model = CameraModel.create(
            camera_id="top",
            width=640,
            height=480,
            h_image_to_world=[[0.01, 0.0, -3.2], [0.0, -0.01, 2.4], [0.0, 0.0, 1.0]],
        )
        points_px = np.array([[320.0, 240.0], [420.0, 240.0], [320.0, 140.0]])
        points_m = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        assert model.to_floor(points_px) == pytest.approx(points_m)
        assert model.to_picture(points_m) == pytest.approx(points_px)
        area = cv2.contourArea(model.field_of_view().astype(np.float32))
        assert area == pytest.approx(6.4 * 4.8, rel=1e-5)

    def test_camera_of_full_calibration_knows_where_it_stands(self):
        model = camera(x_m=2.0, y_m=-3.0, height_m=4.0, yaw_deg=40.0)
        assert model.position_m == pytest.approx([2.0, -3.0, 4.0])

    def test_middle_of_the_picture_by_hand(self):
        # 3 m up, pitched down 45 degrees, looking along x: the axis meets the floor 3 m ahead
        model = camera(height_m=3.0, pitch_deg=45.0)
        assert model.to_floor(np.array([[960.0, 540.0]])) == pytest.approx(np.array([[3.0, 0.0]]))
        # to the right of the picture is towards negative y
        assert model.to_floor(np.array([[1060.0, 540.0]]))[0, 1] < 0

    @pytest.mark.parametrize("scale", [1.0, -1.0, 1e-6, -1e6])
    def test_scale_and_sign_of_the_homography_do_not_matter(self, scale):
        points_m = np.array([[5.0, 1.0], [8.0, -2.0]])
        assert camera(scale=scale).to_picture(points_m) == pytest.approx(camera().to_picture(points_m))

    @given(poses)
    def test_floor_and_picture_there_and_back(self, where):
        model = camera(distortion=BARREL, **where)
        points_px = np.array([[300.0, 1000.0], [960.0, 900.0], [1700.0, 1050.0]])
        points_m = model.to_floor(points_px)
        seen = np.isfinite(points_m).all(axis=1)
        assert model.to_picture(points_m[seen]) == pytest.approx(points_px[seen], abs=0.05)

    def test_above_the_horizon_is_no_floor(self):
        model = camera(pitch_deg=10.0)
        horizon_v = 540 - 1100 * np.tan(np.radians(10.0))
        floor = model.to_floor(np.array([[960.0, horizon_v - 1], [960.0, horizon_v + 1]]))
        assert np.isnan(floor[0]).all()
        assert floor[1, 0] > 100

    def test_behind_the_camera_is_no_picture(self):
        assert np.isnan(camera().to_picture(np.array([[-5.0, 0.0]]))).all()
        assert np.isnan(camera().to_picture_at_height(np.array([[-5.0, 0.0]]), 1.7)).all()

    @given(poses)
    def test_homography_alone_gives_the_pose(self, where):
        known, alone = camera(**where), camera(full=False, **where)
        assert alone.position_m == pytest.approx(known.position_m, abs=1e-3)
        points_m = known.to_floor(np.array([[600.0, 1000.0], [1300.0, 1060.0]]))
        heads = known.to_picture_at_height(points_m, 1.7)
        assert alone.to_picture_at_height(points_m, 1.7) == pytest.approx(heads, abs=0.05, nan_ok=True)

    def test_camera_matrix_helps_where_the_homography_alone_does_not(self):
        # straight down at 5 m: nothing in the picture depends on the focal length
        rotation = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
        t = -rotation @ np.array([1.0, 2.0, 5.0])
        h = np.linalg.inv(MATRIX @ np.column_stack([rotation[:, 0], rotation[:, 1], t]))
        size: Values = {"camera_id": "c1", "width": WIDTH, "height": HEIGHT, "h_image_to_world": h}
        with pytest.raises(GeometryError, match="looks straight down"):
            _ = CameraModel.create(**size).projection
        assert CameraModel.create(**size, lens=Lens.create(matrix=MATRIX)).position_m == pytest.approx(
            [1, 2, 5]
        )

    @given(poses, st.floats(500, 3000))
    def test_focal_length_follows_from_the_homography(self, where, focal_px):
        matrix = np.array([[focal_px, 0, WIDTH / 2], [0, focal_px, HEIGHT / 2], [0, 0, 1]])
        h = camera(matrix=matrix, **where).h_world_to_image
        found = camera_matrix_from_homography(h, width=WIDTH, height=HEIGHT)
        assert found == pytest.approx(matrix, rel=1e-4)

    def test_head_of_a_person_by_hand(self):
        # a camera 3 m up that looks level sees 3 m high things at the horizon, whatever their distance
        model = camera(pitch_deg=1e-9, height_m=3.0)
        heads = model.to_picture_at_height(np.array([[5.0, 0.0], [20.0, 0.0]]), 3.0)
        assert heads == pytest.approx(np.array([[960.0, 540.0], [960.0, 540.0]]), abs=1e-3)

    def test_height_may_differ_by_person(self):
        points_m = np.array([[6.0, 0.0], [7.0, 1.0]])
        both = camera().to_picture_at_height(points_m, np.array([1.6, 1.9]))
        assert both[1] == pytest.approx(camera().to_picture_at_height(points_m[1:], 1.9)[0])

    def test_height_zero_is_the_floor(self):
        points_m = np.array([[6.0, 0.0], [7.0, 1.0]])
        assert camera().to_picture_at_height(points_m, 0.0) == pytest.approx(camera().to_picture(points_m))

    def test_covariance_by_hand(self):
        # 1 cm a pixel: 2 px of noise are 2 cm
        model = CameraModel.create(
            camera_id="top", width=640, height=480, h_image_to_world=np.diag([0.01, 0.01, 1.0])
        )
        points_m, covariance = model.to_floor_with_covariance(
            np.array([[100.0, 200.0]]), np.diag([4.0, 9.0])[None]
        )
        assert points_m == pytest.approx(np.array([[1.0, 2.0]]))
        assert covariance[0] == pytest.approx(np.diag([4e-4, 9e-4]))

    def test_covariance_agrees_with_sampling(self):
        rng = np.random.default_rng(2)
        model, mean, sigma2 = camera(), np.array([[900.0, 800.0]]), np.array([[4.0, 1.0], [1.0, 3.0]])
        samples = model.to_floor(rng.multivariate_normal(mean[0], sigma2, 20_000))
        _, covariance = model.to_floor_with_covariance(mean, sigma2[None])
        assert covariance[0] == pytest.approx(np.cov(samples.T), rel=0.05, abs=1e-5)

    def test_covariance_grows_with_distance(self):
        _, covariance = camera().to_floor_with_covariance(
            np.array([[960.0, 1000.0], [960.0, 300.0]]), np.repeat(np.eye(2)[None], 2, axis=0)
        )
        assert np.trace(covariance[1]) > 10 * np.trace(covariance[0])

    def test_nothing_gives_nothing(self):
        model = camera(distortion=BARREL)
        nothing = np.zeros((0, 2))
        assert model.to_floor(nothing).shape == (0, 2)
        assert model.to_picture(nothing).shape == (0, 2)
        assert model.to_picture_at_height(nothing, 1.7).shape == (0, 2)
        points_m, covariance = model.to_floor_with_covariance(nothing, np.zeros((0, 2, 2)))
        assert (points_m.shape, covariance.shape) == ((0, 2), (0, 2, 2))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"width": 0}, "picture size 0x1080 is not positive"),
            ({"h_image_to_world": np.eye(2)}, r"homography of c1: expected shape \(3, 3\)"),
            ({"h_image_to_world": np.full((3, 3), np.nan)}, "not numbers"),
            ({"h_image_to_world": np.zeros((3, 3))}, "singular: calibrate the camera again"),
            ({"h_image_to_world": np.ones((3, 3))}, "singular"),
            ({"rotation": np.eye(2)}, r"rotation of c1: expected shape \(3, 3\)"),
            ({"rotation": 2 * np.eye(3)}, "orthonormal"),
            ({"rotation": -np.eye(3)}, "orthonormal"),
            ({"rotation": np.eye(3)}, "rotation and translation of c1: give both or neither"),
            ({"translation_m": [1.0, 2.0, 3.0]}, "give both or neither"),
            ({"translation_m": [1.0, 2.0]}, r"translation of c1: expected shape \(3,\)"),
        ],
    )
    def test_camera_refuses(self, change, message):
        values: Values = {"camera_id": "c1", "width": WIDTH, "height": HEIGHT, "h_image_to_world": np.eye(3)}
        with pytest.raises(GeometryError, match=message):
            CameraModel.create(**(values | change))


class TestOrient:
    def test_orientation_makes_the_lower_edge_positive(self):
        h = np.array([[1.0, 0, 0], [0, 1, 0], [0, -1, 100]])  # positive above v = 100
        oriented = orient_homography(h, width=640, height=480)
        assert oriented[2] @ [320, 480, 1] > 0

    def test_orientation_of_a_horizon_on_the_lower_edge_takes_the_larger_side(self):
        h = np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -480]])  # zero on the lower edge, negative above it
        oriented = orient_homography(h, width=640, height=480)
        assert oriented[2] @ [320, 240, 1] > 0


class TestFieldOfView:
    def test_field_of_view_holds_what_the_picture_shows(self):
        model = camera(pitch_deg=50.0, distortion=BARREL)
        hull = model.field_of_view().astype(np.float32)
        inside = model.to_floor(np.array([[960.0, 540.0], [30.0, 1050.0], [1890.0, 40.0]]))
        for point in inside:
            assert cv2.pointPolygonTest(hull, point.tolist(), measureDist=True) > -0.05

    def test_field_of_view_ends_at_the_distance_asked(self):
        model = camera(pitch_deg=5.0)
        reach_m = np.linalg.norm(model.field_of_view(max_distance_m=25.0), axis=1).max()
        assert reach_m == pytest.approx(25.0, abs=1e-3)

    def test_field_of_view_of_the_sky_is_empty(self):
        # the horizon runs 1 px below the picture's lower edge; what is above it is oriented as no floor
        model = CameraModel(
            camera_id="sky",
            width=640,
            height=480,
            h_image_to_world=np.array([[1.0, 0, 0], [0, 1, 0], [0, 1, -481]]),
        )
        assert model.field_of_view().shape == (0, 2)


class TestFit:
    SQUARE_PX = np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 100.0], [0.0, 100.0]])
    SQUARE_M = SQUARE_PX / 100

    def test_fit_of_four_pairs_is_exact(self):
        fit = fit_homography(self.SQUARE_PX, self.SQUARE_M)
        assert project(fit.h_image_to_world, np.array([[50.0, 25.0]])) == pytest.approx(
            np.array([[0.5, 0.25]])
        )
        assert fit.errors_m == pytest.approx(np.zeros(4), abs=1e-9)
        assert fit.inliers.all()

    @given(poses)
    def test_fit_finds_the_homography_again(self, where):
        model = camera(**where)
        u, v = np.meshgrid([200.0, 960.0, 1700.0], [750.0, 900.0, 1050.0])
        points_px = np.column_stack([u.ravel(), v.ravel()])
        points_m = model.to_floor(points_px)
        distance_m = np.linalg.norm(points_m - [where["x_m"], where["y_m"]], axis=1)
        if np.isfinite(points_m).all() and distance_m.max() < 100:
            fit = fit_homography(points_px, points_m)
            assert fit.errors_m.max() < 1e-3

    def test_fit_leaves_an_outlier_out(self):
        model = camera()
        u, v = np.meshgrid([200.0, 960.0, 1700.0], [600.0, 800.0, 1050.0])
        points_px = np.column_stack([u.ravel(), v.ravel()])
        points_m = model.to_floor(points_px)
        points_m[4] += [3.0, 0.0]
        fit = fit_homography(points_px, points_m)
        assert fit.inliers.tolist() == [True] * 4 + [False] + [True] * 4
        assert fit.errors_m[4] == pytest.approx(3.0, abs=1e-3)

    @pytest.mark.parametrize(
        ("points_px", "points_m", "message"),
        [
            (SQUARE_PX[:3], SQUARE_M[:3], "at least 4 point pairs, got 3: add more points"),
            (SQUARE_PX[:0].reshape(0, 2), SQUARE_M[:0], "at least 4 point pairs, got 0"),
            (SQUARE_PX, SQUARE_M[:3], r"expected two arrays \(n, 2\), got \(4, 2\) and \(3, 2\)"),
            (SQUARE_PX[:, :1], SQUARE_M[:, :1], r"expected two arrays \(n, 2\)"),
            (np.where(SQUARE_PX == 100, np.nan, SQUARE_PX), SQUARE_M, "not numbers"),
            (np.column_stack([np.arange(5.0), np.arange(5.0)]), np.eye(5)[:, :2], "one line in the picture"),
            (
                np.vstack([SQUARE_PX, [[5, 7]]]),
                np.outer(np.arange(5.0), [1, 2]),
                "one line in the floor plan",
            ),
            (np.ones((4, 2)), SQUARE_M, "one line in the picture"),
            # three of four on one line
            (np.array([[0.0, 0], [1, 0], [2, 0], [0, 1]]), SQUARE_M, "three of the four are on one line"),
            # two neighbours swapped: a square to a bow tie
            (SQUARE_PX, SQUARE_M[[0, 1, 3, 2]], "contradict each other|swapped"),
        ],
    )
    def test_fit_refuses(self, points_px, points_m, message):
        with pytest.raises(GeometryError, match=message):
            fit_homography(points_px, points_m)

    def test_fit_refuses_pairs_that_do_not_agree(self):
        rng = np.random.default_rng(5)
        with pytest.raises(GeometryError, match=r"point pairs agree within 0\.5 m"):
            fit_homography(rng.uniform(0, 1000, (12, 2)), rng.uniform(0, 50, (12, 2)))

    @given(st.lists(st.tuples(*[st.floats(-1e4, 1e4)] * 4), max_size=8))
    def test_fit_gives_a_homography_or_says_why_not(self, pairs):
        values = np.array(pairs).reshape(-1, 4)
        try:
            fit = fit_homography(values[:, :2], values[:, 2:])
        except GeometryError:
            return
        assert not is_singular(fit.h_image_to_world)
        assert 2 * fit.inliers.sum() >= len(values) >= 4
