"""The lossless sink: results become database rows, on threads of their own.

One thread turns results into rows and puts them on disk, ten times a second, and never waits for the database. Another
one writes what is on disk to the database, oldest first, and what workers that are gone have left there. So a database
that is away costs nothing but time, and a worker that is killed the last tenth of a second: what was not on disk yet.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from django.db import connection

from gpuworker.pipeline.values import Event, Frame, Points, StepResult
from gpuworker.sinks.backlog import Backlog, Waiting
from gpuworker.sinks.batch import Batch, BatchError
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.spool import Spool, spool_create, spools_left
from gpuworker.sinks.writing import AWAY, REFUSED, batch_salvage, batch_write

logger = logging.getLogger(__name__)

SPOOL_S = 0.1  # between two records: what a kill of the worker can cost
SYNC_S = 1.0  # between two orders to the disk: what a power cut can cost while the database is away
WRITE_S = 0.5  # between two transactions
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
LOOK_S = 10.0  # between two looks for what others have left
MAX_RESULTS = 5_000  # waiting to be turned into rows: minutes of a stuck disk
MAX_ROWS = 50_000  # in one transaction, roughly


class RowsSink:
    """Writes what is kept of every result; ``put`` waits for nobody."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        folder: Path,
        max_bytes: int,
        write: Callable[[Batch], None] = batch_write,
        refill: Sequence[Callable[[], None]] = (),
        name: str = "rows",
    ) -> None:
        """Start the threads.

        Args:
            sampler: chooses the rows.
            folder: where spools lie, one's own and those that others have left.
            max_bytes: how long one's own may grow.
            write: writes a batch.
            refill: are called before each transaction, with the database at hand.
            name: of the session, in letters that a file name may have.
        """
        self._sampler = sampler
        self._write = write
        self._refill = refill
        self._folder = folder
        self._backlog = Backlog(lambda: spool_create(folder, name=name, max_bytes=max_bytes))
        self._inbox: deque[StepResult | Event | Points] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._is_complete = False  # nothing follows what is in the backlog
        self._deadline_s = float("inf")
        self._failures = 0  # in a row
        self._look_due_s = 0.0
        self._lefts: Iterator[Spool] = iter(())
        self._left: Spool | None = None  # by a worker that is gone, and being written
        self._lost_results = 0
        self._threads = [
            threading.Thread(target=self._spool_results, name=f"spool {name}", daemon=True),
            threading.Thread(target=self._write_rows, name=f"rows {name}", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def durable(self) -> int:
        """Give how many of the results and events that were put are on disk or in the database, in their order."""
        return self._backlog.durable

    @property
    def dropped(self) -> int:
        """Give how many results and rows found no room."""
        return self._lost_results + self._backlog.waiting().dropped_rows

    def waiting(self) -> Waiting:
        """Say how much waits for the database."""
        return self._backlog.waiting()

    def put(self, result: StepResult, frames: Sequence[Frame]) -> None:
        """Hand over one tick's result."""
        self._accept(result)

    def put_event(self, event: Event) -> None:
        """Hand over an event that no tick gave."""
        self._accept(event)

    def put_points(self, points: Points) -> None:
        """Hand over points of paths that no tick gave."""
        self._accept(points)

    def close(self, timeout_s: float = 3.0) -> None:
        """Write out what is waiting, for at most ``timeout_s``, and stop; the rest stays on disk."""
        self._deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(self._deadline_s - time.monotonic(), 0.0))
        waiting = self._backlog.waiting()
        if waiting.rows > waiting.memory_rows:
            logger.warning(
                "%d rows wait on disk until the database is back", waiting.rows - waiting.memory_rows
            )
        if waiting.memory_rows:
            logger.error(
                "Neither database nor disk took the last %d rows: they are lost", waiting.memory_rows
            )

    def _accept(self, item: StepResult | Event | Points) -> None:
        with self._changed:
            if len(self._inbox) >= MAX_RESULTS:
                self._inbox.popleft()
                if not self._lost_results:
                    logger.error("The disk is stuck: the oldest results are dropped from now on")
                self._lost_results += 1
            self._inbox.append(item)

    # on the thread that spools

    def _spool_results(self) -> None:
        sync_due_s = 0.0
        while not self._is_complete:
            with self._changed:
                if not self._closing:
                    self._changed.wait(SPOOL_S)
                closing = self._closing
                items, self._inbox = self._inbox, deque()
            try:
                self._spool(items)
            except Exception:
                logger.exception("The rows of %d results are lost", len(items))
            if time.monotonic() >= sync_due_s:
                self._backlog.settle()
                sync_due_s = time.monotonic() + SYNC_S
            if closing:
                with self._changed:
                    self._is_complete = True
                    self._changed.notify_all()

    def _spool(self, items: Sequence[StepResult | Event | Points]) -> None:
        batch = Batch()
        for item in items:
            if isinstance(item, Event):
                self._sampler.add_event(item, batch)
            elif isinstance(item, Points):
                self._sampler.add_points(item, batch)
            else:
                self._sampler.add(item, batch)
        if items or len(batch):
            self._backlog.put(batch.encode(), rows=len(batch), items=len(items))

    # on the thread that writes

    def _write_rows(self) -> None:
        try:
            while True:
                is_complete = self._is_complete  # read before the backlog is emptied: nothing follows
                has_written = self._write_or_keep()
                is_late = time.monotonic() >= self._deadline_s
                if (is_complete and has_written) or (self._closing and is_late):
                    return
                self._rest()
        finally:
            connection.close()
            self._backlog.close()
            if self._left is not None:
                self._left.close()

    def _rest(self) -> None:
        """Wait until the next transaction or the next attempt is due; not for long once there is an end."""
        wait_s = RETRY_S[min(self._failures, len(RETRY_S)) - 1] if self._failures else WRITE_S
        with self._changed:
            if self._closing:
                wait_s = RETRY_S[0] if self._failures else SPOOL_S
            if not self._is_complete or self._failures:
                self._changed.wait(wait_s)

    def _write_or_keep(self) -> bool:
        """Write what waits, oldest first, then what others have left; say whether all of one's own is written."""
        try:
            for refill in self._refill:
                refill()
            while payloads := self._backlog.read(MAX_ROWS):
                self._write_payloads(payloads)
                self._backlog.done()
            if not self._closing:
                self._write_left()
        except AWAY as error:
            if not self._failures:
                logger.warning("The database is away (%s): rows wait on disk", error)
            return self._fail()
        except Exception:
            logger.exception("Rows cannot be written now")
            return self._fail()
        if self._failures:
            self._failures = 0
            logger.info("The database is back; everything that waited is written")
        return True

    def _fail(self) -> bool:
        self._backlog.not_done()
        self._failures += 1
        connection.close()  # the next attempt gets a fresh one
        return False

    def _write_left(self) -> None:
        """Write what workers that are gone have left on disk, for no longer than one's own rows may wait."""
        until_s = time.monotonic() + WRITE_S
        while time.monotonic() < until_s:
            if self._left is None:
                self._left = self._next_left()
                if self._left is None:
                    return
                if self._left.rows:
                    logger.info("%d rows that another worker has left are written now", self._left.rows)
            if payloads := self._left.read(MAX_ROWS):
                self._write_payloads(payloads)
                self._left.done()
            else:
                self._left.close()
                self._left = None

    def _next_left(self) -> Spool | None:
        left = next(self._lefts, None)
        if left is None and time.monotonic() >= self._look_due_s:
            self._look_due_s = time.monotonic() + LOOK_S
            self._lefts = spools_left(self._folder)
            left = next(self._lefts, None)
        return left

    def _write_payloads(self, payloads: Sequence[bytes]) -> None:
        batch = Batch()
        for payload in payloads:
            try:
                batch.merge(Batch.decode(payload))
            except BatchError as error:
                logger.error("A record of %d bytes is lost: %s", len(payload), error)
        try:
            if len(batch):
                self._write(batch)
        except REFUSED as error:
            logger.error("A batch of %d rows cannot be written (%s): writing it in parts", len(batch), error)
            logger.error("%d rows are lost", batch_salvage(batch))
