"""Detectors on recorded pictures: accuracy, what they cost, and who is ahead: `python -m tests.benchmarks detectors`.

Arguments: scene folders, `--models FOLDER`, `--pictures N` of each scene, `--ticks N` of the pipeline.

Every back-end that is installed runs over the same pictures; the same YOLO weights are then given, tick by tick and in
turn, to SpotOn, to ultralytics' predict called for each camera, and to the loop that supervision's documentation
shows. Last, the whole pipeline is set against the calls of its models. Scenes with true boxes are scored by them at IoU
0.5, others by the foot on the floor, within a metre. Written to results/detectors.json.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter, process_time
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import supervision as sv
from scipy.optimize import linear_sum_assignment

from gpuworker.backends import BackendError, make_detector, make_embedder
from gpuworker.backends.onnx_session import OnnxModel
from gpuworker.backends.ultralytics_quiet import ultralytics
from gpuworker.evaluation import captured_at, site_of
from gpuworker.model_scoring import score_detections
from gpuworker.pipeline.seams import Detector
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Site
from gpuworker.scenes import Scene, read_pictures, read_scene, read_true_boxes
from tests.benchmarks.machine import machine

SHARED = Path(__file__).resolve().parents[3] / "shared"
SCENES = ("multiviewx-a", "pets-a")
RESULTS = Path(__file__).parent / "results" / "detectors.json"
CONFIDENCE, THREADS, WARM = 0.3, 1, 3
WITHIN_M = 1.0
YOLOX, YOLO, OSNET = "yolox_nano.onnx", "yolo11n_int8.onnx", "osnet_x0_25_msmt17.onnx"
FASTER_RCNN = "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth"
PEERS = ("spoton, onnx", "spoton, yolo", "ultralytics predict", "supervision")
VIEWS_HD, HD = 4, (1280, 720)

Ticks = list[list[Frame]]
Times = list[tuple[float, float]]  # wall and CPU, s


def main() -> None:
    """Run everything and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes", nargs="*", type=Path, default=[SHARED / "scenes" / name for name in SCENES])
    parser.add_argument("--models", type=Path, default=SHARED / "models", help="folder of weights")
    parser.add_argument("--pictures", type=int, default=160, help="of each scene, at most")
    parser.add_argument("--ticks", type=int, default=200, help="of the pipeline")
    parser.add_argument("--json", type=Path, default=RESULTS)
    asked = parser.parse_args()
    cv2.setNumThreads(1)  # as the worker does
    found: dict[str, Any] = {"machine": machine(), "threads_of_a_model": THREADS, "scenes": {}}
    for folder in asked.scenes:
        found["scenes"][folder.name] = of_scene(folder, asked.models, asked.pictures, asked.ticks)
    asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(f"written to {asked.json}")


def of_scene(folder: Path, models: Path, pictures: int, ticks: int) -> dict[str, Any]:
    """Give everything about one scene, and print it."""
    scene = read_scene(folder)
    shown = read_ticks(scene, pictures)
    table = {spec: row(scene, shown, spec) for spec in back_ends(models)}
    print(f"\n{scene.name}: {sum(map(len, shown))} pictures, confidence {CONFIDENCE}")
    for spec, figures in table.items():
        print(f"  {spec.replace(str(models) + '/', ''):60} {figures}")
    beside = side_by_side(folder, pictures, models / YOLO, scene)
    for name, figures in beside.items():
        print(f"  {name:22} {figures}")
    speed = {"pipeline": pipeline(scene, models, ticks), "four_hd_views": four_views(shown, models)}
    print(f"  {speed}")
    return {
        "detectors": {k.replace(str(models) + "/", ""): v for k, v in table.items()},
        "side_by_side": beside,
        **speed,
    }


def back_ends(models: Path) -> list[str]:
    """Give the back-ends to compare, without what is not there."""
    specs = [
        f"onnx:{models / YOLOX}",
        f"onnx:{models / YOLOX}?runtime=openvino&precision=fp32",
        f"onnx:{models / YOLOX}?runtime=openvino",
        f"onnx:{models / YOLO}",
        f"onnx:{models / YOLO}?runtime=openvino",
        f"yolo:{models / YOLO}",
        f"faster_rcnn:{models / FASTER_RCNN}",
        "motion",
    ]
    return [with_confidence(spec) for spec in specs]


def with_confidence(spec: str) -> str:
    """Add the confidence that all are compared at; motion has its own."""
    return spec if spec == "motion" else f"{spec}{'&' if '?' in spec else '?'}confidence={CONFIDENCE}"


def read_ticks(scene: Scene, pictures: int) -> Ticks:
    """Read frames of all cameras, tick by tick, at most so many and in one piece, as motion needs them."""
    cameras = [read_pictures(camera, scene.frames) for camera in scene.cameras]
    most = max(1, pictures // len(cameras))
    return [
        [
            Frame(camera.model.camera_id, tick, captured_at(scene, camera, tick), image)
            for camera, image in zip(scene.cameras, images, strict=True)
            if image is not None
        ]
        for tick, images in enumerate(islice(zip(*cameras, strict=True), most))
    ]


def row(scene: Scene, ticks: Ticks, spec: str) -> dict[str, Any]:
    """Give accuracy and cost of a back-end, a picture; or why it cannot be had."""
    try:
        detector = make_detector(spec, site=site_of(scene), device="cpu", threads=THREADS)
    except BackendError as error:
        return {"absent": str(error).rpartition("': ")[2]}
    for frames in ticks[:WARM] if spec != "motion" else ():
        detector.detect(frames)
    runs = [timed(detector.detect, frames) for frames in ticks]
    each = [(wall / len(f), cpu / len(f)) for ((wall, cpu), _), f in zip(runs, ticks, strict=True)]
    return {**accuracy(scene, ticks, [found for _, found in runs]), **spread(each)}


def timed(call: Callable[[Any], Any], given: Any) -> tuple[tuple[float, float], Any]:
    """Give the seconds that a call takes, by the clock and of the processor, and what it gives."""
    wall, cpu = perf_counter(), process_time()
    got = call(given)
    return (perf_counter() - wall, process_time() - cpu), got


def spread(times: Times) -> dict[str, float]:
    """Give p50 and p95 in ms, by the clock and of the processor."""
    table = np.array(times) * 1e3
    return {
        f"{kind}_ms_p{p}": round(float(np.percentile(table[:, column], p)), 2)
        for column, kind in enumerate(("wall", "cpu"))
        for p in (50, 95)
    }


def accuracy(scene: Scene, ticks: Ticks, found: Sequence[Sequence[Detections]]) -> dict[str, float]:
    """Give precision and recall, by true boxes or else by feet on the floor."""
    flat = [one for per_tick in found for one in per_tick]
    frames = [frame for per_tick in ticks for frame in per_tick]
    cameras = {camera.model.camera_id: camera for camera in scene.cameras}
    if all(camera.true_boxes for camera in scene.cameras):
        truth = {key: read_true_boxes(camera, scene.frames) for key, camera in cameras.items()}
        boxes = [truth[frame.camera_id][frame.seq][1] for frame in frames]
        scores = score_detections(flat, boxes, confidence=CONFIDENCE)
        return {
            "precision": round(float(scores.precision), 3),
            "recall": round(scores.recall, 3),
            "map_50": round(scores.map_50, 3),
        }
    right = judged = people = 0
    for frame, one in zip(frames, flat, strict=True):
        hits, boxes_judged, there = on_floor(scene, frame, one)
        right, judged, people = right + hits, judged + boxes_judged, people + there
    return {"precision": round(right / max(judged, 1), 3), "recall": round(right / max(people, 1), 3)}


def on_floor(scene: Scene, frame: Frame, found: Detections) -> tuple[int, int, int]:
    """Count feet within a metre of a person of their own, feet on the scored floor, and people in the picture."""
    assert scene.truth is not None
    camera = next(c.model for c in scene.cameras if c.model.camera_id == frame.camera_id)
    people = scene.truth[frame.seq].inside(scene.bounds_m).xy_m
    places = camera.to_picture(people)
    height, width = frame.image.shape[:2]
    seen = np.asarray(((places >= 0) & (places < [width, height])).all(axis=1))
    feet = np.column_stack([(found.xyxy[:, 0] + found.xyxy[:, 2]) / 2, found.xyxy[:, 3]]).astype(np.float64)
    spots = camera.to_floor(feet)
    low, high = scene.bounds_m[:2], scene.bounds_m[2:]
    spots = spots[((spots >= low) & (spots <= high)).all(axis=1)]
    apart = np.linalg.norm(people[:, None] - spots[None], axis=2)
    a, b = linear_sum_assignment(np.minimum(apart, WITHIN_M * 2))
    hit = apart[a, b] <= WITHIN_M
    # who stands beside the picture may be found or not
    return int((hit & seen[a]).sum()), len(spots) - int((hit & ~seen[a]).sum()), int(seen.sum())


def side_by_side(folder: Path, pictures: int, weights: Path, scene: Scene) -> dict[str, Any]:
    """Give the same weights and pictures to everybody, tick by tick in turn; cost a tick of all cameras.

    Each has a process of its own: threads that spin after a call would count for whoever comes next.
    """
    context = get_context("spawn")
    ends: dict[str, Any] = {}
    for name in PEERS:
        ends[name], theirs = context.Pipe()
        context.Process(
            target=take_turns, args=(theirs, name, folder, pictures, weights), daemon=True
        ).start()
    ticks = {name: end.recv() for name, end in ends.items()}[PEERS[0]]
    times: dict[str, Times] = {name: [] for name in PEERS}
    found: dict[str, list[list[Detections]]] = {name: [] for name in PEERS}
    for turn in range(WARM + ticks):
        shift = turn % len(PEERS)
        for name in PEERS[shift:] + PEERS[:shift]:
            ends[name].send(max(turn - WARM, 0))
            spent, given = ends[name].recv()
            if turn >= WARM:
                times[name].append(spent)
                found[name].append(given)
    for end in ends.values():
        end.send(None)
    best = np.median([cpu for _, cpu in times[PEERS[0]]])
    shown = read_ticks(scene, pictures)
    return {
        name: {
            **accuracy(scene, shown, found[name]),
            **spread(times[name]),
            "times_the_cpu_of_spoton": round(float(np.median([cpu for _, cpu in times[name]]) / best), 2),
        }
        for name in PEERS
    }


def take_turns(end: Any, name: str, folder: Path, pictures: int, weights: Path) -> None:
    """Detect in the ticks asked for, until there is none, and tell what it took and what was found."""
    cv2.setNumThreads(1)
    ticks, detect = read_ticks(read_scene(folder), pictures), peer(name, weights)
    end.send(len(ticks))
    while (tick := end.recv()) is not None:
        end.send(timed(detect, ticks[tick]))


def peer(name: str, weights: Path) -> Callable[[list[Frame]], list[Detections]]:
    """Give what one does with the frames of a tick."""
    if name.startswith("spoton"):
        spec = with_confidence(f"{name.rpartition(' ')[2]}:{weights}")
        return make_detector(spec, site=Site({}), device="cpu", threads=THREADS).detect
    model = ultralytics.YOLO(str(weights), task="detect")

    def predict(frames: list[Frame]) -> list[Detections]:
        results = [
            model.predict(f.image, conf=CONFIDENCE, classes=[0], device="cpu", verbose=False)[0]
            for f in frames
        ]
        return [Detections(r.boxes.xyxy.cpu().numpy(), r.boxes.conf.cpu().numpy()) for r in results]

    def supervision(frames: list[Frame]) -> list[Detections]:
        # as in its documentation: detect, convert, filter
        given = []
        for frame in frames:
            found: Any = sv.Detections.from_ultralytics(model(frame.image, verbose=False)[0])
            found = found[(found.class_id == 0) & (found.confidence > CONFIDENCE)]
            given.append(Detections(found.xyxy.astype(np.float32), found.confidence.astype(np.float32)))
        return given

    return predict if name == "ultralytics predict" else supervision


@contextmanager
def model_calls() -> Iterator[Times]:
    """Take the time of each call of an ONNX model."""
    times: Times = []
    run = OnnxModel.run

    def watched(model: OnnxModel, batch: Any) -> Any:
        spent, given = timed(partial(run, model), batch)
        times.append(spent)
        return given

    with patch.object(OnnxModel, "run", watched):
        yield times


def pipeline(scene: Scene, models: Path, ticks: int) -> dict[str, Any]:
    """Set the whole pipeline with YOLOX-Nano and OSNet x0.25 against the calls of its models."""
    shown = read_ticks(scene, ticks * len(scene.cameras))
    with model_calls() as calls:
        watched = Pipeline(
            detector=the_detector(models, scene),
            embedder=make_embedder(f"onnx:{models / OSNET}", device="cpu", threads=THREADS),
            site=site_of(scene),
            take_track_number=count(1).__next__,
            take_person_number=count(1).__next__,
        )
        for frames in shown[:WARM]:
            watched.step(frames)
        calls.clear()
        times = [timed(watched.step, frames)[0] for frames in shown[WARM:]]
    whole, of_models = np.sum(times, axis=0), np.sum(calls, axis=0)
    return {
        "cameras": len(scene.cameras),
        "ticks": len(times),
        **spread(times),
        "ticks_per_s_wall": round(float(len(times) / whole[0]), 1),
        "ticks_per_s_of_one_core": round(float(len(times) / whole[1]), 1),
        "times_its_model_calls_wall": round(float(whole[0] / of_models[0]), 3),
        "times_its_model_calls_cpu": round(float(whole[1] / of_models[1]), 3),
    }


def the_detector(models: Path, scene: Scene) -> Detector:
    """Make the detector of the whole pipeline."""
    spec = with_confidence(f"onnx:{models / YOLOX}")
    return make_detector(spec, site=site_of(scene), device="cpu", threads=THREADS)


def four_views(ticks: Ticks, models: Path) -> dict[str, float]:
    """Give the cost of a tick of four 1280x720 views with YOLOX-Nano."""
    detector = make_detector(
        with_confidence(f"onnx:{models / YOLOX}"), site=Site({}), device="cpu", threads=THREADS
    )
    frames = [frame for per_tick in ticks for frame in per_tick]
    views = [
        Frame(
            f"c{i % VIEWS_HD}",
            i // VIEWS_HD,
            frame.captured_at,
            np.asarray(cv2.resize(frame.image, HD), np.uint8),
        )
        for i, frame in enumerate(frames)
    ]
    groups = [views[i : i + VIEWS_HD] for i in range(0, len(views) - VIEWS_HD + 1, VIEWS_HD)]
    for group in groups[:WARM]:
        detector.detect(group)
    return spread([timed(detector.detect, group)[0] for group in groups])


if __name__ == "__main__":
    main()
