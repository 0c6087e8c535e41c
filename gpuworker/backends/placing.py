"""Brings pictures to a detector's input on the CPU, and boxes back to the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.layouts import Fit, Floats32, Layout

GREY = 114  # what YOLO models see beside the picture in training
Picture = NDArray[np.uint8]  # (rows, columns, 3) BGR


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture of width x height px lies in the model's input: input = picture * scale + offset.

    Attributes:
        size: width and height of the picture there, px.
        offset: of its upper left corner.
    """

    width: int
    height: int
    size: tuple[int, int]
    offset: tuple[int, int] = (0, 0)

    @property
    def scale(self) -> tuple[float, float]:
        """Give the scale of x and y, which differ a little as sizes are whole pixels."""
        return self.size[0] / self.width, self.size[1] / self.height


def placement_of(picture: Picture, fit: Fit, *, height: int, width: int) -> Placement:
    """Find where a picture comes to lie in an input of height x width px."""
    rows, columns = picture.shape[:2]
    if fit is Fit.STRETCH:
        return Placement(columns, rows, (width, height))
    scale = min(width / columns, height / rows)
    size = (max(round(columns * scale), 1), max(round(rows * scale), 1))
    if fit is Fit.TOP_LEFT:
        return Placement(columns, rows, size)
    return Placement(columns, rows, size, ((width - size[0]) // 2, (height - size[1]) // 2))


class HostPlacer:
    """Fills batches with OpenCV: one resize, and one pass from bytes to floats."""

    def __init__(self, layout: Layout, *, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._fit = layout.fit
        self._order = (2, 1, 0) if layout.rgb else (0, 1, 2)  # of the picture's channels
        self._mean = tuple(np.float32(value) for value in layout.mean)
        self._factor = tuple(np.float32(1.0 / value) for value in layout.std)

    def place(self, pictures: Sequence[Picture], size: int) -> tuple[Floats32, list[Placement]]:
        """Give a batch (size, 3, height, width) of pictures, empty where they are fewer, and where each lies."""
        batch = np.zeros((size, 3, self.height, self.width), np.float32)
        return batch, [self._fill(row, picture) for row, picture in zip(batch, pictures, strict=False)]

    def _fill(self, planes: Floats32, picture: Picture) -> Placement:
        placed = placement_of(picture, self._fit, height=self.height, width=self.width)
        (x, y), (columns, rows) = placed.offset, placed.size
        canvas = np.full((self.height, self.width, 3), GREY, np.uint8)
        inside = canvas[y : y + rows, x : x + columns]
        cv2.resize(picture, (columns, rows), dst=inside)
        fill_planes(planes, canvas, order=self._order, mean=self._mean, factor=self._factor)
        return placed


def fill_planes(
    planes: Floats32,
    picture: Picture,
    *,
    order: Sequence[int],
    mean: Sequence[np.float32],
    factor: Sequence[np.float32],
) -> None:
    """Fill (3, rows, columns) with (channel - mean) * factor of a picture's channels in an order."""
    # split first: reading every third byte is slower than both passes together
    channels = cv2.split(picture)
    for plane, channel, centre, times in zip(planes, order, mean, factor, strict=True):
        np.multiply(channels[channel], times, out=plane)
        if centre:
            plane -= centre * times
