import pytest
import torch

from gpuworker.backends.accelerator import accelerator_errors, check_room, choose_device
from gpuworker.backends.spec import BackendError
from gpuworker.pipeline.seams import AcceleratorFullError, AcceleratorLostError


@pytest.mark.parametrize(
    ("asked", "free", "device"),
    [
        ("auto", [], "cpu"),
        ("auto", [5, 9, 7], "cuda:1"),
        ("cpu", [5], "cpu"),
        ("cuda", [5, 9], "cuda:0"),
        ("cuda:1", [5, 9], "cuda:1"),
    ],
)
def test_choose_device_gives_the_one_meant_or_the_emptiest(asked, free, device):
    assert choose_device(asked, free_bytes=lambda: free) == device


@pytest.mark.parametrize(
    ("asked", "free", "message"),
    [
        ("gpu", [5], "no device 'gpu': choose one of auto, cpu, cuda, cuda:N"),
        ("cuda", [], "no device cuda: there is none that this model's library can use"),
        ("cuda:2", [5, 9], "no device cuda:2: there are 2, counted from 0"),
    ],
)
def test_choose_device_never_falls_back_silently(asked, free, message):
    with pytest.raises(BackendError) as error:
        choose_device(asked, free_bytes=lambda: free)
    assert str(error.value) == message


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded():
    check_room("net", "cuda:0", 100_000_000, 250_000_000)
    with pytest.raises(
        BackendError, match=r"net needs about 250 MB on cuda:0, of which 249 are free: choose another"
    ):
        check_room("net", "cuda:0", 100_000_000, 249_000_000)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), AcceleratorFullError),
        (BackendError("net: CUDA failure 2: out of memory ; GPU=0"), AcceleratorFullError),
        (
            BackendError("net: Failed to allocate memory for requested buffer of size 99"),
            AcceleratorFullError,
        ),
        (torch.AcceleratorError("an illegal memory access was encountered"), AcceleratorLostError),
        (
            BackendError("net: CUDA failure 700: an illegal memory access was encountered"),
            AcceleratorLostError,
        ),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), AcceleratorLostError),
        (RuntimeError("shapes do not match"), RuntimeError),
        (BackendError("net: cannot run on input (1, 3, 8, 8)"), BackendError),
    ],
)
def test_errors_are_told_apart(error, expected):
    with pytest.raises((RuntimeError, BackendError)) as raised, accelerator_errors("net"):
        raise error
    assert type(raised.value) is expected


def test_memory_that_torch_keeps_is_given_back_when_there_is_too_little(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    with pytest.raises(AcceleratorFullError), accelerator_errors("net"):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert emptied == [True]
