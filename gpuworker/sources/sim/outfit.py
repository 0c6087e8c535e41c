"""How each simulated person looks: drawn from the seed and the person's id, distinct at a glance."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Bgr = tuple[int, int, int]

# neighbours in these lists differ strongly; ids walk through them with steps that share no factor
TOPS: tuple[Bgr, ...] = (
    (52, 48, 196), (150, 90, 34), (60, 190, 232), (62, 128, 54), (226, 226, 222), (140, 62, 142),
    (38, 124, 236), (48, 44, 42), (180, 168, 62), (170, 140, 238), (72, 36, 112), (205, 172, 128),
    (84, 104, 128), (70, 176, 142), (120, 44, 36), (128, 126, 122),
)  # fmt: skip
TROUSERS: tuple[Bgr, ...] = (
    (92, 62, 44), (52, 50, 48), (128, 158, 176), (110, 104, 98), (62, 78, 58), (204, 206, 202), (48, 62, 96),
    (40, 34, 30), (150, 120, 88),
)  # fmt: skip
SKINS: tuple[Bgr, ...] = ((150, 178, 222), (120, 152, 204), (84, 118, 172), (58, 84, 130), (46, 62, 96))
HAIRS: tuple[Bgr, ...] = (
    (32, 30, 34),
    (34, 54, 86),
    (70, 116, 158),
    (96, 160, 198),
    (168, 168, 170),
    (40, 62, 132),
)
SHOES: tuple[Bgr, ...] = ((36, 34, 34), (222, 222, 224), (52, 76, 112), (48, 46, 160))
PATTERNS = ("plain", "stripes", "two-tone", "open jacket", "plain", "coat", "skirt")


@dataclass(frozen=True, slots=True)
class Outfit:
    """What somebody wears; colours are BGR."""

    skin: Bgr
    hair: Bgr
    long_hair: bool
    hat: Bgr | None
    top: Bgr
    second: Bgr
    pattern: str
    short_sleeves: bool
    trousers: Bgr
    shorts: bool
    shoes: Bgr
    backpack: Bgr | None
    build: float  # width of the body, 1 on average


def outfit_of(seed: int, person_id: int) -> Outfit:
    """Give the look of a person: always the same for the same seed and id."""
    rng = np.random.default_rng([seed, person_id, 77])
    start = seed * 5 + person_id
    top = TOPS[start * 7 % len(TOPS)]
    second = TOPS[(start * 7 + 4 + int(rng.integers(0, 9))) % len(TOPS)]
    pattern = PATTERNS[(start * 3 + int(rng.integers(0, 2))) % len(PATTERNS)]
    skin = SKINS[int(rng.integers(len(SKINS)))]
    return Outfit(
        skin=skin,
        hair=HAIRS[int(rng.integers(len(HAIRS)))],
        long_hair=bool(rng.random() < 0.4),
        hat=TOPS[int(rng.integers(len(TOPS)))] if rng.random() < 0.18 else None,
        top=top,
        second=second,
        pattern=pattern,
        short_sleeves=pattern not in ("coat", "open jacket") and bool(rng.random() < 0.4),
        trousers=skin if pattern == "skirt" and rng.random() < 0.5 else TROUSERS[start * 5 % len(TROUSERS)],
        shorts=pattern in ("plain", "stripes") and bool(rng.random() < 0.2),
        shoes=SHOES[int(rng.integers(len(SHOES)))],
        backpack=TOPS[int(rng.integers(len(TOPS)))] if rng.random() < 0.25 else None,
        build=float(np.clip(rng.normal(1.0, 0.07), 0.86, 1.2)),
    )


@lru_cache(maxsize=4096)
def lit(colour: Bgr, light: float) -> Bgr:
    """Make a colour lighter or darker."""
    b, g, r = (min(255, max(0, int(c * light + (light - 1) * 12))) for c in colour)
    return b, g, r
