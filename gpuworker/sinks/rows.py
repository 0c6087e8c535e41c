"""The lossless sink: results become database rows, in batches, on a thread of its own.

While the database is away, batches wait in memory, oldest first, and are written when it is back.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from django.db import connection

from gpuworker.pipeline.values import Event, Frame, StepResult
from gpuworker.sinks.batch import Batch
from gpuworker.sinks.sampler import Sampler
from gpuworker.sinks.writing import AWAY, REFUSED, batch_salvage, batch_write

logger = logging.getLogger(__name__)

BATCH_S = 0.5
MAX_RESULTS = 5_000  # waiting to be turned into rows: minutes of a stuck database
MAX_ROWS = 200_000  # waiting to be written: about 100 MB
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class RowsSink:
    """Writes what is kept of every result; ``put`` never waits for the database."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        write: Callable[[Batch], None] = batch_write,
        refill: Sequence[Callable[[], None]] = (),
        name: str = "rows",
        max_rows: int = MAX_ROWS,
    ) -> None:
        """Start the thread; ``refill`` is called on it before each batch, with the database at hand."""
        self._sampler = sampler
        self._write = write
        self._refill = refill
        self._max_rows = max_rows
        self._inbox: deque[StepResult | Event] = deque()
        self._backlog: deque[Batch] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._failures = 0  # in a row
        self.dropped = 0  # results and rows that found no room
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, result: StepResult, frames: Sequence[Frame]) -> None:
        """Hand over one tick's result."""
        self._accept(result)

    def put_event(self, event: Event) -> None:
        """Hand over an event that no tick gave."""
        self._accept(event)

    def close(self, timeout_s: float = 3.0) -> None:
        """Write out what is waiting, for at most ``timeout_s``, and stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            rows = sum(map(len, self._backlog))
            logger.error("The database did not take the last %d rows in %g s: they are lost", rows, timeout_s)

    def _accept(self, item: StepResult | Event) -> None:
        with self._changed:
            if len(self._inbox) >= MAX_RESULTS:
                self._inbox.popleft()
                self._drop(1)
            self._inbox.append(item)

    def _run(self) -> None:
        try:
            while True:
                self._pause()
                closing = self._closing  # read before the inbox is emptied: nothing is put after it
                self._collect(finish=closing)
                written = self._write_backlog()
                if closing and written:
                    return
        finally:
            connection.close()

    def _pause(self) -> None:
        """Wait until the next batch or the next attempt is due; not for long once there is an end."""
        wait_s = BATCH_S if not self._failures else RETRY_S[min(self._failures, len(RETRY_S)) - 1]
        with self._changed:
            if not self._closing:
                self._changed.wait(wait_s)
                return
        if self._failures:
            time.sleep(RETRY_S[0])

    def _collect(self, *, finish: bool) -> None:
        with self._changed:
            items, self._inbox = self._inbox, deque()
        batch = Batch()
        for item in items:
            if isinstance(item, Event):
                self._sampler.add_event(item, batch)
            else:
                self._sampler.add(item, batch)
        if finish:
            self._sampler.finish(batch)
        if len(batch):
            self._backlog.append(batch)
        while sum(map(len, self._backlog)) > self._max_rows and len(self._backlog) > 1:
            self._drop(len(self._backlog.popleft()))

    def _write_backlog(self) -> bool:
        """Write what waits, oldest first; say whether nothing is left."""
        try:
            for refill in self._refill:
                refill()
            while self._backlog:
                self._write_one(self._backlog[0])
                self._backlog.popleft()
        except AWAY as error:
            self._away(error)
            return False
        if self._failures:
            self._failures = 0
            logger.info("The database is back; everything that waited is written")
        return True

    def _write_one(self, batch: Batch) -> None:
        try:
            self._write(batch)
        except AWAY:
            raise
        except REFUSED as error:
            logger.error("A batch of %d rows cannot be written (%s): writing it in parts", len(batch), error)
            logger.error("%d rows are lost", batch_salvage(batch))

    def _away(self, error: Exception) -> None:
        if not self._failures:
            logger.warning("The database is away (%s): rows wait in memory", error)
        self._failures += 1
        connection.close()  # the next attempt gets a fresh one

    def _drop(self, count: int) -> None:
        if not self.dropped:
            logger.error("Too many rows wait for the database: the oldest are dropped from now on")
        self.dropped += count
