"""How a session and its cameras are doing: states from the worker, figures from what passes through the sink."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from gpuworker.pipeline.values import CameraHealth, CameraShift, Frame, StepResult
from gpuworker.sinks.backlog import Waiting
from gpuworker.sinks.gpu_memory import gpu_memory
from gpuworker.sinks.meters import Stages, Window, named
from tracking import status_messages

METER_SPAN_S = 5.0
SHARES = (50, 95, 99)
NO_HEALTH = CameraHealth(innovation=None, unexplained=None)
SURE_PX = 1.5  # a shift less sure than this is not told


@dataclass(slots=True)
class _Camera:
    frames: Window
    ages_ms: Window
    health: CameraHealth = NO_HEALTH
    state: str = "off"
    message: str = ""
    shift: CameraShift | None = None


class StatusBoard:
    """Collects what status messages say; safe to use from several threads."""

    def __init__(
        self, *, session: Mapping[str, Any], cameras: Sequence[str], span_s: float = METER_SPAN_S
    ) -> None:
        """Begin with every camera off; ``span_s`` is how far back figures look."""
        self._lock = threading.Lock()
        self._session = dict(session)
        self._cameras = {key: _Camera(Window(span_s), Window(span_s)) for key in cameras}
        self._stages = Stages(span_s)
        self._waiting: Callable[[], Waiting] | None = None
        self._place: Callable[[], dict[str, float]] | None = None
        self._dropped: Callable[[], Mapping[str, int]] | None = None
        self._drops: deque[tuple[float, Mapping[str, int]]] = deque()
        self._span_s = span_s
        self._overload: dict[str, Any] | None = None
        self.version = 0  # counts changes of state

    def watch_storage(self, waiting: Callable[[], Waiting]) -> None:
        """Ask from now on how many rows wait for the database."""
        self._waiting = waiting

    def watch_recordings(self, place: Callable[[], dict[str, float]]) -> None:
        """Ask from now on where in its recordings the session is."""
        self._place = place

    def watch_dropped(self, dropped: Callable[[], Mapping[str, int]]) -> None:
        """Ask from now on how many frames of each camera were overtaken by newer ones before they were tracked."""
        self._dropped = dropped

    def set_overload(self, *, step: int, steps: int, name: str) -> None:
        """Say how far things are made cheaper to keep up: step 0 of so many is not at all."""
        with self._lock:
            self._overload = {"step": step, "steps": steps, "name": name}
            self.version += 1

    def set_session(self, *, state: str, message: str) -> None:
        """Say what the session does."""
        with self._lock:
            self._session.update(state=state, message=message)
            self.version += 1

    def set_camera(self, key: str, *, state: str, message: str) -> None:
        """Say how a camera is doing."""
        with self._lock:
            self._cameras[key].state, self._cameras[key].message = state, message
            self.version += 1

    def count_result(self, result: StepResult) -> None:
        """Count one tick's stages, and keep how its cameras agree and how far off they are."""
        with self._lock:
            self._stages.add(time.monotonic(), result.stages_ms)
            for key, health in result.health.items():
                self._cameras[key].health = health
            for shift in result.shifts:
                if shift.camera_id in self._cameras:
                    self._cameras[shift.camera_id].shift = shift

    def count_published(self, frame: Frame, at: datetime) -> None:
        """Count a frame whose tick is out, and how old it was then."""
        now_s = time.monotonic()
        with self._lock:
            camera = self._cameras[frame.camera_id]
            camera.frames.add(now_s, 1.0)
            camera.ages_ms.add(now_s, (at - frame.captured_at).total_seconds() * 1e3)

    @property
    def cameras_up(self) -> int:
        """Give the number of cameras online."""
        with self._lock:
            return sum(camera.state == "online" for camera in self._cameras.values())

    def message(self, *, at: datetime) -> str:
        """Write the status message."""
        now_s = time.monotonic()
        storage = None if self._waiting is None else _storage(self._waiting())
        gpus = gpu_memory()
        dropped = {} if self._dropped is None else self._dropped()
        with self._lock:
            dropped_fps = self._dropped_fps(now_s, dropped)
            cameras = []
            for key, camera in self._cameras.items():
                ages = camera.ages_ms.percentiles(now_s, (50, 95)) or (None, None)
                cameras.append(
                    {
                        "id": key,
                        "state": camera.state,
                        "message": camera.message,
                        "fps": round(camera.frames.rate(now_s), 1),
                        "dropped_fps": dropped_fps.get(key, 0.0),
                        "age_ms": _rounded(ages[0]),
                        "age_p95_ms": _rounded(ages[1]),
                        "innovation": _rounded(camera.health.innovation, 2),
                        "unexplained": _rounded(camera.health.unexplained, 2),
                        "shift": _shown(camera.shift),
                    }
                )
            stages = {
                stage: {"p50_ms": row["p50"], "p95_ms": row["p95"]}
                for stage, row in self._stages.percentiles(now_s, SHARES).items()
            }
            session = {**self._session, "recordings": None if self._place is None else self._place()}
            return status_messages.status(
                at=at,
                session=session,
                cameras=cameras,
                stages=stages,
                storage=storage,
                gpus=gpus,
                overload=self._overload,
            )

    def _dropped_fps(self, now_s: float, dropped: Mapping[str, int]) -> dict[str, float]:
        self._drops.append((now_s, dropped))
        while now_s - self._drops[0][0] > self._span_s and len(self._drops) > 2:
            self._drops.popleft()
        since_s, before = self._drops[0]
        elapsed_s = max(now_s - since_s, 1e-3)
        return {
            key: round((count - before.get(key, 0)) / elapsed_s, 1)
            for key, count in dropped.items()
            if now_s > since_s
        }

    def measured(self) -> dict[str, Any]:
        """Give what passed in the span: stages and ages at publication in ms by percentile, frames by camera."""
        now_s = time.monotonic()
        with self._lock:
            ages = Window.joined([camera.ages_ms for camera in self._cameras.values()])
            return {
                "stages_ms": self._stages.percentiles(now_s, SHARES),
                "age_ms": named(ages.percentiles(now_s, SHARES), SHARES),
                "frames": {key: camera.frames.count(now_s) for key, camera in self._cameras.items()},
            }


def _rounded(value: float | None, digits: int | None = None) -> float | None:
    return None if value is None else round(value, digits)


def _storage(waiting: Waiting) -> dict[str, Any]:
    oldest_s = None if waiting.oldest_s is None else round(waiting.oldest_s, 1)
    return {
        "backlog_rows": waiting.rows,
        "memory_rows": waiting.memory_rows,
        "oldest_s": oldest_s,
        "spool_bytes": waiting.spool_bytes,
        "dropped_rows": waiting.dropped_rows,
    }


def _shown(shift: CameraShift | None) -> dict[str, Any] | None:
    """Give a shift as a status message tells it; None where it is not known yet."""
    if shift is None or not shift.std_px <= SURE_PX or not np.isfinite(shift.shift_m).all():
        return None
    return {
        "px": [round(v, 1) for v in shift.shift_px.tolist()],
        "m": [round(v, 2) for v in shift.shift_m.tolist()],
    }
