"""The lossless sink: results become rows on disk at once, and database rows on a thread of their own.

``put`` returns when the rows of a result are in a file, and with them what the points of paths that may still change are by
now; so whatever is published afterwards outlives a kill of the worker. It never waits for the database: a thread writes
what is on disk to it, oldest first, and what workers that are gone have left there.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgpack
from django.db import connection

from gpuworker.pipeline.values import Event, Frame, Points, StepResult
from gpuworker.sinks.backlog import Backlog, Waiting
from gpuworker.sinks.batch import Batch, BatchError
from gpuworker.sinks.judging import batch_judge
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.spool import Spool, spool_create, spools_left
from gpuworker.sinks.writing import AWAY, REFUSED, batch_salvage, batch_write

logger = logging.getLogger(__name__)

SYNC_S = 1.0  # between two orders to the disk: what a power cut can cost while the database is away
WRITE_S = 0.4  # between the beginnings of two transactions, at least
CLOSING_S = 0.1  # between two looks whether the end has come
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
LOOK_S = 10.0  # between two looks for what others have left
MAX_ROWS = 50_000  # in one transaction, roughly


class RowsSink:
    """Writes what is kept of every result; ``put`` waits for the disk's cache alone."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        folder: Path,
        max_bytes: int,
        write: Callable[[Batch], None] = batch_write,
        judge: Callable[[Batch], None] = batch_judge,
        refill: Sequence[Callable[[], None]] = (),
        name: str = "rows",
    ) -> None:
        """Start the threads.

        Args:
            sampler: chooses the rows.
            folder: where spools lie, one's own and those that others have left.
            max_bytes: how long one's own may grow.
            write: writes a batch.
            judge: is given each batch that is written, and must not fail.
            refill: are called before each transaction, with the database at hand.
            name: of the session, in letters that a file name may have.
        """
        self._sampler = sampler
        self._write = write
        self._judge = judge
        self._refill = refill
        self._folder = folder
        self._backlog = Backlog(lambda: spool_create(folder, name=name, max_bytes=max_bytes))
        self._sampling = threading.Lock()  # results come from one thread, events from others
        self._changed = threading.Condition()
        self._closing = False
        self._deadline_s = float("inf")
        self._failures = 0  # in a row
        self._look_due_s = 0.0
        self._lefts: Iterator[Spool] = iter(())
        self._left: Spool | None = None  # by a worker that is gone, and being written
        self._threads = [
            threading.Thread(target=self._sync, name=f"sync {name}", daemon=True),
            threading.Thread(target=self._write_rows, name=f"rows {name}", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def dropped(self) -> int:
        """Give how many rows found no room."""
        return self._backlog.waiting().dropped_rows

    def waiting(self) -> Waiting:
        """Say how much waits for the database."""
        return self._backlog.waiting()

    def put(self, result: StepResult, frames: Sequence[Frame], *, provisional: Points | None = None) -> None:
        """Take in one tick's result; ``provisional`` are the points that later ticks may still correct."""
        batch, held = Batch(), Batch()
        try:
            with self._sampling:
                self._sampler.add(result, batch)
                rows = batch.encode()
                if provisional is not None:
                    self._sampler.add_present(held)
                    self._sampler.add_provisional(provisional, held)
                    # with the tick's own rows, so that a kill between the two leaves all of the tick or nothing
                    self._backlog.hold(msgpack.packb([rows, held.encode()]))
                self._backlog.put(rows, rows=len(batch))
        except Exception:
            logger.exception("The rows of a result are lost")

    def put_event(self, event: Event) -> None:
        """Take in an event that no tick gave."""
        self._keep(lambda batch: self._sampler.add_event(event, batch))

    def put_last(self, points: Points) -> None:
        """Take in the points that are left when no tick follows: nothing is provisional any more."""

        def add(batch: Batch) -> None:
            self._sampler.add_present(batch)
            self._sampler.add_points(points, batch)

        self._keep(add)
        self._backlog.hold(b"")

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

    def _keep(self, add: Callable[[Batch], None]) -> None:
        """Put rows on disk; what makes none takes no others along."""
        batch = Batch()
        try:
            with self._sampling:
                add(batch)
                self._backlog.put(batch.encode(), rows=len(batch))
        except Exception:
            logger.exception("The rows of a result are lost")

    # on the thread that has the disk make sure

    def _sync(self) -> None:
        while not self._closing:
            self._backlog.settle()
            with self._changed:
                if not self._closing:
                    self._changed.wait(SYNC_S)
        self._backlog.settle()

    # on the thread that writes

    def _write_rows(self) -> None:
        try:
            while True:
                began_s, is_complete = (
                    time.monotonic(),
                    self._closing,
                )  # nothing follows what is in the backlog
                has_written = self._write_or_keep()
                is_late = time.monotonic() >= self._deadline_s
                if (is_complete and has_written) or (self._closing and is_late):
                    return
                self._rest(began_s)
        finally:
            connection.close()
            self._backlog.close()
            if self._left is not None:
                self._left.close()

    def _rest(self, began_s: float) -> None:
        """Wait until the next transaction or the next attempt is due; not for long once there is an end."""
        wait_s = began_s + WRITE_S - time.monotonic()
        if self._failures:
            wait_s = RETRY_S[min(self._failures, len(RETRY_S)) - 1]
        with self._changed:
            if self._closing:
                wait_s = CLOSING_S if self._failures else 0.0
            if wait_s > 0:
                self._changed.wait(wait_s)

    def _write_or_keep(self) -> bool:
        """Write what waits, oldest first, then what others have left; say whether all of one's own is written."""
        try:
            for refill in self._refill:
                refill()
            while payloads := self._backlog.read(MAX_ROWS):
                self._write_payloads(payloads)
                self._backlog.done()
                if not self._closing and (self._backlog.waiting().oldest_s or 0.0) < WRITE_S:
                    break  # few large transactions cost the database less than many small ones
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
                if held := self._left.held():
                    self._write_payloads(msgpack.unpackb(held))
                    self._left.hold(b"")
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
        self._judge(batch)
