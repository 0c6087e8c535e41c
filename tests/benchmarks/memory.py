"""Whether the tracker's memory stays flat while people come and go for an hour of their time.

Who has left is remembered, with looks, for a time (``memory_s`` of the identity settings), so memory grows for
as long and has to be flat from then on.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np
import psutil

from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.settings import IdentitySettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Floats32, Site
from gpuworker.sources.sim.detect import TrueBoxes
from tests.benchmarks.contest import NoDetector
from tests.benchmarks.loads import Crowd, walk

HOUR = Crowd(cameras=4, people=40, fps=4.0, seconds=3600.0)
SAMPLE_S = 60.0
WARM_UP_S = IdentitySettings().memory_s + 120.0
DIMENSION = 512
LOOK_NOISE = 0.5  # length, beside a look's own of 1: one person's embeddings are 0.8 alike


def memory(crowd: Crowd = HOUR, sample_s: float = SAMPLE_S) -> dict[str, Any]:
    """Follow a crowd and note the resident memory now and then; the slope is over what comes after warm-up."""
    pipeline = Pipeline(
        detector=NoDetector(),
        embedder=None,
        site=Site(cameras=crowd.views()),
        take_track_number=count(1).__next__,
        take_person_number=count(1).__next__,
    )
    process = psutil.Process()
    persons: set[int] = set()
    samples = []
    every = round(sample_s * crowd.fps)
    for tick, (observations, _) in enumerate(walk(crowd, embeddings(crowd.seed)), 1):
        persons |= set(pipeline.follow(observations).people.person.tolist())
        if tick % every == 0:
            samples.append((tick / crowd.fps, process.memory_info().rss / 1e6, len(pipeline.known_persons())))
    return {
        "cameras": crowd.cameras,
        "people": crowd.people,
        "fps": crowd.fps,
        "simulated_s": crowd.seconds,
        "persons": len(persons),
        "resident_mb": [round(mb, 2) for _, mb, _ in samples],
        "remembered": [known for _, _, known in samples],
        "sample_s": sample_s,
        "warm_up_s": WARM_UP_S,
        "growth_mb_per_h": growth_mb_per_h(np.array([sample[:2] for sample in samples]), WARM_UP_S),
    }


def embeddings(seed: int) -> Callable[[TrueBoxes, Detections], Floats32]:
    """Give a way to describe boxes: one unit vector a person, with noise; NaN for a box that shows nobody."""
    rng = np.random.default_rng([seed, 98])

    @lru_cache(maxsize=256)
    def own(who: int) -> np.ndarray:
        return _unit(np.random.default_rng([seed, who]).normal(size=DIMENSION))

    def describe(boxes: TrueBoxes, found: Detections) -> Floats32:
        shared = iou(found.xyxy, boxes.visible_xyxy)
        out = np.full((len(found), DIMENSION), np.nan)
        for row in np.flatnonzero(shared.max(axis=1, initial=0.0) > 0.5):
            who = int(boxes.ids[shared[row].argmax()])
            out[row] = _unit(own(who) + LOOK_NOISE * _unit(rng.normal(size=DIMENSION)))
        return out.astype(np.float32)

    return describe


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


def growth_mb_per_h(samples: np.ndarray, warm_up_s: float) -> float | None:
    """Fit a line to samples (n, 2) of seconds and MB after warm-up; None where there are fewer than three."""
    late = samples[samples[:, 0] > warm_up_s]
    if len(late) < 3:
        return None
    return round(3600 * float(np.polyfit(late[:, 0], late[:, 1], 1)[0]), 2)
