"""What a tracker was fed and what it published, written tick by tick, so that the very run can be replayed.

A recording is HEADER and then records: length and CRC-32 of the payload, and the payload, a deflated msgpack value. The
first record tells the place, the settings and what computed it; one for each tick follows; the last one says that
the recording was closed. Pictures are not in it, looks are: it can be read by its owner alone.
"""

import logging
import os
import platform
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from hashlib import blake2b
from io import BufferedWriter
from pathlib import Path
from typing import Any

import cv2
import msgpack
import numpy as np
import scipy

from environments.geometry import CameraModel
from gpuworker.pipeline.ladder import Effort
from gpuworker.pipeline.memory import Memory
from gpuworker.pipeline.seams import TakeNumber
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Frame, Observation, Points, Site, StepResult

logger = logging.getLogger(__name__)

HEADER = b"spoton recording 1\n"
RECORD = struct.Struct(">II")  # length and checksum of the payload
SUFFIX = ".recording"
ARRAY_CODE = 1  # of an array in msgpack
DIGEST_BYTES = 8
LEAST_ROOM = 200  # bytes for the last record

MakeTracker = Callable[..., Pipeline]
"""Makes a pipeline from ``take_track_number`` and ``take_person_number``."""


class RecordingError(Exception):
    """A recording that cannot be written; the message says why."""


class Recorder:
    """Writes one recording; the file is made with the first tick, and closed when it is full.

    Attributes:
        failure: why nothing is written any more; empty while all is well.
    """

    def __init__(
        self,
        path: Path,
        *,
        site: Site,
        settings: PipelineSettings,
        max_bytes: float = float("inf"),
        keep: int | None = None,
    ) -> None:
        """Begin with nothing written.

        Args:
            path: of the file, written anew.
            site, settings: of the pipeline.
            max_bytes: the file is closed before it is longer.
            keep: so many recordings of its folder are kept with this one, the last by name; None for all.
        """
        self.failure = ""
        self._path = path
        self._begin = {"site": _site(site), "settings": asdict(settings), "computed_with": computed_with()}
        self._max_bytes, self._keep = max_bytes, keep
        self._file: BufferedWriter | None = None
        self._bytes = self._ticks = 0
        self._is_over = False

    def begin_with(self, memory: Memory) -> None:
        """Note what the pipeline knew before its first tick."""
        self._begin["memory"] = asdict(memory)

    def put(
        self, observations: Sequence[Observation], result: StepResult, numbers: Mapping[str, Sequence[int]]
    ) -> None:
        """Write a tick: what was fed, the numbers that were taken, and digests of what was published."""
        if self._is_over:
            return
        tick = {
            "seen": [_observation(o) for o in observations],
            "numbers": {kind: list(taken) for kind, taken in numbers.items()},
            "published": digests(result),
        }
        try:
            if self._file is None:
                self._file = self._open()
            record = _record(tick)
            if self._bytes + len(record) + LEAST_ROOM > self._max_bytes:
                logger.warning("%s is full after %d ticks: nothing more is recorded", self._path, self._ticks)
                self._end(is_whole=False, points=None)
                return
            self._write(record)
            self._ticks += 1
        except OSError as error:
            self._fail(error)

    def close(self, points: Points) -> None:
        """End the recording with what was left of the paths; a recording without ticks leaves no file."""
        try:
            if not self._is_over and self._file is not None:
                self._end(is_whole=True, points=points)
        except OSError as error:
            self._fail(error)
        self._is_over = True

    def _open(self) -> BufferedWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if self._keep is not None:
            before = sorted(self._path.parent.glob(f"*{SUFFIX}"), reverse=True)
            for path in before[max(self._keep - 1, 0) :]:
                path.unlink(missing_ok=True)
        file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._file = file
        self._write(HEADER + _record(self._begin))
        return file

    def _write(self, data: bytes) -> None:
        if self._file is not None:
            self._file.write(data)
            self._file.flush()  # what was seen before a crash is worth most
            self._bytes += len(data)

    def _end(self, *, is_whole: bool, points: Points | None) -> None:
        left = None if points is None else digest(asdict(points))
        self._write(_record({"ticks": self._ticks, "is_whole": is_whole, "left": left}))
        if self._file is not None:
            self._file.close()
        self._is_over = True

    def _fail(self, error: OSError) -> None:
        self.failure = f"{self._path} cannot be written: {error.strerror or error}"
        logger.error("%s: nothing more is recorded", self.failure)
        self._is_over = True
        if self._file is not None:
            try:
                self._file.close()
            except OSError as again:
                logger.debug("%s was not closed: %s", self._path, again)


class RecordedPipeline:
    """A pipeline all of whose ticks are recorded."""

    def __init__(
        self, make: MakeTracker, take_track: TakeNumber, take_person: TakeNumber, recorder: Recorder
    ) -> None:
        """Make the pipeline, with numbers that are noted when they are taken."""
        self._taken: dict[str, list[int]] = {"track": [], "person": []}
        self._pipeline = make(
            take_track_number=self._noting("track", take_track),
            take_person_number=self._noting("person", take_person),
        )
        self._recorder = recorder

    @property
    def embedder(self) -> str:
        """Name what describes looks; empty for nothing."""
        return self._pipeline.embedder

    def memory(self) -> Memory | None:
        """Give what is known of people, to be kept over a restart; None before there was anything to know."""
        return self._pipeline.memory()

    def remember(self, memory: Memory) -> None:
        """Take in what a pipeline before this one knew, before the first tick."""
        self._recorder.begin_with(memory)
        self._pipeline.remember(memory)

    def ease(self, effort: Effort) -> None:
        """Do so much from the next tick on."""
        self._pipeline.ease(effort)

    def step(self, frames: Sequence[Frame]) -> StepResult:
        """Take in the frames of one tick."""
        observations = self._pipeline.perceive(frames)
        return self.follow(observations, stages_ms=self._pipeline.perceived_ms)

    def follow(
        self, observations: Sequence[Observation], *, stages_ms: dict[str, float] | None = None
    ) -> StepResult:
        """Track what was observed in one tick."""
        result = self._pipeline.follow(observations, stages_ms=stages_ms)
        self._recorder.put(observations, result, self._taken)
        for taken in self._taken.values():
            taken.clear()
        return result

    def unsettled(self) -> Points:
        """Give the points of paths that later ticks may still correct, as they are by now."""
        return self._pipeline.unsettled()

    def finish(self) -> Points:
        """Give the points of paths that have not been handed out, and close the recording."""
        points = self._pipeline.finish()
        self._recorder.close(points)
        return points

    def _noting(self, kind: str, take: TakeNumber) -> TakeNumber:
        def noting() -> int:
            number = take()
            self._taken[kind].append(number)
            return number

        return noting


def computed_with() -> dict[str, str]:
    """Name what the last bits of a result depend on."""
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "opencv": cv2.__version__}
    return {**versions, "python": platform.python_version(), "machine": platform.machine()}


def digests(result: StepResult) -> dict[str, bytes]:
    """Give a digest of each part of what a tick published, all but how long it took."""
    people = result.people
    parts = {
        "instant": result.at,
        "track numbers": people.track,
        "person numbers": people.person,
        "positions": people.state,
        "uncertainties": (people.covariance, people.height_m, people.confidence),
        "cameras": people.cameras,
        "boxes": [(s.camera_id, s.seq, s.captured_at, s.track, s.person) for s in result.sightings],
        "events": [asdict(event) for event in result.events],
        "stored paths": asdict(result.settled),
        "cameras' health": {key: asdict(health) for key, health in result.health.items()},
        "cameras' shifts": [asdict(shift) for shift in result.shifts],
    }
    return {name: digest(part) for name, part in parts.items()}


def digest(value: object) -> bytes:
    """Give a digest of every bit of a value."""
    return blake2b(_packed(value), digest_size=DIGEST_BYTES).digest()


def _record(value: object) -> bytes:
    payload = zlib.compress(_packed(value), 1)
    return RECORD.pack(len(payload), zlib.crc32(payload)) + payload


def _packed(value: object) -> bytes:
    packed: bytes = msgpack.packb(value, datetime=True, default=_pack_array)
    return packed


def _pack_array(value: object) -> msgpack.ExtType:
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        data = value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        return msgpack.ExtType(ARRAY_CODE, msgpack.packb((value.dtype.str[1:], value.shape, data)))
    raise TypeError(f"cannot be recorded: {type(value).__name__}")


def _observation(o: Observation) -> dict[str, Any]:
    return {
        "camera_id": o.camera_id,
        "seq": o.seq,
        "captured_at": o.captured_at,
        "xyxy": o.detections.xyxy,
        "confidence": o.detections.confidence,
        "embeddings": o.embeddings,
    }


def _site(site: Site) -> dict[str, Any]:
    return {
        "cameras": [_camera(camera) for camera in site.cameras.values()],
        "zones": [
            {"zone_id": z.zone_id, "kind": z.kind, "points_m": z.points_m, "capacity": z.capacity}
            for z in site.zones
        ],
    }


def _camera(camera: CameraModel) -> dict[str, Any]:
    return {
        "camera_id": camera.camera_id,
        "width": camera.width,
        "height": camera.height,
        "h_image_to_world": camera.h_image_to_world,
        "matrix": camera.lens and camera.lens.matrix,
        "distortion": camera.lens and camera.lens.distortion,
        "rotation": camera.rotation,
        "translation_m": camera.translation_m,
    }
