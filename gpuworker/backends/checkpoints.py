"""Torch checkpoints, read without running code that is in them."""

import pickle
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from gpuworker.backends.spec import BackendError

State = dict[str, torch.Tensor]
# the unpickler of a damaged file stumbles over whatever comes first
UNREADABLE = (
    RuntimeError,
    EOFError,
    OSError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    pickle.UnpicklingError,
    struct.error,
    BadZipFile,
    SafetensorError,
)
INSIDE = ("state_dict", "model_state_dict", "model")  # where training loops keep the weights
WRAPPERS = ("module.", "_orig_mod.")  # what data parallel training and torch.compile put before names


def read_checkpoint(path: Path) -> tuple[State, bool]:
    """Give the tensors of a .pt, .pth or .safetensors file by name, and whether it is a TorchScript archive.

    Raises:
        BackendError: the file holds no such weights.
    """
    try:
        if path.suffix == ".safetensors":
            return _tensors(path, load_file(path)), False
        if _is_script(path):
            return _tensors(path, _script(path)), True
        return _tensors(path, torch.load(path, map_location="cpu", weights_only=True)), False
    except BackendError:
        raise
    except UNREADABLE as error:
        line = " ".join(str(error).split())[:160]
        raise BackendError(
            f"{path} holds no weights that can be read: {line or type(error).__name__}"
        ) from error


def _is_script(path: Path) -> bool:
    if not is_zipfile(path):
        return False
    with ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _script(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # OpenAI published CLIP in this format and no other
        archive: Any = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
    return archive.state_dict()


def _tensors(path: Path, loaded: Any) -> State:
    for key in INSIDE:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = loaded.items() if isinstance(loaded, Mapping) else ()
    state = {_bare(name): value for name, value in tensors if isinstance(value, torch.Tensor)}
    if not state:
        raise BackendError(f"{path} holds no weights by name: save the model's state_dict()")
    return state


def _bare(name: str) -> str:
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper)
    return name
