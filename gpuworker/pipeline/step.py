"""The pipeline: frames in, people and events out; a plain call without I/O."""

from collections.abc import Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.appearance import LikelihoodRatio
from gpuworker.pipeline.crops import CropChoice
from gpuworker.pipeline.ladder import FULL, Effort
from gpuworker.pipeline.memory import Memory
from gpuworker.pipeline.persons import Persons
from gpuworker.pipeline.seams import Adjustable, Detector, Embedder, TakeNumber
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.smoothing import Smoother
from gpuworker.pipeline.tracker import FloorTracker, Followed
from gpuworker.pipeline.values import (
    NO_ID,
    Detections,
    Floats32,
    Frame,
    Observation,
    People,
    Points,
    Sighting,
    Site,
    StepResult,
)
from gpuworker.pipeline.zones import FloorEvents

Ints = NDArray[np.int64]


class Pipeline:
    """Watches one site.

    Attributes:
        perceived_ms: what the last ``perceive`` took, by stage.
    """

    def __init__(
        self,
        *,
        detector: Detector,
        embedder: Embedder | None,
        site: Site,
        take_track_number: TakeNumber,
        take_person_number: TakeNumber,
        settings: PipelineSettings | None = None,
    ) -> None:
        """Begin with nobody on the floor."""
        self._detector = detector
        self._embedder = embedder
        self._settings = settings or PipelineSettings()
        likelihood = LikelihoodRatio(self._settings.appearance)
        self._likelihood = likelihood
        self._tracker = FloorTracker(site, take_track_number, self._settings, likelihood)
        self._persons = Persons(take_person_number, likelihood, self._settings.identity)
        self._choice = CropChoice(self._settings)
        self._effort = FULL
        self._events = FloorEvents(site.zones, self._settings.events)
        self._smoother = Smoother(self._settings.smoothing, self._settings.tracker.acceleration_psd)
        self.perceived_ms: dict[str, float] = {}

    @property
    def embedder(self) -> str:
        """Name what describes looks; empty for nothing."""
        return self._embedder.name if self._embedder else ""

    def memory(self) -> Memory | None:
        """Give what is known of people, to be kept over a restart; None before there was anything to know."""
        at = self._persons.at
        if at is None:
            return None
        return Memory(
            at=at,
            persons=self._persons.known(),
            cameras=self._tracker.looks_learned(),
            similarities=self._likelihood.learned(),
        )

    def remember(self, memory: Memory) -> None:
        """Take in what a pipeline before this one knew, so that people are recognised; before the first tick."""
        self._tracker.looks_relearn(memory.cameras)
        self._likelihood.relearn(memory.similarities)
        self._persons.learn(memory.persons, memory.at)

    def ease(self, effort: Effort) -> None:
        """Do so much from the next tick on."""
        self._effort = effort
        if isinstance(self._detector, Adjustable):
            self._detector.adjust(effort)

    def step(self, frames: Sequence[Frame]) -> StepResult:
        """Take in the frames of one tick, at most a few for each camera.

        Raises:
            ValueError: there is no frame in the first tick.
        """
        return self.follow(self.perceive(frames), stages_ms=self.perceived_ms)

    def perceive(self, frames: Sequence[Frame]) -> list[Observation]:
        """Detect people in frames, and describe the looks of some of them."""
        began = perf_counter()
        detections = self._detect(frames)
        detected = perf_counter()
        embeddings = self._embed(frames, detections)
        self.perceived_ms = {
            "detect": (detected - began) * 1e3,
            "embed": (perf_counter() - detected) * 1e3,
        }
        return [
            Observation(frame.camera_id, frame.seq, frame.captured_at, found, looks)
            for frame, found, looks in zip(frames, detections, embeddings, strict=True)
        ]

    def follow(
        self, observations: Sequence[Observation], *, stages_ms: dict[str, float] | None = None
    ) -> StepResult:
        """Track what was observed in one tick.

        Args:
            observations: of the tick's frames, in any order.
            stages_ms: what was spent on them so far, to be reported with the result.

        Raises:
            ValueError: there is no observation in the first tick.
        """
        began = perf_counter()
        followed = self._tracker.step(observations)
        tracked = perf_counter()
        persons, recognised, renamed = self._persons.step(followed.at, followed.tracks, followed.revisions)
        followed, persons = _somebody(followed, persons)
        people = _people(followed, persons)
        identified = perf_counter()
        events = self._events.step(people, recognised, renamed)
        told = perf_counter()
        renumbered = {n for r in followed.revisions for n in (r.before, r.after)}
        settled = self._smoother.step(followed.at, followed.tracks, persons, followed.cameras, renumbered)
        smoothed = perf_counter()
        person = dict(zip(people.track.tolist(), people.person.tolist(), strict=True))
        return StepResult(
            at=followed.at,
            sightings=tuple(
                _sighting(o, track, person) for o, track in zip(observations, followed.box_track, strict=True)
            ),
            people=people,
            events=(*events, *followed.events),
            stages_ms={
                **(stages_ms or {}),
                "track": (tracked - began) * 1e3,
                "identify": (identified - tracked) * 1e3,
                "events": (told - identified) * 1e3,
                "smooth": (smoothed - told) * 1e3,
            },
            settled=settled,
            health=followed.health,
            shifts=self._tracker.shifts,
        )

    def unsettled(self) -> Points:
        """Give the points of paths that later ticks may still correct, as they are by now."""
        return self._smoother.unsettled()

    def finish(self) -> Points:
        """Give the points of paths that have not been handed out; nothing is tracked any more."""
        return self._smoother.finish()

    def _detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Detect in all frames at once, or in a few after the other."""
        step = self._effort.frames or len(frames)
        parts = [self._detector.detect(frames[i : i + step]) for i in range(0, len(frames), max(step, 1))]
        return [found for part in parts for found in part]

    def _embed(self, frames: Sequence[Frame], detections: Sequence[Detections]) -> list[Floats32]:
        """Embed the crops of the tick that tell the most; rows of NaN for the others."""
        if self._embedder is None or not frames:
            return [np.zeros((len(found), 0), np.float32) for found in detections]
        out = [np.full((len(d), self._embedder.dimension), np.nan, np.float32) for d in detections]
        expected = self._tracker.expect([(frame.camera_id, frame.captured_at) for frame in frames])
        now_s = max(frame.captured_at for frame in frames).timestamp()
        budget = round(self._settings.embeddings_per_tick * self._effort.looks)
        chosen = self._choice.choose(frames, detections, expected, now_s, budget)
        seen = [k for k, rows in enumerate(chosen) if len(rows)]
        if seen:
            boxes = [detections[k].xyxy[chosen[k]] for k in seen]
            for k, looks in zip(seen, self._embedder.embed([frames[k] for k in seen], boxes), strict=True):
                out[k][chosen[k]] = looks
        return out


def _somebody(followed: Followed, person: Ints) -> tuple[Followed, Ints]:
    """Leave out the tracks of which it is too early to say who they are."""
    known = person != NO_ID
    if known.all():
        return followed, person
    cameras = tuple(seen for seen, is_known in zip(followed.cameras, known, strict=True) if is_known)
    return replace(followed, tracks=followed.tracks.select(known), cameras=cameras), person[known]


def _people(followed: Followed, person: Ints) -> People:
    tracks = followed.tracks
    return People(
        at=followed.at,
        track=tracks.number,
        person=person,
        state=tracks.mean[:, :4],
        covariance=tracks.covariance[:, :4, :4],
        height_m=tracks.mean[:, 4],
        confidence=1.0 / (1.0 + np.exp(-tracks.logit)),
        cameras=followed.cameras,
    )


def _sighting(observation: Observation, track: Ints, person: dict[int, int]) -> Sighting:
    return Sighting(
        camera_id=observation.camera_id,
        seq=observation.seq,
        captured_at=observation.captured_at,
        detections=observation.detections,
        track=track,
        person=np.array([person.get(t, NO_ID) for t in track.tolist()], dtype=np.int64),
    )
