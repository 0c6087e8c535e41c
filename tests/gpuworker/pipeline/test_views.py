import numpy as np
import pytest

from environments.geometry import CameraModel
from gpuworker.pipeline.views import NOWHERE_PX, Views, look_at
from tests.gpuworker.pipeline.staging import SETTINGS, camera, state, yard

HERE = np.zeros(1)


def seen(model, people, dt_s=0.0):
    return look_at(Views.of({model.camera_id: model}), np.array([0]), np.array([dt_s]), people, SETTINGS)


def test_look_projects_feet_and_head_as_the_camera_does():
    model = yard()["c1"]
    people = state((4, 5), (6, 2))
    got = seen(model, people)
    feet, heads = model.to_picture(people[:, :2]), model.to_picture_at_height(people[:, :2], 1.74)
    np.testing.assert_allclose(got.z[0, :, 0], (feet[:, 0] + heads[:, 0]) / 2)
    np.testing.assert_allclose(got.z[0, :, 1], feet[:, 1])
    np.testing.assert_allclose(got.z[0, :, 2], heads[:, 1])
    np.testing.assert_allclose(got.size_px[0], np.linalg.norm(heads - feet, axis=1))


def test_look_derivatives_equal_differences():
    model = yard()["c1"]
    people = state((4, 5, 1, -0.5))
    got = seen(model, people, -0.3)
    for k in range(5):
        step = np.zeros(5)
        step[k] = 1e-5
        difference = (seen(model, people + step, -0.3).z - seen(model, people - step, -0.3).z) / 2e-5
        np.testing.assert_allclose(got.jacobian[0, 0, :, k], difference[0, 0], rtol=1e-5, atol=1e-6)


def test_look_at_an_earlier_frame_is_where_the_person_was():
    model = yard()["c1"]
    now, before = seen(model, state((4, 5, 2, 0)), -0.5), seen(model, state((3, 5)))
    np.testing.assert_allclose(now.z, before.z)


def test_look_behind_the_camera_is_nowhere():
    got = seen(yard()["c1"], state((-8, -8)))
    assert (got.z == NOWHERE_PX).all()
    assert np.isnan(got.box).all()
    assert np.isinf(got.depth).all()
    assert not got.jacobian.any()


def test_look_of_a_homography_alone_finds_the_height():
    full = yard()["c1"]
    bare = CameraModel.create(
        camera_id="c1", width=full.width, height=full.height, h_image_to_world=full.h_image_to_world
    )
    np.testing.assert_allclose(seen(bare, state((4, 5))).z, seen(full, state((4, 5))).z, rtol=1e-6, atol=1e-4)


def test_look_straight_down_measures_the_foot_point_only():
    down = CameraModel.create(
        camera_id="c1",
        width=640,
        height=480,
        h_image_to_world=[[0.01, 0.0, 0.0], [0.0, -0.01, 4.8], [0.0, 0.0, 1.0]],
    )
    views = Views.of({"c1": down})
    got = seen(down, state((3, 2)))
    assert not views.sees_height[0]
    assert got.z[0, 0, :2] == pytest.approx([300, 280])
    assert got.size_px[0, 0] == pytest.approx(174)


def test_views_stack_cameras_in_the_order_of_their_ids():
    cameras = yard()
    views = Views.of({"c3": cameras["c3"], "c1": cameras["c1"]})
    assert [c.camera_id for c in views.cameras] == ["c1", "c3"]
    assert views.projection.shape == (2, 3, 4)


def test_noise_grows_with_the_size_of_the_person():
    model = camera("c1", (0, 0, 3), (0, 10, 1))
    near, far = seen(model, state((0, 5))), seen(model, state((0, 20)))
    assert near.noise[0, 0, 1, 1] > far.noise[0, 0, 1, 1] > SETTINGS.pixel_noise_px**2


def test_views_of_no_cameras_are_empty():
    assert len(Views.of({})) == 0
    assert look_at(Views.of({}), np.zeros(0, int), np.zeros(0), state((1, 1)), SETTINGS).z.shape == (0, 1, 3)
