"""Track ids and person numbers, taken from the database in blocks, ahead of need."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

from tracking.services import numbers_reserve, numbers_return

logger = logging.getLogger(__name__)

WAIT_S = 0.2  # for a block that is on its way
CLOCK_NUMBERS = 10**12  # no counter comes this far
CLOCK_STEP = 1024  # numbers a millisecond, one for each slot; all below 2**53, which browsers can count to
CLOCK_BEGAN_MS = 1_700_000_000_000


class NumberSupply:
    """Gives numbers one by one; :meth:`refill`, called from another thread, keeps it at least half full.

    Where the database gives no more, for it is away or its disk is full, numbers come from the clock instead: long
    ones, but nobody else's, and tracking goes on.
    """

    def __init__(
        self,
        name: str,
        *,
        block: int,
        slot: int = 0,
        reserve: Callable[..., range] = numbers_reserve,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        """Begin empty.

        Args:
            name: of the counter.
            block: how many numbers are taken at once.
            slot: tells this supply's numbers from the clock from those of others at the same time.
            reserve: takes ``count`` numbers of counter ``name``.
            clock_ms: milliseconds since 1970.
        """
        self._name = name
        self._reserve = reserve
        self._block = block
        self._slot = slot % CLOCK_STEP
        self._clock_ms = clock_ms
        self._last_ms = 0
        self._is_dry = False
        self._numbers: deque[int] = deque()
        self._filled = threading.Condition()

    def __call__(self) -> int:
        """Take the next number; waits a moment when all are gone, once until the next block comes."""
        with self._filled:
            if not self._numbers and not self._is_dry:
                self._filled.wait(WAIT_S)
            if self._numbers:
                return self._numbers.popleft()
            if not self._is_dry:
                self._is_dry = True
                logger.warning(
                    "The database gives no more numbers for %s: they come from the clock", self._name
                )
            self._last_ms = max(self._clock_ms(), self._last_ms + 1)
            return CLOCK_NUMBERS + (self._last_ms - CLOCK_BEGAN_MS) * CLOCK_STEP + self._slot

    def refill(self) -> None:
        """Take another block when less than half of one is left."""
        if len(self._numbers) * 2 > self._block:
            return
        block = self._reserve(name=self._name, count=self._block)
        with self._filled:
            self._numbers.extend(block)
            self._is_dry = False
            self._filled.notify_all()

    def hand_back(self) -> None:
        """Put the numbers that were not used back, where no other worker took later ones.

        Raises:
            DatabaseError: the database is away; the numbers are never used.
        """
        with self._filled:
            unused = list(self._numbers)
            self._numbers.clear()
        if unused:
            # the last block alone is sure to end where the counter stands
            first = next(i for i in range(len(unused)) if unused[-1] - unused[i] == len(unused) - 1 - i)
            numbers_return(name=self._name, unused=range(unused[first], unused[-1] + 1))
