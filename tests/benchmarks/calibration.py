"""How exact calibrations are: `python -m tests.benchmarks calibration`.

Clicks with 2 px of noise on the true calibrations of recorded scenes (`SPOTON_TEST_DATA`), beside OpenCV's own fits of the same
clicks; outliers; a lens that distorts; and calibration from people. Errors are medians over the scored floor that a camera shows.
"""

import argparse
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from environments.geometry import CameraModel, FitKind, Floats, GeometryError, Lens, fit_pairs
from environments.geometry.people.bundle import Anchor
from environments.geometry.people.propose import propose
from environments.geometry.people.sightings import Sightings
from gpuworker.scenes import Scene, read_rows, read_scene
from gpuworker.sources.sim.scene import plaza_cameras
from tests.benchmarks.machine import machine
from tests.conftest import SHARED

RESULT = Path(__file__).parent / "results" / "calibration.json"
NOISE_PX, PAIRS = 2.0, 8
OUTLIERS, OUTLIER_PX = 2, (40.0, 300.0)
SEEDS = 40
K1 = -0.3
SCENES = ("wildtrack-exact-a", "multiviewx-a")


def floor_of(scene: Scene, camera: CameraModel) -> tuple[Floats, Floats]:
    """Give spots of the scored floor that a camera shows: (n, 2) m, and where, px."""
    x0, y0, x1, y1 = scene.bounds_m
    gx, gy = np.meshgrid(np.linspace(x0, x1, 40), np.linspace(y0, y1, 60))
    points = np.column_stack([gx.ravel(), gy.ravel()])
    px = camera.to_picture(points)
    seen = np.isfinite(px).all(axis=1)
    seen &= (np.nan_to_num(px, nan=-1) >= 0).all(axis=1) & (
        np.nan_to_num(px) < [camera.width, camera.height]
    ).all(axis=1)
    return points[seen], px[seen]


def spread(points_m: Floats, px: Floats, n: int, rng: np.random.Generator) -> list[int]:
    """Choose spots as somebody does who spreads them over the plan, and a little over the picture."""
    some = rng.choice(len(px), min(80, len(px)), replace=False)
    both = np.hstack([0.25 * px / np.ptp(px, axis=0), 0.75 * points_m / np.ptp(points_m, axis=0)])
    chosen = [int(some[0])]
    while len(chosen) < n:
        nearest = np.linalg.norm(both[some][:, None] - both[chosen], axis=2).min(axis=1)
        chosen.append(int(some[np.argmax(nearest)]))
    return chosen


def clicks(scene: Scene, camera: CameraModel, seed: int, n: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Give clicked pixels, their places, and the floor to score on with where it is shown."""
    rng = np.random.default_rng([seed, n])
    points_m, px = floor_of(scene, camera)
    chosen = spread(points_m, px, n, rng)
    return px[chosen] + rng.normal(0, NOISE_PX, (n, 2)), points_m[chosen], points_m, px


def error_m(to_floor: Any, points_m: Floats, px: Floats) -> float:
    """Give the median error of a mapping over the floor; infinite where it maps nothing."""
    off = np.linalg.norm(to_floor(px) - points_m, axis=1)
    return float(np.median(np.where(np.isfinite(off), off, np.inf)))


def opencv_fits(u: Floats, x: Floats, camera: CameraModel) -> Iterator[tuple[str, Any]]:
    """Fit the same clicks by OpenCV: homographies by name, and poses by the true camera matrix or a fitted one."""
    for name, method in (("RANSAC", cv2.RANSAC), ("USAC_MAGSAC", cv2.USAC_MAGSAC), ("least squares", 0)):
        cv2.setRNGSeed(1)
        h, _ = cv2.findHomography(u, x, method, 0.3)
        if h is not None:
            yield f"cv2.findHomography {name}", partial(_any_side, np.asarray(h, dtype=np.float64))
    flat = np.column_stack([x, np.zeros(len(x))])
    middle = np.array(
        [[camera.width, 0, camera.width / 2], [0, camera.width, camera.height / 2], [0, 0, 1.0]]
    )
    flags = cv2.CALIB_USE_INTRINSIC_GUESS | cv2.CALIB_FIX_PRINCIPAL_POINT | cv2.CALIB_FIX_ASPECT_RATIO
    flags |= cv2.CALIB_ZERO_TANGENT_DIST | cv2.CALIB_FIX_K1 | cv2.CALIB_FIX_K2 | cv2.CALIB_FIX_K3
    try:
        _, k, _, turns, shifts = cv2.calibrateCamera(
            [flat.astype(np.float32)],
            [u.astype(np.float32)],
            (camera.width, camera.height),
            middle,
            np.zeros(5),
            flags=flags,
        )
        yield "cv2.calibrateCamera", _by_pose(np.asarray(k), turns[0], shifts[0])
    except cv2.error:
        pass
    if camera.lens is not None:
        found, turn, shift = cv2.solvePnP(flat, u, camera.lens.matrix, np.zeros(5), flags=cv2.SOLVEPNP_IPPE)
        if found:
            yield "cv2.solvePnP, true lens", _by_pose(camera.lens.matrix, turn, shift)


def _by_pose(k: Floats, turn: Any, shift: Any) -> Any:
    rotation = np.asarray(cv2.Rodrigues(np.asarray(turn))[0])
    h = np.linalg.inv(k @ np.column_stack([rotation[:, :2], np.asarray(shift).ravel()]))
    return partial(_any_side, np.asarray(h, dtype=np.float64))


def _any_side(h: Floats, px: Floats) -> Floats:
    image = px @ h[:, :2].T + h[:, 2]
    return np.asarray(image[:, :2] / image[:, 2:])


def clicked(scene: Scene, camera: CameraModel, seeds: int) -> dict[str, Any]:
    """Fit eight clicks many times: homography, pose, what is chosen, and OpenCV."""
    errors: dict[str, list[float]] = {}
    took, kinds = [], []
    for seed in range(seeds):
        u, x, points_m, px = clicks(scene, camera, seed, PAIRS)
        size: dict[str, Any] = {"width": camera.width, "height": camera.height}
        for name, kind in (("homography", FitKind.HOMOGRAPHY), ("pose", FitKind.POSE), ("chosen", None)):
            began = time.process_time()
            try:
                fit = fit_pairs(u, x, **size, kind=kind)
            except GeometryError:
                errors.setdefault(name, []).append(np.inf)
                continue
            if kind is None:
                took.append(time.process_time() - began)
                kinds.append(str(fit.kind))
            errors.setdefault(name, []).append(error_m(fit.model.to_floor, points_m, px))
        for name, to_floor in opencv_fits(u, x, camera):
            errors.setdefault(name, []).append(error_m(to_floor, points_m, px))
    return {
        "median_m": {name: _rounded(np.median(values)) for name, values in errors.items()},
        "p90_m": {name: _rounded(np.percentile(values, 90)) for name, values in errors.items()},
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "cpu_ms": round(1e3 * float(np.median(took)), 1),
    }


def outliers(scene: Scene, camera: CameraModel, seeds: int) -> dict[str, Any]:
    """Spoil two of ten clicks grossly: are they found, and what is the error beside that without them?"""
    found = 0
    with_m: list[float] = []
    clean_m: list[float] = []
    magsac_m: list[float] = []
    ransac_m: list[float] = []
    for seed in range(seeds):
        u, x, points_m, px = clicks(scene, camera, seed, 10)
        rng = np.random.default_rng([seed, 77])
        wrong = np.sort(rng.choice(10, OUTLIERS, replace=False))
        angle, far = rng.uniform(0, 2 * np.pi, OUTLIERS), rng.uniform(*OUTLIER_PX, OUTLIERS)
        spoilt = u.copy()
        spoilt[wrong] += far[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        size: dict[str, Any] = {"width": camera.width, "height": camera.height}
        right = np.setdiff1d(np.arange(10), wrong)
        clean = fit_pairs(u[right], x[right], **size)
        clean_m.append(error_m(clean.model.to_floor, points_m, px))
        try:
            fit = fit_pairs(spoilt, x, **size)
        except GeometryError:
            with_m.append(np.inf)
        else:
            found += np.flatnonzero(~fit.inliers).tolist() == wrong.tolist()
            with_m.append(error_m(fit.model.to_floor, points_m, px))
        peers = dict(opencv_fits(spoilt, x, camera))
        for name, into in (("RANSAC", ransac_m), ("USAC_MAGSAC", magsac_m)):
            to_floor = peers.get(f"cv2.findHomography {name}")
            into.append(np.inf if to_floor is None else error_m(to_floor, points_m, px))
    return {
        "both_found": round(found / seeds, 3),
        "median_m": _rounded(np.median(with_m)),
        "without_outliers_m": _rounded(np.median(clean_m)),
        "cv2_ransac_m": _rounded(np.median(ransac_m)),
        "cv2_magsac_m": _rounded(np.median(magsac_m)),
    }


def distorted(seeds: int) -> dict[str, Any]:
    """Click in simulated cameras whose lens bends by k1 = -0.3."""
    rows = {}
    for camera in plaza_cameras():
        if camera.lens is None or camera.rotation is None:
            continue
        bent = CameraModel.create(
            camera_id=camera.camera_id,
            width=camera.width,
            height=camera.height,
            h_image_to_world=camera.h_image_to_world,
            lens=Lens(camera.lens.matrix, np.array([K1, 0, 0, 0, 0])),
            rotation=camera.rotation,
            translation_m=camera.translation_m,
        )
        scene = type("Floor", (), {"bounds_m": (0.0, 0.0, 20.0, 14.0)})()
        with_m, without_m = [], []
        for seed in range(seeds):
            rng = np.random.default_rng([seed, 5])
            points_m, px = floor_of(scene, bent)
            chosen = spread(points_m, px, 12, rng)
            u = px[chosen] + rng.normal(0, 0.5, (12, 2))
            size: dict[str, Any] = {"width": bent.width, "height": bent.height}
            fit = fit_pairs(u, points_m[chosen], **size)
            plain = fit_pairs(u, points_m[chosen], **size, kind=FitKind.HOMOGRAPHY)
            with_m.append(error_m(fit.model.to_floor, points_m, px))
            without_m.append(error_m(plain.model.to_floor, points_m, px))
        rows[camera.camera_id] = {
            "with_lens_m": _rounded(np.median(with_m)),
            "without_m": _rounded(np.median(without_m)),
            "share": round(float(np.median(with_m) / np.median(without_m)), 3),
        }
    return rows


def from_people(scene: Scene) -> dict[str, Any]:
    """Calibrate from people and two anchors which all cameras show where any two are."""
    sightings, views = [], {}
    for camera in scene.cameras:
        if camera.detections is None:
            continue
        table = read_rows(camera.detections)
        xyxy = table[:, 2:6].copy()
        xyxy[:, 2:] += xyxy[:, :2]
        model = camera.model
        views[model.camera_id] = model
        sightings.append(
            Sightings(model.camera_id, model.width, model.height, table[:, 0].astype(np.int64), xyxy)
        )
    anchors = _anchors(scene, views)
    began = time.process_time()
    rows = {}
    for found in propose(sightings, anchors):
        points_m, px = floor_of(scene, views[found.camera_id])
        rows[found.camera_id] = {
            "error_m": None if found.model is None else _rounded(error_m(found.model.to_floor, points_m, px)),
            "expected_m": _rounded(found.error_m),
            "sights": found.shared,
            "refused": found.reason,
        }
    return {
        "anchors": [{"place_m": a.place_m, "cameras": sorted(a.marks_px)} for a in anchors],
        "cameras": rows,
        "cpu_s": round(time.process_time() - began, 1),
    }


def _anchors(scene: Scene, views: dict[str, CameraModel]) -> list[Anchor]:
    """Choose the two places furthest apart of those that most cameras show, and click them."""
    x0, y0, x1, y1 = scene.bounds_m
    gx, gy = np.meshgrid(np.linspace(x0, x1, 25), np.linspace(y0, y1, 60))
    spots = np.column_stack([gx.ravel(), gy.ravel()])
    shown = np.array(
        [
            np.nan_to_num((px > 5).all(axis=1) & (px < [m.width - 5, m.height - 5]).all(axis=1))
            for m in views.values()
            for px in [np.nan_to_num(m.to_picture(spots), nan=-1.0)]
        ]
    )
    best = np.flatnonzero(shown.sum(axis=0) == shown.sum(axis=0).max())
    far = np.linalg.norm(spots[best][:, None] - spots[best], axis=2)
    pair = best[list(np.unravel_index(int(np.argmax(far)), far.shape))]
    rng = np.random.default_rng(0)
    found = []
    for spot in pair.tolist():
        marks = {}
        for (key, model), is_shown in zip(views.items(), shown[:, spot], strict=True):
            if is_shown:
                u, v = (model.to_picture(spots[spot : spot + 1])[0] + rng.normal(0, NOISE_PX, 2)).tolist()
                marks[key] = (u, v)
        found.append(Anchor((float(spots[spot, 0]), float(spots[spot, 1])), marks))
    return found


def _rounded(value: Any) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def lines(result: dict[str, Any]) -> list[str]:
    """Give the tables."""
    out = [
        "| camera | homography m | pose m | chosen m | RANSAC | MAGSAC | calibrateCamera | solvePnP, true lens |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["clicked"].items():
        m = row["median_m"]
        cells = [
            m.get(k)
            for k in (
                "homography",
                "pose",
                "chosen",
                "cv2.findHomography RANSAC",
                "cv2.findHomography USAC_MAGSAC",
                "cv2.calibrateCamera",
                "cv2.solvePnP, true lens",
            )
        ]
        out.append(f"| {name} | " + " | ".join("-" if c is None else f"{c:.3f}" for c in cells) + " |")
    out += [
        "",
        "| two outliers of ten | both found | m | without them | cv2 RANSAC | cv2 MAGSAC |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in result["outliers"].items():
        cells = [row[k] for k in ("median_m", "without_outliers_m", "cv2_ransac_m", "cv2_magsac_m")]
        out.append(
            f"| {name} | {row['both_found']:.0%} | "
            + " | ".join("-" if c is None else f"{c:.3f}" for c in cells)
            + " |"
        )
    out += ["", "| k1 = -0.3 | with lens m | without | share |", "|---|---|---|---|"]
    out += [
        f"| {n} | {r['with_lens_m']:.3f} | {r['without_m']:.3f} | {r['share']:.2f} |"
        for n, r in result["distorted"].items()
    ]
    out += ["", "| from people and two anchors | m | expected | sights | |", "|---|---|---|---|---|"]
    for scene, found in result["people"].items():
        for name, r in found["cameras"].items():
            error = "refused" if r["error_m"] is None else f"{r['error_m']:.3f}"
            expected = "-" if r["expected_m"] is None else f"{r['expected_m']:.2f}"
            out.append(f"| {scene} {name} | {error} | {expected} | {r['sights']} | {r['refused']} |")
    return out


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--scenes", type=Path, default=SHARED / "scenes")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    before = machine()
    result: dict[str, Any] = {
        "machine": before,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seeds": arguments.seeds,
    }
    result |= {"clicked": {}, "outliers": {}, "people": {}}
    for name in SCENES:
        scene = read_scene(arguments.scenes / name)
        for camera in scene.cameras:
            label = f"{name} {camera.model.camera_id}"
            result["clicked"][label] = clicked(scene, camera.model, arguments.seeds)
            result["outliers"][label] = outliers(scene, camera.model, arguments.seeds)
    result["distorted"] = distorted(arguments.seeds)
    for name in ("wildtrack-exact-a", "wildtrack-a"):
        result["people"][name] = from_people(read_scene(arguments.scenes / name))
    table = lines(result)
    print(*table, sep="\n")
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    arguments.json.with_suffix(".md").write_text("\n".join(table) + "\n")
    print(f"written to {arguments.json}, and the table beside it")


if __name__ == "__main__":
    main()
