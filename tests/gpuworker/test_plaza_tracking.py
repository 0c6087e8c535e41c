"""How well people of the simulated plaza are followed by geometry alone, with a crowd detector's noise.

One seed of each row of `python -m tests.benchmarks simulator`, which runs several.
"""

import pytest

from tests.benchmarks import simulator

SEED = 1


@pytest.fixture(scope="module")
def moved() -> simulator.Followed:
    """Follow people by cameras of which one is moved."""
    return simulator.moved(SEED)


@pytest.mark.slow
@pytest.mark.parametrize(
    "row",
    [
        "in step",
        "8 px off",
        "5 to 25 fps, late",
    ],
)
def test_plaza_is_followed(row):
    found, goal = simulator.ROWS[row](SEED), simulator.GOALS[row]
    assert found.blamed == ()
    assert found.scores.idf1 >= goal.idf1
    assert found.scores.mota >= (goal.mota or 0.9)


@pytest.mark.slow
def test_plaza_camera_that_moves_by_twenty_pixels_is_named_soon_and_no_other_one(moved):
    assert moved.named_s <= simulator.NAMED_WITHIN_S
    assert moved.blamed == ()
    assert moved.moved_px == pytest.approx(simulator.MOVED_PX, abs=4.0)


@pytest.mark.slow
def test_plaza_is_followed_on_when_a_camera_moves(moved):
    assert moved.scores.idf1 >= simulator.GOALS["camera moved 20 px"].idf1
