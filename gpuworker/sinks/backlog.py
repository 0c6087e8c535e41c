"""What is accepted and not yet written: on disk and, only while the disk takes no more, in memory."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gpuworker.sinks.spool import Spool

logger = logging.getLogger(__name__)

MEMORY_BYTES = 32_000_000  # of records while the disk takes no more: some 400,000 rows


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for the database.

    Attributes:
        rows: all of them.
        memory_rows: those that the disk did not take; the worker's end is theirs.
        spool_bytes: on disk.
        oldest_s: age of the oldest in seconds; None where nothing waits.
        dropped_rows: lost since the start because neither disk nor memory had room.
    """

    rows: int
    memory_rows: int
    spool_bytes: int
    oldest_s: float | None
    dropped_rows: int


@dataclass(frozen=True, slots=True)
class _Record:
    payload: bytes
    rows: int
    at_s: float


class Backlog:
    """A spool that falls back to memory, in order; several threads put, one reads."""

    def __init__(self, open_spool: Callable[[], Spool], *, memory_bytes: int = MEMORY_BYTES) -> None:
        """Begin empty; ``open_spool`` is called when there is something to keep, and again if it raised OSError."""
        self._open_spool = open_spool
        self._spool: Spool | None = None
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._memory: deque[_Record] = deque()  # younger than all that is on disk
        self._held_bytes = 0
        self._reading = 0  # how many of the oldest in memory are being written
        self._is_full = False
        self._is_closed = False
        self._is_holding = True
        self._dropped_rows = 0

    def put(self, payload: bytes, *, rows: int) -> None:
        """Take in a record, if it holds any rows; when there is no room at all, the oldest in memory goes."""
        if not rows:
            return
        with self._lock:
            self._memory.append(_Record(payload, rows, time.time()))
            self._held_bytes += len(payload)
            self._settle()
            while self._held_bytes > self._memory_bytes and len(self._memory) > self._reading + 1:
                oldest = self._memory[self._reading]
                del self._memory[self._reading]
                self._held_bytes -= len(oldest.payload)
                self._drop(oldest.rows)

    def hold(self, payload: bytes) -> None:
        """Hold on disk, in place of what was held before, what whoever goes on after a kill needs; empty for nothing."""
        with self._lock:
            if self._is_closed or (self._spool is None and not payload):
                return
            try:
                if self._spool is None:
                    self._spool = self._open_spool()
                self._spool.hold(payload)
                self._is_holding = True
            except OSError as error:
                if self._is_holding:
                    logger.error("Points that may still change are not kept on disk: %s", error)
                self._is_holding = False

    def read(self, max_rows: int) -> list[bytes]:
        """Give the oldest records, in order, at least one; nothing when there are none."""
        with self._lock:
            self._reading, spool = 0, self._spool
        # puts go on meanwhile
        if spool is not None and (payloads := spool.read(max_rows)):
            return payloads
        with self._lock:
            if (
                self._spool is not None and self._spool.rows
            ):  # put a moment ago, and older than what is in memory
                return []
            rows = 0
            while self._reading < len(self._memory) and rows < max_rows:
                rows += self._memory[self._reading].rows
                self._reading += 1
            return [record.payload for record, _ in zip(self._memory, range(self._reading), strict=False)]

    def done(self) -> None:
        """Forget what the last :meth:`read` gave: it is written."""
        with self._lock:
            if not self._reading and self._spool is not None:
                self._spool.done()
            while self._reading:
                self._take_from_memory()
                self._reading -= 1

    def not_done(self) -> None:
        """Keep what the last :meth:`read` gave: it is not written."""
        with self._lock:
            self._reading = 0

    def settle(self) -> None:
        """Move what is in memory to disk, as far as that goes, and let the disk make sure of all."""
        with self._lock:
            self._settle()
            spool = None if self._is_closed else self._spool
        try:
            if spool is not None:
                spool.sync()
        except OSError as error:
            if not self._is_closed:
                logger.error("The disk does not keep the rows that wait: %s", error)

    def waiting(self) -> Waiting:
        """Say how much waits."""
        with self._lock:
            memory_rows = sum(record.rows for record in self._memory)
            rows = 0 if self._spool is None else self._spool.rows
            oldest_at_s = None if self._spool is None else self._spool.accepted_at_s
            if oldest_at_s is None and self._memory:
                oldest_at_s = self._memory[0].at_s
            return Waiting(
                rows=rows + memory_rows,
                memory_rows=memory_rows,
                spool_bytes=0 if self._spool is None else self._spool.size,
                oldest_s=None if oldest_at_s is None else max(time.time() - oldest_at_s, 0.0),
                dropped_rows=self._dropped_rows,
            )

    def close(self) -> None:
        """Leave what waits on disk to whoever looks for it."""
        with self._lock:
            self._reading = 0
            self._settle()
            self._is_closed = True
            if self._spool is not None:
                self._spool.close()

    def _settle(self) -> None:
        # not while the writer has the oldest of memory in hand: what follows must not overtake it
        while self._memory and not self._reading and not self._is_closed:
            record = self._memory[0]
            try:
                if self._spool is None:
                    self._spool = self._open_spool()
                self._spool.append(record.payload, rows=record.rows, at_s=record.at_s)
            except OSError as error:
                if not self._is_full:
                    self._is_full = True
                    logger.error(
                        "The spool takes no more rows (%s): they wait in memory, and are lost if the worker is killed",
                        error,
                    )
                return
            self._take_from_memory()
        if self._is_full and not self._memory:
            self._is_full = False
            logger.info("The spool takes rows again")

    def _take_from_memory(self) -> None:
        record = self._memory.popleft()
        self._held_bytes -= len(record.payload)

    def _drop(self, rows: int) -> None:
        if not self._dropped_rows:
            logger.error(
                "Neither disk nor memory have room: the oldest rows in memory are dropped from now on"
            )
        self._dropped_rows += rows
