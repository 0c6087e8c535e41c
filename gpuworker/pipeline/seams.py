"""The seams of the worker: what a detector, an embedder, a source and a sink have to do."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from gpuworker.pipeline.ladder import Effort
from gpuworker.pipeline.values import Detections, Floats32, Frame, StepResult

TakeNumber = Callable[[], int]
"""Gives the next track id or person number; never the same one twice."""


class Detector(Protocol):
    """Finds people in frames."""

    name: str

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the detections of each frame, in the order of the frames; one batch over all cameras."""
        ...


@runtime_checkable
class Adjustable(Protocol):
    """A detector that can do less."""

    def adjust(self, effort: Effort) -> None:
        """Take pictures at ``effort.scale`` of the usual input from the next call on."""
        ...


class Embedder(Protocol):
    """Describes how people look.

    Attributes:
        name: of the model, with what tells its weights from others; embeddings of different names do not compare.
    """

    name: str
    dimension: int

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[Floats32]) -> list[Floats32]:
        """Give unit embeddings of boxes (n, 4) px of each frame, (n, dimension) float32; one batch over all cameras.

        A row is NaN where a box cannot be described.
        """
        ...


class AcceleratorFullError(RuntimeError):
    """The accelerator's memory does not suffice for a call; a smaller batch, or a smaller input, may."""


class AcceleratorLostError(RuntimeError):
    """The accelerator failed; what this process has there is lost, and a new process is needed."""


class SourceError(Exception):
    """A source that cannot be opened or read; the message says what to do about it."""


class UnusableSourceError(SourceError):
    """A source that cannot work as it is configured, however often it is tried: bad address, missing file."""


class Source(Protocol):
    """One camera's frames. Opened by its maker, read from a single thread, closed once."""

    live: bool  # True: frames come at the camera's pace; False: a recording that can be read at any pace

    def read(self) -> Frame | None:
        """Give the next frame, waiting for it at most a second; None when there was none in time.

        Raises:
            EndOfSource: a recording is over.
            SourceError: the stream broke; the reader closes it and opens it again with back-off.
        """
        ...

    def close(self) -> None:
        """Release the stream; safe to call twice."""
        ...


class EndOfSource(Exception):  # noqa: N818 - an end, not an error
    """A recording has no more frames."""


class Sink(Protocol):
    """Takes what the pipeline gave. ``put`` returns at once and never raises for trouble downstream."""

    def put(self, result: StepResult, frames: Sequence[Frame]) -> None:
        """Hand over one tick's result with the frames it came from."""
        ...

    def close(self) -> None:
        """Write out what is waiting, within a bounded time, and stop."""
        ...
