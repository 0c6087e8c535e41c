import numpy as np
import pytest

from gpuworker.pipeline import births
from gpuworker.pipeline.observation import measure
from gpuworker.pipeline.values import NO_ID, Detections
from gpuworker.pipeline.views import Views
from tests.gpuworker.pipeline.staging import SETTINGS, boxes, state, yard

CAMERAS = yard()
VIEWS = Views.of(CAMERAS)


def collect(people, *, confidence=0.9, cameras=("c1", "c2", "c3"), change=None):
    found = []
    for key, model in CAMERAS.items():
        xyxy = boxes(model, people) if key in cameras else np.zeros((0, 4))
        xyxy = xyxy if change is None else change(xyxy)
        found.append(Detections(xyxy.astype(np.float32), np.full(len(xyxy), confidence, np.float32)))
    measured = measure(list(CAMERAS.values()), found, SETTINGS)
    return births.leftover(VIEWS, np.arange(3), np.zeros(3), measured, np.full(len(measured), NO_ID))


def gather(left, misses=None):
    seeds = births.seed(left, SETTINGS)
    misses = np.zeros((len(left), 3)) if misses is None else misses
    alone = births.chances(left, seeds, np.zeros((0, 2)), SETTINGS)
    return births.gather(left, seeds, births.pair(left, seeds, SETTINGS), alone, misses, SETTINGS)


def test_leftover_holds_boxes_without_owner_only():
    people = state((3, 4), (6, 7))
    model = CAMERAS["c1"]
    found = Detections(boxes(model, people).astype(np.float32), np.ones(2, np.float32))
    measured = measure([model], [found], SETTINGS)
    left = births.leftover(VIEWS, np.array([0]), np.zeros(1), measured, np.array([5, NO_ID]))
    assert left.box.tolist() == [1]
    assert left.picture_px.tolist() == [[1280, 720]]


def test_seed_of_one_box_is_where_the_person_stands():
    seeds = births.seed(collect(state((4, 5)), cameras=("c1",)), SETTINGS)
    np.testing.assert_allclose(seeds.mean[0, :2], [4, 5], atol=0.02)
    assert seeds.mean[0, 4] == pytest.approx(1.74, abs=0.01)
    assert seeds.misfit[0] == pytest.approx(0.0, abs=0.01)


def test_seed_of_a_box_with_hidden_feet_is_placed_by_the_head():
    def half(xyxy):
        xyxy[:, 3] -= 0.45 * (xyxy[:, 3] - xyxy[:, 1])
        return xyxy

    seeds = births.seed(collect(state((4, 5)), cameras=("c1",), change=half), SETTINGS)
    assert seeds.valid[0].tolist() == [True, False, True]
    np.testing.assert_allclose(seeds.mean[0, :2], [4, 5], atol=0.3)


def test_seed_of_a_box_in_the_sky_is_no_person():
    sky = births.seed(
        collect(state((4, 5)), cameras=("c1",), change=lambda b: b * 0 + [600, 5, 640, 30]), SETTINGS
    )
    assert np.isnan(sky.mean).all()


def test_gather_makes_one_person_of_one_box_a_camera():
    born = gather(collect(state((4, 5), (7, 3))))
    assert len(born.mean) == 2
    order = np.argsort(born.mean[:, 0])
    np.testing.assert_allclose(born.mean[order, :2], [[4, 5], [7, 3]], atol=0.02)
    assert np.bincount(born.birth).tolist() == [3, 3]


def test_gather_is_surer_of_what_more_cameras_see():
    three, one = gather(collect(state((4, 5)))), gather(collect(state((4, 5)), cameras=("c1",)))
    assert three.logit[0] == pytest.approx(one.logit[0] + 2 * SETTINGS.hit_limit, abs=0.01)


def test_gather_doubts_what_cameras_should_see_and_do_not():
    left = collect(state((4, 5)), cameras=("c1",))
    assert gather(left, np.full((1, 3), -1.0)).logit[0] == pytest.approx(gather(left).logit[0] - 2.0)


def test_gather_begins_nobody_on_a_doubtful_box():
    left = collect(state((4, 5)), cameras=("c1",), confidence=0.1)
    assert len(gather(left, np.full((1, 3), -1.5)).mean) == 0


@pytest.mark.parametrize("cameras", [("c1",), ("c1", "c2", "c3")])
@pytest.mark.parametrize("confidence", [0.1, 0.4, 0.9])
def test_best_chance_is_not_exceeded(cameras, confidence):
    left = collect(state((4, 5), (7, 3)), cameras=cameras, confidence=confidence)
    alone = births.chances(left, births.seed(left, SETTINGS), np.zeros((0, 2)), SETTINGS)
    best = births.best_chance(alone, left, SETTINGS)
    assert (gather(left).logit <= best).all()
    assert best == pytest.approx(
        SETTINGS.birth_logit + left.evidence[0] + (len(cameras) - 1) * SETTINGS.hit_limit, abs=1e-3
    )


def test_gather_of_nothing_is_nobody():
    born = gather(collect(state()))
    assert (born.mean.shape, born.covariance.shape, born.logit.shape) == ((0, 5), (0, 5, 5), (0,))


def test_crowding_keeps_new_people_off_others():
    got = births.crowding(np.array([[0.0, 0.0], [5.0, 0.0]]), np.array([[0.0, 0.05]]), SETTINGS)
    assert got[0] < -3
    assert got[1] == pytest.approx(0.0, abs=1e-3)
    assert births.crowding(np.zeros((1, 2)), np.zeros((0, 2)), SETTINGS).tolist() == [0.0]
