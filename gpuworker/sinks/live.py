"""The lossy sink: the newest frames, positions and events go to the channel layer, on a thread of its own.

Whatever cannot be sent at once is dropped: a stale picture is worth nothing. Without Redis the live view stands
still and comes back by itself; tracking and storage go on.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from channels.layers import get_channel_layer
from django.conf import settings
from redis import asyncio as redis_asyncio
from redis.exceptions import RedisError

from gpuworker.pipeline.values import Event, Frame, People, Sighting, StepResult
from gpuworker.sinks.publisher import SEND_TIMEOUT_S, Publisher
from gpuworker.sinks.status import StatusBoard

logger = logging.getLogger(__name__)

STATUS_S = 1.0
RETRY_S = 0.5
MAX_TICKS = 20  # of positions waiting; older ones are dropped
MAX_EVENTS = 500
GONE = ("offline", "failed", "ended", "off")  # states of cameras that give no pictures
AWAY = (RedisError, OSError, TimeoutError)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass(slots=True)
class _Inbox:
    """What waits to be published; the newest frame of each camera wins."""

    ticks: deque[People] = field(default_factory=lambda: deque(maxlen=MAX_TICKS))
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    frames: dict[str, tuple[Frame, Sighting | None]] = field(default_factory=dict)


class LiveSink:
    """Publishes one environment's live view; ``put`` never waits for Redis."""

    def __init__(
        self,
        *,
        environment_id: int,
        cameras: Sequence[str],
        board: StatusBoard,
        clock: Callable[[], datetime] = utc_now,
        make_publisher: Callable[..., Publisher] = Publisher,
    ) -> None:
        """Start the thread; ``board`` says what status messages tell."""
        self._environment_id = environment_id
        self._camera_keys = tuple(cameras)
        self._board = board
        self._clock = clock
        self._make_publisher = make_publisher
        self._lock = threading.Lock()
        self._inbox = _Inbox()
        self._last: dict[str, tuple[Frame, Sighting | None]] = {}
        self._gone: set[str] = set()
        self._worst_tier: str | None = None
        self._people: People | None = None
        self._status_due_s = 0.0
        self._status_version = -1
        self._is_away = False
        self._closing = False
        self._farewell = True
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=f"live {environment_id}", daemon=True)
        self._thread.start()

    def put(self, result: StepResult, frames: Sequence[Frame]) -> None:
        """Hand over one tick's result with the frames it came from."""
        sightings = {sighting.camera_id: sighting for sighting in result.sightings}
        self._board.count_result(result)
        with self._lock:
            self._inbox.ticks.append(result.people)
            self._inbox.events.extend(result.events)
            for frame in frames:
                self._inbox.frames[frame.camera_id] = frame, sightings.get(frame.camera_id)
        self._notify()

    def put_frames(self, frames: Sequence[Frame]) -> None:
        """Hand over frames that are only shown, not tracked with."""
        with self._lock:
            for frame in frames:
                self._inbox.frames[frame.camera_id] = frame, None
        self._notify()

    def put_event(self, event: Event) -> None:
        """Hand over an event that no tick gave."""
        with self._lock:
            self._inbox.events.append(event)
        self._notify()

    def show_session(self, *, state: str, message: str) -> None:
        """Say what the session does; viewers hear it at once."""
        self._board.set_session(state=state, message=message)
        self._notify()

    def show_camera(self, key: str, state: str, message: str) -> None:
        """Say how a camera is doing; viewers hear it at once."""
        self._board.set_camera(key, state=state, message=message)
        if state in GONE:
            self._gone.add(key)
        self._notify()

    def show_overload(self, *, step: int, steps: int, name: str, quality: str | None = None) -> None:
        """Say how far things are made cheaper to keep up; with ``quality``, encode no better than that tier."""
        self._board.set_overload(step=step, steps=steps, name=name)
        self._worst_tier = quality
        self._notify()

    def _notify(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake.set)
        except RuntimeError:
            # its loop is closed: the sink has ended
            logger.debug("Live sink of environment %d has ended", self._environment_id)

    def close(self, timeout_s: float = 2.0, *, farewell: bool = True) -> None:
        """Send what is waiting and, as a farewell, a last status, within a bounded time, and stop."""
        self._farewell = farewell
        self._closing = True
        self._notify()
        self._thread.join(timeout_s)

    # what follows runs on the sink's own thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._publish_until_closed())
        finally:
            self._loop.close()

    async def _publish_until_closed(self) -> None:
        redis = redis_asyncio.Redis.from_url(
            settings.REDIS_URL, socket_timeout=SEND_TIMEOUT_S, socket_connect_timeout=SEND_TIMEOUT_S
        )
        publisher = self._make_publisher(
            get_channel_layer(),
            redis,
            environment_id=self._environment_id,
            cameras=self._camera_keys,
            clock=self._clock,
        )
        async with redis:
            closing = False
            while not closing:
                await self._woken()
                closing = self._closing  # read before the inbox is emptied: nothing is put after it
                await self._publish_or_drop(publisher, last=closing)

    async def _woken(self) -> None:
        wait_s = RETRY_S if self._is_away else max(self._status_due_s - time.monotonic(), 0.0)
        try:
            await asyncio.wait_for(self._wake.wait(), wait_s)
        except TimeoutError:
            return
        self._wake.clear()

    async def _publish_or_drop(self, publisher: Publisher, *, last: bool) -> None:
        with self._lock:
            inbox, self._inbox = self._inbox, _Inbox()
        try:
            await self._publish(publisher, inbox, last=last)
        except AWAY as error:
            if not self._is_away:
                logger.warning("Redis is away (%s): the live view stands still", error)
            self._is_away = True
            return
        except (TypeError, ValueError):
            # a message that cannot be written, such as a position that is no number: the next one may be better
            logger.exception("A tick of the live view is dropped")
            await asyncio.sleep(RETRY_S)
            return
        if self._is_away:
            self._is_away = False
            logger.info("Redis is back: the live view goes on")

    async def _publish(self, publisher: Publisher, inbox: _Inbox, *, last: bool) -> None:
        for people in inbox.ticks:
            self._people = people
            await publisher.positions(people, cameras_up=self._board.cameras_up)
        for event in inbox.events:
            publisher.event(event)
        await publisher.flush()
        await self._publish_frames(publisher, inbox, last=last)
        version, now_s = self._board.version, time.monotonic()
        if last and not self._farewell:
            return
        if last or version != self._status_version or now_s >= self._status_due_s:
            text = self._board.message(at=self._clock())
            now_here = None if last else self._people
            await publisher.status(text, people=now_here, cameras_up=self._board.cameras_up)
            self._status_version, self._status_due_s = version, now_s + STATUS_S

    async def _publish_frames(self, publisher: Publisher, inbox: _Inbox, *, last: bool) -> None:
        await publisher.refresh_demand()
        publisher.limit_quality(self._worst_tier)
        for frame, sighting in inbox.frames.values():
            await publisher.frame(frame, sighting)
            self._board.count_published(frame, self._clock())
            await publisher.still(frame, sighting)
        self._last |= inbox.frames
        gone, self._gone = (set(self._last) if last else self._gone), set()
        for camera in gone & set(self._last):
            await publisher.still(*self._last.pop(camera), is_last=True)
