"""Runs a fresh tracker over a recording, and says whether it publishes the same, bit for bit."""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, Lens
from gpuworker.pipeline.memory import Known, Memory
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Observation, Site, Zone
from gpuworker.recording import ARRAY_CODE, HEADER, RECORD, computed_with, digest, digests

LONGEST_RECORD = 64_000_000  # bytes, deflated and not
MADE_UP = 2**60  # numbers from here on were never taken


class ReplayError(ValueError):
    """A file that cannot be replayed; the message says why, on one line."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """How a replay went.

    Attributes:
        ticks: that were compared.
        seconds: between the first and the last of them, by their capture times.
        is_whole: False where recording had stopped before the run did: the file was full.
        difference: the first one, in words; empty where there is none.
    """

    ticks: int
    seconds: float
    is_whole: bool
    difference: str


class Fed:
    """Stands for the detector of a pipeline that is given observations."""

    name = "recorded"

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give nothing: whatever was found is given."""
        return [Detections.empty() for _ in frames]


class _Numbers:
    """Gives the numbers that were taken in a tick, and then made-up ones."""

    def __init__(self) -> None:
        self._left: list[int] = []
        self._made_up = count(MADE_UP)
        self._lacked = False

    def __call__(self) -> int:
        if self._left:
            return self._left.pop(0)
        self._lacked = True
        return next(self._made_up)

    def begin(self, taken: Sequence[int]) -> None:
        """Lay out the numbers of a tick."""
        self._left, self._lacked = [int(n) for n in taken], False

    @property
    def are_wrong(self) -> bool:
        """Say whether more or fewer of them were taken."""
        return self._lacked or bool(self._left)


def replay(path: Path) -> Replayed:
    """Run a recording again, up to the first difference.

    Raises:
        ReplayError: the file is no recording, is damaged or cut off, or another version of SpotOn made it.
    """
    with _readable(path) as file:
        run = _Run(next(file))
        for record in file:
            if "seen" not in record:
                return run.end(record)
            run.step(record)
            if run.difference:
                return run.so_far()
    raise ReplayError(
        f"{path} is cut off after {run.ticks} ticks: its worker was killed, or not all was copied"
    )


def recorded_ticks(path: Path) -> Iterator[list[Observation]]:
    """Give what was fed in each tick of a recording, as far as it goes.

    Raises:
        ReplayError: the file is no recording or is damaged.
    """
    with _readable(path) as file:
        for record in file:
            if "seen" in record:
                yield [_observation(o) for o in record["seen"]]


class _Run:
    """A fresh tracker that is fed with a recording.

    Attributes:
        ticks: that went as recorded.
        difference: the first one, in words.
    """

    def __init__(self, begin: dict[str, Any]) -> None:
        self.ticks = 0
        self.difference = ""
        self._computed_with: dict[str, str] = begin["computed_with"]
        self._tracks, self._persons = _Numbers(), _Numbers()
        self._pipeline = Pipeline(
            detector=Fed(),
            embedder=None,
            site=_site(begin["site"]),
            take_track_number=self._tracks,
            take_person_number=self._persons,
            settings=_settings(begin["settings"]),
        )
        if "memory" in begin:
            self._pipeline.remember(_memory(begin["memory"]))
        self._first_at: datetime | None = None
        self._last_at: datetime | None = None

    def step(self, record: dict[str, Any]) -> None:
        """Take in a tick and compare what comes out."""
        self._tracks.begin(record["numbers"]["track"])
        self._persons.begin(record["numbers"]["person"])
        result = self._pipeline.follow([_observation(o) for o in record["seen"]])
        self._first_at, self._last_at = self._first_at or result.at, result.at
        got, published = digests(result), record["published"]
        wrong = [name for name in got if got[name] != published[name]]
        if self._tracks.are_wrong or self._persons.are_wrong:
            wrong.append("the numbers taken")
        if wrong:
            self._differ(", ".join(wrong))
        else:
            self.ticks += 1

    def end(self, record: dict[str, Any]) -> Replayed:
        """Compare what is left at the end."""
        if record["ticks"] != self.ticks:
            raise ValueError(f"{record['ticks']} ticks were written, {self.ticks} are there")
        if record["left"] not in (None, digest(asdict(self._pipeline.finish()))):
            self._differ("stored paths at the end")
        return self.so_far(is_whole=record["is_whole"])

    def so_far(self, *, is_whole: bool = True) -> Replayed:
        """Sum up."""
        span = self._last_at - self._first_at if self._last_at and self._first_at else timedelta()
        return Replayed(self.ticks, span.total_seconds(), is_whole, self.difference)

    def _differ(self, parts: str) -> None:
        self.difference = f"tick {self.ticks + 1}, {self._last_at}: {parts}"
        here = computed_with()
        other = [f"{k} {v}, here {here.get(k)}" for k, v in self._computed_with.items() if v != here.get(k)]
        if other:
            self.difference += f" (recorded with {'; '.join(other)})"


@contextmanager
def _readable(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """Give the records of a file; whatever is wrong with it is said in one line."""
    try:
        with path.open("rb") as file:
            yield _records(path, file)
    except OSError as error:
        raise ReplayError(f"{path} cannot be read: {error.strerror or error}") from error
    except ReplayError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, msgpack.UnpackException, zlib.error) as error:
        raise ReplayError(f"{path} is damaged or of another version of SpotOn: {error!r}") from error


def _records(path: Path, file: BinaryIO) -> Iterator[dict[str, Any]]:
    if file.read(len(HEADER)) != HEADER:
        raise ReplayError(f"{path} is no recording of a tracker, or one of another version of SpotOn")
    for number in count():
        head = file.read(RECORD.size)
        if not head:
            return
        length, checksum = RECORD.unpack(head.ljust(RECORD.size, b"\0"))
        payload = file.read(min(length, LONGEST_RECORD))
        if len(head) < RECORD.size or (len(payload) < length <= LONGEST_RECORD):
            return  # cut off within a record
        if zlib.crc32(payload) != checksum:
            raise ReplayError(f"{path} is damaged after {max(number - 1, 0)} ticks")
        data = zlib.decompressobj().decompress(payload, LONGEST_RECORD)
        yield msgpack.unpackb(data, timestamp=3, ext_hook=_unpack_array)


def _unpack_array(code: int, data: bytes) -> NDArray:
    if code != ARRAY_CODE:
        raise ValueError(f"no value of kind {code} is known")
    kind, shape, values = msgpack.unpackb(data)
    return np.frombuffer(values, np.dtype(f"<{kind}")).reshape(shape)


def _observation(o: dict[str, Any]) -> Observation:
    found = Detections(o["xyxy"], o["confidence"])
    return Observation(o["camera_id"], o["seq"], o["captured_at"], found, o["embeddings"])


def _memory(memory: dict[str, Any]) -> Memory:
    persons = tuple(Known(**known) for known in memory["persons"])
    return Memory(memory["at"], persons, memory["cameras"], memory["similarities"])


def _site(site: dict[str, Any]) -> Site:
    cameras = [_camera(**camera) for camera in site["cameras"]]
    return Site({camera.camera_id: camera for camera in cameras}, tuple(Zone(**z) for z in site["zones"]))


def _camera(*, matrix: Any, distortion: Any, **camera: Any) -> CameraModel:
    # as it was: made anew it would be scaled anew, and differ in the last bit
    return CameraModel(**camera, lens=None if matrix is None else Lens(matrix, distortion))


def _settings(values: dict[str, Any]) -> PipelineSettings:
    default = PipelineSettings()
    parts = {
        key: type(getattr(default, key))(**value) if isinstance(value, dict) else value
        for key, value in values.items()
    }
    return PipelineSettings(**parts)
