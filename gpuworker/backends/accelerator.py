"""Accelerators: which one a model goes to, and what their libraries' errors mean.

Imports no library of an accelerator: errors are told by their names and words, so that what they lead to can be
tested where there is none.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpuworker.backends.spec import BackendError
from gpuworker.pipeline.seams import AcceleratorFullError, AcceleratorLostError

DEVICE = re.compile(r"auto|cpu|cuda(?::(\d+))?")
ACTIVATIONS = 1.5  # memory that a model takes at work, over that of its weights
MB = 1e6

# Source: torch.OutOfMemoryError and torch.AcceleratorError (both RuntimeErrors); ONNX Runtime's CUDA provider, which
# says "CUDA failure <number>: <words>", and its arena, which fails to allocate
FULL = re.compile(r"out of memory|Failed to allocate memory|CUDA failure 2\b|ALLOC_FAILED")
LOST = re.compile(
    r"CUDA error|CUDA failure|CUBLAS_STATUS|CUDNN_STATUS|cuDNN error|unspecified launch failure"
)


def choose_device(asked: str, *, free_bytes: Callable[[], list[int]]) -> str:
    """Give the device that is meant: ``cpu`` or ``cuda:N``; ``auto`` is the one with the most free memory.

    Args:
        asked: ``auto``, ``cpu``, ``cuda`` (the first) or ``cuda:N``.
        free_bytes: tells of each CUDA device that the model's library can use how much is free.

    Raises:
        BackendError: another name, or a device that is not there.
    """
    match = DEVICE.fullmatch(asked)
    if match is None:
        raise BackendError(f"no device {asked!r}: choose one of auto, cpu, cuda, cuda:N")
    if asked == "cpu":
        return asked
    free = free_bytes()
    if asked == "auto":
        return f"cuda:{free.index(max(free))}" if free else "cpu"
    index = int(match[1] or 0)
    if index >= len(free):
        there = (
            f"there are {len(free)}, counted from 0"
            if free
            else "there is none that this model's library can use"
        )
        raise BackendError(f"no device {asked}: {there}")
    return f"cuda:{index}"


def check_room(name: str, device: str, weights_bytes: int, free_bytes: int) -> None:
    """Check that a model fits into what is free on its device.

    Raises:
        BackendError: it does not.
    """
    needed = weights_bytes * (1 + ACTIVATIONS)
    if needed > free_bytes:
        raise BackendError(
            f"{name} needs about {needed / MB:.0f} MB on {device}, of which {free_bytes / MB:.0f} are free: "
            "choose another device, a smaller model, or end what else runs there"
        )


@contextmanager
def accelerator_errors(name: str) -> Iterator[None]:
    """Tell a full accelerator and a lost one from other errors of a model's call.

    Raises:
        AcceleratorFullError: its memory does not suffice; a smaller batch may.
        AcceleratorLostError: it failed, and this process cannot use it any more.
    """
    try:
        yield
    except (RuntimeError, BackendError) as error:
        line = " ".join(str(error).split())[:300]
        if type(error).__name__ == "OutOfMemoryError" or FULL.search(line):
            _let_go()
            raise AcceleratorFullError(f"{name}: the accelerator's memory is full ({line})") from error
        if type(error).__name__ == "AcceleratorError" or LOST.search(line):
            raise AcceleratorLostError(f"{name}: the accelerator failed ({line})") from error
        raise


def _let_go() -> None:
    """Give back what torch, where it is loaded, keeps for later: for the smaller batch that comes next."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.cuda.empty_cache()
