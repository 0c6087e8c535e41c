"""How fast and how right the floor tracker is, beside its peers: `python -m tests.benchmarks.tracker`.

Everything starts from ready-made boxes and runs on one core: crowds of several sizes and, where they lie beside
the checkout, recorded scenes, each followed by SpotOn and by two peers; filters alone; and, with `--hour`, the
memory over an hour of simulated time. Each part runs in a process of its own. Parts that are left out keep
their results from before.
"""

import argparse
import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gpuworker.scoring import PROTOCOL
from tests.benchmarks.contest import OURS, contest
from tests.benchmarks.filters import filters
from tests.benchmarks.loads import Crowd, crowd_load, scene_load, scored_scenes
from tests.benchmarks.machine import machine
from tests.benchmarks.memory import memory

RESULT = Path(__file__).parent / "results" / "tracker.json"
SCENES = Path(__file__).resolve().parents[3] / "shared" / "scenes"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

FILTERS, MEMORY = "filters", "memory"
CROWDS = {
    crowd.name: crowd
    for crowd in (
        Crowd(cameras=4, people=20, fps=10.0, seconds=60.0),
        Crowd(cameras=7, people=40, fps=10.0, seconds=60.0),
        Crowd(cameras=4, people=900, fps=15.0, seconds=12.0, width_px=3840),
    )
}
PEER_TICKS = {"4x900": 60}  # the peers take seconds a tick there
GOALS = {"4x20": ("p50", 2.5), "7x40": ("p50", 10.0), "4x900": ("p99", 66.0), FILTERS: ("p50", 0.15)}  # ms

Figures = dict[str, Any]


def main() -> None:
    """Run, print, write."""
    arguments = _arguments()
    parts = _parts(arguments.scenes)
    wanted = arguments.only or [name for name in parts if name != MEMORY or arguments.hour]
    if unknown := sorted(set(wanted) - set(parts)):
        raise SystemExit(f"no part {', '.join(unknown)}: choose from {', '.join(parts)}")
    os.environ |= ONE_THREAD
    measured = _results_so_far(arguments.json)
    before = machine()
    for name in wanted:
        figures = _alone(parts[name])
        measured[name] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **figures}
        print(*lines(name, figures), sep="\n", flush=True)
        text = json.dumps({"machine": before, "protocol": PROTOCOL, "parts": measured}, indent=2)
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(text + "\n")
    print(f"written to {arguments.json}")


def run_crowd(name: str) -> Figures:
    """Let a crowd walk, and follow it."""
    return contest(crowd_load(CROWDS[name]), peer_ticks=PEER_TICKS.get(name))


def run_scene(folder: Path) -> Figures:
    """Follow the people of a recorded scene."""
    return contest(scene_load(folder))


def lines(name: str, figures: Figures) -> list[str]:
    """Give what is printed of a part: CPU ms and scores of each tracker, or of each filter, or the memory."""
    if name == MEMORY:
        (first_mb, *_, last_mb), growth = figures["resident_mb"], figures["growth_mb_per_h"]
        ms = figures["cpu_ms_per_tick"]
        return [
            f"{name:18} {first_mb:.0f} MB at first, {last_mb:.0f} MB at last, in the end growing by {growth} MB an hour",
            f"{'':18} CPU ms a tick {ms[0]:.1f} at first, {max(ms):.1f} at most",
        ]
    if name == FILTERS:
        return [f"{name:18} {way:10} {_ms(figures[way])}" for way in ("arrays", "filterpy")] + _goal(name)
    return [
        f"{name:18} {tracker:10} {_ms(f)}   IDF1 {f['idf1']:.3f}  MOTA {f['mota']:6.3f}  "
        f"precision {f['precision']:.3f}  recall {f['recall']:.3f}  switches {f['switches']:4}"
        for tracker, f in figures["trackers"].items()
    ] + _goal(name)


def _ms(figures: Figures) -> str:
    cpu, wall = figures["cpu_ms"], figures["wall_ms"]
    return f"CPU ms p50 {cpu['p50']:8.3f}  p95 {cpu['p95']:8.3f}  p99 {cpu['p99']:8.3f}  (wall p50 {wall['p50']:8.3f})"


def _goal(name: str) -> list[str]:
    return [f"{'':18} goal of {OURS}: {GOALS[name][0]} {GOALS[name][1]:g} ms"] if name in GOALS else []


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--scenes", type=Path, default=SCENES, help="folder of recorded scenes, may be absent"
    )
    parser.add_argument("--hour", action="store_true", help="measure the memory too, which takes a while")
    parser.add_argument(
        "--only", nargs="+", metavar="PART", help="filters, memory, a crowd or a scene by name"
    )
    parser.add_argument("--json", type=Path, default=RESULT)
    return parser.parse_args()


def _parts(scenes: Path) -> dict[str, Callable[[], Figures]]:
    return {
        FILTERS: filters,
        **{name: partial(run_crowd, name) for name in CROWDS},
        **{folder.name: partial(run_scene, folder) for folder in scored_scenes(scenes)},
        MEMORY: memory,
    }


def _alone(part: Callable[[], Figures]) -> Figures:
    """Run a part in a process of its own, whose libraries start with the environment of now."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(part).result()


def _results_so_far(path: Path) -> dict[str, Figures]:
    """Give the parts measured before, unless that was on another processor."""
    if not path.exists():
        return {}
    before = json.loads(path.read_text())
    return dict(before["parts"]) if before["machine"]["cpu"] == machine()["cpu"] else {}


if __name__ == "__main__":
    main()
