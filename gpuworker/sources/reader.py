"""Reading one camera in its own threads: newest frame wins, trouble stays with that camera.

Two threads: one opens and reads a source and may hang in a driver or a network file system; the other
watches it, gives it up when no frame comes, and tries again. A source is only ever touched by the thread
that opened it.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from gpuworker.pipeline.seams import EndOfSource, Source, SourceError, UnusableSourceError
from gpuworker.pipeline.values import Frame

logger = logging.getLogger(__name__)

OFF, CONNECTING, ONLINE, OFFLINE, FAILED, ENDED = "off", "connecting", "online", "offline", "failed", "ended"

OnState = Callable[[str, str, str], None]
"""Takes camera id, state and a message for people."""

WATCHDOG_S = 10.0
OPENING_TAKES_S = 30.0
BACKOFF_S = (0.5, 30.0)
MOST_STUCK = 3  # reads that hang for ever; no more are started


class CameraReader:
    """Keeps one camera connected and holds its newest frame.

    States: ``connecting``; ``online`` from the first frame; ``offline`` when it broke or gave no frame for
    ``watchdog_s`` and is tried again, ever more rarely; ``failed`` when it can never work; ``ended`` when a
    recording is over; ``off`` while paused. What failed or ended is left alone until it is opened anew. Reading begins at once. ``on_state`` and ``wake``, which is
    called whenever a frame has come, are called from the reader's threads. A worker waits for any camera
    with one event for all of them::

        arrived = threading.Event()  # its ``set`` is every reader's ``wake``
        while arrived.wait(1.0):
            arrived.clear()
            frames = [frame for reader in readers if (frame := reader.take())]
    """

    def __init__(
        self,
        camera_id: str,
        open: Callable[[], Source],  # noqa: A002 - says what it does
        on_state: OnState,
        wake: Callable[[], None] | None = None,
        *,
        watchdog_s: float = WATCHDOG_S,
        backoff_s: tuple[float, float] = BACKOFF_S,
    ) -> None:
        self.camera_id = camera_id
        self.state = OFF
        self.dropped = 0  # frames that a newer one replaced before they were taken
        self._open, self._on_state, self._wake = open, on_state, wake
        self._watchdog_s, self._backoff_s = watchdog_s, backoff_s
        self._lock = threading.Lock()
        self._newest: Frame | None = None
        self._next_seq = 0
        self._attempt: _Attempt | None = None
        self._stuck: list[_Attempt] = []
        self._changed = threading.Event()  # something for the watching thread to look at
        self._stopping = self._paused = self._is_outdated = False
        self._rng = np.random.default_rng()
        self._thread = threading.Thread(target=self._watch, name=f"camera {camera_id}", daemon=True)
        self._thread.start()

    def take(self) -> Frame | None:
        """Give the newest frame that was not yet taken; None when there is none."""
        with self._lock:
            frame, self._newest = self._newest, None
        return frame

    def pause(self) -> None:
        """Let go of the camera until ``resume``; a frame not yet taken is thrown away."""
        self._paused = True
        self._changed.set()
        self.take()

    def resume(self) -> None:
        """Connect again after ``pause``."""
        self._paused = False
        self._changed.set()

    def reopen(self) -> None:
        """Open the source anew, also one that ended: another moment of a recording is wanted."""
        self._is_outdated = True
        self._changed.set()
        self.take()

    def stop(self, timeout_s: float = 3.0) -> None:
        """Stop for good, within a bounded time even when a read hangs."""
        deadline_s = time.monotonic() + timeout_s
        self._stopping = True
        self._changed.set()
        self._thread.join(timeout_s)
        for attempt in self._stuck:
            attempt.thread.join(max(0.0, deadline_s - time.monotonic()))

    def _watch(self) -> None:
        delay_s = self._backoff_s[0]
        while not self._stopping:
            if self._paused:
                self._say(OFF, "paused")
                self._changed.wait()
                self._changed.clear()
                continue
            self._is_outdated = False
            self._say(CONNECTING, "")
            attempt = self._attempt = _Attempt(self._open, self._deliver, self._changed.set)
            attempt.thread.start()
            outcome = self._outcome_of(attempt)
            self._let_go(attempt)
            if outcome is None:
                continue
            if isinstance(outcome, UnusableSourceError | EndOfSource):
                self._say(ENDED if isinstance(outcome, EndOfSource) else FAILED, str(outcome))
                self._idle()
                continue
            self._say(OFFLINE, str(outcome))
            if attempt.online_s() >= self._watchdog_s:
                delay_s = self._backoff_s[0]
            self._rest(delay_s * self._rng.uniform(0.75, 1.25))
            delay_s = min(2 * delay_s, self._backoff_s[1])

    def _idle(self) -> None:
        """Wait until the source is to be opened anew."""
        while not (self._stopping or self._is_outdated):
            self._changed.wait()
            self._changed.clear()

    def _outcome_of(self, attempt: "_Attempt") -> Exception | None:
        """Watch an attempt until it ends, gives no more frames, or is no longer wanted (None)."""
        while True:
            done = attempt.done  # before looking at frames, so that the last one is not missed
            if attempt.first_frame_s is not None and self.state != ONLINE:
                self._say(ONLINE, "")
            if self._stopping or self._paused or self._is_outdated:
                return None
            if done:
                return attempt.outcome or SourceError("reading stopped unexpectedly: see the worker's log")
            patience_s = self._watchdog_s if attempt.is_open else max(self._watchdog_s, OPENING_TAKES_S)
            left_s = attempt.progress_s + patience_s - time.monotonic()
            if left_s <= 0:
                return SourceError(f"no frame for {patience_s:g} s")
            self._changed.wait(left_s)
            self._changed.clear()

    def _let_go(self, attempt: "_Attempt") -> None:
        with self._lock:
            attempt.abandoned = True
            self._attempt = None
        self._stuck = [a for a in (*self._stuck, attempt) if a.thread.is_alive()]

    def _rest(self, delay_s: float) -> None:
        until_s = time.monotonic() + delay_s
        while not (self._stopping or self._paused or self._is_outdated):
            self._stuck = [a for a in self._stuck if a.thread.is_alive()]
            left_s = until_s - time.monotonic()
            if left_s <= 0 and len(self._stuck) < MOST_STUCK:
                return
            self._changed.wait(left_s if left_s > 0 else delay_s)
            self._changed.clear()

    def _deliver(self, attempt: "_Attempt", frame: Frame) -> None:
        with self._lock:
            if attempt is not self._attempt or self._paused or self._is_outdated:
                return
            # a source counts from 0 each time it is opened; the camera's count goes on
            attempt.seq_offset = self._next_seq if attempt.seq_offset is None else attempt.seq_offset
            frame = replace(frame, seq=frame.seq + attempt.seq_offset)
            self._next_seq = frame.seq + 1
            self.dropped += self._newest is not None
            self._newest = frame
        if self._wake:
            self._wake()

    def _say(self, state: str, message: str) -> None:
        if state == self.state:
            return
        self.state = state
        logger.info("camera %s is %s: %s", self.camera_id, state, message)
        self._on_state(self.camera_id, state, message)


class _Attempt:
    """One try to open and read a source, in a thread that dies with the process and is started by its owner."""

    def __init__(
        self,
        open_: Callable[[], Source],
        deliver: Callable[["_Attempt", Frame], None],
        tell: Callable[[], None],
    ) -> None:
        self.abandoned = self.done = self.is_open = False
        self.outcome: SourceError | EndOfSource | None = None
        self.first_frame_s: float | None = None
        self.progress_s = time.monotonic()
        self.seq_offset: int | None = None
        self._open, self._deliver, self._tell = open_, deliver, tell
        self.thread = threading.Thread(target=self._run, daemon=True)

    def online_s(self) -> float:
        """Give how long frames came."""
        return 0.0 if self.first_frame_s is None else self.progress_s - self.first_frame_s

    def _run(self) -> None:
        try:
            source = self._open()
            try:
                self.progress_s, self.is_open = time.monotonic(), True
                self._read(source)
            finally:
                source.close()
        except (SourceError, EndOfSource) as outcome:
            self.outcome = outcome
        finally:
            self.done = True
            self._tell()

    def _read(self, source: Source) -> None:
        while not self.abandoned:
            frame = source.read()
            if frame is None:
                continue
            self.progress_s = time.monotonic()
            self._deliver(self, frame)
            if self.first_frame_s is None:
                self.first_frame_s = self.progress_s
                self._tell()
