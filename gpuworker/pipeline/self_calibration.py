"""Keeps an eye on the calibrations while people are followed: small errors are taken off, moved cameras named."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, homography_jacobian
from gpuworker.pipeline.bias import CameraBias
from gpuworker.pipeline.moved import CameraWatch, Move
from gpuworker.pipeline.observation import BOTTOM, MID, TOP
from gpuworker.pipeline.settings import BiasSettings
from gpuworker.pipeline.values import CameraShift, Event

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

NEAR_CHI2 = 6.0  # a hidden edge is no measurement: what lies further off is left out
MOVED = "camera_moved"
LONGEST_S = 1.0  # after a longer time without anybody shared, the time between does not count as learning


class SelfCalibration:
    """Learns from people whom several cameras see how far off each camera's calibration is."""

    def __init__(self, cameras: Sequence[CameraModel], settings: BiasSettings) -> None:
        """Begin with calibrations that are right."""
        self._cameras = tuple(cameras)
        self._settings = settings
        self._bias = CameraBias(cameras, settings)
        self._watch = CameraWatch(cameras, settings)
        self._m_per_px = [_metres_per_px(camera) for camera in cameras]
        self._began_at: datetime | None = None
        self._learned_s = np.full(len(cameras), -np.inf)
        self._moves: list[Move] = []

    def correct(self, camera: Ints, z: Floats) -> Floats:
        """Take what is off from measurements (n, 3) of u_mid, v_bottom, v_top by cameras (n,)."""
        return self._bias.correct(camera, z)

    def is_due(self, camera: int, captured_at: datetime) -> bool:
        """Say whether a frame is to be learned from: a few in a second are enough."""
        self._began_at = self._began_at or captured_at
        now_s = (captured_at - self._began_at).total_seconds()
        return bool(now_s - self._learned_s[camera] >= self._settings.every_s)

    def learn(
        self,
        camera: int,
        captured_at: datetime,
        z: Floats,
        measurable: Bools,
        box: Ints,
        expected: Floats,
        variance: Floats,
        sure: Bools,
    ) -> None:
        """Take in one frame that is due.

        Args:
            camera: index.
            captured_at: of the frame.
            z, measurable: (n, 3) its boxes, corrected, and what they measure.
            box: (t,) index of each track's box, negative for none.
            expected, variance: (t, 3) what the other cameras and the past say, px and px^2.
            sure: (t,) whom another camera sees too and who stand in view, at least one.
        """
        began_at = self._began_at = self._began_at or captured_at
        now_s = (captured_at - began_at).total_seconds()
        since_s = now_s - self._learned_s[camera]
        self._learned_s[camera] = now_s
        track = np.flatnonzero(sure & (box >= 0))
        mine, spread = z[box[track]], variance[track]
        residual = mine - expected[track]
        valid = measurable[box[track]] & (residual**2 < NEAR_CHI2 * spread)
        self._bias.learn(camera, mine, residual, spread, valid, since_s)
        edges = [MID, TOP if measurable[:, TOP].any() else BOTTOM]
        boxes_px = z[measurable[:, edges].all(axis=1)][:, edges]
        std_px = np.sqrt(variance[sure][:, edges].max(axis=1))
        way_px = self._watch.vote(camera, now_s, expected[sure][:, edges], std_px, boxes_px)
        if way_px is not None:
            self._bias.jump(camera, way_px)
        dt_s, shift_px, std = min(since_s, LONGEST_S), self._bias.shift_px[camera], self._bias.std_px[camera]
        move = self._watch.judge(camera, now_s, dt_s, shift_px, float(std))
        if move is not None:
            self._moves.append(move)

    def take_events(self, at: datetime) -> tuple[Event, ...]:
        """Give an event for each camera that was found to have moved since this was asked last."""
        moves, self._moves = self._moves, []
        return tuple(self._event(at, move) for move in moves)

    @property
    def shifts(self) -> tuple[CameraShift, ...]:
        """Give each camera's shift."""
        rows = zip(
            self._cameras, self._bias.shift_px, self._bias.std_px.tolist(), self._m_per_px, strict=True
        )
        return tuple(
            CameraShift(camera.camera_id, px, std_px, m_per_px @ px) for camera, px, std_px, m_per_px in rows
        )

    def _event(self, at: datetime, move: Move) -> Event:
        """Tell of a move: the shift before and after, and the distance between, in px and on the floor."""
        shifts = {"before": move.before_px, "after": move.after_px}
        m_per_px = self._m_per_px[move.camera]
        moved_px = move.after_px - move.before_px
        payload: dict[str, object] = {
            "moved_px": round(float(np.linalg.norm(moved_px)), 1),
            "moved_m": _rounded(float(np.linalg.norm(m_per_px @ moved_px))),
        }
        for name, px in shifts.items():
            payload[f"{name}_px"] = [round(v, 1) for v in px.tolist()]
            payload[f"{name}_m"] = [_rounded(v) for v in (m_per_px @ px).tolist()]
        return Event(kind=MOVED, at=at, camera_id=self._cameras[move.camera].camera_id, payload=payload)


def _rounded(metres: float) -> float | None:
    return round(metres, 2) if np.isfinite(metres) else None


def _metres_per_px(camera: CameraModel) -> Floats:
    """Give d(floor)/d(picture) (2, 2) in the middle of the floor that a camera sees; NaN where it sees none."""
    u, v = np.meshgrid(np.linspace(0, camera.width, 33), np.linspace(0, camera.height, 33))
    points_px = np.column_stack([u.ravel(), v.ravel()])
    seen = points_px[np.isfinite(camera.to_floor(points_px)).all(axis=1)]
    if len(seen) == 0:
        return np.full((2, 2), np.nan)
    middle_px = camera.undistort(seen.mean(axis=0, keepdims=True))
    return np.asarray(homography_jacobian(camera.h_image_to_world, middle_px)[0])
