"""What a pipeline knows of people beyond their tracks, for the pipeline that goes on after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a person.

    Attributes:
        number: the person.
        track: the latest track.
        at, place_m: when and where last published.
        looks: (k, d) unit prototypes, the latest last.
        velocity_mps: (2,) when last published.
    """

    number: int
    track: int
    at: datetime
    place_m: Floats
    looks: Floats
    velocity_mps: Floats = field(default_factory=lambda: np.zeros(2))


@dataclass(frozen=True, slots=True)
class Memory:
    """Everybody who is known, and what looks mean here; of use to a pipeline with the same embedder alone.

    Attributes:
        at: instant of the last tick, at which those of the same instant were on the floor.
        persons: who is known.
        cameras: by camera the weighted sum of its embeddings (d,), and their weight.
        similarities: (2, 3) of different people and of one: how many pairs, their sum and sum of squares.
    """

    at: datetime
    persons: tuple[Known, ...]
    cameras: Mapping[str, tuple[Floats, float]]
    similarities: Floats
