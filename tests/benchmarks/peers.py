"""What one would follow people with otherwise, put together from parts off the shelf.

Both take the very observations that SpotOn's tracker takes and give identities on the floor. They are plain,
but not straw men: their values were tuned by hand on the loads that they are measured on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations, count

import numpy as np
import supervision
from filterpy.kalman import KalmanFilter
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from trackers import ByteTrackTracker

from environments.geometry import CameraModel
from gpuworker.pipeline.values import Observation
from gpuworker.scoring import Positions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FORBIDDEN = 1e6  # cost of a pair that may not be
AGREEING = 2  # cameras that make somebody real


def assign(cost: Floats) -> tuple[list[int], list[int]]:
    """Give rows and columns of the cheapest one-to-one pairs; pairs of infinite cost are left out."""
    rows, columns = linear_sum_assignment(np.where(np.isfinite(cost), cost, FORBIDDEN))
    good = np.isfinite(cost[rows, columns])
    return rows[good].tolist(), columns[good].tolist()


def foot_points(xyxy: NDArray) -> Floats:
    """Give the middle of each box's lower edge, (n, 4) -> (n, 2) px."""
    boxes = xyxy.astype(np.float64)
    return np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])


@dataclass(slots=True)
class _Identity:
    """Somebody on the floor.

    Attributes:
        tracks: the track of each camera that showed them last.
        now: where the tracks of this tick stand.
        is_real: several cameras have agreed.
    """

    number: int
    xy_m: Floats
    seen_at: datetime
    tracks: dict[str, int] = field(default_factory=dict)
    now: dict[str, Floats] = field(default_factory=dict)
    is_real: bool = False

    def show(self, camera: str, track: int, xy_m: Floats, at: datetime) -> None:
        """Take in where a track stands."""
        self.tracks[camera], self.now[camera] = track, xy_m
        self.xy_m, self.seen_at = np.mean(list(self.now.values()), axis=0), at


class FloorLinker:
    """Links the tracks of several cameras by where they stand on the floor, and remembers the links."""

    LINK_M, PART_M = 0.8, 1.2
    MEMORY_S = 1.0

    def __init__(self, cameras: int) -> None:
        """Begin with nobody."""
        self._agreeing = min(AGREEING, cameras)
        self._number = count(1)
        self._identities: list[_Identity] = []

    def step(self, at: datetime, tracks: Mapping[str, Mapping[int, Floats]]) -> Positions:
        """Give who is where by the place (2,) of each track, by camera and id."""
        free = {camera: dict(seen) for camera, seen in tracks.items()}
        self._identities = [i for i in self._identities if (at - i.seen_at).total_seconds() <= self.MEMORY_S]
        for identity in self._identities:
            self._follow(identity, free, at)
        self._merge(at)
        for camera, left in free.items():
            self._link(camera, left, at)
        for identity in self._identities:
            identity.is_real |= len(identity.now) >= self._agreeing
        shown = [i for i in self._identities if i.now and i.is_real]
        return Positions(
            np.array([i.number for i in shown], np.int64), np.array([i.xy_m for i in shown]).reshape(-1, 2)
        )

    def _follow(self, identity: _Identity, free: dict[str, dict[int, Floats]], at: datetime) -> None:
        """Take in the linked tracks, but for one that has come too far from the others."""
        points = {c: free[c][t] for c, t in identity.tracks.items() if t in free.get(c, {})}
        if len(points) > 1:
            middle = np.median(list(points.values()), axis=0)
            off = {camera: float(np.linalg.norm(p - middle)) for camera, p in points.items()}
            furthest = max(off, key=off.__getitem__)
            if off[furthest] > self.PART_M:
                del points[furthest], identity.tracks[furthest]
        identity.now = {}
        for camera, xy_m in points.items():
            track = identity.tracks[camera]
            del free[camera][track]
            identity.show(camera, track, xy_m, at)

    def _merge(self, at: datetime) -> None:
        """Make one of two who stand together and whom no camera shows as two."""
        here = [i for i in self._identities if i.now]
        for elder, younger in combinations(here, 2):
            apart_m = float(np.linalg.norm(elder.xy_m - younger.xy_m))
            if elder.now and younger.now and apart_m < self.LINK_M and not elder.now.keys() & younger.now:
                for camera, xy_m in younger.now.items():
                    elder.show(camera, younger.tracks[camera], xy_m, at)
                younger.now, younger.tracks = {}, {}
        self._identities = [i for i in self._identities if i.tracks]

    def _link(self, camera: str, left: dict[int, Floats], at: datetime) -> None:
        """Link a camera's other tracks to somebody near whom it does not show yet, or to somebody new."""
        open_ = [i for i in self._identities if camera not in i.now]
        points = np.array(list(left.values())).reshape(-1, 2)
        places = np.array([i.xy_m for i in open_]).reshape(-1, 2)
        apart_m = np.linalg.norm(points[:, None] - places[None], axis=-1)
        rows, columns = assign(np.where(apart_m <= self.LINK_M, apart_m, np.inf))
        pairs = dict(zip(rows, columns, strict=True))
        for row, (track, xy_m) in enumerate(left.items()):
            if row in pairs:
                identity = open_[pairs[row]]
            else:
                identity = _Identity(next(self._number), xy_m, at)
                self._identities.append(identity)
            identity.show(camera, track, xy_m, at)


class LinkedByteTracks:
    """ByteTrack in the picture of each camera, its tracks linked on the floor.

    Source: Zhang et al., ByteTrack (2022), as implemented in the trackers package.
    """

    def __init__(self, cameras: Mapping[str, CameraModel], fps: float) -> None:
        """Begin with nobody; the thresholds suit detectors that report boxes from 0.3 on."""
        self._cameras = cameras
        self._trackers = {
            key: ByteTrackTracker(
                frame_rate=fps,
                track_activation_threshold=0.4,
                high_conf_det_threshold=0.4,
                minimum_consecutive_frames=1,
                minimum_iou_threshold=0.2,
            )
            for key in cameras
        }
        self._linker = FloorLinker(len(cameras))

    def step(self, observations: Sequence[Observation]) -> Positions:
        """Give who is where after one tick."""
        tracks = {}
        for o in observations:
            found = supervision.Detections(xyxy=o.detections.xyxy, confidence=o.detections.confidence)
            tracked = self._trackers[o.camera_id].update(found)
            ids = np.asarray(tracked.tracker_id, np.int64)
            xy_m = self._cameras[o.camera_id].to_floor(foot_points(tracked.xyxy))
            good = np.flatnonzero((ids >= 0) & np.isfinite(xy_m).all(axis=1))
            tracks[o.camera_id] = {int(ids[i]): xy_m[i] for i in good}
        return self._linker.step(max(o.captured_at for o in observations), tracks)


@dataclass(slots=True)
class _Filtered:
    """One track with its filter: state x, y, vx, vy.

    Attributes:
        ticks: in which several cameras saw it.
    """

    number: int
    filter: KalmanFilter
    seen_at: datetime
    is_real: bool
    ticks: int = 0


@dataclass(frozen=True, slots=True)
class _Feet:
    """Foot points of one frame, (n, 2) with covariance (n, 2, 2), and confidences (n,)."""

    camera_id: str
    xy_m: Floats
    covariance: Floats
    confidence: Floats

    def select(self, index: Ints) -> "_Feet":
        return _Feet(self.camera_id, self.xy_m[index], self.covariance[index], self.confidence[index])


class FilterPerTrack:
    """Tracks on the floor first, with one filterpy filter for each.

    Every camera's foot points, with a covariance from pixels through the homography, are matched to the
    predicted tracks (Mahalanobis distance, Hungarian); clusters of what is left begin tracks.
    """

    GATE_CHI2 = 13.8  # 99.9 % of two degrees of freedom
    PIXEL_NOISE_PX, HEIGHT_NOISE, FLOOR_NOISE_M = 1.5, 0.05, 0.12  # the second of the box height
    ACCELERATION_PSD = 0.3  # m^2/s^3
    SPEED_MPS = 1.2
    BIRTH_M, BIRTH_CONFIDENCE, CROWDING_M = 1.0, 0.5, 0.7
    REAL_TICKS, REAL_CAMERAS = 2, 3  # agreement of two cameras for so long, or of so many at once
    MEMORY_S = 1.0

    def __init__(self, cameras: Mapping[str, CameraModel]) -> None:
        """Begin with nobody."""
        self._cameras = cameras
        self._agreeing = min(AGREEING, len(cameras))
        self._number = count(1)
        self._tracks: list[_Filtered] = []
        self._at: datetime | None = None

    def step(self, observations: Sequence[Observation]) -> Positions:
        """Give who is where after one tick."""
        at = max(o.captured_at for o in observations)
        f, q = _motion(0.0 if self._at is None else (at - self._at).total_seconds(), self.ACCELERATION_PSD)
        self._at = at
        for track in self._tracks:
            track.filter.predict(F=f, Q=q)
        hits = np.zeros(len(self._tracks), np.int64)
        left = [self._match(self._feet(o), hits) for o in observations]
        for track, cameras in zip(self._tracks, hits.tolist(), strict=True):
            track.seen_at = at if cameras else track.seen_at
            track.ticks += cameras >= self._agreeing
            track.is_real |= track.ticks >= self.REAL_TICKS
        self._begin(at, left)
        self._tracks = [t for t in self._tracks if (at - t.seen_at).total_seconds() <= self.MEMORY_S]
        shown = [t for t in self._tracks if t.is_real and t.seen_at == at]
        return Positions(
            np.array([t.number for t in shown], np.int64),
            np.array([t.filter.x[:2] for t in shown]).reshape(-1, 2),
        )

    def _feet(self, o: Observation) -> _Feet:
        xyxy = o.detections.xyxy.astype(np.float64)
        sigma_px = self.PIXEL_NOISE_PX + self.HEIGHT_NOISE * (xyxy[:, 3] - xyxy[:, 1])
        xy_m, covariance = self._cameras[o.camera_id].to_floor_with_covariance(
            foot_points(xyxy), sigma_px[:, None, None] ** 2 * np.eye(2)
        )
        covariance = covariance + self.FLOOR_NOISE_M**2 * np.eye(2)
        feet = _Feet(o.camera_id, xy_m, covariance, o.detections.confidence.astype(np.float64))
        return feet.select(np.flatnonzero(np.isfinite(xy_m).all(axis=1)))

    def _match(self, feet: _Feet, hits: Ints) -> _Feet:
        """Correct the tracks that a frame shows and count the hits; give the foot points that show none."""
        x = np.array([t.filter.x[:2] for t in self._tracks]).reshape(-1, 2)
        p = np.array([t.filter.P[:2, :2] for t in self._tracks]).reshape(-1, 2, 2)
        off = feet.xy_m[:, None] - x[None]  # (n, t, 2)
        s = feet.covariance[:, None] + p[None]  # (n, t, 2, 2)
        distance2 = np.vecdot((off[..., None, :] @ np.linalg.inv(s))[..., 0, :], off)
        cost = np.where(distance2 <= self.GATE_CHI2, distance2 + np.log(np.linalg.det(s)), np.inf)
        rows, columns = assign(cost)
        for i, j in zip(rows, columns, strict=True):
            self._tracks[j].filter.update(feet.xy_m[i], R=feet.covariance[i])
            hits[j] += 1
        return feet.select(np.setdiff1d(np.arange(len(feet.xy_m)), np.array(rows, np.int64)))

    def _begin(self, at: datetime, left: Sequence[_Feet]) -> None:
        """Begin a track at each cluster of foot points of different cameras, the surest first."""
        points = [
            (*row, feet.camera_id)
            for feet in left
            for row in zip(feet.confidence, feet.xy_m, feet.covariance, strict=True)
        ]
        clusters: list[dict[str, tuple[Floats, Floats]]] = []
        for confidence, xy_m, covariance, camera_id in sorted(points, key=lambda point: -point[0]):
            near = [
                c
                for c in clusters
                if camera_id not in c and np.linalg.norm(next(iter(c.values()))[0] - xy_m) < self.BIRTH_M
            ]
            if near:
                near[0][camera_id] = (xy_m, covariance)
            elif confidence >= self.BIRTH_CONFIDENCE:
                clusters.append({camera_id: (xy_m, covariance)})
        known = np.array([t.filter.x[:2] for t in self._tracks]).reshape(-1, 2)
        for cluster in clusters:
            surest_m = next(iter(cluster.values()))[0]
            if (np.linalg.norm(known - surest_m, axis=1) >= self.CROWDING_M).all():
                self._tracks.append(self._born(at, list(cluster.values())))

    def _born(self, at: datetime, points: list[tuple[Floats, Floats]]) -> _Filtered:
        filter_ = KalmanFilter(dim_x=4, dim_z=2)
        filter_.x = np.array([*points[0][0], 0.0, 0.0])
        filter_.P = np.diag([0.0, 0.0, self.SPEED_MPS**2, self.SPEED_MPS**2])
        filter_.P[:2, :2] = points[0][1]
        filter_.H = np.eye(2, 4)
        for xy_m, covariance in points[1:]:
            filter_.update(xy_m, R=covariance)
        is_real = len(points) >= min(self.REAL_CAMERAS, len(self._cameras))
        return _Filtered(next(self._number), filter_, at, is_real)


def _motion(dt_s: float, acceleration_psd: float) -> tuple[Floats, Floats]:
    """Give transition and noise of constant velocity, both (4, 4)."""
    f = np.eye(4)
    f[0, 2] = f[1, 3] = dt_s
    block = acceleration_psd * np.array([[dt_s**3 / 3, dt_s**2 / 2], [dt_s**2 / 2, dt_s]])
    return f, np.asarray(np.kron(block, np.eye(2)), np.float64)
