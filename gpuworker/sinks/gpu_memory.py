"""How full the memory of the accelerators is, as NVIDIA's driver says."""

import ctypes
import logging
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)

LIBRARY = "libnvidia-ml.so.1"  # comes with the driver


class _Memory(ctypes.Structure):
    """Bytes. Source: nvml.h, nvmlMemory_t."""

    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


def gpu_memory() -> list[dict[str, Any]]:
    """Give ``{"name", "used_mb", "total_mb"}`` of each NVIDIA GPU of this machine; none where the driver is absent.

    Takes less than a millisecond after the first call.
    """
    nvml = _library()
    count = ctypes.c_uint()
    if nvml is None or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return []
    return [found for index in range(count.value) if (found := _device(nvml, index)) is not None]


def _device(nvml: ctypes.CDLL, index: int) -> dict[str, Any] | None:
    handle, memory, name = ctypes.c_void_p(), _Memory(), ctypes.create_string_buffer(96)
    failed = (
        nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle))
        or nvml.nvmlDeviceGetMemoryInfo(handle, ctypes.byref(memory))
        or nvml.nvmlDeviceGetName(handle, name, len(name))
    )
    if failed:  # a number that says why: one that is being reset, or is another container's
        return None
    return {
        "name": name.value.decode(errors="replace"),
        "used_mb": round(memory.used / 1e6),
        "total_mb": round(memory.total / 1e6),
    }


@cache
def _library() -> ctypes.CDLL | None:
    try:
        nvml = ctypes.CDLL(LIBRARY)
    except OSError:
        return None
    if failed := nvml.nvmlInit_v2():
        logger.warning("NVIDIA's driver does not tell of its memory (error %d)", failed)
        return None
    return nvml
