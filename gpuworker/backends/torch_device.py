"""Where torch's models run."""

import torch

from gpuworker.backends.accelerator import choose_device
from gpuworker.backends.spec import BackendError, Spec


def free_bytes() -> list[int]:
    """Give the free memory of each CUDA device that torch can use."""
    return [int(torch.cuda.mem_get_info(i)[0]) for i in range(torch.cuda.device_count())]


def torch_device(spec: Spec, asked: str, *, precision: str) -> tuple[str, bool]:
    """Give where a model is to run, and whether in half precision, which only CUDA does.

    Raises:
        BackendError: no such device, or a precision that it does not have.
    """
    where = choose_device(asked, free_bytes=free_bytes)
    if precision == "bf16" or (precision == "fp16" and where == "cpu"):
        raise BackendError(f"{spec.text!r}: {spec.kind} computes in fp32, and on CUDA also in fp16")
    return where, where != "cpu" and precision != "fp32"
