"""Brings pictures to a detector's input with torch, on the device where the model runs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from gpuworker.backends.layouts import Layout
from gpuworker.backends.placing import GREY, Picture, Placement, placement_of


class TensorPlacer:
    """Fills batches on a device: bytes go there as they are, and are resized, turned and normalised there."""

    def __init__(self, layout: Layout, *, height: int, width: int, device: str, dtype: Any) -> None:
        self.height, self.width = height, width
        self._fit = layout.fit
        self._device, self._dtype = torch.device(device), dtype
        turned = (2, 1, 0) if layout.rgb else (0, 1, 2)
        self._order = torch.tensor(turned, device=self._device)
        self._mean = torch.tensor(layout.mean, device=self._device)[:, None, None]
        self._factor = 1.0 / torch.tensor(layout.std, device=self._device)[:, None, None]

    def place(self, pictures: Sequence[Picture], size: int) -> tuple[Any, list[Placement]]:
        """Give a batch (size, 3, height, width) of pictures, empty where they are fewer, and where each lies."""
        batch = torch.full((size, 3, self.height, self.width), float(GREY), device=self._device)
        placed = [self._fill(batch[i], picture) for i, picture in enumerate(pictures)]
        batch = (batch[:, self._order] - self._mean) * self._factor
        return batch.to(self._dtype), placed

    def _fill(self, planes: Any, picture: Picture) -> Placement:
        placed = placement_of(picture, self._fit, height=self.height, width=self.width)
        (x, y), (columns, rows) = placed.offset, placed.size
        bytes_ = torch.from_numpy(np.ascontiguousarray(picture))
        if self._device.type == "cuda":
            bytes_ = bytes_.pin_memory().to(self._device, non_blocking=True)
        whole = bytes_.permute(2, 0, 1)[None].float()
        # bilinear between pixel centres without antialiasing, as OpenCV resizes, in whole grey levels
        planes[:, y : y + rows, x : x + columns] = interpolate(
            whole, size=(rows, columns), mode="bilinear", align_corners=False
        )[0].round()
        return placed
