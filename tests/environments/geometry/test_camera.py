"""Cameras: hand-computed cases, OpenCV as the reference, numerical derivatives, properties."""

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
)
from tests.environments.geometry.rig import BARREL, HEIGHT, MATRIX, WIDTH, Values, camera, poses


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
