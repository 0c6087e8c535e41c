"""Calibration from people: simulated people under known cameras, refusals, and a recorded scene."""

import numpy as np
import pytest

from environments.geometry import CameraModel, GeometryError, Lens
from environments.geometry.people.bundle import Anchor
from environments.geometry.people.horizon import fit_horizon
from environments.geometry.people.placing import place_by_people
from environments.geometry.people.propose import propose
from environments.geometry.people.sightings import Sightings
from environments.geometry.people.view import model_of, moved
from gpuworker.scenes import read_scene
from tests.benchmarks import calibration
from tests.environments.geometry.rig import HEIGHT, WIDTH, pose

MATRIX = np.array([[1700.0, 0, 960], [0, 1700, 540], [0, 0, 1]])
STANDS = {"a": (0.0, -6.0, 90.0), "b": (14.0, 5.0, 180.0), "c": (-2.0, 14.0, -60.0)}
SPOTS = [(3.0, 3.0), (7.0, 6.0)]


def cameras():
    found = {}
    for key, (x, y, yaw) in STANDS.items():
        rotation, t = pose(x_m=x, y_m=y, height_m=3.0, yaw_deg=yaw, pitch_deg=12.0)
        h = np.linalg.inv(MATRIX @ np.column_stack([rotation[:, :2], t]))
        found[key] = CameraModel.create(
            camera_id=key, width=WIDTH, height=HEIGHT, h_image_to_world=h,
            lens=Lens.create(matrix=MATRIX), rotation=rotation, translation_m=t,
        )  # fmt: skip
    return found


def sightings(ticks=120, people=10, seed=0, noise_px=1.5):
    """Let people stand anywhere for an instant each, and give their boxes."""
    rng = np.random.default_rng(seed)
    boxes: dict[str, list] = {key: [] for key in STANDS}
    for tick in range(ticks):
        places = rng.uniform([-2, -2], [12, 12], (people, 2))
        tall = rng.normal(1.74, 0.09, people)
        for key, model in cameras().items():
            foot, head = model.to_picture(places), model.to_picture_at_height(places, tall)
            size = foot[:, 1] - head[:, 1]
            for (u, v), top, high in zip(foot, head[:, 1], size, strict=True):
                if np.isfinite([u, v, top]).all() and 0 < u < WIDTH and top > 0 and v < HEIGHT:
                    box = np.array([u - high / 6, top, u + high / 6, v]) + rng.normal(0, noise_px, 4)
                    boxes[key].append((tick, box))
    return [
        Sightings(key, WIDTH, HEIGHT, np.array([t for t, _ in rows]), np.array([b for _, b in rows]))
        for key, rows in boxes.items()
    ]


def anchors(only=tuple(STANDS)):
    views = cameras()
    return [
        Anchor(spot, {key: tuple(views[key].to_picture(np.array([spot]))[0].tolist()) for key in only})
        for spot in SPOTS
    ]


def error_m(model, truth):
    gx, gy = np.meshgrid(np.linspace(0, 10, 20), np.linspace(0, 10, 20))
    spots = np.column_stack([gx.ravel(), gy.ravel()])
    px = truth.to_picture(spots)
    shown = (px > 0).all(axis=1) & (px < [WIDTH, HEIGHT]).all(axis=1)
    return float(np.median(np.linalg.norm(model.to_floor(px[shown]) - spots[shown], axis=1)))


def test_horizon_and_height_of_one_camera():
    fit = fit_horizon(sightings()[0])
    assert fit.height_m == pytest.approx(3.0, abs=0.35)
    assert fit.horizon_v == pytest.approx(540 - 1700 * np.tan(np.radians(12)), abs=40)
    assert fit.agreeing > 0.9


def test_moved_camera_sees_the_moved_floor():
    theta = fit_horizon(sightings()[0]).theta
    yaw, shift = 0.7, np.array([3.0, -2.0])
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    spot = np.array([[1.0, 8.0]])
    here = model_of(theta, camera_id="a", width=WIDTH, height=HEIGHT)
    away = moved(theta, yaw=yaw, shift_m=shift)
    there = model_of(away, camera_id="a", width=WIDTH, height=HEIGHT).to_picture(spot @ turn.T + shift)
    assert there == pytest.approx(here.to_picture(spot))


def test_all_cameras_with_two_anchors():
    told: list = []
    found = propose(sightings(), anchors(), progress=told.append)
    for proposal in found:
        assert proposal.reason == ""
        assert proposal.model is not None
        assert error_m(proposal.model, cameras()[proposal.camera_id]) < 0.35
        assert proposal.error_m < 0.35
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


def test_proposals_are_the_same_each_time():
    first, second = (propose(sightings(ticks=60), anchors()) for _ in range(2))
    assert [p.error_m for p in first] == [p.error_m for p in second]


def test_a_camera_without_anchors_is_placed_by_people():
    views, seen = cameras(), sightings()
    feet = np.column_stack([seen[0].mid_u, seen[0].xyxy[:, 3]])
    theta, lead = place_by_people(fit_horizon(seen[1]), seen[1], seen[0].tick, views["a"].to_floor(feet))
    model = model_of(theta, camera_id="b", width=WIDTH, height=HEIGHT)
    assert lead > 1.25
    assert error_m(model, views["b"]) < 1.0  # good enough to begin with


def test_nothing_is_placed_without_anchors():
    for proposal in propose(sightings(ticks=40), []):
        assert proposal.model is None
        assert (
            proposal.reason
            == "no camera shows two anchors: mark two places of the plan in at least one picture"
        )


def test_too_few_people_are_refused():
    few = sightings()[0].only(np.arange(30))
    with pytest.raises(GeometryError, match="whole standing people are too few to find the horizon"):
        fit_horizon(few)


def test_people_at_one_distance_are_refused():
    rng = np.random.default_rng(0)
    bottom = 700 + rng.normal(0, 3, 200)
    u = rng.uniform(200, 1700, 200)
    boxes = np.column_stack([u - 40, bottom - 240, u + 40, bottom])
    with pytest.raises(GeometryError, match="all people are about equally far away"):
        fit_horizon(Sightings("a", WIDTH, HEIGHT, np.arange(200), boxes))


def test_boxes_that_are_no_people_are_refused():
    rng = np.random.default_rng(0)
    bottom, size, u = rng.uniform(300, 1000, 300), rng.uniform(50, 200, 300), rng.uniform(300, 1600, 300)
    boxes = np.column_stack([u - size / 6, bottom - size, u + size / 6, bottom])
    with pytest.raises(GeometryError, match=r"do not grow towards the camera|do not fit a camera"):
        fit_horizon(Sightings("a", WIDTH, HEIGHT, np.arange(300), boxes))


def test_recorded_people_and_two_anchors(shared_dir):
    scene = read_scene(shared_dir / "scenes" / "wildtrack-exact-a")
    rows = calibration.from_people(scene)["cameras"]
    accepted = [row["error_m"] for row in rows.values() if not row["refused"]]
    assert len(accepted) >= 6
    assert max(accepted) <= 0.35
