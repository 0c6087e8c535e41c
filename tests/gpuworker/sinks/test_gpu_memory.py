"""How full the memory of the accelerators is."""

import shutil
import subprocess

import pytest

from gpuworker.sinks import gpu_memory as module
from gpuworker.sinks.gpu_memory import gpu_memory


class Driver:
    """A driver of two GPUs, the second of which cannot be read."""

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802 - named by NVIDIA
        count._obj.value = 2
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle):  # noqa: N802
        return 15 if index else 0

    def nvmlDeviceGetMemoryInfo(self, handle, memory):  # noqa: N802
        memory._obj.total, memory._obj.used = 80_000_000_000, 1_499_600_000
        return 0

    def nvmlDeviceGetName(self, handle, name, length):  # noqa: N802
        name.value = b"H100"
        return 0


def test_each_gpu_that_can_be_read_is_told(monkeypatch):
    monkeypatch.setattr(module, "_library", Driver)
    assert gpu_memory() == [{"name": "H100", "used_mb": 1500, "total_mb": 80_000}]


def test_machine_without_a_driver_has_none(monkeypatch):
    monkeypatch.setattr(module, "LIBRARY", "libnothing.so.1")
    module._library.cache_clear()
    assert gpu_memory() == []
    module._library.cache_clear()


@pytest.mark.gpu
def test_driver_tells_what_its_own_tool_does():
    tool = shutil.which("nvidia-smi")
    assert tool is not None
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    lines = subprocess.run(query, capture_output=True, text=True, check=True).stdout.splitlines()
    told = [line.rsplit(", ", 1) for line in lines]
    found = gpu_memory()
    assert [gpu["name"] for gpu in found] == [name for name, _ in told]
    # the tool tells mebibytes
    assert [gpu["total_mb"] for gpu in found] == [
        pytest.approx(float(mebibytes) * 1.048576, abs=2) for _, mebibytes in told
    ]
    assert all(0 < gpu["used_mb"] <= gpu["total_mb"] for gpu in found)
