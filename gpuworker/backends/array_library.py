"""Which array library takes bulk work: CuPy where it is installed, has a GPU and pays, otherwise NumPy."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

PAYS_FROM = 200_000  # points; for fewer the way to the GPU and back takes longer than NumPy


def array_library(count: int) -> Any:
    """Give the namespace for so many points."""
    if count < PAYS_FROM or find_spec("cupy") is None:
        return np
    cupy = import_module("cupy")
    try:
        return cupy if cupy.cuda.runtime.getDeviceCount() else np
    except cupy.cuda.runtime.CUDARuntimeError:  # the library without a driver
        return np


def to_numpy(array: Any) -> Any:
    """Give an array of either library as NumPy's."""
    return array.get() if hasattr(array, "get") else np.asarray(array)
