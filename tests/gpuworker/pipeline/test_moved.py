import numpy as np
import pytest

from gpuworker.pipeline.moved import CameraWatch
from gpuworker.pipeline.settings import BiasSettings
from tests.gpuworker.pipeline.staging import yard

SETTINGS = BiasSettings()
CAMERAS = tuple(yard(2).values())  # 1280 px wide: a move is more than 10 px
FAR_PX = 1280 * SETTINGS.moved + 3


def votes(way_px, *, people=8, seen=1.0, frames=20, seed=1, noise_px=3.0):
    """Let people at random be voted on, each seen with a chance, so far off; give the ways found."""
    watch, rng = CameraWatch(CAMERAS, SETTINGS), np.random.default_rng(seed)
    found = []
    for k in range(frames):
        places = rng.uniform([100, 100], [1180, 620], (people, 2))
        boxes = places[rng.random(people) < seen] + way_px
        found.append(
            watch.vote(
                0, float(k), places, np.full(people, noise_px), boxes + rng.normal(0, noise_px, boxes.shape)
            )
        )
    return [way for way in found if way is not None]


@pytest.mark.parametrize("way_px", [(40.0, 0.0), (0.0, -40.0), (28.0, 28.0), (-70.0, 20.0)])
def test_votes_find_the_way_by_which_a_camera_moved(way_px):
    assert votes(np.array(way_px), seen=0.7)[0] == pytest.approx(way_px, abs=3.0)


@pytest.mark.parametrize("seed", range(10))
def test_votes_find_nothing_while_people_are_where_they_should_be(seed):
    assert votes(np.zeros(2), seen=0.5, people=15, frames=60, seed=seed) == []


@pytest.mark.parametrize("seed", range(5))
def test_votes_of_uncertain_boxes_find_nothing_nearer_than_they_are_sure(seed):
    assert votes(np.array([15.0, 10.0]), noise_px=20.0, frames=60, seed=seed) == []


def test_votes_of_few_people_take_longer():
    assert votes(np.array([40.0, 0.0]), people=2, frames=19) == []
    assert len(votes(np.array([40.0, 0.0]), people=2, frames=20)) == 1


def test_votes_without_boxes_or_people_find_nothing():
    watch = CameraWatch(CAMERAS, SETTINGS)
    nobody, places = np.zeros((0, 2)), np.tile([[600.0, 300.0]], (50, 1))
    assert watch.vote(0, 0.0, nobody, nobody[:, 0], nobody) is None
    assert watch.vote(0, 1.0, places, np.ones(50), nobody) is None
    assert watch.vote(0, 2.0, nobody, nobody[:, 0], places) is None


def test_votes_on_somebody_who_stands_are_not_taken_for_a_move():
    """A person whom the detector misses stands beside one whom it finds."""
    watch = CameraWatch(CAMERAS, SETTINGS)
    missed, found = np.array([[600.0, 300.0]]), np.array([[640.0, 300.0]])
    assert all(watch.vote(0, float(k), missed, np.ones(1), found) is None for k in range(200))


def judged(shift_of, seconds, *, std_px=0.5):
    """Let shifts ``shift_of(t)`` of the first camera be judged ten times a second; give the moves with their times."""
    watch, moves = CameraWatch(CAMERAS, SETTINGS), []
    for k in range(round(seconds * 10)):
        moves.append((k / 10, watch.judge(0, k / 10, 0.1, np.array(shift_of(k / 10)), std_px)))
        assert watch.judge(1, k / 10, 0.1, np.zeros(2), std_px) is None
    return [(t, move) for t, move in moves if move is not None]


def test_move_is_named_once_with_before_and_after():
    moves = judged(lambda t: [2.0, 0.0] if t < 30 else [2.0 + FAR_PX, -1.0], 120)
    assert [(t, m.camera) for t, m in moves] == [(pytest.approx(30 + SETTINGS.confirm_s, abs=0.2), 0)]
    assert moves[0][1].before_px == pytest.approx([2.0, 0.0], abs=0.5)
    assert moves[0][1].after_px.tolist() == [2.0 + FAR_PX, -1.0]


def test_two_moves_are_named_twice():
    moves = judged(lambda t: [0.0, 0.0] if t < 30 or t > 70 else [0.0, FAR_PX], 100)
    assert [t for t, _ in moves] == pytest.approx([30 + SETTINGS.confirm_s, 70 + SETTINGS.confirm_s], abs=0.2)


def test_shift_from_the_beginning_is_a_calibration_not_a_move():
    assert judged(lambda t: [3 * FAR_PX * min(t / 8, 1.0), 0.0], 60) == []


def test_short_swing_and_slow_creep_are_no_moves():
    assert judged(lambda t: [FAR_PX * (30 < t < 30 + SETTINGS.confirm_s / 2), 0.0], 60) == []
    assert judged(lambda t: [FAR_PX * t / (10 * SETTINGS.usual_s), 0.0], 10 * SETTINGS.usual_s) == []


def test_shift_that_is_not_sure_is_no_move():
    assert judged(lambda t: [0.0 if t < 30 else FAR_PX, 0.0], 60, std_px=FAR_PX / 3) == []
