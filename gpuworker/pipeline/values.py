"""The values that flow through the pipeline; each checks its shape once, when made.

Units and frames follow the names: ``px`` is the recorded picture, ``m`` the floor of the environment,
times are aware UTC datetimes of capture.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]
Ints = NDArray[np.int64]

NO_ID = -1  # in arrays of track ids and person numbers: none


def _expect(name: str, array: NDArray, shape: tuple[int | None, ...]) -> None:
    got = array.shape
    if len(got) != len(shape) or any(e is not None and e != g for e, g in zip(shape, got, strict=True)):
        wanted = tuple("n" if e is None else e for e in shape)
        raise ValueError(f"{name}: expected shape {wanted}, got {got}")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    Attributes:
        camera_id: key of the camera in its environment.
        seq: counts the frames that the camera's source gave, from 0; gaps are frames dropped.
        captured_at: when the light fell on the sensor, as well as the source can tell; aware UTC.
        image: (height, width, 3) BGR uint8.
    """

    camera_id: str
    seq: int
    captured_at: datetime
    image: NDArray[np.uint8]

    def __post_init__(self) -> None:
        _expect("image", self.image, (None, None, 3))
        if self.captured_at.utcoffset() is None:
            raise ValueError("captured_at: expected an aware datetime, got a naive one")


@dataclass(frozen=True, slots=True)
class Detections:
    """The people found in one frame.

    Attributes:
        xyxy: (n, 4) float32 px of the recorded picture, origin top left.
        confidence: (n,) float32 in [0, 1].
    """

    xyxy: Floats32
    confidence: Floats32

    def __post_init__(self) -> None:
        _expect("xyxy", self.xyxy, (None, 4))
        _expect("confidence", self.confidence, (len(self.xyxy),))

    def __len__(self) -> int:
        return len(self.xyxy)

    @classmethod
    def empty(cls) -> Self:
        """Give no detections."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def select(self, index: NDArray) -> Self:
        """Give the detections at an index or mask array."""
        return type(self)(self.xyxy[index], self.confidence[index])


@dataclass(frozen=True, slots=True)
class Observation:
    """What one frame of one camera showed: the tracker's input.

    Attributes:
        camera_id, seq, captured_at: of the frame.
        detections: n boxes.
        embeddings: (n, d) float32 unit rows, a row of NaN where no embedding was computed; (n, 0) for none.
    """

    camera_id: str
    seq: int
    captured_at: datetime
    detections: Detections
    embeddings: Floats32

    def __post_init__(self) -> None:
        _expect("embeddings", self.embeddings, (len(self.detections), None))


@dataclass(frozen=True, slots=True)
class Zone:
    """A place of interest on the floor.

    Attributes:
        zone_id: key of the zone in its environment.
        kind: ``polygon`` (points_m is a ring of three or more) or ``line`` (two points, directed).
        points_m: (k, 2).
        capacity: how many people an area is for; None for any number.
    """

    zone_id: str
    kind: str
    points_m: Floats
    capacity: int | None = None

    def __post_init__(self) -> None:
        _expect("points_m", self.points_m, (None, 2))
        if self.kind not in ("polygon", "line"):
            raise ValueError(f"zone kind: expected 'polygon' or 'line', got {self.kind!r}")
        if self.kind == "line" and len(self.points_m) != 2:
            raise ValueError(f"a line has two points, got {len(self.points_m)}")
        if self.kind == "polygon" and len(self.points_m) < 3:
            raise ValueError(f"a polygon has three points or more, got {len(self.points_m)}")


@dataclass(frozen=True, slots=True)
class Site:
    """The place that a pipeline watches: calibrated cameras and zones.

    Attributes:
        cameras: by camera_id; a camera without a calibration is absent and is shown but not tracked.
        zones: of the floor.
    """

    cameras: dict[str, CameraModel]
    zones: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True)
class People:
    """Everybody on the floor at one instant, as published.

    Attributes:
        at: the instant.
        track: (n,) int64 track ids, unique for ever.
        person: (n,) int64 person numbers, unique in the environment for ever.
        state: (n, 4) x, y in m and vx, vy in m/s.
        covariance: (n, 4, 4) of the state.
        height_m: (n,) estimated standing height.
        confidence: (n,) probability in [0, 1] that the person is there.
        cameras: for each person the cameras that saw it in this tick, sorted.
    """

    at: datetime
    track: Ints
    person: Ints
    state: Floats
    covariance: Floats
    height_m: Floats
    confidence: Floats
    cameras: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        n = len(self.track)
        _expect("person", self.person, (n,))
        _expect("state", self.state, (n, 4))
        _expect("covariance", self.covariance, (n, 4, 4))
        _expect("height_m", self.height_m, (n,))
        _expect("confidence", self.confidence, (n,))
        if len(self.cameras) != n:
            raise ValueError(f"cameras: expected {n} tuples, got {len(self.cameras)}")

    def __len__(self) -> int:
        return len(self.track)


@dataclass(frozen=True, slots=True)
class Points:
    """Where people were at instants gone by, one point of one track each, as well as will ever be known.

    Attributes:
        at: for each point its instant.
        track, person: (n,) int64, the person as far as known now.
        state: (n, 4) x, y in m and vx, vy in m/s, smoothed.
        covariance: (n, 4, 4) of the state.
        cameras: for each point the cameras that saw the person then, sorted.
    """

    at: tuple[datetime, ...]
    track: Ints
    person: Ints
    state: Floats
    covariance: Floats
    cameras: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        n = len(self.at)
        _expect("track", self.track, (n,))
        _expect("person", self.person, (n,))
        _expect("state", self.state, (n, 4))
        _expect("covariance", self.covariance, (n, 4, 4))
        if len(self.cameras) != n:
            raise ValueError(f"cameras: expected {n} tuples, got {len(self.cameras)}")

    def __len__(self) -> int:
        return len(self.at)

    @classmethod
    def none(cls) -> Self:
        """Give no points."""
        none = np.zeros(0, np.int64)
        return cls((), none, none, np.zeros((0, 4)), np.zeros((0, 4, 4)), ())


@dataclass(frozen=True, slots=True)
class Sighting:
    """One frame's detections with the tracks and persons that they belong to.

    Attributes:
        camera_id, seq, captured_at: of the frame.
        detections: n boxes.
        track, person: (n,) int64, NO_ID for a detection that belongs to nobody published.
    """

    camera_id: str
    seq: int
    captured_at: datetime
    detections: Detections
    track: Ints
    person: Ints

    def __post_init__(self) -> None:
        _expect("track", self.track, (len(self.detections),))
        _expect("person", self.person, (len(self.detections),))


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened on the floor.

    Attributes:
        kind: one of tracking.models.EventKind's values, e.g. ``zone_enter``.
        at: when, aware UTC.
        person, track: number and id, None where the event is of nobody.
        zone_id, camera_id: keys, None where the event has none.
        x_m, y_m: where, None where it has no place.
        payload: plain JSON values: evidence, direction, and the like.
    """

    kind: str
    at: datetime
    person: int | None = None
    track: int | None = None
    zone_id: str | None = None
    camera_id: str | None = None
    x_m: float | None = None
    y_m: float | None = None
    payload: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CameraHealth:
    """How well a camera's boxes agree with what the others say; None where too little is known.

    Attributes:
        innovation: mean squared distance of its boxes from what is expected, over the variance of that distance:
            1 where boxes are as noisy as assumed; more tells of a camera that has moved or of a wrong calibration.
        unexplained: share of its boxes that belong to nobody.
    """

    innovation: float | None
    unexplained: float | None


@dataclass(frozen=True, slots=True)
class CameraShift:
    """How far a camera's boxes lie beside where its calibration puts them, by what the other cameras say.

    Attributes:
        camera_id: of the camera.
        shift_px: (2,) right and down, in the middle of the picture.
        std_px: standard deviation in the less sure direction.
        shift_m: (2,) what it is on the floor in the middle of what the camera sees; NaN where it sees none.
    """

    camera_id: str
    shift_px: Floats
    std_px: float
    shift_m: Floats

    def __post_init__(self) -> None:
        _expect("shift_px", self.shift_px, (2,))
        _expect("shift_m", self.shift_m, (2,))


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one tick gave.

    Attributes:
        at: instant of the tick: the newest capture time among its frames.
        sightings: one for each frame of the tick.
        people: everybody published.
        events: in order of time.
        stages_ms: elapsed milliseconds by stage: ``detect``, ``embed``, ``track``, ``identify``, ``events``,
            ``smooth``.
        settled: points of paths, to be stored, that later frames change no more.
        health: of the cameras with a frame in the tick.
        shifts: how far off each calibrated camera is, in order of their ids.
    """

    at: datetime
    sightings: tuple[Sighting, ...]
    people: People
    events: tuple[Event, ...]
    stages_ms: dict[str, float]
    settled: Points = field(default_factory=Points.none)
    health: dict[str, CameraHealth] = field(default_factory=dict)
    shifts: tuple[CameraShift, ...] = ()
