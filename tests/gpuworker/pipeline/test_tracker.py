from dataclasses import replace
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from environments.geometry import CameraModel
from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.tracker import FloorTracker
from gpuworker.pipeline.values import NO_ID, Detections, Observation, Site
from tests.gpuworker.pipeline.staging import START, observe, state, yard

PIPELINE = PipelineSettings()
FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])


def make(cameras):
    likelihood = LikelihoodRatio(PIPELINE.appearance)
    return FloorTracker(Site(cameras), count(1).__next__, PIPELINE, likelihood)


def walk(tracker, cameras, path, *, ticks, fps=5.0, **how):
    """Step people along ``path(t)`` -> states; give what was published at each tick."""
    return [tracker.step(observe(cameras, path(k / fps), k / fps, **how)) for k in range(ticks)]


def crossing(t):
    return state((2 + t, 4), (8 - t, 6), (5, 5))


def test_tracker_shows_people_at_once_where_they_are():
    cameras = yard()
    first = make(cameras).step(observe(cameras, state((3, 4), (6, 7)), 0.0))
    places = first.tracks.mean[np.argsort(first.tracks.mean[:, 0]), :2]
    np.testing.assert_allclose(places, [[3, 4], [6, 7]], atol=0.1)
    assert set(first.cameras) == {("c1", "c2", "c3")}


def test_tracker_keeps_ids_of_people_who_cross():
    cameras = yard()
    results = walk(make(cameras), cameras, crossing, ticks=30, noise=np.random.default_rng(1))
    ids = [sorted(r.tracks.number.tolist()) for r in results]
    assert ids == [[1, 2, 3]] * 30
    by_id = dict(zip(results[0].tracks.number, results[0].tracks.mean[:, :2], strict=True))
    last = dict(zip(results[-1].tracks.number, results[-1].tracks.mean, strict=True))
    for number, start in by_id.items():
        true = crossing(29 / 5)[np.argmin(np.linalg.norm(crossing(0)[:, :2] - start, axis=1)), :2]
        np.testing.assert_allclose(last[number][:2], true, atol=0.35)


def test_tracker_estimates_speed():
    cameras = yard()
    results = walk(make(cameras), cameras, lambda t: state((2 + t, 5)), ticks=25)
    np.testing.assert_allclose(results[-1].tracks.mean[0, 2:4], [1, 0], atol=0.15)


def test_tracker_of_one_camera_follows_too():
    cameras = yard(1)
    results = walk(make(cameras), cameras, lambda t: state((4 + t / 2, 5)), ticks=25)
    assert [r.tracks.number.tolist() for r in results[3:]] == [[1]] * 22


def test_tracker_forgets_who_is_seen_no_more():
    cameras = yard()
    tracker = make(cameras)
    walk(tracker, cameras, lambda _: state((5, 5)), ticks=10)
    gone = [tracker.step(observe(cameras, state(), 2 + k / 5)) for k in range(15)]
    assert len(gone[-1].tracks) == 0
    again = tracker.step(observe(cameras, state((5, 5)), 6.0))
    assert again.tracks.number.tolist() == [2]


def test_tracker_carries_people_over_a_short_gap():
    cameras = yard()
    tracker = make(cameras)
    walk(tracker, cameras, lambda t: state((2 + t, 5)), ticks=10)
    for k in (10, 11, 12):
        tracker.step(observe(cameras, state(), k / 5))
    back = tracker.step(observe(cameras, state((2 + 13 / 5, 5)), 13 / 5))
    assert back.tracks.number.tolist() == [1]


def test_tracker_of_nothing_gives_nothing():
    cameras = yard()
    result = make(cameras).step(observe(cameras, state(), 0.0))
    assert len(result.tracks) == 0
    assert [len(b) for b in result.box_track] == [0, 0, 0]


def test_tracker_needs_an_observation_to_begin():
    with pytest.raises(ValueError, match="at least one observation"):
        make(yard()).step([])


def test_tracker_without_cameras_gives_no_ids():
    result = make({}).step(observe(yard(1), state((5, 5)), 0.0))
    assert [b.tolist() for b in result.box_track] == [[NO_ID]]
    assert len(result.tracks) == 0


def test_tracker_ignores_boxes_that_are_none():
    cameras = yard()
    tracker = make(cameras)
    for k in range(5):
        observations = observe(cameras, state((5, 5)), k / 5)
        bad = np.array([[np.nan] * 4, [10, 10, 10, 10], [0, 0, 1e9, 1e9], [5, 5, 1, 1]], np.float32)
        mixed = [
            replace(
                o,
                detections=Detections(
                    np.vstack([bad, o.detections.xyxy]),
                    np.append(np.full(4, np.nan), o.detections.confidence).astype(np.float32),
                ),
                embeddings=np.zeros((len(o.detections) + 4, 0), np.float32),
            )
            for o in observations
        ]
        result = tracker.step(mixed)
    assert result.tracks.number.tolist() == [1]
    assert [b.tolist() for b in result.box_track] == [[NO_ID] * 4 + [1]] * 3


def test_tracker_takes_duplicate_boxes_for_one_person():
    cameras = yard()
    tracker = make(cameras)
    for k in range(10):
        twice = [
            replace(
                o,
                detections=Detections(
                    np.repeat(o.detections.xyxy, 2, axis=0), np.repeat(o.detections.confidence, 2)
                ),
                embeddings=np.zeros((2 * len(o.detections), 0), np.float32),
            )
            for o in observe(cameras, state((5, 5)), k / 5)
        ]
        result = tracker.step(twice)
    places = result.tracks.mean[:, :2]
    np.testing.assert_allclose(places, np.tile([5.0, 5.0], (len(places), 1)), atol=0.3)
    assert len(places) <= 2


def test_tracker_uses_a_frame_that_is_a_little_late():
    cameras = yard()
    tracker = make(cameras)
    for k in range(20):
        t = k / 5
        sharp = observe({"c1": cameras["c1"]}, state((2 + t, 5)), t)
        late = observe({"c2": cameras["c2"]}, state((2 + t - 0.15, 5)), t - 0.15)
        result = tracker.step([*late, *sharp])
    np.testing.assert_allclose(result.tracks.mean[0, :2], [2 + 19 / 5, 5], atol=0.1)
    assert result.cameras == (("c1", "c2"),)


def test_tracker_with_frames_late_and_out_of_order_ends_as_with_all_in_time():
    cameras = yard()
    rng, late = np.random.default_rng(3), np.random.default_rng(4)
    in_time = [observe(cameras, crossing(k / 20), k / 20, noise=rng) for k in range(120)]
    arrivals = [(k + late.integers(0, 10), o) for k, seen in enumerate(in_time) for o in seen]
    by_tick = [[o for arrives, o in arrivals if arrives == k] for k in range(132)]
    ordered, shuffled = make(cameras), make(cameras)
    ends = [[ordered.step(o) for o in in_time][-1], [shuffled.step(o) for o in by_tick if o][-1]]
    assert [len(end.tracks) for end in ends] == [3, 3]
    one, other = (end.tracks.mean[np.argsort(end.tracks.mean[:, 1])] for end in ends)
    np.testing.assert_allclose(one[:, :2], other[:, :2], atol=0.05)
    np.testing.assert_allclose(one[:, 2:4], other[:, 2:4], atol=0.05)
    for tracks in (end.tracks for end in ends):
        assert sorted(tracks.number.tolist()) == [1, 2, 3]
        np.testing.assert_allclose(tracks.logit, PIPELINE.tracker.logit_limit, atol=0.2)


def test_tracker_knows_by_its_newest_frame_whether_a_camera_has_somebody():
    cameras = yard(1)
    tracker = make(cameras)
    walk(tracker, cameras, lambda _: state((5, 5)), ticks=10)
    tracker.step(observe(cameras, state(), 1.9))
    tracker.step(observe(cameras, state((5, 5)), 1.85))
    assert tracker._tracks.had.tolist() == [[False]]
    tracker.step(observe(cameras, state((5, 5)), 2.0))
    tracker.step(observe(cameras, state(), 1.95))
    assert tracker._tracks.had.tolist() == [[True]]


def test_tracker_doubts_nobody_more_when_frames_without_them_come_out_of_order():
    cameras = yard(1)
    left = []
    for order in (range(10), (9, 0, 8, 1, 7, 2, 6, 3, 5, 4)):
        tracker = make(cameras)
        walk(tracker, cameras, lambda _: state((5, 5)), ticks=10)
        for k in order:
            tracker.step(observe(cameras, state(), 1.84 + k / 25))
        left.append(float(tracker._tracks.logit[0]))
    assert left[1] == pytest.approx(left[0], abs=0.3)


def test_tracker_leaves_out_a_frame_that_is_too_late():
    cameras = yard(2)
    tracker = make(cameras)
    tracker.step(observe(cameras, state((5, 5)), 10.0))
    old = observe({"c2": cameras["c2"]}, state((5, 5)), 8.0)
    result = tracker.step([*observe({"c1": cameras["c1"]}, state((5, 5)), 10.2), *old])
    assert result.box_track[1].tolist() == [NO_ID]
    assert result.at == START.replace(second=10, microsecond=200000)


def test_tracker_with_a_view_straight_down_follows_the_foot_point():
    down = CameraModel.create(
        camera_id="top",
        width=1000,
        height=1000,
        h_image_to_world=[[0.01, 0.0, 0.0], [0.0, -0.01, 10], [0.0, 0.0, 1.0]],
    )
    tracker = make({"top": down})
    for k in range(15):
        x = 200 + 20 * k
        box = Detections(np.array([[x - 30, 330, x + 30, 500]], np.float32), np.array([0.9], np.float32))
        seen = Observation("top", k, START.replace(microsecond=k * 50_000), box, np.zeros((1, 0), np.float32))
        result = tracker.step([seen])
    np.testing.assert_allclose(result.tracks.mean[0, :2], [4.8, 5.0], atol=0.2)


def random_observations(cameras, seed, ticks):
    """Clutter and people at random, with doubtful values among them."""
    rng = np.random.default_rng(seed)
    people = state(*rng.uniform(0, 10, (5, 2)))
    for k in range(ticks):
        people[:, :2] += rng.normal(0, 0.15, (5, 2))
        observations = []
        for o in observe(cameras, people, k / 4, noise=rng):
            n = int(rng.integers(0, 5))
            corner = rng.uniform(0, 900, (n, 2))
            clutter = np.hstack([corner, corner + rng.uniform(-5, 250, (n, 2))])
            xyxy = np.vstack([o.detections.xyxy, clutter]).astype(np.float32)
            found = Detections(xyxy, rng.uniform(0.1, 1.0, len(xyxy)).astype(np.float32))
            keep = rng.random(len(xyxy)) < 0.8
            found = found.select(keep)
            observations.append(
                replace(o, detections=found, embeddings=np.zeros((len(found), 0), np.float32))
            )
        yield observations


@FEW
@given(st.integers(0, 10**6))
def test_tracker_never_gives_two_boxes_of_a_frame_to_one_track_or_an_id_again(seed):
    cameras = yard()
    tracker = make(cameras)
    ended: set[int] = set()
    before: set[int] = set()
    for observations in random_observations(cameras, seed, 12):
        result = tracker.step(observations)
        numbers = result.tracks.number.tolist()
        for boxes in result.box_track:
            own = boxes[boxes != NO_ID]
            assert len(np.unique(own)) == len(own)
            assert set(own.tolist()) <= set(numbers)
        held = set(tracker._tracks.number.tolist()) - {NO_ID}
        ended |= before - held
        assert not held & ended
        assert len(set(numbers)) == len(numbers)
        before = held


@FEW
@given(st.integers(0, 10**6))
def test_tracker_gives_the_same_for_the_same_and_for_any_order_of_cameras(seed):
    cameras = yard()
    runs = [make(cameras), make(cameras), make(dict(reversed(cameras.items())))]
    for observations in random_observations(cameras, seed, 8):
        first, again = runs[0].step(observations), runs[1].step(observations)
        turned = runs[2].step(observations[::-1])
        for other in (again, turned):
            assert first.tracks.mean.tobytes() == other.tracks.mean.tobytes()
            assert first.tracks.number.tolist() == other.tracks.number.tolist()


@FEW
@given(st.integers(0, 10**6), st.floats(0, 6.28), st.floats(-50, 50), st.floats(-50, 50))
def test_tracker_does_not_mind_where_the_floor_plan_lies(seed, angle, x, y):
    c, s = np.cos(angle), np.sin(angle)
    turn, shift = np.array([[c, -s], [s, c]]), np.array([x, y])
    here = yard()
    there = {key: moved(camera, turn, shift) for key, camera in here.items()}
    a, b = make(here), make(there)
    for observations in random_observations(here, seed, 8):
        one, two = a.step(observations), b.step(observations)
        assert one.tracks.number.tolist() == two.tracks.number.tolist()
        np.testing.assert_allclose(one.tracks.mean[:, :2] @ turn.T + shift, two.tracks.mean[:, :2], atol=1e-4)
        np.testing.assert_allclose(one.tracks.mean[:, 2:4] @ turn.T, two.tracks.mean[:, 2:4], atol=1e-4)


def moved(camera, turn, shift):
    """The same camera on a floor plan that is turned and shifted."""
    to_plan = np.eye(3)
    to_plan[:2, :2], to_plan[:2, 2] = turn, shift
    spin = np.eye(3)
    spin[:2, :2] = turn
    rotation = camera.rotation @ spin.T
    return CameraModel.create(
        camera_id=camera.camera_id,
        width=camera.width,
        height=camera.height,
        h_image_to_world=to_plan @ camera.h_image_to_world,
        lens=camera.lens,
        rotation=rotation,
        translation_m=camera.translation_m - rotation @ np.append(shift, 0.0),
    )
