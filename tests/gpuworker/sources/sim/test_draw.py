"""Drawn people: where the calibration says, hidden by what stands before them, told apart by their clothes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from environments.geometry import CameraModel, Lens
from gpuworker.sources.sim.backdrop import render_backdrop
from gpuworker.sources.sim.body import joints_m
from gpuworker.sources.sim.draw import CameraView
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.outfit import outfit_of
from gpuworker.sources.sim.silhouette import capsules, silhouettes
from gpuworker.sources.sim.world import Truth

CAMERAS = ("c1", "c2", "c3", "c4")


def truth_of(
    *people: tuple[float, float],
    height_m: float = 1.8,
    speed_mps: float = 0.0,
    heading_rad: float = 0.3,
    first_id: int = 1,
) -> Truth:
    n = len(people)
    heading = np.full(n, heading_rad)
    return Truth(
        time_s=0.0,
        ids=np.arange(first_id, first_id + n),
        position_m=np.array(people).reshape(n, 2),
        velocity_mps=speed_mps * np.column_stack([np.cos(heading), np.sin(heading)]),
        heading_rad=heading,
        height_m=np.full(n, height_m),
        walked_m=np.full(n, 0.4),
    )


def changed(view: CameraView, truth: Truth) -> NDArray[np.bool_]:
    """Say which pixels people change for good; shadows change the light alone."""
    empty = view.draw(truth_of(), 3).astype(int)
    colours = np.abs(view.draw(truth, 3).astype(int) - empty)
    return np.asarray(colours.max(axis=2) > 6)


@pytest.fixture(params=CAMERAS)
def view(request: pytest.FixtureRequest, views: dict[str, CameraView]) -> CameraView:
    return views[request.param]


@pytest.mark.parametrize("place", [(10.0, 4.0), (7.0, 7.2), (14.0, 6.5)])  # where all cameras see it
def test_person_is_drawn_where_the_calibration_says(view, place):
    truth = truth_of(place)
    camera = view.camera
    foot = camera.to_picture(truth.position_m)[0]
    top = camera.to_picture_at_height(truth.position_m, truth.height_m)[0]
    box = silhouettes(camera, truth, np.ones(1)).xyxy[0]
    tall = foot[1] - top[1]
    assert box[1] == pytest.approx(top[1], abs=0.06 * tall)
    assert box[3] == pytest.approx(foot[1], abs=0.09 * tall)  # a shoe in front of the foot point is lower
    assert (box[0] + box[2]) / 2 == pytest.approx(foot[0], abs=0.12 * tall)
    seen = changed(view, truth)
    rows, columns = np.nonzero(seen[int(box[1]) - 3 : int(box[1] + 0.8 * tall), :])
    assert rows.min() == pytest.approx(3, abs=2)
    assert columns.min() >= box[0] - 5
    upper = columns[rows < 0.4 * tall]  # below, shadows reach to the side
    assert upper.max() <= box[2] + 3


def test_picture_depends_on_truth_and_frame_alone(worlds, views):
    view, again = views["c1"], worlds.view(views["c1"].camera, 7)
    truth = truth_of((8.0, 9.0), (12.0, 5.0), speed_mps=1.2)
    assert np.array_equal(view.draw(truth, 5), again.draw(truth, 5))
    assert not np.array_equal(view.draw(truth, 5), view.draw(truth, 6))  # the noise


def test_pillar_hides_who_stands_behind_it(views):
    view = views["c1"]
    pillar = PLAZA.pillars[2]
    eye = view.camera.position_m[:2]
    away = np.array([pillar.x_m, pillar.y_m]) - eye
    away /= np.linalg.norm(away)
    behind = tuple(np.array([pillar.x_m, pillar.y_m]) + 1.0 * away)
    before = tuple(np.array([pillar.x_m, pillar.y_m]) - 0.6 * away)
    assert np.count_nonzero(changed(view, truth_of(behind))) < 0.25 * np.count_nonzero(
        changed(view, truth_of(before))
    )
    column = int(view.camera.to_picture(np.array([[pillar.x_m, pillar.y_m]]))[0, 0])
    row = int(view.camera.to_picture_at_height(np.array([behind]), 1.2)[0, 1])
    assert not changed(view, truth_of(behind))[row, column]
    row = int(view.camera.to_picture_at_height(np.array([before]), 1.2)[0, 1])
    assert changed(view, truth_of(before))[row, column]


def test_nearer_person_covers_the_farther_one(views):
    view = views["c1"]
    near, far = (6.0, 8.0), (6.6, 8.8)
    two = view.draw(truth_of(far, near), 0)
    swapped = view.draw(truth_of(near, far), 0)
    x, y = view.camera.to_picture_at_height(np.array([near]), 1.3)[0].astype(int)
    one = view.draw(truth_of((1.0, 13.0), near), 0)
    assert np.array_equal(two[y - 2 : y + 2, x - 2 : x + 2], one[y - 2 : y + 2, x - 2 : x + 2])
    assert not np.array_equal(two[y - 2 : y + 2, x - 2 : x + 2], swapped[y - 2 : y + 2, x - 2 : x + 2])


def test_people_outside_the_picture_or_behind_the_camera_leave_it_alone(views):
    view = views["c1"]
    empty = view.draw(truth_of(), 0)
    assert np.array_equal(view.draw(truth_of((-5.0, -5.0), (0.41, 0.41)), 0), empty)


def test_people_anywhere_can_be_drawn(view):
    x, y = np.meshgrid(np.arange(-1.5, 21.6, 0.45), np.arange(-1.5, 15.6, 0.45))
    everywhere = truth_of(*zip(x.ravel().tolist(), y.ravel().tolist(), strict=True), speed_mps=1.0)
    shape = silhouettes(view.camera, everywhere, np.ones(len(everywhere.ids)))
    assert np.isfinite(shape.xyxy).all()
    assert 500 < len(shape.index) < len(everywhere.ids)
    assert view.draw(everywhere.select(np.arange(0, len(everywhere.ids), 3)), 0).shape == (360, 640, 3)


def test_neighbouring_ids_wear_different_colours():
    tops = [np.array(outfit_of(7, i).top, float) for i in range(1, 15)]
    apart = [np.linalg.norm(a - b) for i, a in enumerate(tops) for b in tops[:i]]
    assert min(apart) > 25
    assert outfit_of(7, 3) == outfit_of(7, 3)
    assert outfit_of(7, 3) != outfit_of(8, 3)


@pytest.mark.parametrize("walked_m", np.linspace(0, 1.4, 8))
def test_body_stands_on_the_floor_at_its_height(walked_m):
    truth = truth_of((3.0, 4.0), speed_mps=1.3)
    joints = joints_m(
        Truth(
            truth.time_s,
            truth.ids,
            truth.position_m,
            truth.velocity_mps,
            truth.heading_rad,
            truth.height_m,
            np.array([walked_m]),
        )
    )[0]
    assert joints[[2, 6], 2].min() == pytest.approx(0.035 * 1.8)  # the lower ankle
    assert joints[:, 2].min() > -0.01
    assert 1.55 < joints[15, 2] < 1.75  # the middle of the head
    assert np.linalg.norm(joints[0] - joints[1]) == pytest.approx(0.245 * 1.8)  # thighs keep their length


def test_capsule_surrounds_its_segment():
    outline = capsules(np.array([0.0, 0.0]), np.array([10.0, 0.0]), np.array([2.0, 1.0]))
    assert outline.shape == (12, 2)
    assert outline[:, 0].min() >= -2.0
    assert outline[:, 0].max() <= 11.0
    assert np.abs(outline[:, 1]).max() == pytest.approx(2.0)
    dot = capsules(np.zeros(2), np.zeros(2), np.array([3.0, 3.0]))
    assert np.linalg.norm(dot, axis=1) == pytest.approx(np.full(12, 3.0))


def test_camera_without_full_calibration_cannot_be_drawn():
    model = CameraModel.create(
        camera_id="x",
        width=64,
        height=36,
        h_image_to_world=np.array([[0.1, 0, -3], [0, -0.2, 9], [0, -0.02, 1]]),
        lens=Lens(np.eye(3), np.zeros(5)),
    )
    with pytest.raises(ValueError, match="camera x: drawing needs the full calibration"):
        render_backdrop(model, PLAZA, np.zeros((8, 8, 3), np.uint8))
