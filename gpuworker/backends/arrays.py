"""The same array code for NumPy on the host and torch on a device."""

import sys
from typing import Any

import numpy as np

Array = Any  # of numbers, NumPy's on the host or torch's on a device


def namespace(array: Any) -> Any:
    """Give the module whose functions take an array: NumPy, or torch for its tensors."""
    return np if isinstance(array, np.ndarray) else sys.modules["torch"]


def on_device_of(values: Any, array: Any) -> Any:
    """Give values as an array of the kind, and on the device, of another one."""
    return namespace(array).asarray(values, device=array.device)
