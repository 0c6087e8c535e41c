"""What a CLIP checkpoint holds: the image tower's weights, for which input, and a re-identification neck if any."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional

from gpuworker.backends.checkpoints import State, read_checkpoint
from gpuworker.backends.spec import BackendError

NECKS = ("bottleneck", "bottleneck_proj")
# heights and widths that person re-identification is trained with, and steps between patches
REID_SIZES = ((256, 128), (384, 128), (384, 192))
OVERLAPPING = 12  # px between patches of 16. Source: He et al., TransReID (2021), section 3.2


@dataclass(frozen=True, slots=True)
class Tower:
    """An image tower as a checkpoint has it.

    Attributes:
        state: its weights, by open_clip's names.
        necks: batch norms behind the two features, by name; empty for a stock CLIP.
        is_reid: fine-tuned for re-identification.
        is_openai: of OpenAI's training, whose activation is the quick GELU.
    """

    path: Path
    state: State
    necks: dict[str, State]
    is_reid: bool
    is_openai: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """Patches of a vision transformer: rows, columns, and px from one to the next."""

    rows: int
    columns: int
    stride: int

    @property
    def count(self) -> int:
        """Give the number of patches."""
        return self.rows * self.columns


def read_tower(path: Path) -> Tower:
    """Read the image tower out of a checkpoint of CLIP, CLIP-ReID or alike.

    Names before the tower's own may be ``visual.``, ``image_encoder.``, ``base.`` or any other; what belongs to texts,
    classifiers and prompts is left out.

    Raises:
        BackendError: the file holds no image tower of CLIP.
    Source: Li, Sun & Li, CLIP-ReID (2023): ``image_encoder`` is CLIP's image tower, ``bottleneck`` and
        ``bottleneck_proj`` are batch norms behind its feature before and after the projection.
    """
    state, is_script = read_checkpoint(path)
    start = _start(path, state)
    tower = {
        name.removeprefix(start): value.float() for name, value in state.items() if name.startswith(start)
    }
    necks = {neck: _below(state, f"{neck}.") for neck in NECKS}
    is_reid = any(necks.values()) or not (start == "" or start.endswith("visual."))
    return Tower(
        path=path,
        state={name: value for name, value in tower.items() if not name.startswith(NECKS)},
        necks={neck: weights for neck, weights in necks.items() if weights},
        is_reid=is_reid,
        is_openai=is_script or is_reid,
    )


def _start(path: Path, state: State) -> str:
    """Give what stands before the names of the image tower."""
    for mark in ("class_embedding", "trunk."):  # of open_clip's own transformers, and of timm's nets in it
        starts = {name[: name.index(mark)] for name in state if mark in name}
        if starts:
            return min(starts, key=len)
    some = ", ".join(list(state)[:3])
    raise BackendError(
        f"{path} holds no image tower of CLIP (it has {some} ...): name CLIP or CLIP-ReID weights"
    )


def _below(state: State, start: str) -> State:
    return {
        name.removeprefix(start): value.float()
        for name, value in state.items()
        if name.startswith(start) and value.is_floating_point()
    }


def trained_grid(tower: Tower, patch: int) -> Grid:
    """Give the patches that a vision transformer was trained with, by the number of its position embeddings.

    Raises:
        BackendError: no input is known that has so many.
    """
    count = len(tower.state["positional_embedding"]) - 1
    side = math.isqrt(count)
    if side * side == count:
        return Grid(side, side, patch)
    for height, width in REID_SIZES:
        for stride in (patch, OVERLAPPING):
            grid = grid_of(height, width, patch, stride)
            if grid.count == count:
                return grid
    raise BackendError(
        f"{tower.path}: {count} position embeddings are of no input known: expected a square, or one of "
        f"{', '.join(f'{h}x{w}' for h, w in REID_SIZES)} px in patches of {patch}"
    )


def grid_of(height: int, width: int, patch: int, stride: int) -> Grid:
    """Give the patches of an input."""
    return Grid((height - patch) // stride + 1, (width - patch) // stride + 1, stride)


def resize_positions(positions: torch.Tensor, old: Grid, new: Grid) -> torch.Tensor:
    """Interpolate position embeddings (1 + old patches, d) to a new grid; the class token's stays.

    Source: Dosovitskiy et al., ViT (2021), section 3.2; bicubic, as open_clip does.
    """
    if (old.rows, old.columns) == (new.rows, new.columns):
        return positions
    token, grid = positions[:1], positions[1:]
    planes = grid.reshape(1, old.rows, old.columns, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(
        planes, (new.rows, new.columns), mode="bicubic", antialias=True, align_corners=False
    )
    return torch.cat([token, resized.permute(0, 2, 3, 1).reshape(new.count, -1)])
