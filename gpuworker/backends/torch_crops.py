"""Crops cut and resized where the model is: one copy of the picture to the device, one kernel for all boxes."""

from collections.abc import Sequence

import torch
from numpy.typing import NDArray
from torchvision.ops import roi_align

from gpuworker.pipeline.values import Floats32

BGR_TO_RGB = (2, 1, 0)


def cut_crops(
    image: NDArray, xyxy: Floats32, *, size: tuple[int, int], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut boxes (n, 4) px out of a picture (h, w, 3) BGR uint8.

    Returns:
        Crops (n, 3, *size) float32 RGB, 0 to 255, averaged over the pixels that fall into one; and which boxes (n,)
        lie in the picture: the others have zeros.
    """
    height, width = image.shape[:2]
    boxes = torch.as_tensor(xyxy, dtype=torch.float32, device=device).reshape(-1, 4)
    limits = torch.tensor([width, height] * 2, dtype=torch.float32, device=device)
    # whole pixels, as slices of an array would be; NaN stays NaN and counts as outside
    boxes = torch.cat([boxes[:, :2].floor(), boxes[:, 2:].ceil()], dim=1).clamp(
        min=torch.zeros_like(limits), max=limits
    )
    inside = ((boxes[:, 2:] - boxes[:, :2]) > 0).all(dim=1)
    picture = torch.from_numpy(image).to(device, non_blocking=True)
    planes = picture[..., BGR_TO_RGB].permute(2, 0, 1).float()[None]  # (1, 3, h, w)
    where = torch.where(inside[:, None], boxes, torch.zeros_like(boxes))
    crops = roi_align(planes, [where], output_size=size, sampling_ratio=-1, aligned=True)
    return crops * inside[:, None, None, None], inside


def normalise(crops: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Bring crops (n, 3, h, w), 0 to 255, to the statistics that a model was trained with, given for 0 to 1."""
    centre = crops.new_tensor(mean)[:, None, None] * 255.0
    spread = crops.new_tensor(std)[:, None, None] * 255.0
    return (crops - centre) / spread
