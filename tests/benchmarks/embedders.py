"""``python -m tests.benchmarks embedders --scene ../shared/scenes/multiviewx-a --models ../shared/models``.

Re-identification over cameras by each embedder that is there: every true box of every camera asks all boxes of the *other*
cameras. Rank-1 is how often the most alike is the same person, AUC how often a pair of one person is more alike than a pair
of two; with raw embeddings, and with each camera's mean taken off as the tracker does. The pictures are rendered, so that all cameras see the same colours; *tinted* gives each
camera gains (.7 to 1.3 for each colour) and a gamma (.75 to 1.35) of its own, by a seeded draw. CLIP has no weights here unless
``--clip`` names some: with random ones only its speed is measured, and said so.
"""

import argparse
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

from gpuworker.backends import make_embedder
from gpuworker.backends.clip import make_clip_embedder
from gpuworker.backends.spec import parse_spec
from gpuworker.pipeline.appearance import CameraMeans
from gpuworker.pipeline.boxes import covered_share
from gpuworker.pipeline.seams import Embedder
from gpuworker.pipeline.settings import AppearanceSettings, PipelineSettings
from gpuworker.pipeline.values import Frame
from tests.benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "embedders.json"
BATCHES = (1, 2, 3, 4, 5, 8, 11, 16)
REPEATS = 5
RANDOM = ("ViT-B-32", "ViT-B-16", "MobileCLIP-S1")
AT = datetime(2026, 1, 1, tzinfo=UTC)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Pictures = list[tuple[Frame, NDArray[np.float32], Ints]]


def read(scene: Path) -> Pictures:
    """Give each picture of a scene with its true boxes (n, 4) and their persons (n,), cameras in order."""
    about = json.loads((scene / "scene.json").read_text())
    least_px = PipelineSettings().min_crop_px
    found: Pictures = []
    for camera in about["cameras"]:
        rows = np.loadtxt(scene / camera["gt_boxes"], delimiter=",", ndmin=2)
        for seq in range(1, about["frames"] + 1):
            image = cv2.imread(str(scene / camera["images"] / f"{seq:06d}.jpg"))
            if image is None:
                raise SystemExit(f"{scene}: no picture {seq} of {camera['id']}")
            here = rows[(rows[:, 0] == seq) & (rows[:, 5] >= least_px)]
            xyxy = here[:, 2:6].copy()
            xyxy[:, 2:] += xyxy[:, :2]
            frame = Frame(camera["id"], seq, AT, np.asarray(image, dtype=np.uint8))
            found.append((frame, xyxy.astype(np.float32), here[:, 1].astype(np.int64)))
    return found


def scores(looks: Floats, person: Ints, camera: Ints) -> dict[str, float]:
    """Give rank-1 and AUC between boxes of different cameras."""
    similarity = looks @ looks.T
    across = camera[:, None] != camera
    same = person[:, None] == person
    best = np.where(across, similarity, -np.inf).argmax(axis=1)
    asked = (across & same).any(axis=1)
    upper = np.triu(across)
    order = np.argsort(similarity[upper], kind="stable")
    rank = np.empty(len(order))
    rank[order] = np.arange(1, len(order) + 1)
    is_same = same[upper]
    n, m = int(is_same.sum()), int((~is_same).sum())
    auc = (rank[is_same].sum() - n * (n + 1) / 2) / (n * m)
    return {"rank_1": round(float((person[best] == person)[asked].mean()), 4), "auc": round(float(auc), 4)}


def centred(looks: Floats, camera: Ints) -> Floats:
    """Take each camera's mean off, once it has seen all of its boxes."""
    means = CameraMeans(int(camera.max()) + 1, AppearanceSettings())
    out = np.zeros_like(looks)
    for c in range(int(camera.max()) + 1):
        means.centre(c, looks[camera == c])
        total, count = means.learned()[c]
        out[camera == c] = looks[camera == c] - total / (count + AppearanceSettings().camera_prior)
    return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True))


def tinted(pictures: Pictures) -> Pictures:
    """Give pictures as cameras of other make and light would: each with colour gains and a gamma of its own."""
    rng = np.random.default_rng(7)
    names = sorted({f.camera_id for f, _, _ in pictures})
    levels = np.arange(256)[:, None] / 255
    tables = {
        name: np.clip(255 * rng.uniform(0.7, 1.3, 3) * levels ** rng.uniform(0.75, 1.35), 0, 255).astype(
            np.uint8
        )
        for name in names
    }
    return [
        (
            replace(f, image=np.asarray(cv2.LUT(f.image, tables[f.camera_id][:, None]), dtype=np.uint8)),
            boxes,
            ids,
        )
        for f, boxes, ids in pictures
    ]


def recognises(embedder: Embedder, pictures: Pictures) -> dict[str, Any]:
    """Score an embedder on all boxes, and on those that the tracker would look at."""
    looks = np.concatenate(embedder.embed([f for f, _, _ in pictures], [boxes for _, boxes, _ in pictures]))
    person = np.concatenate([ids for _, _, ids in pictures])
    names = sorted({f.camera_id for f, _, _ in pictures})
    camera = np.concatenate([np.full(len(ids), names.index(f.camera_id)) for f, _, ids in pictures])
    clean = np.concatenate([covered_share(boxes) for _, boxes, _ in pictures])
    clean_share = AppearanceSettings().clean_share
    report: dict[str, Any] = {}
    for kind, chosen in (("all", np.ones(len(person), bool)), ("clean", clean <= clean_share)):
        some = chosen & np.isfinite(looks).all(axis=1)
        rows = looks[some].astype(np.float64)
        report[kind] = {
            "boxes": int(some.sum()),
            "raw": scores(rows, person[some], camera[some]),
            "per_camera_mean_off": scores(centred(rows, camera[some]), person[some], camera[some]),
        }
    return report


def speed(embedder: Embedder, pictures: Pictures) -> dict[str, Any]:
    """Give ms a crop for batches of several sizes: elapsed, and of all threads together."""
    frame, boxes, _ = max(pictures, key=lambda p: len(p[1]))
    rows: dict[str, Any] = {}
    for size in BATCHES:
        asked = boxes[np.arange(size) % len(boxes)]
        embedder.embed([frame], [asked])
        wall, cpu = [], []
        for _ in range(REPEATS):
            began_cpu, began = process_time(), perf_counter()
            embedder.embed([frame], [asked])
            cpu.append((process_time() - began_cpu) * 1e3 / size)
            wall.append((perf_counter() - began) * 1e3 / size)
        rows[str(size)] = {
            "wall_ms": round(float(np.median(wall)), 2),
            "cpu_ms": round(float(np.median(cpu)), 2),
        }
    return rows


def random_clip(architecture: str, folder: Path) -> Path:
    """Write random weights of a CLIP architecture."""
    torch.manual_seed(1)
    path = folder / f"{architecture}.pt"
    model = open_clip.create_model(architecture, load_weights=False, pretrained_text=False)
    torch.save({f"visual.{k}": v for k, v in model.visual.state_dict().items()}, path)
    return path


def run(specs: Sequence[str], pictures: Pictures, *, random: Sequence[str], threads: int) -> dict[str, Any]:
    """Measure each embedder."""
    report: dict[str, Any] = {}
    for spec in specs:
        embedder = make_embedder(spec, device="cpu", threads=threads)
        if embedder is not None:
            report[embedder.name] = {
                "as_recorded": recognises(embedder, pictures),
                "cameras_tinted": recognises(embedder, tinted(pictures)),
                "ms_per_crop": speed(embedder, pictures),
            }
            print(embedder.name, json.dumps(report[embedder.name]))
    with tempfile.TemporaryDirectory() as folder:
        for architecture in random:
            path = random_clip(architecture, Path(folder))
            for precision in ("fp32", "bf16"):
                parsed = parse_spec(f"clip:{architecture}:{path}?precision={precision}")
                net = make_clip_embedder(parsed, device="cpu", threads=threads)
                name = f"clip:{architecture} {precision}, random weights"
                report[name] = {"ms_per_crop": speed(net, pictures)}
                print(name, json.dumps(report[name]))
    return report


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scene", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True, help="folder whose osnet*.onnx are measured")
    parser.add_argument("--clip", action="append", default=[], help="a further spec, e.g. clip:ViT-B-16:PATH")
    parser.add_argument("--random", nargs="*", default=list(RANDOM), help="CLIP architectures to time")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)
    cv2.setNumThreads(1)
    about = machine()
    nets = [f"onnx:{path}" for path in sorted(options.models.glob("osnet*.onnx"))]
    found = run(
        ["colour", *nets, *options.clip], read(options.scene), random=options.random, threads=options.threads
    )
    report = {"machine": about, "threads": options.threads, "scene": options.scene.name, "embedders": found}
    options.json.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
