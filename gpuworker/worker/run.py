"""One claimed session: its cameras, its pipeline and its sinks."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from django.conf import settings

from environments.models import Camera, CameraState
from gpuworker.pipeline.ladder import Ladder
from gpuworker.pipeline.seams import Source
from gpuworker.pipeline.values import Event, Frame, Zone
from gpuworker.sinks.agreement import AgreementSink
from gpuworker.sinks.gallery import GallerySink, memory_restore
from gpuworker.sinks.live import LiveSink
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.status import StatusBoard
from gpuworker.sources.reader import CameraReader
from gpuworker.worker.cameras import CameraStates
from gpuworker.worker.easing import Easing
from gpuworker.worker.gather import IDLE_S, Gather
from gpuworker.worker.numbers import NumberSupply
from gpuworker.worker.parts import Parts, setup_of, site_of
from tracking.choices import ActualState, EventKind
from tracking.models import TrackingSession
from tracking.services import is_recorded

logger = logging.getLogger(__name__)

# how many newcomers a database that is away is outlived by; what is left over goes back at the end
PERSON_BLOCK = 200
TRACK_BLOCK = 2000
SEEN_S = 1.0  # between two words to the database on when somebody was seen last; what is held on disk says it each tick
LETTING_GO_S = 1.5  # of all cameras; a read that hangs longer is left behind


class NoCamerasError(Exception):
    """An environment has no camera to track with."""


class SessionRun:
    """Tracks one environment; made, attended to and closed by the control thread, ticked by the worker's loop.

    Attributes:
        setup: everything that this was built from.
        is_paused: nobody reads the cameras for now.
        is_recorded: all cameras are recordings, in which one can seek.
        began_at: when second 0 of recorded and simulated sources was, or would have been.
        started_at: when this was built.
        board: figures of the last seconds.
        live, rows, states: where results go, and how the cameras are doing.
    """

    def __init__(
        self,
        session: TrackingSession,
        *,
        parts: Parts,
        wake: Callable[[], None],
        were_up: Mapping[str, bool],
    ) -> None:
        """Build everything and begin to read the cameras.

        Args:
            session: claimed.
            parts: what to build from.
            wake: is called when there is a frame.
            were_up: by key, whether a camera was up when it was last heard of.

        Raises:
            NoCamerasError: there is none that is enabled.
            BackendError: the detector or the embedder cannot be made.
        """
        self.setup = setup_of(session.environment_id)
        cameras = list(session.environment.cameras.filter(enabled=True))
        if not cameras:
            raise NoCamerasError(f"{session.environment} has no camera that is enabled: add one")
        keys = [camera.key for camera in cameras]
        self.is_paused = self._is_drained = self._is_closed = False
        self._ticking = threading.Lock()
        self._parts = parts
        self.started_at = self._paused_at = parts.clock()
        # every pause puts it off
        self.began_at = session.recordings_began_at or self.started_at
        self._speed = session.recordings_speed
        self.is_recorded = all(is_recorded(camera.source_url) for camera in cameras)
        self._sizes = {camera.key: (camera.width, camera.height) for camera in cameras}
        site, problems = site_of(session.environment)
        self._supplies = tracks, persons = _supplies(session)
        name = f"{session.environment.slug}/{self.started_at:%Y%m%dT%H%M%S%fZ}-{session.pk}"
        self._pipeline = parts.make_pipeline(site, tracks, persons, name)
        self._gallery = self._open_gallery(session.environment_id)
        interval_s = 1.0 / max(camera.fps for camera in cameras)
        self._easing = Easing(self._pipeline, interval_s=interval_s, show=self._show_effort)
        self._agreement = AgreementSink(
            cameras=site.cameras, keys={camera.key: camera.pk for camera in cameras}
        )
        self.board = _board(session, keys, span_s=parts.meter_span_s)
        self.rows = RowsSink(
            _sampler(session, cameras, site.zones),
            folder=settings.SPOTON_SPOOL,
            max_bytes=int(settings.SPOTON_SPOOL_MB * 1e6),
            refill=[tracks.refill, persons.refill],
            name=session.environment.slug,
        )
        self.board.watch_storage(self.rows.waiting)
        if self.is_recorded:
            self.board.watch_recordings(self._place)
        self.live = LiveSink(
            environment_id=session.environment_id, cameras=keys, board=self.board, clock=parts.clock
        )
        self.states = CameraStates(
            cameras,
            problems=problems,
            show=self.live.show_camera,
            happen=self._happen,
            clock=parts.clock,
            were_up=were_up,
        )
        self.readers = self._read(cameras, wake)
        self.board.watch_dropped(lambda: {key: reader.dropped for key, reader in self.readers.items()})
        self._gather = Gather({camera.key: (self.readers[camera.key].take, camera.fps) for camera in cameras})

    def tick(self, now_s: float) -> float:
        """Track if the frames of a tick are there; give for how long nothing else is to do."""
        with self._ticking:
            if self._is_closed:
                return IDLE_S
            was_over = self.states.are_over  # asked first: a reader says so after its last frame
            frames = self._gather.collect(now_s)
            if frames:
                self._track(frames)
            else:
                self._is_drained = was_over
            return self._gather.wait_s(time.monotonic())

    def _track(self, frames: list[Frame]) -> None:
        fitting = [frame for frame in frames if self._fits(frame)]
        if len(fitting) < len(frames):
            self.live.put_frames([frame for frame in frames if not self._fits(frame)])
        if fitting:
            result = self._easing.step(fitting)
            self.rows.put(result, fitting, provisional=self._pipeline.unsettled())
            self.live.put(result, fitting)
            self._agreement.put(result, fitting)
            if self._gallery and self._gallery.is_due(now_s := time.monotonic()):
                self._gallery.put(self._pipeline.memory(), now_s)
            for event in result.events:
                if event.kind == EventKind.CAMERA_MOVED and event.camera_id is not None:
                    self.states.complain(event.camera_id, _moved(event))

    def _show_effort(self, ladder: Ladder) -> None:
        """Tell viewers how much is done."""
        effort = ladder.effort
        self.live.show_overload(
            step=ladder.step, steps=ladder.steps - 1, name=effort.name, quality=effort.quality
        )

    def _open_gallery(self, environment_id: int) -> GallerySink | None:
        """Remember whom the place's last pipeline knew, and keep whom this one knows; without looks there is nothing."""
        embedder = self._pipeline.embedder
        if not embedder:
            return None
        memory = memory_restore(environment_id=environment_id, embedder=embedder, now=self.started_at)
        if memory is not None:
            logger.info("%d people are remembered, as of %s", len(memory.persons), memory.at)
            self._pipeline.remember(memory)
        return GallerySink(environment_id=environment_id, embedder=embedder)

    def _fits(self, frame: Frame) -> bool:
        """Say whether a picture has the size that its camera is calibrated for; tell people if not."""
        height, width = frame.image.shape[:2]
        expected = self._sizes[frame.camera_id]
        if (width, height) == expected:
            return True
        self.states.complain(
            frame.camera_id,
            f"gives {width} x {height} px but is set up as {expected[0]} x {expected[1]}: it is shown, not "
            "tracked with, until its size is corrected and it is calibrated again",
        )
        return False

    def is_over(self, *, even_failed: bool) -> bool:
        """Say whether no frame will come any more; where all cameras failed, only ``even_failed``."""
        return self._is_drained and (even_failed or not self.states.have_failed)

    def pause(self) -> None:
        """Stop reading the cameras for now."""
        self.is_paused, self._paused_at = True, self._parts.clock()
        for reader in self.readers.values():
            reader.pause()

    def resume(self) -> None:
        """Go on reading the cameras, recordings where they were left."""
        self.is_paused = False
        self.began_at += self._parts.clock() - self._paused_at
        for reader in self.readers.values():
            reader.resume()

    def seek(self, began_at: datetime, *, speed: float) -> None:
        """Go to another place in the recordings, as if they had begun at an instant and gone on at a speed."""
        with self._ticking:
            self.began_at, self._speed, self._paused_at = began_at, speed, self._parts.clock()
            if self.is_paused:
                return
            for key, reader in self.readers.items():
                self.states.change(key, CameraState.CONNECTING, "")  # what had ended goes on
                reader.reopen()
            self._is_drained = False

    def _place(self) -> dict[str, float]:
        """Give where in the recordings they are, s from their beginning, and how fast they go on."""
        now = self._paused_at if self.is_paused else self._parts.clock()
        gone_s = (now - self.began_at).total_seconds() * self._speed
        return {"position_s": round(max(gone_s, 0.0), 1), "speed": self._speed}

    def stop_reading(self) -> None:
        """Let go of the cameras, all at once."""
        for reader in self.readers.values():
            reader.stop(0.0)

    def close(self, *, farewell: bool = True) -> None:
        """Stop everything within a bounded time and write out what is waiting.

        Args:
            farewell: False when another worker goes on with the session: viewers are told nothing.
        """
        with self._ticking:
            self._is_closed = True
        self.stop_reading()
        deadline_s = time.monotonic() + LETTING_GO_S
        for reader in self.readers.values():
            reader.stop(max(deadline_s - time.monotonic(), 0.0))
        if farewell:
            self.states.switch_off()
        self.rows.put_last(self._pipeline.finish())
        if self._gallery:
            self._gallery.put(self._pipeline.memory(), time.monotonic())
            self._gallery.close()
        self._agreement.close()
        self.rows.close()
        self.live.close(farewell=farewell)

    def hand_back_numbers(self) -> None:
        """Put the numbers that nobody has seen back.

        Raises:
            DatabaseError: the database is away; the numbers are never used.
        """
        for supply in self._supplies:
            supply.hand_back()

    def _happen(self, event: Event) -> None:
        self.rows.put_event(event)
        self.live.put_event(event)

    def _read(self, cameras: list[Camera], wake: Callable[[], None]) -> dict[str, CameraReader]:
        return {
            camera.key: CameraReader(camera.key, partial(self._open, camera), self.states.change, wake)
            for camera in cameras
        }

    def _open(self, camera: Camera) -> Source:
        return self._parts.open_source(
            camera.source_url,
            camera_id=camera.key,
            started_at=self.began_at,
            worlds=self._parts.worlds,
            speed=self._speed,
        )


def _moved(event: Event) -> str:
    """Say to people that a camera has moved."""
    far_m = event.payload["moved_m"]
    way = f"by {event.payload['moved_px']} px" + ("" if far_m is None else f" ({far_m} m on the floor)")
    return f"has moved {way} at {event.at:%Y-%m-%d %H:%M} UTC: check how it is mounted and calibrate it again"


def _supplies(session: TrackingSession) -> tuple[NumberSupply, NumberSupply]:
    """Give the supplies of track ids and of person numbers, filled."""
    supplies = (
        NumberSupply("tracks", block=TRACK_BLOCK, slot=session.pk),
        NumberSupply(f"persons:{session.environment_id}", block=PERSON_BLOCK, slot=session.pk),
    )
    for supply in supplies:
        supply.refill()
    return supplies


def _board(session: TrackingSession, cameras: list[str], *, span_s: float) -> StatusBoard:
    about = {"id": session.pk, "state": ActualState.STARTING, "message": "", "worker": session.worker}
    return StatusBoard(session=about, cameras=cameras, span_s=span_s)


def _sampler(session: TrackingSession, cameras: list[Camera], zones: tuple[Zone, ...]) -> Sampler:
    return Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={camera.key: camera.pk for camera in cameras},
        zones=dict(session.environment.zones.values_list("key", "pk")),
        areas={zone.zone_id: zone.points_m for zone in zones if zone.kind == "polygon"},
        detection_interval_s=settings.SPOTON_DETECTION_INTERVAL_S,
        seen_interval_s=SEEN_S,
    )
