"""A check that an embedder tells people apart, on drawn people: no footage is needed, and none is kept."""

from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.spec import BackendError
from gpuworker.pipeline.seams import Embedder
from gpuworker.pipeline.values import Floats32, Frame

PEOPLE = 8
HEIGHT, WIDTH = 160, 80  # px, of somebody with what is around
LEAST_AUC = 0.9  # of comparisons; chance gives .5, random weights up to .75, every trained model tried 1
LEAST_SPREAD = 1e-4  # of one minus the cosine between different people; a collapsed model gives rounding


def check_separation(embedder: Embedder) -> None:
    """Check that two drawings of one person are more alike than those of two people.

    Raises:
        BackendError: they are not, or all embeddings are the same, or are no numbers.
    """
    here, there = _looks(embedder, light=1.0, seed=1), _looks(embedder, light=0.8, seed=2)
    if not (np.isfinite(here).all() and np.isfinite(there).all()):
        raise BackendError(f"{embedder.name} gives embeddings that are no numbers: its weights are damaged")
    similarity = here.astype(np.float64) @ there.T
    is_other = ~np.eye(PEOPLE, dtype=bool)
    same, other = np.diag(similarity), similarity[is_other]
    spread = 1.0 - float(similarity.min())
    auc = float(np.mean(same[:, None] > other))
    if spread < LEAST_SPREAD or auc < LEAST_AUC:
        raise BackendError(
            f"{embedder.name} does not tell people apart: of drawn people the same one is the more alike in "
            f"{auc:.0%} of comparisons (at least {LEAST_AUC:.0%} are needed, {1 - spread:.4f} is the least "
            "similarity of two): its weights are random, damaged, or not for this"
        )


def _looks(embedder: Embedder, *, light: float, seed: int) -> Floats32:
    image = np.concatenate(
        [_person(i, light, np.random.default_rng((seed, i))) for i in range(PEOPLE)], axis=1
    )
    left = np.arange(PEOPLE) * WIDTH
    xyxy = np.column_stack([left + 14, np.full(PEOPLE, 8), left + WIDTH - 14, np.full(PEOPLE, HEIGHT - 6)])
    frame = Frame("drawn", 0, datetime(2000, 1, 1, tzinfo=UTC), image)
    return embedder.embed([frame], [xyxy.astype(np.float32)])[0]


def _person(index: int, light: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw somebody whose clothes and build go with the index, a little different each time."""
    colours = np.random.default_rng(100 + index).integers(20, 236, size=(4, 3))
    top, legs, hair, band = (tuple(int(v) for v in colour) for colour in colours)
    picture = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    x, y = WIDTH // 2 + int(rng.integers(-3, 4)), 20 + int(rng.integers(-3, 4))
    wide = 13 + index % 3 * 2
    cv2.rectangle(picture, (x - wide, y + 12), (x + wide, y + 66), top, -1)
    if index % 2:
        cv2.rectangle(picture, (x - wide, y + 30), (x + wide, y + 42), band, -1)
    skirt = 40 if index % 4 == 3 else 68
    for side in (-1, 1):
        cv2.rectangle(picture, (x + side * 8 - 6, y + 66), (x + side * 8 + 6, y + 66 + skirt), legs, -1)
    cv2.ellipse(picture, (x, y), (9, 11), 0, 0, 360, (150, 170, 215), -1)
    cv2.ellipse(picture, (x, y - 4), (10, 9), 0, 180, 360, hair, -1)
    noisy = picture * light + rng.normal(0, 6, picture.shape)
    return np.clip(cv2.GaussianBlur(noisy, (3, 3), 0), 0, 255).astype(np.uint8)
