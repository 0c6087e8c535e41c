"""How far apart cameras put the same people on the floor, and where a camera that moved looks now."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, Refit, Sights, refit
from gpuworker.pipeline.boxes import covered_share
from gpuworker.pipeline.values import NO_ID, StepResult

Floats = NDArray[np.float64]

TOGETHER_S = 0.2  # sights of one person by two cameras within this are of one place
CLEAR_SHARE = 0.05  # of a box that others may cover
EVERY_S = 0.5  # between sights of one person by one camera that count: people stand still
LEAST_SIGHTS = 5  # fewer say nothing
MOST_SIGHTS = 4000  # kept of a pair, enough for any median
COLLECT_S = 30.0  # after a move, before people are asked where the camera looks
COLLECT_SIGHTS = 200
COLLECT_AT_MOST_S = 300.0
NOTICED_S = 40.0  # how late a move is noticed at most
LATELY = 3000  # sights of a camera that are held


@dataclass(frozen=True, slots=True)
class Difference:
    """How a camera's places lie beside others', see :class:`Agreements`.

    Attributes:
        camera, other: ids; ``other`` is None for all others together.
        cell: of the floor; None for all of it.
        sights: how many people-at-an-instant.
        median_m: distance.
        off_m: (2,) mean way from the others' place to the camera's, over the nearer half.
    """

    camera: str
    other: str | None
    cell: tuple[int, int] | None
    sights: int
    median_m: float
    off_m: Floats


@dataclass(frozen=True, slots=True)
class _Place:
    at: datetime
    place_m: Floats
    xyxy: Floats


@dataclass(frozen=True, slots=True)
class _Sight:
    at: datetime
    xyxy: Floats
    others_m: Floats


@dataclass(frozen=True, slots=True)
class _Refitted:
    since: datetime
    unmoved: list[_Sight]


class Agreements:
    """Collects where cameras put people whom several of them see, by their calibrations as they are."""

    def __init__(self, cameras: Mapping[str, CameraModel], *, cell_m: float) -> None:
        """Begin with nothing."""
        self._cameras = dict(cameras)
        self._cell_m = cell_m
        self._last: dict[int, dict[str, _Place]] = defaultdict(dict)
        self._ways: dict[tuple[str, str], list[tuple[Floats, Floats]]] = defaultdict(list)
        self._lately: dict[str, deque[_Sight]] = {key: deque(maxlen=LATELY) for key in cameras}
        self._refits: dict[str, _Refitted] = {}

    def add(self, result: StepResult) -> None:
        """Take in one tick."""
        for sighting in result.sightings:
            model = self._cameras.get(sighting.camera_id)
            clear = covered_share(sighting.detections.xyxy) <= CLEAR_SHARE  # hidden feet are elsewhere
            known = np.flatnonzero((sighting.track != NO_ID) & clear)
            if model is None or len(known) == 0:
                continue
            xyxy = sighting.detections.xyxy[known].astype(np.float64)
            places = model.to_floor(np.column_stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]]))
            for track, box, place in zip(sighting.track[known].tolist(), xyxy, places, strict=True):
                last = self._last[track].get(sighting.camera_id)
                is_news = last is None or (sighting.captured_at - last.at).total_seconds() >= EVERY_S
                if is_news and np.isfinite(place).all():
                    self._last[track][sighting.camera_id] = _Place(sighting.captured_at, place, box)
                    self._compare(track, sighting.camera_id)
        self._forget(result.at)

    def moved(self, camera_id: str, at: datetime) -> None:
        """Begin to collect where people say that a camera looks which has moved."""
        if camera_id in self._cameras:
            lately = self._lately[camera_id]
            unmoved = [sight for sight in lately if (at - sight.at).total_seconds() > NOTICED_S]
            self._refits[camera_id] = _Refitted(at, unmoved)
            lately.clear()

    def take_refits(self, now: datetime) -> dict[str, Refit]:
        """Give, once, the cameras for which people have said enough."""
        found = {}
        for camera_id, asked in list(self._refits.items()):
            sights = list(self._lately[camera_id])
            waited_s = (now - asked.since).total_seconds()
            if waited_s < COLLECT_S or (len(sights) < COLLECT_SIGHTS and waited_s < COLLECT_AT_MOST_S):
                continue
            del self._refits[camera_id]
            found[camera_id] = refit(self._cameras[camera_id], _table(sights), _table(asked.unmoved))
        return found

    def take(self) -> list[Difference]:
        """Give what was collected since this was asked last, and begin anew."""
        ways, self._ways = self._ways, defaultdict(list)
        found = []
        of_camera: dict[str, list[tuple[Floats, Floats]]] = defaultdict(list)
        for (a, b), sights in sorted(ways.items()):
            found += self._differences(a, b, sights, cells=False)
            of_camera[a] += sights
            of_camera[b] += [(place, -way) for place, way in sights]
        for camera, sights in sorted(of_camera.items()):
            found += self._differences(camera, None, sights, cells=True)
        return found

    def _compare(self, track: int, camera_id: str) -> None:
        mine = self._last[track][camera_id]
        near = {
            other: place
            for other, place in self._last[track].items()
            if other != camera_id and abs((mine.at - place.at).total_seconds()) <= TOGETHER_S
        }
        for other, place in near.items():
            a, b = sorted((camera_id, other))
            way = mine.place_m - place.place_m if camera_id == a else place.place_m - mine.place_m
            if len(self._ways[a, b]) < MOST_SIGHTS:
                self._ways[a, b].append(((mine.place_m + place.place_m) / 2, way))
        if near:
            others = np.mean([place.place_m for place in near.values()], axis=0)
            self._lately[camera_id].append(_Sight(mine.at, mine.xyxy, others))

    def _differences(
        self, camera: str, other: str | None, sights: Sequence[tuple[Floats, Floats]], *, cells: bool
    ) -> list[Difference]:
        places = np.array([place for place, _ in sights])
        ways = np.array([way for _, way in sights])
        found = [_difference(camera, other, None, ways)] if len(ways) >= LEAST_SIGHTS else []
        if cells:
            cell = np.floor(places / self._cell_m).astype(np.int64)
            for x, y in np.unique(cell, axis=0).tolist():
                inside = (cell == [x, y]).all(axis=1)
                if inside.sum() >= LEAST_SIGHTS:
                    found.append(_difference(camera, other, (x, y), ways[inside]))
        return found

    def _forget(self, now: datetime) -> None:
        gone = [
            track
            for track, places in self._last.items()
            if all((now - place.at).total_seconds() > 2.0 for place in places.values())
        ]
        for track in gone:
            del self._last[track]


def _difference(camera: str, other: str | None, cell: tuple[int, int] | None, ways: Floats) -> Difference:
    far_m = np.linalg.norm(ways, axis=1)
    median_m = float(np.median(far_m))
    off_m = np.asarray(ways[far_m <= median_m].mean(axis=0))
    return Difference(camera, other, cell, len(ways), median_m, off_m)


def _table(sights: Sequence[_Sight]) -> Sights:
    return Sights(
        np.array([sight.xyxy for sight in sights]).reshape(-1, 4),
        np.array([sight.others_m for sight in sights]).reshape(-1, 2),
    )
