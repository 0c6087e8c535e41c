"""Floor plans of sites that bring none."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from environments.geometry import CameraModel
from gpuworker.plan_drawing import EDGE, FLOOR, GROUND, draw_plan
from gpuworker.sources.sim.scene import plaza_cameras


def picture(plan):
    return np.asarray(Image.open(BytesIO(plan.png)).convert("RGB")).astype(int)


def colour_at(plan, x_m, y_m):
    u = plan.origin_px[0] + x_m / plan.metres_per_px
    v = plan.origin_px[1] - y_m / plan.metres_per_px
    return tuple(picture(plan)[round(v), round(u)].tolist())


def test_plan_places_the_floor_by_its_scale_and_origin():
    plan = draw_plan(bounds_m=(-5.0, -2.0, 5.0, 2.0), cameras=[])
    assert picture(plan).shape[1] == 1400
    assert colour_at(plan, 0.3, 0.3) == FLOOR
    assert colour_at(plan, 0.3, 2.5) == GROUND
    row = picture(plan)[round(plan.origin_px[1] - 0.3 / plan.metres_per_px), :, 0]
    (edge_px,) = np.nonzero(row > EDGE[0] - 40)
    ends_m = (edge_px[[0, -1]] - plan.origin_px[0]) * plan.metres_per_px
    assert ends_m == pytest.approx([-5.0, 5.0], abs=3 * plan.metres_per_px)


def test_plan_shows_what_a_camera_sees_in_its_colour():
    model = CameraModel.create(
        camera_id="c1",
        width=200,
        height=100,
        h_image_to_world=[[0.01, 0.0, 0.0], [0.0, -0.01, 1.0], [0.0, 0.0, 1.0]],  # sees (0, 0) to (2, 1) m
    )
    plan = draw_plan(bounds_m=(-4.0, -4.0, 4.0, 4.0), cameras=[model])
    seen, unseen = colour_at(plan, 1.7, 0.8), colour_at(plan, 2.3, 0.8)
    assert seen[0] > unseen[0] + 10
    assert unseen == FLOOR


@pytest.mark.parametrize(
    "bounds_m",
    [(0.0, 0.0, 1e-3, 1e-3), (0.0, 0.0, 2.0, 300.0), (1e5, -1e5, 1.1e5, -0.9e5), (0.1, 0.1, 0.3, 0.2)],
)
def test_plan_is_drawn_for_any_floor(bounds_m):
    plan = draw_plan(bounds_m=bounds_m, cameras=plaza_cameras())
    height, width, _ = picture(plan).shape
    assert max(width, height) == 1400
    assert plan.metres_per_px * width > bounds_m[2] - bounds_m[0]


def test_plan_is_the_same_each_time():
    drawn = [draw_plan(bounds_m=(0.0, 0.0, 20.0, 14.0), cameras=plaza_cameras()) for _ in range(2)]
    assert drawn[0] == drawn[1]
