"""Embedder on torch: the image towers of CLIP, stock or fine-tuned for re-identification, by open_clip.

Source: Radford et al., Learning Transferable Visual Models From Natural Language Supervision (2021).
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import open_clip
import torch
from torch import nn

from gpuworker.backends.accelerator import accelerator_errors, check_room, choose_device
from gpuworker.backends.clip_weights import Tower, grid_of, read_tower, resize_positions, trained_grid
from gpuworker.backends.crops import GPU_BATCHES, batches, by_frame, crop, units
from gpuworker.backends.digest import digest
from gpuworker.backends.spec import BackendError, Number, Spec
from gpuworker.backends.torch_crops import cut_crops, normalise
from gpuworker.backends.torch_device import free_bytes
from gpuworker.pipeline.values import Floats32, Frame

DEFAULT_MODEL = "ViT-B-16"
REID_HEIGHT, REID_WIDTH = 256, 128  # px: people are twice as high as wide, and this costs less than a square
HALF = (0.5, 0.5, 0.5)  # Source: CLIP-ReID's configuration, mean and spread of its input
PRECISIONS: Mapping[str, torch.dtype] = {
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
SMALLEST, LARGEST = 32, 1024  # px, of an input's side


@dataclass(frozen=True, slots=True)
class ClipModel:
    """A net that turns crops (n, 3, height, width), 0 to 255, into embeddings (n, d).

    Attributes:
        name: of the architecture, with what tells its weights from others.
        height, width: of the input, px.
        mean, std: of the input, for 0 to 1.
    """

    name: str
    net: nn.Module
    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    device: torch.device
    dtype: torch.dtype

    def run(self, crops: torch.Tensor) -> Floats32:
        """Give the embeddings of crops that are on the device.

        Raises:
            AcceleratorFullError, AcceleratorLostError: the device cannot.
        """
        with accelerator_errors(self.name), torch.inference_mode():
            pictures = normalise(crops, self.mean, self.std).to(self.dtype)
            return np.asarray(self.net(pictures).float().cpu().numpy(), dtype=np.float32)


class ClipEmbedder:
    """Describes how people look by CLIP's image tower."""

    def __init__(self, model: ClipModel, dimension: int) -> None:
        self.name = model.name
        self.dimension = dimension
        self._model = model
        self._on_gpu = model.device.type != "cpu"

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[Floats32]) -> list[Floats32]:
        """Give unit embeddings of boxes (n, 4) px of each frame, (n, dimension); NaN beside the picture."""
        cut = self._cut_there if self._on_gpu else self._cut_here
        pairs = [cut(frame, boxes) for frame, boxes in zip(frames, xyxy, strict=True) if len(boxes)]
        out = np.full((sum(map(len, xyxy)), self.dimension), np.nan, np.float32)
        if pairs:
            crops = torch.cat([crops for crops, _ in pairs])
            inside = np.flatnonzero(np.concatenate([inside for _, inside in pairs]))
            for rows, size in batches(len(inside), fixed=None, is_padded=self._on_gpu):
                index = inside[rows]
                batch = crops.new_zeros((size, *crops.shape[1:]))
                batch[: len(index)] = crops[torch.from_numpy(index).to(crops.device)]
                out[index] = units(self._model.run(batch)[: len(index)])
        return by_frame(out, xyxy)

    def _cut_there(self, frame: Frame, boxes: Floats32) -> tuple[torch.Tensor, np.ndarray]:
        m = self._model
        with accelerator_errors(m.name):
            crops, inside = cut_crops(frame.image, boxes, size=(m.height, m.width), device=m.device)
            return crops, inside.cpu().numpy()

    def _cut_here(self, frame: Frame, boxes: Floats32) -> tuple[torch.Tensor, np.ndarray]:
        """Cut on the CPU, where to turn the whole picture into floats costs more than all the crops."""
        pictures = [crop(frame.image, box) for box in boxes]
        crops = np.zeros((len(boxes), self._model.height, self._model.width, 3), np.uint8)
        for row, picture in zip(crops, pictures, strict=True):
            if picture.size:
                area = picture.shape[0] > len(row)  # shrinking: average, or thin things vanish
                how = cv2.INTER_AREA if area else cv2.INTER_LINEAR
                cv2.resize(picture, (self._model.width, self._model.height), dst=row, interpolation=how)
        inside = np.array([picture.size > 0 for picture in pictures])
        return torch.from_numpy(crops[..., ::-1].copy()).permute(0, 3, 1, 2).float(), inside


class Tapped(nn.Module):
    """A transformer's image tower that gives both features of CLIP-ReID, behind their batch norms.

    Source: Li, Sun & Li, CLIP-ReID (2023), section 3.3: the features before and after the projection, joined.
    """

    def __init__(self, visual: Any, necks: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        super().__init__()
        self.proj = visual.proj
        visual.proj = None
        self.visual = visual
        self.before, self.after = (
            _neck(necks.get(name), size)
            for name, size in zip(("bottleneck", "bottleneck_proj"), self.proj.shape, strict=True)
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Give (n, d) for pictures (n, 3, h, w)."""
        feature = self.visual(pictures)
        return torch.cat([self.before(feature), self.after(feature @ self.proj)], dim=1)


def make_clip_embedder(spec: Spec, *, device: str, threads: int | None) -> ClipEmbedder:
    """Open the CLIP model that a spec names: ``clip:MODEL:PATH``, see :func:`make_clip_model`."""
    model = make_clip_model(spec, device=device, threads=threads)
    shape = (1, 3, model.height, model.width)
    dimension = model.run(torch.zeros(shape, device=model.device)).shape[1]
    if model.device.type != "cpu":
        for batch in GPU_BATCHES:  # kernels are chosen and memory is taken now, not in somebody's frame
            model.run(torch.zeros((batch, *shape[1:]), device=model.device))
    return ClipEmbedder(model, dimension)


def make_clip_model(spec: Spec, *, device: str, threads: int | None) -> ClipModel:
    """Open a model of open_clip with weights of a file.

    Raises:
        BackendError: an unknown model or option, or a file that is missing or not of such a model.
    """
    numbers = spec.numbers(
        texts=("device", "precision"), height=Number(0, 0, LARGEST), width=Number(0, 0, LARGEST)
    )
    architecture, path = named(spec)
    where = choose_device(spec.options.get("device", device), free_bytes=free_bytes)
    precision = spec.choice("precision", ("auto", *PRECISIONS))
    if precision == "auto":
        precision = "fp32" if where == "cpu" else "fp16"
    if threads is not None:
        torch.set_num_threads(threads)
    tower = read_tower(path)
    size = (int(numbers["height"]), int(numbers["width"]))
    net, height, width = _build(architecture, tower, size, spec)
    if where != "cpu":
        bytes_ = sum(p.numel() for p in net.parameters()) * PRECISIONS[precision].itemsize
        check_room(spec.text, where, bytes_, free_bytes()[int(where.partition(":")[2])])
    mean, std = (HALF, HALF) if tower.is_reid else _statistics(architecture)
    with accelerator_errors(spec.text):
        net = net.eval().to(device=where, dtype=PRECISIONS[precision])
    return ClipModel(
        name=f"clip:{architecture}@{digest(path)}",
        net=net,
        height=height,
        width=width,
        mean=mean,
        std=std,
        device=torch.device(where),
        dtype=PRECISIONS[precision],
    )


def named(spec: Spec) -> tuple[str, Path]:
    """Give the architecture and the file of weights that a spec names."""
    architecture, _, path = spec.argument.partition(":")
    architecture = architecture or DEFAULT_MODEL
    if architecture not in open_clip.list_models():
        raise BackendError(
            f"{spec.text!r}: open_clip has no model {architecture!r}: choose ViT-B-16, ViT-B-32, MobileCLIP-S1 or "
            "another one that it lists"
        )
    return architecture, weights_file(spec, path or f"{architecture}.pt")


def weights_file(spec: Spec, path: str) -> Path:
    """Give the file of a path."""
    return Spec(spec.text, spec.kind, path, {}).file()


def _build(architecture: str, tower: Tower, size: tuple[int, int], spec: Spec) -> tuple[nn.Module, int, int]:
    """Make the net for an input of a size, 0 for the usual one, with the tower's weights."""
    state = dict(tower.state)
    is_transformer = "positional_embedding" in state
    height, width = (size[0] or REID_HEIGHT, size[1] or REID_WIDTH) if is_transformer else size
    if is_transformer and min(height, width) < SMALLEST:
        raise BackendError(f"{spec.text!r}: height and width must be {SMALLEST} px at least")
    wanted = (height, width) if min(height, width) else None
    visual = quiet_model(architecture, is_openai=tower.is_openai, size=wanted).visual
    if is_transformer and hasattr(visual, "positional_embedding"):
        patch = visual.conv1.kernel_size[0]
        trained = trained_grid(tower, patch)
        new = grid_of(height, width, patch, trained.stride)
        state["positional_embedding"] = resize_positions(state["positional_embedding"], trained, new)
        visual.positional_embedding = nn.Parameter(state["positional_embedding"])
        visual.conv1.stride = (trained.stride, trained.stride)
    else:
        height, width = visual.image_size
    try:
        visual.load_state_dict(state)
    except RuntimeError as error:
        line = " ".join(str(error).split())[:200]
        raise BackendError(
            f"{tower.path} holds other weights than those of {architecture}: {line}"
        ) from error
    return (Tapped(visual, tower.necks) if tower.necks else visual), height, width


def quiet_model(architecture: str, *, is_openai: bool, size: tuple[int, int] | None) -> Any:
    """Make a model of open_clip with weights that are random for a moment, of which it would warn."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return open_clip.create_model(
            architecture,
            load_weights=False,
            pretrained_text=False,
            force_quick_gelu=is_openai,
            force_image_size=size,
        )
    finally:
        logger.setLevel(level)


def _statistics(architecture: str) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Give mean and spread of the input that open_clip's weights of an architecture are trained with."""
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    config = open_clip.get_pretrained_cfg(architecture, tags[0]) if tags else {}
    mean = config.get("mean") or open_clip.OPENAI_DATASET_MEAN
    std = config.get("std") or open_clip.OPENAI_DATASET_STD
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def _neck(state: Mapping[str, torch.Tensor] | None, size: int) -> nn.Module:
    if state is None:
        return nn.Identity()
    neck = nn.BatchNorm1d(size)
    neck.load_state_dict(dict(state), strict=False)
    return neck
