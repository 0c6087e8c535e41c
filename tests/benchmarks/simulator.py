"""How right people of the simulated plaza are followed: `python -m tests.benchmarks simulator`.

Four cameras, 20 people, and boxes as a detector gives them in a crowd (CROWD of gpuworker.sources.sim.detect), by
geometry alone. Each row is run with several seeds, of people, noise and errors alike; the table gives mean and worst.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.values import Event, Observation, StepResult
from gpuworker.scoring import Scores
from gpuworker.sources.sim.worlds import SharedWorld, Worlds
from tests.benchmarks.machine import machine
from tests.gpuworker import plaza

RESULT = Path(__file__).parent / "results" / "simulator.json"
PEOPLE, SECONDS, FPS = 20, 40.0, 10.0
OFF_PX, MOVED_PX = 8.0, 20.0
MOVED_S, WATCHED_S = 20.0, 55.0  # the camera moves, and the run ends
NAMED_WITHIN_S = 30.0
RATES = (1.0, 2.0, 5.0, 10.0, 25.0)
SEEDS = (1, 2, 3, 4, 5)

HEADING = ("| row | IDF1 mean (worst) | MOTA | MOTP m | switches | |", "|---|---|---|---|---|---|")

Row = Callable[[int], "Followed"]


@dataclass(frozen=True, slots=True)
class Followed:
    """How one run went.

    Attributes:
        named_s: how long after its move the camera that moved was named; None for never, or where none moved.
        moved_px: by how much it was said to have moved then.
        blamed: cameras that were said to have moved and had not.
    """

    scores: Scores
    named_s: float | None = None
    moved_px: float | None = None
    blamed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row has to reach in the mean over the seeds."""

    idf1: float
    mota: float | None = None


@cache
def empty_views() -> Worlds:
    """Give where the empty views of this process are kept."""
    return Worlds()


def world_of(seed: int) -> SharedWorld:
    """Give the people."""
    return SharedWorld(people=PEOPLE, seed=seed)


@cache
def in_step(seed: int, fps: float = FPS, seconds: float = SECONDS) -> Sequence[list[Observation]]:
    """Give what cameras in step show, tick by tick."""
    shots = plaza.together(fps, seconds)
    return plaza.ticks(plaza.watch(world_of(seed), empty_views(), shots, seed=seed), 1 / fps)


def together(seed: int, *, fps: float = FPS, settings: PipelineSettings | None = None) -> Followed:
    """Follow people by cameras in step."""
    return _followed(seed, plaza.pipeline(settings=settings), in_step(seed, fps))


def miscalibrated(seed: int, *, settings: PipelineSettings | None = None) -> Followed:
    """Follow people by cameras whose calibrations are off, each in a direction of its own."""
    return _followed(seed, plaza.pipeline(plaza.miscalibrated(seed, OFF_PX), settings), in_step(seed))


def moved(seed: int) -> Followed:
    """Follow people by miscalibrated cameras one of which is moved."""
    angle, camera = np.random.default_rng([seed, 4]).uniform(0, 2 * np.pi), seed % len(plaza.CAMERAS)
    way = (MOVED_PX * np.cos(angle), MOVED_PX * np.sin(angle))
    shots = plaza.together(FPS, WATCHED_S)
    arrivals = plaza.watch(world_of(seed), empty_views(), shots, seed=seed, moved=(camera, MOVED_S, way))
    believed = plaza.pipeline(plaza.miscalibrated(seed, OFF_PX))
    return _followed(seed, believed, plaza.ticks(arrivals, 1 / FPS), plaza.CAMERAS[camera].camera_id)


def apart(seed: int) -> Followed:
    """Follow people by cameras of different rates, whose frames come late and out of order."""
    arrivals = plaza.watch(world_of(seed), empty_views(), plaza.apart(seed, SECONDS), seed=seed)
    return _followed(seed, plaza.pipeline(), plaza.ticks(arrivals, 0.05))


ROWS: dict[str, Row] = {
    "in step": together,
    "8 px off": miscalibrated,
    "camera moved 20 px": moved,
    "5 to 25 fps, late": apart,
    **{f"{fps:g} fps": partial(together, fps=fps) for fps in RATES},
}
GOALS = {
    "in step": Goal(0.96, 0.94),
    "8 px off": Goal(0.94),
    "camera moved 20 px": Goal(0.94),
    "5 to 25 fps, late": Goal(0.94),
}


def _followed(
    seed: int, pipeline: Any, ticks: Iterable[list[Observation]], moving: str | None = None
) -> Followed:
    results: list[StepResult] = []
    named: list[Event] = []
    for seen in ticks:
        results.append(pipeline.follow(seen))
        named += [event for event in results[-1].events if event.kind == "camera_moved"]
    right = [e for e in named if e.camera_id == moving and e.at >= plaza.BEGIN + timedelta(seconds=MOVED_S)]
    return Followed(
        scores=plaza.scores(world_of(seed), results),
        named_s=(right[0].at - plaza.BEGIN).total_seconds() - MOVED_S if right else None,
        moved_px=float(str(right[0].payload["moved_px"])) if right else None,
        blamed=tuple(str(e.camera_id) for e in named if e not in right),
    )


def row(run: Row, seeds: Sequence[int]) -> dict[str, Any]:
    """Run a row with each seed."""
    runs = [run(seed) for seed in seeds]
    figures: dict[str, Any] = {"seeds": list(seeds)}
    for name in ("idf1", "mota", "motp_m", "switches", "recall", "precision"):
        values = np.array([getattr(r.scores, name) for r in runs], dtype=np.float64)
        worst = values.max() if name in ("motp_m", "switches") else values.min()
        figures[name] = {
            "mean": round(float(values.mean()), 4),
            "worst": round(float(worst), 4),
            "each": values.round(4).tolist(),
        }
    figures["blamed"] = [list(r.blamed) for r in runs]
    if any(r.named_s is not None for r in runs):
        figures["named_s"] = [None if r.named_s is None else round(r.named_s, 1) for r in runs]
    return figures


def line(name: str, figures: dict[str, Any]) -> str:
    """Give a row of the table."""
    goal = GOALS.get(name)
    cells = [f"{figures[s]['mean']:.3f} ({figures[s]['worst']:.3f})" for s in ("idf1", "mota", "motp_m")]
    cells.append(f"{figures['switches']['mean']:.1f} ({figures['switches']['worst']:.0f})")
    wrong = sum(map(len, figures["blamed"]))
    notes = [f"{wrong} blamed wrongly"] if wrong else []
    if "named_s" in figures:
        notes.append(
            "named after " + ", ".join("-" if s is None else f"{s:g}" for s in figures["named_s"]) + " s"
        )
    if goal:
        notes.append(f"goal {goal.idf1:g}" + (f" / {goal.mota:g}" if goal.mota else ""))
    return f"| {name} | {' | '.join(cells)} | {'; '.join(notes)} |"


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    before = machine()
    rows: dict[str, Any] = {}
    lines: list[str] = []
    print(*HEADING, sep="\n")
    for name in arguments.only:
        rows[name] = row(ROWS[name], arguments.seeds)
        lines.append(line(name, rows[name]))
        print(lines[-1], flush=True)
    result = {
        "machine": before,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "people": PEOPLE,
        "seconds": SECONDS,
        "rows": rows,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    arguments.json.with_suffix(".md").write_text("\n".join([*HEADING, *lines]) + "\n")
    print(f"written to {arguments.json}, and the table beside it")


if __name__ == "__main__":
    main()
