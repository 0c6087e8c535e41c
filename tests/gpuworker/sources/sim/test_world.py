"""The simulated world: what its truth promises, on small layouts and over long times."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gpuworker.sources.sim.layout import PLAZA, Box, Cylinder, Gate, Layout
from gpuworker.sources.sim.world import IDS_PER_HOUR, RATE_HZ, World

EMPTY_YARD = Layout(
    bounds_m=(0.0, 0.0, 8.0, 6.0),
    wall_height_m=2.0,
    pillars=(),
    planters=(),
    benches=(),
    gates=(Gate("only", "south", 4.0, 2.0, 2.0),),
)


def test_world_is_the_same_for_the_same_seed():
    one, other = World(3, 12), World(3, 12)
    one.step_to(400)
    for tick in (1, 57, 400):
        other.step_to(tick)
    for name in ("ids", "position_m", "velocity_mps", "heading_rad", "height_m", "walked_m"):
        assert np.array_equal(getattr(one.truth(), name), getattr(other.truth(), name)), name


def test_world_differs_for_another_seed():
    assert not np.array_equal(World(1, 5).truth().position_m, World(2, 5).truth().position_m)


def test_world_begins_with_everybody_present():
    truth = World(7, 10).truth()
    assert truth.ids.tolist() == list(range(1, 11))
    assert truth.time_s == 0.0


def test_world_without_people_stays_empty():
    world = World(7, 0)
    world.step_to(100)
    assert len(world.truth().ids) == 0
    assert world.truth().position_m.shape == (0, 2)


def test_nobody_walks_through_what_stands_about_or_through_walls():
    world = World(11, 20)
    circles = PLAZA.circles()
    x_min, y_min, x_max, y_max = PLAZA.bounds_m
    nearest = np.inf
    outside: list[NDArray] = []
    for tick in range(1, 3000):
        world.step_to(tick)
        p = world.truth().position_m
        gap = np.hypot(*(p[:, None] - circles[None, :, :2]).transpose(2, 0, 1)) - circles[:, 2]
        nearest = min(nearest, float(gap.min()))
        outside.extend(p[(p[:, 0] < x_min) | (p[:, 0] > x_max) | (p[:, 1] < y_min) | (p[:, 1] > y_max)])
    assert nearest > 0.2
    gates = np.array([PLAZA.gate_point(g, 0.0) for g in PLAZA.gates])
    to_gate = np.linalg.norm(np.array(outside)[:, None] - gates, axis=2).min(axis=1)
    assert to_gate.max() < 3.0  # outside are only those who come and go through a gate


def test_people_keep_apart_inside():
    world = World(5, 20)
    nearest = np.inf
    for tick in range(1, 2000):
        world.step_to(tick)
        p = world.truth().position_m
        p = p[((p > 0.3) & (p < [19.7, 13.7])).all(axis=1)]
        apart = np.linalg.norm(p[:, None] - p, axis=2) + 9 * np.eye(len(p))
        nearest = min(nearest, float(apart.min()))
    assert nearest > 0.2


def test_truth_moves_by_its_velocity():
    world = World(2, 6)
    world.step_to(50)
    before = world.truth()
    world.step_to(51)
    after = world.truth()
    assert before.ids.tolist() == after.ids.tolist()
    assert np.allclose(before.position_m + after.velocity_mps / RATE_HZ, after.position_m)
    half = after.earlier(0.5 / RATE_HZ)
    assert np.allclose(half.position_m, (before.position_m + after.position_m) / 2)
    assert half.time_s == pytest.approx(5.05)


def test_people_walk_at_human_speeds_and_have_human_heights():
    world = World(9, 15)
    speeds, heights = [], []
    for tick in range(1, 1500):
        world.step_to(tick)
        speeds.append(np.hypot(*world.truth().velocity_mps.T))
        heights.append(world.truth().height_m)
    speed, height = np.concatenate(speeds), np.concatenate(heights)
    assert 0.6 < np.median(speed) < 1.5
    assert speed.max() < 1.3 * 1.7 + 1e-6
    assert height.min() >= 1.5
    assert height.max() <= 1.95


def test_a_new_entry_is_a_new_id():
    world = World(4, 6, layout=EMPTY_YARD)
    seen: dict[int, int] = {}
    for tick in range(3000):
        world.step_to(tick)
        for i in world.truth().ids.tolist():
            assert seen.get(i, tick - 1) >= tick - 1, f"{i} was away and is back"
            seen[i] = tick
    assert len(seen) > 12
    assert sorted(seen) == list(range(1, len(seen) + 1))


def test_people_return_with_their_id_and_height_when_asked_for():
    world = World(4, 6, layout=EMPTY_YARD, returning=1.0)
    heights: dict[int, float] = {}
    last: dict[int, int] = {}
    returned = 0
    for tick in range(3000):
        world.step_to(tick)
        truth = world.truth()
        for i, height in zip(truth.ids.tolist(), truth.height_m.tolist(), strict=True):
            returned += last.get(i, tick) < tick - 1
            last[i] = tick
            assert heights.setdefault(i, height) == height
    assert returned > 5


def test_population_stays_near_what_was_asked_for():
    world = World(7, 10)
    counts = []
    for tick in range(0, 6000, 20):
        world.step_to(tick)
        counts.append(len(world.truth().ids))
    assert max(counts) <= 10
    assert np.mean(counts) > 8


def test_each_hour_begins_afresh_wherever_one_joins(monkeypatch):
    monkeypatch.setattr("gpuworker.sources.sim.world.HOUR_TICKS", 2000)
    stepped, joined = World(1, 3, layout=EMPTY_YARD), World(1, 3, layout=EMPTY_YARD)
    stepped.step_to(1999)
    assert len(stepped.truth().ids) == 0  # everybody has gone home
    stepped.step_to(2040)
    joined.step_to(2040)
    assert np.array_equal(stepped.truth().position_m, joined.truth().position_m)
    assert stepped.truth().ids.min() == IDS_PER_HOUR + 1


def test_world_refuses_nonsense():
    world = World(1, 1)
    world.step_to(5)
    with pytest.raises(ValueError, match="cannot go back to 4"):
        world.step_to(4)
    with pytest.raises(ValueError, match="got -1"):
        World(1, -1)
    with pytest.raises(ValueError, match="chance"):
        World(1, 1, returning=1.5)


def test_circles_cover_boxes_and_cylinders():
    layout = Layout((0, 0, 9, 9), 2.0, (Cylinder(1, 2, 0.3, 3),), (), (Box(4, 4, 6, 4.5, 0.4),), ())
    circles = layout.circles()
    assert circles[0].tolist() == [1, 2, 0.3]
    for x in np.linspace(4, 6, 21):
        gap = np.hypot(circles[:, 0] - x, circles[:, 1] - 4.25) - circles[:, 2]
        assert gap.min() < 0.05
