"""Small frames and results, and a Redis to publish them in, for tests of what comes after the pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import numpy as np
from channels.layers import channel_layers

from gpuworker.pipeline.values import (
    NO_ID,
    CameraShift,
    Detections,
    Event,
    Frame,
    People,
    Points,
    Sighting,
    StepResult,
)
from tests.factories import T0


@contextmanager
def redis_in_use(settings, url: str) -> Iterator[None]:
    """Let the settings and the channel layer name a Redis, and drop the layer afterwards."""
    layer = settings.CHANNEL_LAYERS["default"]
    settings.REDIS_URL = url
    settings.CHANNEL_LAYERS = {"default": {**layer, "CONFIG": {**layer["CONFIG"], "hosts": [url]}}}
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


def at(seconds: float) -> datetime:
    """Give the instant so many seconds after T0."""
    return T0 + timedelta(seconds=seconds)


def frame(
    camera_id: str = "c1", seconds: float = 0.0, *, seq: int = 0, width: int = 64, height: int = 48
) -> Frame:
    """Give a grey frame."""
    return Frame(camera_id, seq, at(seconds), np.full((height, width, 3), 128, np.uint8))


def people(seconds: float = 0.0, tracks: Mapping[int, int] | None = None, *, x_m: float = 1.0) -> People:
    """Give people at (x_m, 2) m, tracks with their persons."""
    tracks = tracks or {}
    n = len(tracks)
    return People(
        at=at(seconds),
        track=np.array(list(tracks), np.int64),
        person=np.array(list(tracks.values()), np.int64),
        state=np.tile([x_m, 2.0, 0.5, 0.0], (n, 1)),
        covariance=np.tile(np.diag([0.04, 0.09, 0.01, 0.01]), (n, 1, 1)),
        height_m=np.full(n, 1.75),
        confidence=np.full(n, 0.9),
        cameras=(("c1", "c2"),) * n,
    )


def sighting(
    camera_id: str = "c1", seconds: float = 0.0, tracks: Mapping[int, int] | None = None, *, nobody=0
) -> Sighting:
    """Give a sighting with a box for each track and some of nobody."""
    tracks = tracks or {}
    n = len(tracks) + nobody
    boxes = np.array([[10.0 * i, 5.0, 10.0 * i + 8.0, 30.0] for i in range(n)], np.float32).reshape(n, 4)
    confidence = np.array([0.9] * len(tracks) + [0.6, 0.2][:nobody], np.float32)
    return Sighting(
        camera_id,
        0,
        at(seconds),
        Detections(boxes, confidence),
        np.array([*tracks, *[NO_ID] * nobody], np.int64),
        np.array([*tracks.values(), *[NO_ID] * nobody], np.int64),
    )


def points(seconds: float = 0.0, tracks: Mapping[int, int] | None = None, *, x_m: float = 1.0) -> Points:
    """Give a point of each track, as for :func:`people`."""
    there = people(seconds, tracks, x_m=x_m)
    return Points(
        (there.at,) * len(there),
        there.track,
        there.person,
        there.state,
        there.covariance,
        there.cameras,
    )


def result(
    seconds: float = 0.0,
    tracks: Mapping[int, int] | None = None,
    *,
    sightings: Sequence[Sighting] = (),
    events: Sequence[Event] = (),
    x_m: float = 1.0,
    shifts: Sequence[CameraShift] = (),
):
    """Give what one tick gave; the paths are settled at once."""
    return StepResult(
        at=at(seconds),
        sightings=tuple(sightings),
        people=people(seconds, tracks, x_m=x_m),
        events=tuple(events),
        stages_ms={"detect": 4.0, "track": 1.0},
        settled=points(seconds, tracks, x_m=x_m),
        shifts=tuple(shifts),
    )
