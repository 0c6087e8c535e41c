"""``python -m tests.benchmarks gpu``: what detecting, embedding and the whole pipeline take on a GPU, or on the CPU.

Without ``--detector`` and ``--embedder`` models of the true size with random weights are made, which take as long as
trained ones: YOLO11m at 640 px and CLIP ViT-B-16 at 256x128. In the end-to-end runs the detector looks at every frame, and
the boxes of a simulated crowd take the place of what it found, so that there are people to embed and to follow. A tick is
timed from its frames, in the memory of the computer, to what is published; reading cameras, drawing and storing are not in it.
"""

import argparse
import gc
import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from environments import bulk_mapping
from environments.geometry import CameraModel
from gpuworker.backends import make_detector
from gpuworker.backends.clip import make_clip_embedder
from gpuworker.backends.onnx_embedder import make_onnx_embedder
from gpuworker.backends.spec import parse_spec
from gpuworker.pipeline.seams import Detector, Embedder
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Site
from gpuworker.sinks.gpu_memory import gpu_memory
from tests.benchmarks.embedders import random_clip
from tests.benchmarks.loads import Crowd, Load, crowd_load
from tests.benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "gpu.json"
GOALS_MS = {"detection_per_frame": 50.0, "embedding_per_crop": 20.0, "whole_p50": 100.0, "whole_p95": 30.0}
CAMERAS = (4, 8, 16)
PEOPLE = 20
CROPS = (1, 4, 16)
POINTS = (100, 10_000, 1_000_000)
WARM_UP = 3
CLIP, YOLO = "ViT-B-16", "yolo11m"


class Watched:
    """Runs a detector for the time that it takes, and gives the boxes of a crowd."""

    def __init__(self, detector: Detector, load: Load) -> None:
        """Begin at the first tick of the load."""
        self.name = detector.name
        self._detector = detector
        self._load = load

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Look at the frames, and give the boxes of their tick."""
        self._detector.detect(frames)
        by_camera = {o.camera_id: o.detections for o in self._load.ticks[frames[0].seq]}
        return [by_camera[frame.camera_id] for frame in frames]


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Give p50 and p95."""
    return {f"p{p}": round(float(np.percentile(values, p)), 2) for p in (50, 95)}


def timed(call: Callable[[], object], repeats: int) -> dict[str, float]:
    """Time a call in ms, after a few to warm up."""
    spent = []
    for i in range(WARM_UP + repeats):
        began = perf_counter()
        call()
        if i >= WARM_UP:
            spent.append((perf_counter() - began) * 1e3)
    return percentiles(spent)


def pictures(load: Load, tick: int, height: int, width: int) -> list[Frame]:
    """Give a noisy picture for each camera of a tick."""
    rng = np.random.default_rng(tick)
    image = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [
        Frame(o.camera_id, tick, o.captured_at, np.roll(image, 8 * k, axis=1))
        for k, o in enumerate(load.ticks[tick])
    ]


def detection(detector: Detector, load: Load, repeats: int) -> dict[str, Any]:
    """Time the detector on batches of four 1080p frames."""
    frames = pictures(load, 0, 1080, 1920)[:4]
    batch = timed(lambda: detector.detect(frames), repeats)
    return {
        "batch_of_4_ms": batch,
        "per_frame_ms": {p: round(ms / len(frames), 2) for p, ms in batch.items()},
    }


def embedding(embedder: Embedder, load: Load, repeats: int) -> dict[str, Any]:
    """Time the embedder on crops of people in 1080p frames."""
    frame = pictures(load, 0, 1080, 1920)[0]
    left = np.linspace(100, 1700, max(CROPS))
    boxes = np.column_stack([left, np.full(len(left), 300), left + 100, np.full(len(left), 550)])
    rows = {}
    for crops in CROPS:
        asked = boxes[:crops].astype(np.float32)
        batch = timed(partial(embedder.embed, [frame], [asked]), repeats)
        rows[str(crops)] = {p: round(ms / crops, 3) for p, ms in batch.items()}
    return {"per_crop_ms": rows}


def whole(detector: Detector, embedder: Embedder, load: Load) -> dict[str, Any]:
    """Run the pipeline over a load, with pictures of the cameras' size."""
    cameras = next(iter(load.cameras.values()))
    pipeline = Pipeline(
        detector=Watched(detector, load),
        embedder=embedder,
        site=Site(load.cameras),
        take_track_number=count(1).__next__,
        take_person_number=count(1).__next__,
    )
    spent, stages = [], []
    for tick in range(len(load.ticks)):
        frames = pictures(load, tick, cameras.height, cameras.width)
        began = perf_counter()
        result = pipeline.step(frames)
        if tick >= WARM_UP:
            spent.append((perf_counter() - began) * 1e3)
            stages.append(result.stages_ms)
    return {
        "tick_ms": percentiles(spent),
        "stages_p95_ms": {name: percentiles([s[name] for s in stages])["p95"] for name in stages[0]},
        "people_at_the_end": len(result.people),
    }


def map_there(cupy: Any, camera: CameraModel, points: Any) -> None:
    """Map points that are on the GPU, and wait for it."""
    bulk_mapping.to_floor(cupy, camera, points)
    cupy.cuda.get_current_stream().synchronize()


def map_copies(cupy: Any, camera: CameraModel, points: NDArray[np.float64]) -> None:
    """Map points on the GPU that come from the computer's memory and go back."""
    bulk_mapping.to_floor(cupy, camera, cupy.asarray(points)).get()


def mapping(load: Load, repeats: int) -> dict[str, Any]:
    """Time the mapping of points to the floor: of the cameras' own geometry, and of the code for every library."""
    camera = next(iter(load.cameras.values()))
    rows: dict[str, Any] = {}
    for number in POINTS:
        points = np.random.default_rng(0).uniform([0, 600], [1920, 1080], (number, 2))
        row = {
            "geometry": timed(partial(camera.to_floor, points), repeats),
            "bulk, numpy": timed(partial(bulk_mapping.to_floor, np, camera, points), repeats),
        }
        if find_spec("cupy") is not None:
            cupy = import_module("cupy")
            there = cupy.asarray(points)
            row["bulk, cupy"] = timed(partial(map_there, cupy, camera, there), repeats)
            row["bulk, cupy with copies"] = timed(partial(map_copies, cupy, camera, points), repeats)
        rows[str(number)] = row
    return rows


def random_yolo(folder: Path) -> Path:
    """Write random weights of YOLO11m."""
    path = folder / f"{YOLO}.pt"
    import_module("ultralytics").YOLO(f"{YOLO}.yaml").save(path)
    return path


def embedder_of(spec: str, device: str) -> Embedder:
    """Make an embedder without asking whether it tells people apart: random weights do not."""
    parsed = parse_spec(spec)
    make = make_clip_embedder if parsed.kind == "clip" else make_onnx_embedder
    return make(parsed, device=device, threads=None)


def against_goals(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Say what was measured beside what is asked for; the whole is that of four cameras."""
    four = report["whole"].get("4", {}).get("tick_ms", {})
    measured = {
        "detection_per_frame": report["detection"]["per_frame_ms"]["p50"],
        "embedding_per_crop": report["embedding"]["per_crop_ms"]["16"]["p50"],
        "whole_p50": four.get("p50"),
        "whole_p95": four.get("p95"),
    }
    return {
        name: {"ms": ms, "goal_ms": GOALS_MS[name], "is_met": None if ms is None else ms <= GOALS_MS[name]}
        for name, ms in measured.items()
    }


def hardware() -> dict[str, Any]:
    """Name the GPUs, or say that there is none."""
    if not torch.cuda.is_available():
        return {"gpu": None, "note": "no CUDA device here: these are times of the CPU"}
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"gpu": names, "torch": torch.__version__, "cuda": torch.version.cuda}


def run(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure everything."""
    detector_spec = options.detector or f"yolo:{random_yolo(folder)}"
    embedder_spec = options.embedder or f"clip:{CLIP}:{random_clip(CLIP, folder)}"
    detector = make_detector(detector_spec, site=Site({}), device=options.device)
    embedder = embedder_of(embedder_spec, options.device)
    first = crowd_load(Crowd(cameras=4, people=PEOPLE, fps=10.0, seconds=0.2))
    report: dict[str, Any] = {
        "machine": machine() | hardware(),
        "detector": detector.name + ("" if options.detector else ", random weights"),
        "embedder": embedder.name + ("" if options.embedder else ", random weights"),
        "detection": detection(detector, first, options.repeats),
        "embedding": embedding(embedder, first, options.repeats),
        "mapping_ms": mapping(first, min(options.repeats, 20)),
        "whole": {},
    }
    for cameras in options.cameras:
        crowd = Crowd(
            cameras=cameras,
            people=PEOPLE,
            fps=10.0,
            seconds=(options.ticks + WARM_UP) / 10,
            width_px=options.width,
        )
        report["whole"][str(cameras)] = whole(detector, embedder, crowd_load(crowd))
        gc.collect()
        print(cameras, json.dumps(report["whole"][str(cameras)]))
    report["memory"] = gpu_memory()
    report["goals"] = against_goals(report)
    return report


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--detector", help="as for run_worker; without it a YOLO11m of random weights")
    parser.add_argument("--embedder", help="clip:... or onnx:...; without it a CLIP of random weights")
    parser.add_argument("--cameras", type=int, nargs="+", default=list(CAMERAS))
    parser.add_argument("--ticks", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--width", type=int, default=1920, help="of the cameras' pictures, 16:9")
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    logging.getLogger().setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        report = run(options, Path(folder))
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report["goals"], indent=2))
    print(report["machine"].get("note") or report["machine"]["gpu"])


if __name__ == "__main__":
    main()
