"""A CLIP of two layers, for open_clip to make, and checkpoints of it as others save them."""

import json
import logging
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch

NAME = "tiny-clip"
WIDTH, DIMENSION = 64, 32  # of the features before and after the projection
CONFIG = {
    "embed_dim": DIMENSION,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": WIDTH, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def architecture(tmp_path_factory):
    """Let open_clip know the tiny model; give its name."""
    path = tmp_path_factory.mktemp("clip") / f"{NAME}.json"
    path.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(path)
    return NAME


def tiny_model(architecture: str, *, image_size=None, quick_gelu: bool = False) -> Any:
    """Make a tiny model with seeded weights."""
    torch.manual_seed(3)
    logging.getLogger().setLevel(logging.ERROR)
    model: Any = open_clip.create_model(
        architecture, load_weights=False, force_image_size=image_size, force_quick_gelu=quick_gelu
    )
    logging.getLogger().setLevel(logging.WARNING)
    return model.eval()


def reid_state(visual: torch.nn.Module, start: str = "image_encoder.") -> dict[str, torch.Tensor]:
    """Give an image tower's weights as CLIP-ReID's training saves them, with what stands around them."""
    state = {f"{start}{name}": value for name, value in visual.state_dict().items()}
    for name, size in (("bottleneck", WIDTH), ("bottleneck_proj", DIMENSION)):
        neck: Any = torch.nn.BatchNorm1d(size)
        torch.nn.init.normal_(neck.weight)
        torch.nn.init.normal_(neck.running_mean)
        state |= {f"{name}.{key}": value for key, value in neck.state_dict().items()}
    return {
        "cls_extra": torch.zeros(1),
        "classifier.weight": torch.zeros(9, WIDTH),
        "prompt_learner.cls_ctx": torch.zeros(9, 4, 32),
        "text_encoder.positional_embedding": torch.zeros(77, 32),
        **state,
    }


def save(path: Path, state: object) -> Path:
    """Write a checkpoint as torch does."""
    torch.save(state, path)
    return path
