"""A camera is turned by one degree while people are followed: `python -m tests.benchmarks turned`.

By the simulated crowd: when is it named, is any other blamed, and does calibrating it again from the people whom others see
bring IDF1 back to what it is without the turn, over the time after it?
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from environments.geometry import CameraModel, Floats, Refit
from gpuworker.pipeline.agreement import Agreements
from gpuworker.pipeline.values import Detections, Observation, StepResult
from tests.benchmarks.machine import machine
from tests.benchmarks.simulator import FPS, empty_views, world_of
from tests.gpuworker import plaza

RESULT = Path(__file__).parent / "results" / "turned.json"
TURNED_DEG, TURNED_S, WATCHED_S = 1.0, 45.0, 130.0
SETTLED_S = 2.0  # a tracker that begins with the new calibration knows nobody yet
AXES = {"right": (0.0, 1.0, 0.0), "down": (1.0, 0.0, 0.0), "aslant": (0.7, 0.7, 0.0)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run went; IDF1 is over the time after the new calibration, with the turn and without any."""

    camera: str
    named_s: float | None
    blamed: list[str]
    refitted_s: float | None
    turned_deg: float | None
    refused: str
    idf1: float | None
    idf1_unmoved: float | None


def shifted(found: Detections, camera: CameraModel, turn: Floats) -> Detections:
    """Give boxes as a camera shows them that is turned about its centre."""
    if camera.lens is None or len(found) == 0:
        return found
    h = camera.lens.matrix @ turn @ np.linalg.inv(camera.lens.matrix)
    left, top, right, bottom = found.xyxy.astype(np.float64).T
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], axis=1).reshape(-1, 2)
    flat = np.column_stack([camera.undistort(corners), np.ones(len(corners))]) @ h.T
    moved = camera.distort(flat[:, :2] / flat[:, 2:]).reshape(-1, 4, 2)
    sides = [moved[:, [0, 3], 0], moved[:, [0, 1], 1], moved[:, [1, 2], 0], moved[:, [2, 3], 1]]
    return Detections(np.stack([s.mean(axis=1) for s in sides], axis=1).astype(np.float32), found.confidence)


def run(seed: int, axis: tuple[float, float, float]) -> Outcome:
    """Turn a camera during a run, and calibrate it again as soon as people say how."""
    camera = plaza.CAMERAS[seed % len(plaza.CAMERAS)]
    turn = np.asarray(cv2.Rodrigues(np.radians(TURNED_DEG) * np.array(axis))[0])
    shots = plaza.together(FPS, WATCHED_S)
    ticks = plaza.ticks(plaza.watch(world_of(seed), empty_views(), shots, seed=seed), 1 / FPS)
    models = {c.camera_id: c for c in plaza.CAMERAS}
    pipeline, agreements = plaza.pipeline(), Agreements(models, cell_m=2.0)
    results: list[StepResult] = []
    named: list[tuple[str, float]] = []
    refitted: tuple[float, Refit] | None = None
    for seen in ticks:
        result = pipeline.follow([_turned(o, camera, turn) for o in seen])
        agreements.add(result)
        results.append(result)
        for event in result.events:
            if event.kind == "camera_moved" and event.camera_id is not None:
                named.append((event.camera_id, _seconds(event.at) - TURNED_S))
                agreements.moved(event.camera_id, event.at)
        for key, found in agreements.take_refits(result.at).items():
            refitted = refitted or (_seconds(result.at), found)
            if found.model is not None:
                models = models | {key: found.model}
                pipeline = plaza.pipeline(list(models.values()))
                agreements = Agreements(models, cell_m=2.0)
    unmoved = [pipeline.follow(seen) for pipeline in [plaza.pipeline()] for seen in ticks]
    right = [after_s for key, after_s in named if key == camera.camera_id and after_s >= 0]
    return Outcome(
        camera=camera.camera_id,
        named_s=round(right[0], 1) if right else None,
        blamed=[key for key, after_s in named if key != camera.camera_id or after_s < 0],
        refitted_s=round(refitted[0] - TURNED_S, 1) if refitted else None,
        turned_deg=round(refitted[1].turned_deg, 2) if refitted and refitted[1].model else None,
        refused=refitted[1].reason if refitted else "",
        idf1=_idf1(seed, results, refitted),
        idf1_unmoved=_idf1(seed, unmoved, refitted),
    )


def _turned(seen: Observation, camera: CameraModel, turn: Floats) -> Observation:
    if seen.camera_id != camera.camera_id or _seconds(seen.captured_at) < TURNED_S:
        return seen
    return replace(seen, detections=shifted(seen.detections, camera, turn))


def _seconds(at: datetime) -> float:
    return (at - plaza.BEGIN).total_seconds()


def _idf1(seed: int, results: Iterable[StepResult], refitted: tuple[float, Refit] | None) -> float | None:
    if refitted is None:
        return None
    after = [r for r in results if _seconds(r.at) > refitted[0] + SETTLED_S]
    return round(float(plaza.scores(world_of(seed), after).idf1 or 0.0), 4)


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    rows = []
    lines = [
        "| turned | named after s | blamed | again after s | found deg | IDF1 | without turn | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for seed, (name, axis) in zip(arguments.seeds, [*AXES.items()] * len(arguments.seeds), strict=False):
        found = run(seed, axis)
        rows.append({"seed": seed, "axis": name} | {f: getattr(found, f) for f in Outcome.__slots__})
        lines.append(
            f"| {found.camera} {name}, seed {seed} | {found.named_s} | {', '.join(found.blamed) or '-'} | {found.refitted_s} | "
            f"{found.turned_deg} | {found.idf1} | {found.idf1_unmoved} | {found.refused} |"
        )
        print(lines[-1], flush=True)
    result = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds"), "rows": rows}
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    arguments.json.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
