"""The sink of calibrations' health: how cameras agree, which moved with what they showed, and where they look now."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from queue import Queue

import cv2
from django.db import DatabaseError, connection

from environments.calibrating.models import Disagreement
from environments.calibrating.services import Agreement, agreements_add, move_add, refit_propose
from environments.geometry import CameraModel
from gpuworker.pipeline.agreement import Agreements, Difference
from gpuworker.pipeline.values import Frame, StepResult
from tracking.choices import EventKind

logger = logging.getLogger(__name__)

SPAN_S = 120.0  # that one row of how cameras agree is about
PICTURE_S, PICTURES = (
    15.0,
    6,
)  # between two small pictures that are held, and how many: a move is noticed late
BEFORE_S = 35.0  # before a move was noticed, nothing had moved yet
PICTURE_WIDTH, PICTURE_QUALITY = 640, 75

Picture = tuple[datetime, bytes]


class AgreementSink:
    """Watches the calibrations of one session; ``put`` waits for nothing, and the database is asked on a thread."""

    def __init__(self, *, cameras: Mapping[str, CameraModel], keys: Mapping[str, int]) -> None:
        """Start the thread.

        Args:
            cameras: calibrated ones, by key.
            keys: primary keys of the cameras, by key.
        """
        self._keys = dict(keys)
        self._agreements = Agreements(cameras, cell_m=Disagreement.CELL_M)
        self._span_at: datetime | None = None
        self._pictures: dict[str, deque[Picture]] = {key: deque(maxlen=PICTURES) for key in keys}
        self._work: Queue[Callable[[], object] | None] = Queue(maxsize=100)
        self._thread = threading.Thread(target=self._run, name="agreement", daemon=True)
        self._thread.start()

    def put(self, result: StepResult, frames: Sequence[Frame]) -> None:
        """Take in one tick."""
        try:
            self._agreements.add(result)
            for frame in frames:
                self._hold(frame)
            for event in result.events:
                if event.kind == EventKind.CAMERA_MOVED and event.camera_id in self._keys:
                    self._agreements.moved(event.camera_id, event.at)
                    self._tell_move(event.camera_id, event.at, event.payload, frames)
            for camera, found in self._agreements.take_refits(result.at).items():
                self._do(
                    partial(
                        refit_propose,
                        camera_id=self._keys[camera],
                        model=found.model,
                        error_m=found.after_m,
                        before_m=found.before_m,
                        sights=found.sights,
                        reason=found.reason,
                    )
                )
            self._end_span(result.at)
        except Exception:
            logger.exception("How cameras agree is not known for one tick")

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what was collected, for at most ``timeout_s``, and stop."""
        if self._span_at is not None:
            self._write_span(self._span_at)
        self._do(None)
        self._thread.join(timeout_s)

    def _end_span(self, now: datetime) -> None:
        self._span_at = self._span_at or now
        if now - self._span_at >= timedelta(seconds=SPAN_S):
            self._write_span(self._span_at)
            self._span_at = now

    def _write_span(self, at: datetime) -> None:
        rows = [self._row(difference) for difference in self._agreements.take()]
        if rows:
            self._do(partial(agreements_add, at=at, rows=rows))

    def _row(self, found: Difference) -> Agreement:
        return Agreement(
            camera=self._keys[found.camera],
            other=None if found.other is None else self._keys[found.other],
            cell=found.cell,
            sights=found.sights,
            median_m=found.median_m,
            off_m=(float(found.off_m[0]), float(found.off_m[1])),
        )

    def _hold(self, frame: Frame) -> None:
        held = self._pictures.get(frame.camera_id)
        if held is not None and (not held or (frame.captured_at - held[-1][0]).total_seconds() >= PICTURE_S):
            held.append((frame.captured_at, _small(frame)))

    def _tell_move(
        self, camera: str, at: datetime, payload: Mapping[str, object], frames: Sequence[Frame]
    ) -> None:
        held = self._pictures[camera]
        earlier = [p for p in held if (at - p[0]).total_seconds() >= BEFORE_S]
        before = earlier[-1] if earlier else (held[0] if held else None)
        now = next((frame for frame in frames if frame.camera_id == camera), None)
        moved_px, moved_m = payload["moved_px"], payload["moved_m"]
        self._do(
            partial(
                move_add,
                camera_id=self._keys[camera],
                at=at,
                moved_px=float(str(moved_px)),
                moved_m=None if moved_m is None else float(str(moved_m)),
                before=before,
                after=(now.captured_at, _small(now)) if now is not None else (held[-1] if held else None),
            )
        )

    def _do(self, work: Callable[[], object] | None) -> None:
        if self._work.full():
            logger.warning("The database is away for long: what is known of calibrations' health is lost")
            return
        self._work.put(work)

    def _run(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                self._carry_out(work)
        finally:
            connection.close()

    def _carry_out(self, work: Callable[[], object]) -> None:
        try:
            work()
        except DatabaseError as error:
            connection.close()
            logger.warning("What is known of calibrations' health is not kept: %s", error)
        except Exception:
            logger.exception("What is known of calibrations' health cannot be kept")


def _small(frame: Frame) -> bytes:
    height, width = frame.image.shape[:2]
    image = frame.image
    if width > PICTURE_WIDTH:
        size = (PICTURE_WIDTH, max(1, round(height * PICTURE_WIDTH / width)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, PICTURE_QUALITY])
    return jpeg.tobytes()
