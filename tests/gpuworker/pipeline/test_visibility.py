import numpy as np
import pytest

from gpuworker.pipeline.views import Views, look_at
from gpuworker.pipeline.visibility import inside_share, visibility
from tests.gpuworker.pipeline.staging import SETTINGS, camera, state

MODEL = camera("c1", (0, 0, 3), (0, 10, 1))
VIEWS = Views.of({"c1": MODEL})


def shares(people, real):
    seen = look_at(VIEWS, np.array([0]), np.zeros(1), people, SETTINGS)
    return visibility(seen, seen, np.array(real), VIEWS.picture)


def test_visibility_of_one_behind_another_is_small_and_the_one_in_front_is_seen():
    got = shares(state((0, 8), (0, 9)), [True, True])
    assert got.body[0, 0] == 1.0
    assert got.body[0, 1] < 0.3
    assert got.feet[0, 1] == 0.0
    assert got.inside[0] == pytest.approx([1, 1])


def test_visibility_behind_somebody_who_is_not_sure_to_exist_is_full():
    assert shares(state((0, 8), (0, 9)), [False, True]).body[0].tolist() == [1.0, 1.0]


def test_visibility_of_two_in_one_place_hides_neither():
    assert shares(state((0, 8), (0.05, 8.05)), [True, True]).body[0].tolist() == [1.0, 1.0]


def test_visibility_behind_the_camera_is_none():
    got = shares(state((0, -8)), [True])
    assert (got.body[0, 0], got.feet[0, 0], got.inside[0, 0]) == (0, 0, 0)


def test_inside_share_is_cut_by_the_edge():
    boxes = np.array([[-10.0, 0, 10, 10], [0, 0, 10, 10], [200, 0, 210, 10], [np.nan] * 4])
    assert inside_share(boxes, np.array([0.0, 0, 100, 100])) == pytest.approx([0.5, 1, 0, 0])
