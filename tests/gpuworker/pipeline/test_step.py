from dataclasses import replace
from datetime import timedelta
from itertools import count

import numpy as np
import pytest

from gpuworker.pipeline.ladder import EFFORTS, FULL
from gpuworker.pipeline.settings import PipelineSettings, SmoothingSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import NO_ID, Detections, Frame, Site, Zone
from tests.gpuworker.pipeline.staging import START, boxes, state, yard

CAMERAS = yard()
HALL = Zone("hall", "polygon", np.array([[4.0, 0], [10, 0], [10, 10], [4, 10]]))


class FakeDetector:
    """Finds the people that a test put on the floor."""

    name = "fake"

    def __init__(self):
        self.people = state()

    def detect(self, frames):
        found = []
        for frame in frames:
            xyxy = boxes(CAMERAS[frame.camera_id], self.people).astype(np.float32)
            found.append(Detections(xyxy, np.full(len(xyxy), 0.9, np.float32)))
        return found


class FakeEmbedder:
    """Gives everybody the same look, and counts."""

    name, dimension = "fake", 4

    def __init__(self):
        self.crops = 0

    def embed(self, frames, xyxy):
        self.crops += sum(map(len, xyxy))
        return [np.tile(np.array([[1, 0, 0, 0]], np.float32), (len(boxes), 1)) for boxes in xyxy]


@pytest.fixture
def detector():
    return FakeDetector()


def make(detector, embedder=None, **settings):
    return Pipeline(
        detector=detector,
        embedder=embedder,
        site=Site(CAMERAS, zones=(HALL,)),
        take_track_number=count(100).__next__,
        take_person_number=count(1).__next__,
        settings=replace(PipelineSettings(), **settings),
    )


def frames(at_s, cameras=("c1", "c2", "c3")):
    image = np.zeros((720, 1280, 3), np.uint8)
    return [Frame(c, round(10 * at_s), START + timedelta(seconds=at_s), image) for c in cameras]


def test_step_publishes_people_with_boxes_and_events(detector):
    pipeline = make(detector)
    detector.people = state((3, 5))
    result = pipeline.step(frames(0.0))
    assert result.at == START
    assert (result.people.track.tolist(), result.people.person.tolist()) == ([100], [1])
    np.testing.assert_allclose(result.people.state[0], [3, 5, 0, 0], atol=0.05)
    assert result.people.cameras == (("c1", "c2", "c3"),)
    assert 0.5 < result.people.confidence[0] < 1
    assert [(s.camera_id, s.track.tolist(), s.person.tolist()) for s in result.sightings] == [
        (c, [100], [1]) for c in ("c1", "c2", "c3")
    ]
    assert [e.kind for e in result.events] == ["person_appeared"]
    assert list(result.stages_ms) == ["detect", "embed", "track", "identify", "events", "smooth"]
    assert all(ms >= 0 for ms in result.stages_ms.values())


def test_step_tells_when_somebody_enters_a_zone(detector):
    pipeline = make(detector)
    kinds = []
    for k in range(12):
        detector.people = state((3 + 0.25 * k, 5))
        kinds += [e.kind for e in pipeline.step(frames(k / 4)).events]
    assert kinds == ["person_appeared", "zone_enter"]


def test_step_of_a_frame_of_an_unknown_camera_shows_it_untracked(detector):
    detector.people = state((5, 5))
    frame = replace(frames(0.0, ("c1",))[0])
    site = {k: v for k, v in CAMERAS.items() if k != "c1"}
    pipeline = Pipeline(
        detector=detector,
        embedder=None,
        site=Site(site),
        take_track_number=count(1).__next__,
        take_person_number=count(1).__next__,
    )
    result = pipeline.step([frame])
    assert result.sightings[0].track.tolist() == [NO_ID]
    assert len(result.people) == 0


def test_perceive_embeds_no_more_than_the_budget(detector):
    embedder = FakeEmbedder()
    pipeline = make(detector, embedder, embeddings_per_tick=4)
    detector.people = state((3, 3), (5, 5), (7, 7), (3, 7))
    observations = pipeline.perceive(frames(0.0))
    known = [np.isfinite(o.embeddings).all(axis=1) for o in observations]
    assert embedder.crops == 4 == sum(k.sum() for k in known)
    assert all(o.embeddings.shape == (4, 4) for o in observations)
    assert set(pipeline.perceived_ms) == {"detect", "embed"}


def test_perceive_leaves_covered_and_small_crops_out(detector):
    embedder = FakeEmbedder()
    pipeline = make(detector, embedder, min_crop_px=10_000.0)
    detector.people = state((5, 5))
    assert not np.isfinite(pipeline.perceive(frames(0.0))[0].embeddings).any()
    twice = make(detector, embedder)
    detector.people = state((5, 5), (5, 5))
    twice.perceive(frames(0.0))
    assert embedder.crops == 0


def test_perceive_without_embedder_gives_none(detector):
    detector.people = state((5, 5))
    assert make(detector).perceive(frames(0.0, ("c1",)))[0].embeddings.shape == (1, 0)


def test_follow_of_observations_equals_step_of_their_frames(detector):
    one, two = make(detector), make(detector)
    for k in range(6):
        detector.people = state((3 + 0.2 * k, 5), (7, 6))
        a, b = one.step(frames(k / 5)), two.follow(two.perceive(frames(k / 5)))
        assert a.people.state.tobytes() == b.people.state.tobytes()
        assert a.events == b.events


def test_step_of_nobody_is_empty(detector):
    result = make(detector, FakeEmbedder()).step(frames(0.0))
    assert len(result.people) == 0
    assert result.events == ()
    assert [len(s.detections) for s in result.sightings] == [0, 0, 0]


def test_follow_needs_an_observation_to_begin(detector):
    with pytest.raises(ValueError, match="at least one observation"):
        make(detector).follow([])


class TwoLooks(FakeEmbedder):
    """Gives everybody in the left half of the floor another look than those in the right one."""

    def embed(self, frames, xyxy):
        return [np.eye(4, dtype=np.float32)[np.arange(len(boxes)) % 2] for boxes in xyxy]


def test_known_persons_of_one_pipeline_can_be_remembered_by_the_next(detector):
    first = make(detector, TwoLooks())
    detector.people = state((3, 3), (7, 7))
    for k in range(12):
        first.step(frames(k / 4))
    memory = first.memory()
    assert memory.at == frames(11 / 4)[0].captured_at
    assert sorted(k.number for k in memory.persons) == [1, 2]
    assert all(len(k.looks) for k in memory.persons)
    second = make(detector, TwoLooks())
    assert second.memory() is None
    second.remember(memory)
    assert sorted(k.number for k in second.memory().persons) == [1, 2]


def test_camera_shift_of_good_calibrations_is_small(detector):
    pipeline = make(detector)
    for k in range(30):
        detector.people = state((3 + 0.2 * k, 5))
        result = pipeline.step(frames(k / 5))
    assert [shift.camera_id for shift in result.shifts] == ["c1", "c2", "c3"]
    assert np.abs([shift.shift_px for shift in result.shifts]).max() < 0.5
    assert np.abs([shift.shift_m for shift in result.shifts]).max() < 0.02
    assert max(shift.std_px for shift in result.shifts) < 3.8  # 4 before anything was seen


def test_step_settles_points_later_and_nearer_the_truth_than_it_published_them(detector):
    class Noisy(FakeDetector):
        rng = np.random.default_rng(5)

        def detect(self, frames):
            return [
                Detections(d.xyxy + self.rng.normal(0, 6, d.xyxy.shape).astype(np.float32), d.confidence)
                for d in super().detect(frames)
            ]

    noisy = Noisy()
    pipeline = make(noisy, smoothing=SmoothingSettings(lag_s=1.0, interval_s=0.0))
    published, settled = {}, []
    for k in range(60):
        noisy.people = state((2 + 0.1 * k, 5))
        result = pipeline.step(frames(k / 10))
        published[result.at] = result.people.state[0, :2]
        assert all(at <= result.at - timedelta(seconds=1) for at in result.settled.at)
        settled += list(zip(result.settled.at, result.settled.track, result.settled.state, strict=True))
    left = pipeline.finish()
    settled += list(zip(left.at, left.track, left.state, strict=True))
    assert [at for at, _, _ in settled] == list(published)
    assert {track for _, track, _ in settled} == {100}

    def off(k, place):
        return np.linalg.norm(place - [2 + 0.1 * k, 5])

    filtered = np.mean([off(k, place) for k, place in enumerate(published.values())])
    smoothed = np.mean([off(k, row[:2]) for k, (_, _, row) in enumerate(settled)])
    assert smoothed < 0.8 * filtered


class AdjustableDetector(FakeDetector):
    """Notes how many frames it gets at once, and at which scale."""

    def __init__(self):
        super().__init__()
        self.calls, self.scale = [], 1.0

    def detect(self, frames):
        self.calls.append(len(frames))
        return super().detect(frames)

    def adjust(self, effort):
        self.scale = effort.scale


def test_less_effort_is_smaller_batches_smaller_pictures_and_fewer_looks():
    detector, embedder = AdjustableDetector(), FakeEmbedder()
    pipeline = make(detector, embedder, embeddings_per_tick=8)
    detector.people = state((3, 3), (5, 5), (7, 7), (3, 7))
    pipeline.ease(EFFORTS[3])
    observations = pipeline.perceive(frames(0.0))
    assert [len(o.detections) for o in observations] == [4, 4, 4]
    assert (detector.calls, detector.scale, embedder.crops) == ([2, 1], 0.75, 2)
    pipeline.ease(FULL)
    pipeline.perceive(frames(1.0))
    assert (detector.calls, detector.scale, embedder.crops) == (
        [2, 1, 3],
        1.0,
        2 + 4,
    )  # of twelve boxes, four are clean
