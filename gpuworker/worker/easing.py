"""Tracks as well as time and memory allow: does less when they are short, and more again when they are not."""

import logging
import time
from collections.abc import Callable, Sequence

from gpuworker.pipeline.ladder import Ladder
from gpuworker.pipeline.seams import AcceleratorFullError
from gpuworker.pipeline.values import Frame, StepResult
from gpuworker.worker.parts import Stepper

logger = logging.getLogger(__name__)


class Easing:
    """Runs a pipeline on the ladder of efforts."""

    def __init__(
        self,
        pipeline: Stepper,
        *,
        interval_s: float,
        show: Callable[[Ladder], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with everything.

        Args:
            pipeline: tracks.
            interval_s: between two ticks, if all goes well.
            show: is told when the step changes.
            clock_s: reads the time that has gone by.
        """
        self._pipeline = pipeline
        self._interval_s = interval_s
        self._show = show
        self._clock_s = clock_s
        self._ladder = Ladder()

    def step(self, frames: Sequence[Frame]) -> StepResult:
        """Track the frames of a tick; once more with less effort where memory did not suffice.

        Raises:
            AcceleratorFullError: it does not even suffice for the least.
        """
        while True:
            began_s = self._clock_s()
            try:
                result = self._pipeline.step(frames)
            except AcceleratorFullError as error:
                if not self._ladder.go_down(str(error), self._clock_s()):
                    raise
                self._change()
            else:
                now_s = self._clock_s()
                if self._ladder.count(now_s - began_s, self._interval_s, now_s):
                    self._change()
                return result

    def _change(self) -> None:
        ladder = self._ladder
        self._pipeline.ease(ladder.effort)
        logger.warning(
            "Effort %d of %d: %s (%s)", ladder.step, ladder.steps - 1, ladder.effort.name, ladder.why
        )
        self._show(ladder)
