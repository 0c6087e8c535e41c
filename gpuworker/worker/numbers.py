"""Track ids and person numbers, taken from the database in blocks, ahead of need."""

import threading
from collections import deque
from collections.abc import Callable

from tracking.services import numbers_reserve, numbers_return

WAIT_S = 0.1


class NumbersExhaustedError(RuntimeError):
    """The worker stops while it waits for numbers that the database does not give."""


class NumberSupply:
    """Gives numbers one by one; :meth:`refill`, called from another thread, keeps it at least half full."""

    def __init__(
        self,
        name: str,
        *,
        block: int,
        stopped: Callable[[], bool] = lambda: False,
        reserve: Callable[..., range] = numbers_reserve,
    ) -> None:
        """Begin empty.

        Args:
            name: of the counter.
            block: how many numbers are taken at once.
            stopped: says whether the worker was asked to stop.
            reserve: takes ``count`` numbers of counter ``name``.
        """
        self._name = name
        self._reserve = reserve
        self._block = block
        self._stopped = stopped
        self._numbers: deque[int] = deque()
        self._filled = threading.Condition()

    def __call__(self) -> int:
        """Take the next number; waits only if all are gone.

        Raises:
            NumbersExhaustedError: the worker was stopped while waiting.
        """
        with self._filled:
            while not self._numbers:
                if self._stopped():
                    raise NumbersExhaustedError("no numbers left: the database did not give any in time")
                self._filled.wait(WAIT_S)
            return self._numbers.popleft()

    def refill(self) -> None:
        """Take another block when less than half of one is left."""
        if len(self._numbers) * 2 > self._block:
            return
        block = self._reserve(name=self._name, count=self._block)
        with self._filled:
            self._numbers.extend(block)
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
