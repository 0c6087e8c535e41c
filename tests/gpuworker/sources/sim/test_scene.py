"""The simulated site: calibrations that fit together, a plan that fits the floor."""

import cv2
import numpy as np
import pytest

from environments.geometry import points_in_polygon, project
from gpuworker.sources.sim.scene import look_at, plaza, plaza_cameras

SITE = plaza()


def test_camera_that_looks_down_a_line_sees_it_in_the_middle():
    camera = look_at("c", eye_m=(0.0, 0.0, 4.0), target_m=(8.0, 0.0, 0.0))
    assert camera.to_picture(np.array([[8.0, 0.0]]))[0] == pytest.approx([320, 180])
    left, right = camera.to_picture(np.array([[8.0, 1.0], [8.0, -1.0]]))
    assert left[0] < 320 < right[0]
    near, far = camera.to_picture(np.array([[5.0, 0.0], [12.0, 0.0]]))
    assert near[1] > 180 > far[1]
    assert camera.position_m == pytest.approx([0.0, 0.0, 4.0])


@pytest.mark.parametrize("camera", plaza_cameras(), ids=lambda c: c.camera_id)
def test_homography_agrees_with_the_full_calibration(camera):
    points_m = np.array([[10.0, 7.0], [8.0, 9.0], [12.5, 5.0]])
    by_homography = camera.to_picture(points_m)
    assert camera.to_picture_at_height(points_m, 0.0) == pytest.approx(by_homography, abs=1e-6)
    assert camera.to_floor(by_homography) == pytest.approx(points_m, abs=1e-3)


def test_every_place_in_the_middle_is_seen_by_several_cameras():
    x, y = np.meshgrid(np.linspace(5, 15, 11), np.linspace(4, 10, 7))
    points_m = np.column_stack([x.ravel(), y.ravel()])
    seen = np.zeros(len(points_m), int)
    for camera in SITE.cameras:
        px = camera.to_picture(points_m)
        seen += ((px > 0) & (px < [camera.width, camera.height])).all(axis=1)
    assert seen.min() >= 2
    assert [c.camera_id for c in SITE.cameras] == ["c1", "c2", "c3", "c4"]


def test_plan_picture_lies_on_the_floor():
    image = cv2.imdecode(np.frombuffer(SITE.plan_png, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    to_px = np.array([[1, 0, SITE.plan_origin_px[0]], [0, -1, SITE.plan_origin_px[1]], [0, 0, 1]])
    to_px[:2, :2] = to_px[:2, :2] / SITE.metres_per_px
    planter, corner, gate = project(to_px, np.array([[10.0, 7.0], [19.9, 13.9], [15.6, 14.17]])).astype(int)
    b, g, r = image[planter[1] - 8 : planter[1] + 8, planter[0] - 8 : planter[0] + 8].mean(axis=(0, 1))
    assert g > b + 10  # the planter's leaves
    assert g > r + 10
    assert image[corner[1], corner[0]].min() > 120  # paving
    assert image[gate[1], gate[0]].tolist() == [31, 106, 255]  # the mark of an opening
    assert image.shape[1] * SITE.metres_per_px == pytest.approx(23.0)


def test_zones_lie_inside_the_walls():
    x_min, y_min, x_max, y_max = SITE.bounds_m
    walls = np.array([[x_min, y_min], [x_max, y_min], [x_max, y_max], [x_min, y_max]])
    assert [zone.kind for zone in SITE.zones] == ["polygon", "polygon", "line"]
    for zone in SITE.zones:
        assert points_in_polygon(zone.points_m, walls).all()
