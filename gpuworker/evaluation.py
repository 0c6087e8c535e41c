"""Runs the live pipeline over a scene, online and in time order, and scores what it published."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from gpuworker.path_scoring import PathScorer, PathScores
from gpuworker.pipeline.seams import Detector, Embedder
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Observation, Site, StepResult
from gpuworker.recording import RecordedPipeline, Recorder, RecordingError
from gpuworker.scenes import Scene, SceneCamera, SceneError, read_detections, read_pictures
from gpuworker.scoring import Positions, Scores, score

Tracker = Pipeline | RecordedPipeline

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
LASTING_S = 5.0
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the pipeline did with a scene.

    Attributes:
        scores, paths: None where the truth is not known. Scores are those of the tracks: a truth counts who
            comes back after leaving as somebody new, as tracks do.
        idf1_persons: IDF1 of the persons, who keep their numbers when they come back.
        identities: persons published inside the scored area.
        lasting_identities: those of them published for more than five seconds.
        frames: ticks.
        ms_per_frame: elapsed ms a tick: p50, p95, p99.
        stages_ms: mean elapsed ms a tick by stage.
    """

    scores: Scores | None
    paths: PathScores | None
    idf1_persons: float | None
    identities: int
    lasting_identities: int
    frames: int
    ms_per_frame: dict[str, float]
    stages_ms: dict[str, float]

    def as_json(self) -> dict[str, Any]:
        """Give plain JSON values under the documented names."""
        values = asdict(self)
        for name, kind in (("scores", Scores), ("paths", PathScores)):
            scored = values.pop(name)
            values |= dict.fromkeys(kind.__dataclass_fields__) if scored is None else scored
        return values


class RecordedDetector:
    """Gives the ready-made detections of a scene."""

    name = "recorded"

    def __init__(self, scene: Scene, *, with_looks: bool = True) -> None:
        """Read all detections, and the embeddings unless they are not wanted.

        Raises:
            SceneError: a file of detections is wrong.
        """
        self._found = {c.model.camera_id: read_detections(c, scene.frames) for c in scene.cameras}
        self._with_looks = with_looks

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the boxes of each frame."""
        return [self._found[frame.camera_id][frame.seq][0] for frame in frames]

    def observe(self, camera: SceneCamera, tick: int, at: datetime) -> Observation:
        """Give the boxes with their embeddings at a tick, counted from 0."""
        camera_id = camera.model.camera_id
        found, looks = self._found[camera_id][tick]
        return Observation(camera_id, tick, at, found, looks if self._with_looks else looks[:, :0])


def site_of(scene: Scene) -> Site:
    """Give the place that a scene shows."""
    return Site(cameras={camera.model.camera_id: camera.model for camera in scene.cameras})


def evaluate_scene(
    scene: Scene,
    *,
    detector: Detector | None = None,
    embedder: Embedder | None = None,
    scene_looks: bool = True,
    settings: PipelineSettings | None = None,
    record: Path | None = None,
) -> Evaluation:
    """Run the pipeline over a scene and score it.

    Args:
        scene: the recording.
        detector: sees the pictures; None uses the scene's ready-made detections.
        embedder: sees the pictures; None uses the scene's embeddings with its ready-made detections.
        scene_looks: False leaves the scene's embeddings aside.
        settings: tuning values.
        record: a file to record what the tracker is fed in, for a replay.

    Raises:
        SceneError: a file of the scene is wrong, or there are no pictures for the models.
        RecordingError: what is fed cannot be written.
    """
    recorded = RecordedDetector(scene, with_looks=scene_looks)
    models = detector or embedder
    if models and not all(camera.has_pictures for camera in scene.cameras):
        raise SceneError(f"scene {scene.name}: there are no pictures for {models.name}")
    site, tuning = site_of(scene), settings or PipelineSettings()
    make = partial(Pipeline, detector=detector or recorded, embedder=embedder, site=site, settings=tuning)
    tracks, persons = count(1).__next__, count(1).__next__
    if record is None:
        pipeline = make(take_track_number=tracks, take_person_number=persons)
        return _run(scene, pipeline, recorded, watches=models is not None)
    recorder = Recorder(record, site=site, settings=tuning)
    watched = RecordedPipeline(make, tracks, persons, recorder)
    found = _run(scene, watched, recorded, watches=models is not None)
    if recorder.failure:
        raise RecordingError(recorder.failure)
    return found


def captured_at(scene: Scene, camera: SceneCamera, tick: int) -> datetime:
    """Give the capture time of a tick, counted from 0, by the camera's own clock."""
    return EPOCH + timedelta(seconds=tick / scene.fps + camera.offset_s)


def _run(scene: Scene, pipeline: Tracker, recorded: RecordedDetector, *, watches: bool) -> Evaluation:
    results = _watch(scene, pipeline) if watches else _follow(scene, pipeline, recorded)
    return _summary(scene, results, pipeline)


def _follow(scene: Scene, pipeline: Tracker, recorded: RecordedDetector) -> Iterator[StepResult]:
    for tick in range(scene.frames):
        yield pipeline.follow(
            [recorded.observe(camera, tick, captured_at(scene, camera, tick)) for camera in scene.cameras]
        )


def _watch(scene: Scene, pipeline: Tracker) -> Iterator[StepResult]:
    pictures = [read_pictures(camera, scene.frames) for camera in scene.cameras]
    for tick, images in enumerate(zip(*pictures, strict=True)):
        frames = [
            Frame(camera.model.camera_id, tick, captured_at(scene, camera, tick), image)
            for camera, image in zip(scene.cameras, images, strict=True)
            if image is not None
        ]
        if frames:
            yield pipeline.step(frames)


def _summary(scene: Scene, results: Iterator[StepResult], pipeline: Tracker) -> Evaluation:
    paths = PathScorer(scene.truth, scene.bounds_m, scene.fps) if scene.truth else None
    tracks: list[Positions] = []
    persons: list[Positions] = []
    ticks: defaultdict[int, int] = defaultdict(int)
    spent: list[dict[str, float]] = []
    for tick, result in enumerate(results):
        if paths:
            paths.add(tick, result.people, result.settled)
        place_m = result.people.state[:, :2]
        tracks.append(Positions(result.people.track, place_m).inside(scene.bounds_m))
        persons.append(Positions(result.people.person, place_m).inside(scene.bounds_m))
        spent.append(result.stages_ms)
        for person in persons[-1].ids.tolist():
            ticks[person] += 1
    left = pipeline.finish()
    if paths:
        paths.add_stored(left)
    totals = [sum(stages.values()) for stages in spent]
    stages = list(dict.fromkeys(name for tick in spent for name in tick))
    truth = scene.truth and [t.inside(scene.bounds_m) for t in scene.truth[: len(tracks)]]
    return Evaluation(
        scores=score(truth, tracks) if truth else None,
        paths=paths.scores() if paths else None,
        idf1_persons=score(truth, persons).idf1 if truth else None,
        identities=len(ticks),
        lasting_identities=sum(n > LASTING_S * scene.fps for n in ticks.values()),
        frames=len(tracks),
        ms_per_frame={f"p{p}": float(np.percentile(totals, p)) if totals else 0.0 for p in PERCENTILES},
        stages_ms={name: float(np.mean([tick.get(name, 0.0) for tick in spent])) for name in stages},
    )
