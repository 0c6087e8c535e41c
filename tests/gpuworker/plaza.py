"""The simulated plaza as its cameras' detectors see it, without drawing: frames in time and late, calibrations off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, groupby

import cv2
import numpy as np

from environments.geometry import CameraModel
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Observation, Site, StepResult
from gpuworker.scoring import Positions, Scores, score
from gpuworker.sources.sim.detect import CROWD, Quality, detected, true_boxes
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.scene import plaza_cameras
from gpuworker.sources.sim.worlds import SharedWorld, Worlds

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
CAMERAS = plaza_cameras()


class Unasked:
    """Stands for the detector of a pipeline that is given observations."""

    name = "unasked"

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Fail."""
        raise AssertionError("observations are given")


@dataclass(frozen=True, slots=True, order=True)
class Shot:
    """One frame: when the light fell on the sensor, in which camera, and when the frame arrives, s."""

    captured_s: float
    camera: int
    arrives_s: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one frame showed, when it arrives."""

    arrives_s: float
    seen: Observation


def together(fps: float, seconds: float) -> list[Shot]:
    """Give the frames of cameras that run in step and deliver at once."""
    return [Shot(k / fps, c, k / fps) for k in range(round(seconds * fps)) for c in range(len(CAMERAS))]


def apart(
    seed: int, seconds: float, *, rates: Sequence[float] = (5, 10, 15, 25), late_s: float = 0.5
) -> list[Shot]:
    """Give the frames of cameras with rates and clocks of their own, each late by a chance of its own."""
    rng = np.random.default_rng([seed, 1])
    shots = []
    for camera, fps in enumerate(rng.permutation(rates)):
        offset_s = rng.uniform(0.0, 0.2)
        for k in range(round(seconds * fps)):
            captured_s = max(0.0, k / fps + offset_s + rng.uniform(-0.2, 0.2) / fps)
            shots.append(Shot(captured_s, camera, captured_s + rng.uniform(0.0, late_s)))
    return shots


def watch(
    world: SharedWorld,
    worlds: Worlds,
    shots: Iterable[Shot],
    *,
    seed: int,
    quality: Quality = CROWD,
    moved: tuple[int, float, tuple[float, float]] | None = None,
) -> list[Arrival]:
    """Give what a detector finds in frames, as they arrive.

    Args:
        world: who is there.
        worlds: where the empty views are kept.
        shots: the frames.
        seed: of the detector's noise.
        quality: of the detector.
        moved: a camera whose picture shifts at some second by so many px.
    """
    views = [worlds.view(camera, seed) for camera in CAMERAS]
    rng = np.random.default_rng([seed, 2])
    seq, arrivals = [count() for _ in CAMERAS], []
    for shot in sorted(shots):
        view = views[shot.camera]
        boxes = true_boxes(view.camera, view.backdrop, world.truth_at(shot.captured_s))
        found = detected(boxes, view.camera, PLAZA, rng, quality)
        if moved and moved[0] == shot.camera and shot.captured_s >= moved[1]:
            found = Detections(found.xyxy + np.array(moved[2] * 2, np.float32), found.confidence)
        seen = Observation(
            view.camera.camera_id,
            next(seq[shot.camera]),
            BEGIN + timedelta(seconds=shot.captured_s),
            found,
            np.zeros((len(found), 0), np.float32),
        )
        arrivals.append(Arrival(shot.arrives_s, seen))
    return arrivals


def ticks(arrivals: Iterable[Arrival], tick_s: float) -> list[list[Observation]]:
    """Gather what arrives within the same tick of a clock, in order of arrival."""
    ordered = sorted(arrivals, key=lambda a: a.arrives_s)
    groups = groupby(ordered, key=lambda a: int(a.arrives_s / tick_s + 1e-9))
    return [[a.seen for a in group] for _, group in groups]


def pipeline(cameras: Sequence[CameraModel] = CAMERAS, settings: PipelineSettings | None = None) -> Pipeline:
    """Make the pipeline of the plaza with the calibrations that it believes in."""
    site = Site({camera.camera_id: camera for camera in cameras})
    return Pipeline(
        detector=Unasked(),
        embedder=None,
        site=site,
        take_track_number=count(1).__next__,
        take_person_number=count(1).__next__,
        settings=settings,
    )


def scores(world: SharedWorld, results: Iterable[StepResult]) -> Scores:
    """Score the people of each instant, as last published for it, against the truth at that instant."""
    newest = {result.at: result.people for result in results}
    truth, published = [], []
    for at, people in sorted(newest.items()):
        now = world.truth_at((at - BEGIN).total_seconds())
        truth.append(Positions(now.ids, now.position_m).inside(PLAZA.bounds_m))
        published.append(Positions(people.person, people.state[:, :2]).inside(PLAZA.bounds_m))
    return score(truth, published)


def turned(camera: CameraModel, off_px: tuple[float, float], roll_px: float = 0.0) -> CameraModel:
    """Give a camera believed to be turned so that floor points land ``off_px`` off in the middle of its picture.

    ``roll_px`` is what turning about the view adds at the left and right edge.
    """
    if camera.lens is None or camera.rotation is None or camera.translation_m is None:
        raise ValueError(f"camera {camera.camera_id} lacks its full calibration")
    matrix = camera.lens.matrix
    right_px, down_px = off_px
    axis = np.array([-down_px / matrix[1, 1], right_px / matrix[0, 0], 2 * roll_px / camera.width])
    turn = np.asarray(cv2.Rodrigues(axis)[0])
    rotation, translation = turn @ camera.rotation, turn @ camera.translation_m
    floor = np.column_stack([rotation[:, 0], rotation[:, 1], translation])
    h = np.asarray(np.linalg.inv(matrix @ floor), dtype=np.float64)
    return replace(camera, h_image_to_world=h, rotation=rotation, translation_m=translation)


def miscalibrated(seed: int, off_px: float = 8.0, roll_px: float = 0.0) -> list[CameraModel]:
    """Give the plaza's cameras with calibrations that are off by so much, each in a direction of its own."""
    rng = np.random.default_rng([seed, 3])
    angles = rng.uniform(0.0, 2 * np.pi, len(CAMERAS))
    rolls = roll_px * rng.choice([-1.0, 1.0], len(CAMERAS))
    return [
        turned(camera, (off_px * np.cos(a), off_px * np.sin(a)), roll)
        for camera, a, roll in zip(CAMERAS, angles, rolls, strict=True)
    ]
