"""The frames of a tick as the tracker can use them: in order of capture, measured, with looks made comparable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.appearance import CameraMeans
from gpuworker.pipeline.boxes import covered_share
from gpuworker.pipeline.observation import Measured, measure
from gpuworker.pipeline.self_calibration import SelfCalibration
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.values import Observation
from gpuworker.pipeline.views import Views

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tick:
    """The frames of one tick that can be used, f of them in order of capture.

    Attributes:
        source: (f,) index of the observation.
        captured_at: (f,) of the frame.
        camera: (f,) index of the camera.
        dt_s: (f,) capture time minus the tick.
        elapsed_s: (f,) since the camera's newest frame before; 0 for a late one, whose time was counted then.
        newest: (f,) whether it is the camera's newest.
        measured: n boxes, frame after frame.
        looks: (n, d) embeddings of the boxes, comparable between cameras, NaN for none; d is 0 without any.
        clean: (n,) which boxes show one person only.
    """

    source: Ints
    captured_at: tuple[datetime, ...]
    camera: Ints
    dt_s: Floats
    elapsed_s: Floats
    newest: Bools
    measured: Measured
    looks: Floats
    clean: Bools


class Intake:
    """Takes in the frames of a site's cameras."""

    def __init__(self, views: Views, calibration: SelfCalibration, settings: PipelineSettings) -> None:
        """Begin without any frame; ``calibration`` knows how far off cameras are."""
        self._views = views
        self._calibration = calibration
        self._settings = settings.tracker
        self._clean_share = settings.appearance.clean_share
        self._index = {camera.camera_id: i for i, camera in enumerate(views.cameras)}
        self._camera_means = CameraMeans(len(views), settings.appearance)
        self._last_frame: dict[str, datetime] = {}

    def looks_learned(self) -> dict[str, tuple[Floats, float]]:
        """Give by camera the weighted sum of its embeddings (d,), and their weight."""
        learned = self._camera_means.learned()
        return {camera_id: learned[i] for camera_id, i in self._index.items()}

    def looks_relearn(self, learned: Mapping[str, tuple[Floats, float]]) -> None:
        """Take what was learned before of the cameras that are still there."""
        for camera_id in learned.keys() & self._index.keys():
            self._camera_means.relearn(self._index[camera_id], *learned[camera_id])

    def take(self, observations: Sequence[Observation], at: datetime) -> Tick:
        """Take the frames of calibrated cameras that are not too late, in order of capture."""
        s = self._settings
        usable = [
            (o.captured_at, o.camera_id, i)
            for i, o in enumerate(observations)
            if o.camera_id in self._index and (at - o.captured_at).total_seconds() <= s.late_limit_s
        ]
        source = [i for _, _, i in sorted(usable)]
        seen = [observations[i] for i in source]
        camera = np.array([self._index[o.camera_id] for o in seen], dtype=np.int64)
        elapsed = [self._elapsed_s(o) for o in seen]
        models = [self._views.cameras[c] for c in camera.tolist()]
        boxes = measure(models, [o.detections for o in seen], s, sees_height=self._views.sees_height[camera])
        boxes = replace(boxes, z=self._calibration.correct(camera[boxes.frame], boxes.z))
        return Tick(
            source=np.array(source, dtype=np.int64),
            captured_at=tuple(o.captured_at for o in seen),
            camera=camera,
            dt_s=np.array([(o.captured_at - at).total_seconds() for o in seen]),
            elapsed_s=np.array([max(since_s, 0.0) for since_s in elapsed], dtype=np.float64),
            newest=np.array([since_s >= 0.0 for since_s in elapsed], dtype=bool),
            measured=boxes,
            **self._looks(seen, camera, boxes),
        )

    def _elapsed_s(self, o: Observation) -> float:
        """Give the time since the camera's newest frame before, negative for a late one; note the newest one."""
        last = self._last_frame.get(o.camera_id)
        since_s = self._settings.evidence_s if last is None else (o.captured_at - last).total_seconds()
        if since_s >= 0.0:
            self._last_frame[o.camera_id] = o.captured_at
        return since_s

    def _looks(self, seen: Sequence[Observation], camera: Ints, boxes: Measured) -> dict[str, NDArray]:
        """Give the looks of all boxes, and which of them are clean."""
        d = max((o.embeddings.shape[1] for o in seen), default=0)
        if d == 0 or len(boxes) == 0:
            return {"looks": np.zeros((len(boxes), d)), "clean": np.zeros(len(boxes), dtype=bool)}
        looks = np.full((len(boxes), d), np.nan)
        for f, (c, o) in enumerate(zip(camera.tolist(), seen, strict=True)):
            if o.embeddings.shape[1] == d:
                looks[boxes.of(f)] = self._camera_means.centre(c, o.embeddings)
        xyxy = np.concatenate([o.detections.xyxy for o in seen])
        return {"looks": looks, "clean": covered_share(xyxy, boxes.frame) <= self._clean_share}
