"""Embedder without weights: colours and texture of a person in soft horizontal stripes."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.spec import Spec
from gpuworker.pipeline.values import Floats32, Frame

ROWS, COLUMNS = 48, 24  # what a crop with its margins is brought to
MARGIN = 0.25  # beside the box, in box widths: shows what is behind the person
STRIPES = 8  # from head to feet
BINS = (6, 3, 3)  # hue, saturation, value
LEVELS = 32  # a channel of the look-up table from colour to bins
BACKGROUND = 0.8  # share of the margin's colours that is taken off
TEXTURE = 0.3  # weight of the gradients beside the colours
FLOOR = 1e-4  # share of a stripe under which a bin is noise


class ColourEmbedder:
    """Describes a person by soft HSV histograms and gradient energies of overlapping stripes.

    The middle of the box counts most, and colours that also fill the margins beside the box are
    discounted as background. Square roots turn the cosine of two vectors into the Bhattacharyya
    coefficient of their histograms.

    Source: stripes and weighting after Lisanti et al., Person Re-Identification by Iterative Re-Weighted
    Sparse Ranking (2015), section 3; the constants by cross-camera AUC on recorded people.
    """

    name = "colour-1"
    dimension = STRIPES * (int(np.prod(BINS)) + 4)

    def __init__(self) -> None:
        self._words = colour_words()
        self._person, self._background = stripe_weights()

    def embed(self, frame: Frame, xyxy: Floats32) -> Floats32:
        """Give unit embeddings of boxes (n, 4) px of one frame, (n, dimension); NaN beside the picture."""
        out = np.full((len(xyxy), self.dimension), np.nan, np.float32)
        crops = [cut(frame.image, box) for box in xyxy]
        rows = [i for i, crop in enumerate(crops) if crop is not None]
        if rows:
            pictures = np.stack([crop for crop in crops if crop is not None])
            out[rows] = self._describe(pictures)
        return out

    def _describe(self, crops: NDArray[np.uint8]) -> Floats32:
        parts = np.concatenate([self._colours(crops), TEXTURE * self._texture(crops)], axis=1)
        return np.asarray(parts / np.linalg.norm(parts, axis=1, keepdims=True), dtype=np.float32)

    def _colours(self, crops: NDArray[np.uint8]) -> Floats32:
        level = crops.reshape(len(crops), -1, 3).astype(np.intp) * LEVELS // 256
        words = self._words[
            (level[..., 0] * LEVELS + level[..., 1]) * LEVELS + level[..., 2]
        ]  # (n, px, bins)
        person, background = self._person @ words, self._background @ words  # (n, stripes, bins)
        person = np.maximum(person - BACKGROUND * np.minimum(background, person), FLOOR)
        return _unit(np.sqrt(person))

    def _texture(self, crops: NDArray[np.uint8]) -> Floats32:
        # the square root evens out the gain of the illumination
        grey = np.sqrt(crops.astype(np.float32).mean(axis=3))
        dx = np.zeros_like(grey)
        dy = np.zeros_like(grey)
        dx[:, :, 1:-1] = grey[:, :, 2:] - grey[:, :, :-2]
        dy[:, 1:-1] = grey[:, 2:] - grey[:, :-2]
        energies = np.abs(np.stack([dx, dy, dx + dy, dx - dy], axis=-1)).reshape(len(crops), -1, 4)
        return _unit(np.sqrt(self._person @ energies))


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


def cut(image: NDArray[np.uint8], box: Floats32) -> NDArray[np.uint8] | None:
    """Cut a box (4,) px with its margins to (ROWS, COLUMNS, 3); None where it lies beside the picture."""
    if not np.isfinite(box).all():
        return None
    height, width = image.shape[:2]
    margin = MARGIN * (box[2] - box[0])
    left, right = int(np.floor(box[0] - margin)), int(np.ceil(box[2] + margin))
    top, bottom = max(int(box[1]), 0), min(int(np.ceil(box[3])), height)
    seen = image[top:bottom, max(left, 0) : max(min(right, width), 0)]
    if not seen.size or box[2] <= 0 or box[0] >= width:
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


def _unit(values: NDArray) -> Floats32:
    flat = values.reshape(len(values), -1)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(length, 1e-12), dtype=np.float32)
