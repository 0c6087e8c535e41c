"""What each part of the tracker is worth: `python -m tests.benchmarks ablations`.

Each part is switched off in turn, by its setting where it has one, and everything is followed again: recorded scenes
where they lie beside the checkout, and the simulated plaza. The table gives the scores with everything on, and for
each part what is lost without it, in points of IDF1 and MOTA; of scenes without truth, how many identities last.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

from gpuworker.backends import make_detector, make_embedder
from gpuworker.evaluation import LASTING_S, RecordedDetector, captured_at, evaluate_scene, site_of
from gpuworker.pipeline import births, matching, visibility
from gpuworker.pipeline.detectability import Detectability
from gpuworker.pipeline.revision import Reviser
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Observation, Site
from gpuworker.replay import Fed, recorded_ticks
from gpuworker.scenes import read_scene
from gpuworker.scoring import Positions, score
from gpuworker.sources.sim.layout import PLAZA
from tests.benchmarks.simulator import FPS, in_step, world_of
from tests.gpuworker import plaza

SCENES = Path(__file__).resolve().parents[3] / "shared" / "scenes"
PETS = "pets-a"
DETECTOR, EMBEDDER = "yolox_nano.onnx", "osnet_x0_25_msmt17.onnx"
TABLE = Path(__file__).parent / "results" / "ablations.md"
SEEDS, SECONDS = (1, 2), 20.0
NEVER, UNBOUNDED = 1e-12, 1e9
SWAY_PSD = 1.125  # m^2/s^3: 1.5 m/s^2 held for half a second, as trackers of pedestrians often assume

Result = tuple[float, float] | int
"""IDF1 and MOTA, or how many identities last."""

Change = Callable[[PipelineSettings], PipelineSettings]


@dataclass(frozen=True, slots=True)
class Case:
    """What is followed.

    Attributes:
        truth: None where it is not known.
    """

    name: str
    fps: float
    site: Site
    bounds_m: tuple[float, float, float, float]
    ticks: Sequence[list[Observation]]
    truth: Sequence[Positions] | None


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the tracker, and how it is switched off."""

    name: str
    change: Change = lambda settings: settings
    without: Callable[[], AbstractContextManager[Any]] = nullcontext


def of(section: str, **values: float) -> Change:
    """Give a change of values in one section of the settings."""

    def change(settings: PipelineSettings) -> PipelineSettings:
        return replace(settings, **{section: replace(getattr(settings, section), **values)})

    return change


@contextmanager
def numbers_as_tracked() -> Iterator[None]:
    """Let looks settle, but never change a number."""
    begin = Reviser.__init__

    def without(self: Reviser, take: Any, likelihood: Any, settings: Any) -> None:
        begin(self, take, likelihood, replace(settings, margin=float("inf")))

    with patch.object(Reviser, "__init__", without):
        yield


@contextmanager
def first_pass_only() -> Iterator[None]:
    """Match frames one after the other once, and then all at once."""
    one_by_one = matching._Pairing.one_by_one

    def without(self: Any, found: list[Any]) -> list[Any]:
        is_first = all(found_in_frame is matching.NOTHING for found_in_frame in found)
        return one_by_one(self, found) if is_first else found

    with patch.object(matching._Pairing, "one_by_one", without):
        yield


PARTS = (
    Part("everything on"),
    Part(
        "hypothesis: feet hidden",
        of("tracker", feet_hidden_base=NEVER, feet_hidden_occluded=NEVER),
        lambda: patch.object(births, "FEET_HIDDEN_PENALTY", UNBOUNDED),
    ),
    Part("who hides whom", without=lambda: patch.object(visibility, "IN_FRONT_M", UNBOUNDED)),
    Part(
        "learned chance of detection", without=lambda: patch.object(Detectability, "learn", lambda *_: None)
    ),
    Part("confidence of boxes", of("tracker", confidence_limit=0.0)),
    Part("foot not under the body (.12 m)", of("tracker", floor_noise_m=0.0)),
    Part("usual height (.09 m)", of("tracker", height_std_m=10.0)),
    Part("second pass of matching", without=first_pass_only),
    Part("steady walking (psd 1.125 for .18)", of("tracker", acceleration_psd=SWAY_PSD)),
    Part("bounded hits", of("tracker", hit_limit=UNBOUNDED)),
    Part("bounded misses", of("tracker", miss_limit_per_s=UNBOUNDED)),
    Part("frames close in time say less", of("tracker", evidence_s=NEVER)),
    Part("coasting (.3 s for 1.5 s)", of("tracker", coast_s=0.3)),
    Part("crowding", of("tracker", crowding_m=NEVER)),
    Part("merging of duplicates", of("tracker", duplicate_m=0.0)),
    Part("self-calibration", of("bias", limit=0.0)),
    Part("looks in association", of("appearance", limit=0.0)),
    Part("cameras' mean looks", of("appearance", camera_prior=UNBOUNDED)),
    Part("learned ratio of looks", of("appearance", min_pairs=UNBOUNDED)),
    Part("revision of numbers", without=numbers_as_tracked),
    Part("recognising who comes back", of("identity", return_logit=-UNBOUNDED)),
)


def scene_case(folder: Path) -> Case:
    """Read a recorded scene with ready-made boxes."""
    scene = read_scene(folder)
    recorded = RecordedDetector(scene)
    ticks = [
        [recorded.observe(c, tick, captured_at(scene, c, tick)) for c in scene.cameras]
        for tick in range(scene.frames)
    ]
    return Case(scene.name, scene.fps, site_of(scene), scene.bounds_m, ticks, scene.truth)


def pets_case(folder: Path, models: Path, cache: Path) -> Case:
    """Read what the models see of PETS: they run once, and what they saw is kept as a recording."""
    scene = read_scene(folder)
    if not cache.exists():
        part = cache.with_suffix(".part")
        evaluate_scene(
            scene,
            detector=make_detector(f"onnx:{models / DETECTOR}", site=site_of(scene)),
            embedder=make_embedder(f"onnx:{models / EMBEDDER}"),
            record=part,
        )
        part.rename(cache)
    ticks = list(recorded_ticks(cache))
    return Case(scene.name, scene.fps, site_of(scene), scene.bounds_m, ticks, scene.truth)


def plaza_case(seed: int) -> Case:
    """Let people walk about the plaza."""
    world, ticks = world_of(seed), in_step(seed, seconds=SECONDS)
    truth = [world.truth_at(k / FPS) for k in range(len(ticks))]
    return Case(
        f"plaza, seed {seed}",
        FPS,
        Site({camera.camera_id: camera for camera in plaza.CAMERAS}),
        PLAZA.bounds_m,
        ticks,
        [Positions(t.ids, t.position_m) for t in truth],
    )


def cases(scenes: Path, cache: Path) -> list[Case]:
    """Give everything there is to be followed."""
    found = [scene_case(folder) for folder in sorted(scenes.glob("*")) if (folder / "detections").is_dir()]
    if (scenes / PETS).is_dir():
        found.append(pets_case(scenes / PETS, scenes.parent / "models", cache))
    return found + [plaza_case(seed) for seed in SEEDS]


def follow(case: Case, part: Part) -> Result:
    """Follow a case without a part; give IDF1 and MOTA, or how many identities last where there is no truth."""
    with part.without():
        pipeline = Pipeline(
            detector=Fed(),
            embedder=None,
            site=case.site,
            take_track_number=count(1).__next__,
            take_person_number=count(1).__next__,
            settings=part.change(PipelineSettings()),
        )
        people = [pipeline.follow(seen).people for seen in case.ticks]
    if case.truth is None:
        inside = [Positions(p.person, p.state[:, :2]).inside(case.bounds_m).ids.tolist() for p in people]
        shown = [n for ids in inside for n in ids]
        return sum(shown.count(n) > LASTING_S * case.fps for n in set(shown))
    tracks = [Positions(p.track, p.state[:, :2]).inside(case.bounds_m) for p in people]
    scores = score([t.inside(case.bounds_m) for t in case.truth], tracks)
    return scores.idf1, scores.mota


def table(cases: Sequence[Case], found: dict[tuple[str, str], Result]) -> list[str]:
    """Give the lines of the table."""
    names = [case.name for case in cases]
    lines = [f"| without | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for part in PARTS:
        if not any((part.name, name) in found for name in names):
            continue
        cells = [
            _cell(found[part.name, name], found[PARTS[0].name, name], part is PARTS[0]) for name in names
        ]
        lines.append(f"| {part.name} | {' | '.join(cells)} |")
    return lines


def _cell(value: Any, full: Any, is_full: bool) -> str:
    if isinstance(value, int):
        return str(value)
    if is_full:
        return " / ".join(f"{v:.3f}".lstrip("0") for v in value)
    return " / ".join(f"{100 * (v - f):+.1f}" for v, f in zip(value, full, strict=True))


_cases: list[Case] = []  # of this process and those that it begins


def _follow(job: tuple[int, int]) -> tuple[int, int, Result]:
    part, case = job
    return part, case, follow(_cases[case], PARTS[part])


def main() -> None:
    """Run everything on all cores, write the table after each part, print it."""
    arguments = _arguments()
    _cases[:] = cases(arguments.scenes, arguments.cache)
    wanted = [
        i
        for i, p in enumerate(PARTS)
        if i == 0 or not arguments.only or p.name.startswith(tuple(arguments.only))
    ]
    jobs = [(part, case) for part in wanted for case in range(len(_cases))]
    found: dict[tuple[str, str], Result] = {}
    lines: list[str] = []
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("fork")) as processes:
        for part, case, result in processes.map(_follow, jobs):
            found[PARTS[part].name, _cases[case].name] = result
            if case == len(_cases) - 1:
                lines = table(_cases, found)
                arguments.table.write_text("\n".join(lines) + "\n")
    print(*lines, f"written to {arguments.table}", sep="\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=Path, default=SCENES)
    parser.add_argument("--only", nargs="+", metavar="PART", help="parts whose names begin like this")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "spoton-pets-a.recording",
        help="where what the models see of PETS is kept",
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="where the table is written")
    return parser.parse_args()


if __name__ == "__main__":
    main()
