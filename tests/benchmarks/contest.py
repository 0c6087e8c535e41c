"""Runs trackers over the same load, one after the other, and says how fast and how right each is."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count
from time import perf_counter, process_time
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Observation, Site
from gpuworker.scoring import Positions, score
from tests.benchmarks.loads import Load
from tests.benchmarks.peers import FilterPerTrack, LinkedByteTracks

WARM_UP_S = 2.0  # in which everybody is new at once
PERCENTILES = (50, 95, 99)
OURS = "spoton"


class Tracker(Protocol):
    """Follows people on the floor."""

    def step(self, observations: Sequence[Observation]) -> Positions:
        """Give who is published where after one tick."""
        ...


class NoDetector:
    """Stands where a detector would: everything was detected before."""

    name = "none"

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give no boxes."""
        return [Detections.empty() for _ in frames]


class Floor:
    """SpotOn's own pipeline from boxes on.

    Attributes:
        stages_ms: of each tick so far.
    """

    def __init__(self, load: Load) -> None:
        """Begin with nobody."""
        self.pipeline = Pipeline(
            detector=NoDetector(),
            embedder=None,
            site=Site(cameras=load.cameras),
            take_track_number=count(1).__next__,
            take_person_number=count(1).__next__,
        )
        self.stages_ms: list[dict[str, float]] = []

    def step(self, observations: Sequence[Observation]) -> Positions:
        """Give who is where after one tick."""
        result = self.pipeline.follow(observations)
        self.stages_ms.append(result.stages_ms)
        return Positions(result.people.person, result.people.state[:, :2])


@dataclass(frozen=True, slots=True)
class Run:
    """What a tracker published, and what each tick took."""

    published: list[Positions]
    wall_ms: NDArray[np.float64]
    cpu_ms: NDArray[np.float64]


def contest(load: Load, *, peer_ticks: int | None = None) -> dict[str, Any]:
    """Run SpotOn and its peers over a load; scores are over the ticks that all have run.

    Args:
        load: the input.
        peer_ticks: as many ticks for the peers, None for all; only SpotOn's times then come from all of them.
    """
    common = min(peer_ticks or len(load.ticks), len(load.ticks))
    ours = Floor(load)
    runs = {
        OURS: carry(ours, load, len(load.ticks)),
        "bytetrack": carry(LinkedByteTracks(load.cameras, load.fps), load, common),
        "filterpy": carry(FilterPerTrack(load.cameras), load, common),
    }
    warm_up = round(WARM_UP_S * load.fps)
    figures = {name: _figures(run, load, warm_up, common) for name, run in runs.items()}
    figures[OURS]["stages_ms"] = _means(ours.stages_ms[warm_up:])
    return {
        "cameras": len(load.cameras),
        "fps": load.fps,
        "warm_up_ticks": warm_up,
        "scored_ticks": common,
        "boxes_per_tick": round(float(np.mean([sum(len(o.detections) for o in t) for t in load.ticks])), 1),
        "people": _identities([t.inside(load.bounds_m) for t in load.truth[:common]]),
        "trackers": figures,
    }


def carry(tracker: Tracker, load: Load, ticks: int) -> Run:
    """Run a tracker over the first ticks of a load."""
    published, wall_s, cpu_s = [], [], []
    for observations in load.ticks[:ticks]:
        cpu, wall = process_time(), perf_counter()
        published.append(tracker.step(observations))
        cpu_s.append(process_time() - cpu)
        wall_s.append(perf_counter() - wall)
    return Run(published, 1e3 * np.array(wall_s), 1e3 * np.array(cpu_s))


def percentiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Give p50, p95 and p99."""
    return {f"p{p}": round(float(np.percentile(values, p)), 4) for p in PERCENTILES}


def _figures(run: Run, load: Load, warm_up: int, common: int) -> dict[str, Any]:
    truth = [t.inside(load.bounds_m) for t in load.truth[:common]]
    published = [p.inside(load.bounds_m) for p in run.published[:common]]
    scores = {
        name: value if value is None else round(value, 4)
        for name, value in asdict(score(truth, published)).items()
    }
    return {
        "ticks": len(run.wall_ms) - warm_up,
        "wall_ms": percentiles(run.wall_ms[warm_up:]),
        "cpu_ms": percentiles(run.cpu_ms[warm_up:]),
        **scores,
        "identities": _identities(published),
    }


def _means(ticks: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for tick in ticks for name in tick)
    return {name: round(float(np.mean([tick.get(name, 0.0) for tick in ticks])), 3) for name in names}


def _identities(ticks: Sequence[Positions]) -> int:
    return len({i for tick in ticks for i in tick.ids.tolist()})
