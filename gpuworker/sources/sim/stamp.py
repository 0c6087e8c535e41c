"""A number drawn into a picture so that it can be read back from it, whatever JPEG and scaling made of it."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

NUMBER_BITS, CHECK_BITS = 24, 8
CELLS = NUMBER_BITS + CHECK_BITS
CELL_SHARE = 1 / (
    CELLS + 2
)  # of the picture's width, a cell is square; the first and the last are left white and black
DARK, BRIGHT = 32, 224


class UnreadableStampError(ValueError):
    """A picture holds no number, or one that was damaged."""


def stamp_draw(image: Image, number: int) -> None:
    """Draw a number into the top of a picture, modulo 2**24, as a row of dark and bright cells."""
    value = number % (1 << NUMBER_BITS)
    word = value << CHECK_BITS | _check(value)
    bits = [True, *((word >> place) & 1 == 1 for place in reversed(range(CELLS))), False]
    edges = _edges(image)
    height = edges[1]
    for cell, bit in enumerate(bits):
        image[:height, edges[cell] : edges[cell + 1]] = BRIGHT if bit else DARK


def stamp_read(image: Image) -> int:
    """Give the number that was drawn into a picture.

    Raises:
        UnreadableStampError: there is none, or it was damaged.
    """
    edges = _edges(image)
    rows = slice(edges[1] // 4, max(edges[1] * 3 // 4, edges[1] // 4 + 1))
    means = []
    for left, right in pairwise(edges):
        margin = (right - left) // 4
        means.append(float(image[rows, left + margin : right - margin].mean()))
    bits = [mean > (DARK + BRIGHT) / 2 for mean in means]
    word = int("".join("1" if bit else "0" for bit in bits[1:-1]), 2)
    value, check = word >> CHECK_BITS, word & (1 << CHECK_BITS) - 1
    if not bits[0] or bits[-1] or check != _check(value):
        raise UnreadableStampError("the picture holds no number that can be read")
    return value


def _edges(image: Image) -> list[int]:
    return [round(cell * CELL_SHARE * image.shape[1]) for cell in range(CELLS + 3)]


def _check(value: int) -> int:
    """Give a check that tells a number from those next to it and from nothing at all."""
    return (value * 167 + (value >> 8) * 59 + (value >> 16) * 31 + 90) & (1 << CHECK_BITS) - 1
