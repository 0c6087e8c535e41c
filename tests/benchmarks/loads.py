"""What trackers are run on: simulated crowds of any size, and recorded scenes; the same to all of them.

A crowd walks on a square floor with a gate in each wall, and has room in proportion to its size; cameras stand
around the floor and above it, so that each sees most people. Boxes are what a detector of middling quality
gives: people who stand behind others are missed or cut off, edges jitter, and some boxes show nobody.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from environments.geometry import CameraModel
from gpuworker.evaluation import EPOCH, RecordedDetector, captured_at
from gpuworker.pipeline.values import Detections, Floats32, Observation
from gpuworker.scenes import SceneError, read_scene
from gpuworker.scoring import Positions
from gpuworker.sources.sim.backdrop import Backdrop
from gpuworker.sources.sim.detect import TrueBoxes, detected, true_boxes
from gpuworker.sources.sim.layout import INWARD, Gate, Layout
from gpuworker.sources.sim.world import RATE_HZ, Truth, World
from tests.gpuworker.pipeline.staging import camera

PEOPLE_PER_M2 = 0.18  # 900 people on 70 x 70 m
EYE_M, EYE_PER_SIDE = 3.0, 0.3  # height of the cameras
FOCAL = 0.65  # of the picture's width: 75 degrees across

Describe = Callable[[TrueBoxes, Detections], Floats32]
"""Gives an embedding for each detection, (n, d), by what it shows."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """People who walk about under cameras for a while; the same seed gives the same boxes."""

    cameras: int
    people: int
    fps: float
    seconds: float
    width_px: int = 1920
    seed: int = 7

    @property
    def name(self) -> str:
        """Say what is to be carried."""
        return f"{self.cameras}x{self.people}"

    @property
    def layout(self) -> Layout:
        """Give the floor."""
        side_m = math.sqrt(self.people / PEOPLE_PER_M2)
        gates = tuple(Gate(wall, wall, side_m / 2, 2.4, 2.5) for wall in INWARD)
        return Layout((0.0, 0.0, side_m, side_m), 3.0, (), (), (), gates)

    def views(self) -> dict[str, CameraModel]:
        """Give the cameras, evenly around the floor."""
        side_m = self.layout.bounds_m[2]
        middle, up = side_m / 2, EYE_M + EYE_PER_SIDE * side_m
        angles = np.pi / 4 + 2 * np.pi * np.arange(self.cameras) / self.cameras
        return {
            f"c{i}": camera(
                f"c{i}",
                (middle + side_m * math.cos(angle), middle + side_m * math.sin(angle), up),
                (middle, middle, 0.0),
                focal=FOCAL * self.width_px,
                width=self.width_px,
                height=self.width_px * 9 // 16,
            )
            for i, angle in enumerate(angles.tolist(), 1)
        }


@dataclass(frozen=True, slots=True)
class Load:
    """Ready-made observations of all cameras, tick by tick, with the truth.

    Attributes:
        bounds_m: the scored floor.
        ticks, truth: of equal length.
    """

    name: str
    fps: float
    bounds_m: tuple[float, float, float, float]
    cameras: dict[str, CameraModel]
    ticks: tuple[list[Observation], ...]
    truth: tuple[Positions, ...]


def crowd_load(crowd: Crowd) -> Load:
    """Let a crowd walk, and keep all that was seen."""
    seen = list(walk(crowd))
    return Load(
        name=crowd.name,
        fps=crowd.fps,
        bounds_m=crowd.layout.bounds_m,
        cameras=crowd.views(),
        ticks=tuple(observations for observations, _ in seen),
        truth=tuple(truth for _, truth in seen),
    )


def scored_scenes(folder: Path) -> list[Path]:
    """Give the recorded scenes in a folder that come with the truth and with boxes; none where it is absent."""
    return sorted(gt.parent for gt in folder.glob("*/gt.txt") if (gt.parent / "detections").is_dir())


def scene_load(folder: Path) -> Load:
    """Read the boxes of a recorded scene, without looks, and its truth.

    Raises:
        SceneError: a file of the scene is wrong, or it has no truth.
    """
    scene = read_scene(folder)
    if scene.truth is None:
        raise SceneError(f"scene {scene.name}: there is no truth to score with")
    recorded = RecordedDetector(scene, with_looks=False)
    return Load(
        name=scene.name,
        fps=scene.fps,
        bounds_m=scene.bounds_m,
        cameras={c.model.camera_id: c.model for c in scene.cameras},
        ticks=tuple(
            [recorded.observe(c, tick, captured_at(scene, c, tick)) for c in scene.cameras]
            for tick in range(scene.frames)
        ),
        truth=scene.truth,
    )


def walk(crowd: Crowd, describe: Describe | None = None) -> Iterator[tuple[list[Observation], Positions]]:
    """Give what the cameras see of a crowd and where everybody is, tick by tick."""
    world = World(crowd.seed, crowd.people, layout=crowd.layout)
    views = [(model, _nothing_built(model)) for model in crowd.views().values()]
    rng = np.random.default_rng([crowd.seed, 99])
    for tick in range(round(crowd.seconds * crowd.fps)):
        truth = _truth_at(world, tick / crowd.fps)
        observations = []
        for model, backdrop in views:
            boxes = true_boxes(model, backdrop, truth)
            found = detected(boxes, model, crowd.layout, rng)
            looks = np.zeros((len(found), 0), np.float32) if describe is None else describe(boxes, found)
            at = EPOCH + timedelta(seconds=tick / crowd.fps)
            observations.append(Observation(model.camera_id, tick, at, found, looks))
        yield observations, Positions(truth.ids, truth.position_m)


def _truth_at(world: World, time_s: float) -> Truth:
    """Advance a world and give the truth at a time that may lie between its ticks."""
    world.step_to(math.ceil(time_s * RATE_HZ - 1e-6))
    return world.truth().earlier(world.tick / RATE_HZ - time_s)


def _nothing_built(model: CameraModel) -> Backdrop:
    """Give a place where only people hide people, without drawing it."""
    nothing = np.broadcast_to(np.float32(np.inf), (model.height, model.width))
    return Backdrop(np.zeros((1, 1, 3), np.uint8), nothing, np.zeros((1, 1), np.uint8))
