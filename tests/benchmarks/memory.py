"""Whether the tracker's memory stays flat while people come and go for an hour of their time.

Who has left is remembered, with looks, for a time (``memory_s`` of the identity settings), so memory grows for
as long and has to be flat from then on.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from time import process_time
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.settings import IdentitySettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Floats32, Site
from gpuworker.sources.sim.detect import TrueBoxes
from tests.benchmarks.contest import NoDetector
from tests.benchmarks.loads import Crowd, walk

Floats = NDArray[np.float64]

HOUR = Crowd(cameras=4, people=40, fps=2.0, seconds=3600.0)
SAMPLE_S = 60.0
WARM_UP_S = IdentitySettings().memory_s + 120.0
DIMENSION = 512
LOOK_NOISE = 0.5  # length, beside a look's own of 1: one person's embeddings are 0.8 alike


def memory(crowd: Crowd = HOUR, sample_s: float = SAMPLE_S) -> dict[str, Any]:
    """Follow a crowd and note now and then the resident memory, who is remembered and what ticks cost.

    The slope is over what comes after warm-up.
    """
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
    every, spent_s = round(sample_s * crowd.fps), 0.0
    for tick, (observations, _) in enumerate(walk(crowd, embeddings(crowd.seed)), 1):
        began = process_time()
        result = pipeline.follow(observations)
        spent_s += process_time() - began
        persons |= set(result.people.person.tolist())
        if tick % every == 0:
            resident_mb, known = (
                process.memory_info().rss / 1e6,
                len(getattr(pipeline.memory(), "persons", ())),
            )
            samples.append((tick / crowd.fps, resident_mb, known, 1e3 * spent_s / every))
            spent_s = 0.0
    seconds, resident, remembered, cpu = np.array(samples).T
    return {
        "cameras": crowd.cameras,
        "people": crowd.people,
        "fps": crowd.fps,
        "simulated_s": crowd.seconds,
        "persons": len(persons),
        "sample_s": sample_s,
        "resident_mb": resident.round(2).tolist(),
        "remembered": remembered.astype(int).tolist(),
        "cpu_ms_per_tick": cpu.round(3).tolist(),
        "warm_up_s": WARM_UP_S,
        "growth_mb_per_h": growth_mb_per_h(seconds, resident, WARM_UP_S),
    }


def embeddings(seed: int) -> Callable[[TrueBoxes, Detections], Floats32]:
    """Give a way to describe boxes: one unit vector a person, with noise; NaN for a box that shows nobody."""
    rng = np.random.default_rng([seed, 98])

    @lru_cache(maxsize=256)
    def own(who: int) -> Floats:
        return _unit(np.random.default_rng([seed, who]).normal(size=DIMENSION))

    def describe(boxes: TrueBoxes, found: Detections) -> Floats32:
        shared = iou(found.xyxy, boxes.visible_xyxy)
        out = np.full((len(found), DIMENSION), np.nan)
        for row in np.flatnonzero(shared.max(axis=1, initial=0.0) > 0.5):
            who = int(boxes.ids[shared[row].argmax()])
            out[row] = _unit(own(who) + LOOK_NOISE * _unit(rng.normal(size=DIMENSION)))
        return out.astype(np.float32)

    return describe


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector))


def growth_mb_per_h(seconds: Floats, resident_mb: Floats, warm_up_s: float) -> float | None:
    """Fit a line to the memory after warm-up; None where there are fewer than three samples of it."""
    late = seconds > warm_up_s
    if late.sum() < 3:
        return None
    return round(3600 * float(np.polyfit(seconds[late], resident_mb[late], 1)[0]), 2)
