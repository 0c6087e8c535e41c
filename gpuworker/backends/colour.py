"""Embedder without weights: colours of a person in soft horizontal stripes."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.crops import by_frame
from gpuworker.backends.spec import Spec
from gpuworker.pipeline.values import Floats32, Frame

ROWS, COLUMNS = 48, 24  # what a crop with its margins is brought to
MARGIN = 0.25  # beside the box, in box widths: shows what is behind the person
STRIPES = 8  # from head to feet
BINS = (6, 3, 3)  # hue, saturation, value
LEVEL_BITS = 5  # a channel of the look-up table from colour to bins
LEVELS = 1 << LEVEL_BITS
BACKGROUND = 0.8  # share of the margin's colours that is taken off
FLOOR = 1e-4  # share of a stripe under which a bin is noise


class ColourEmbedder:
    """Describes a person by soft HSV histograms of overlapping stripes.

    The middle of the box counts most, and colours that also fill the margins beside the box are
    discounted as background. Square roots turn the cosine of two vectors into the Bhattacharyya
    coefficient of their histograms.

    Source: stripes and weighting after Lisanti et al., Person Re-Identification by Iterative Re-Weighted
    Sparse Ranking (2015), section 3; the constants by cross-camera AUC on recorded people.
    """

    name = "colour-2"
    dimension = STRIPES * int(np.prod(BINS))

    def __init__(self) -> None:
        self._words = colour_words()
        self._weights = np.concatenate(stripe_weights())  # (2 * STRIPES, px): person, then background

    def embed(self, frames: Sequence[Frame], xyxy: Sequence[Floats32]) -> list[Floats32]:
        """Give unit embeddings of boxes (n, 4) px of each frame, (n, dimension); NaN beside the picture."""
        crops = [
            cut(frame.image, box) for frame, boxes in zip(frames, xyxy, strict=True) for box in boxes.tolist()
        ]
        out = np.full((len(crops), self.dimension), np.nan, np.float32)
        rows = [i for i, crop in enumerate(crops) if crop is not None]
        if rows:
            pictures = np.stack([crop for crop in crops if crop is not None])
            out[rows] = self._describe(pictures)
        return by_frame(out, xyxy)

    def _describe(self, crops: NDArray[np.uint8]) -> Floats32:
        level = crops.reshape(-1, 3) >> (8 - LEVEL_BITS)
        blue, green, red = level.T.astype(np.int32)
        word = (blue << 2 * LEVEL_BITS) | (green << LEVEL_BITS) | red
        words = self._words.take(word, axis=0).reshape(len(crops), -1, self._words.shape[1])  # (n, px, bins)
        shares = self._weights @ words  # (n, 2 * stripes, bins)
        person, background = shares[:, :STRIPES], shares[:, STRIPES:]
        person = np.maximum(person - BACKGROUND * np.minimum(background, person), FLOOR)
        flat = np.sqrt(person).reshape(len(crops), -1)
        return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True), dtype=np.float32)


def make_colour_embedder(spec: Spec) -> ColourEmbedder:
    """Make the embedder; it has no options.

    Raises:
        BackendError: a path or an option is given.
    """
    spec.no_argument()
    spec.numbers()
    return ColourEmbedder()


def colour_words() -> Floats32:
    """Give for each BGR colour of LEVELS a channel its share in each HSV bin, (LEVELS ** 3, bins)."""
    level = (np.arange(LEVELS, dtype=np.float32) + 0.5) / LEVELS
    bgr = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    hue, saturation, value = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV).reshape(-1, 3).T
    axes = (
        _soft_bins(hue / 360.0, BINS[0], circular=True),
        _soft_bins(saturation, BINS[1], circular=False),
        _soft_bins(value, BINS[2], circular=False),
    )
    shares = np.einsum("nh,ns,nv->nhsv", *axes).reshape(len(hue), -1)
    return np.asarray(shares, dtype=np.float32)


def stripe_weights() -> tuple[Floats32, Floats32]:
    """Give the weights of pixels in each stripe, (STRIPES, px): of the person, and of the margins."""
    x = ((np.arange(COLUMNS) + 0.5) / COLUMNS - 0.5) * (1 + 2 * MARGIN)  # 0 in the middle, box -0.5 to 0.5
    y = (np.arange(ROWS) + 0.5) / ROWS
    middle = np.exp(-0.5 * (x / 0.2) ** 2) * (np.abs(x) < 0.5)
    beside = np.abs(x) > 0.42  # arms reach further, but seldom
    centres, step = np.linspace(0.08, 0.94, STRIPES, retstep=True)

    def weights(columns: NDArray, spread: float) -> Floats32:
        rows = np.exp(-0.5 * ((y - centres[:, None]) / spread) ** 2)  # (stripes, rows)
        both = (rows[:, :, None] * columns).reshape(STRIPES, -1)
        return np.asarray(both / both.sum(axis=1, keepdims=True), dtype=np.float32)

    return weights(middle, 0.6 * step), weights(beside, 1.2 * step)


def cut(image: NDArray[np.uint8], box: Sequence[float]) -> NDArray[np.uint8] | None:
    """Cut a box x1 y1 x2 y2 px with its margins to (ROWS, COLUMNS, 3); None where it lies beside the picture."""
    if not all(map(math.isfinite, box)):
        return None
    x1, y1, x2, y2 = box
    height, width = image.shape[:2]
    margin = MARGIN * (x2 - x1)
    left, right = math.floor(x1 - margin), math.ceil(x2 + margin)
    top, bottom = max(int(y1), 0), min(math.ceil(y2), height)
    seen = image[top:bottom, max(left, 0) : max(min(right, width), 0)]
    if not seen.size or x2 <= 0 or x1 >= width:
        return None
    if left < 0 or right > width:
        sides = max(-left, 0), max(right - width, 0)
        seen = np.pad(seen, ((0, 0), sides, (0, 0)), mode="edge")
    return np.asarray(cv2.resize(seen, (COLUMNS, ROWS), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _soft_bins(share: NDArray, bins: int, *, circular: bool) -> NDArray:
    place = share * bins - 0.5
    low = np.floor(place).astype(int)
    part = place - low
    out = np.zeros((len(share), bins))
    rows = np.arange(len(share))
    for index, weight in ((low, 1.0 - part), (low + 1, part)):
        out[rows, index % bins if circular else np.clip(index, 0, bins - 1)] += weight
    return out
