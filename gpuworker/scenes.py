"""Scene folders: a recorded site with calibrated cameras, detections or pictures, and the truth if known."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel, GeometryError, Lens
from gpuworker.pipeline.values import Detections, Floats32
from gpuworker.scoring import Positions

COLUMNS = 10  # of MOTChallenge text

Rows = NDArray[np.float64]
Ids = NDArray[np.int64]


class SceneError(ValueError):
    """A scene folder that cannot be read; the message says what is wrong, on one line."""


@dataclass(frozen=True, slots=True)
class SceneCamera:
    """One camera of a scene, with the files it has.

    Attributes:
        model: its calibration.
        offset_s: its clock minus the shared clock.
        detections, embeddings, video, images: paths, None where the scene has none.
        true_boxes: path of the true boxes with ids, likewise.
    """

    model: CameraModel
    offset_s: float
    detections: Path | None
    embeddings: Path | None
    video: Path | None
    images: Path | None
    true_boxes: Path | None = None

    @property
    def has_pictures(self) -> bool:
        """Say whether there are pictures of this camera."""
        return self.video is not None or self.images is not None


@dataclass(frozen=True, slots=True)
class Scene:
    """A recorded site.

    Attributes:
        name: its label.
        fps: ticks a second of the shared clock.
        frames: number of ticks.
        bounds_m: x_min, y_min, x_max, y_max of the scored floor.
        cameras: in the order of the file.
        truth: people at each tick, None where it is not known.
    """

    name: str
    fps: float
    frames: int
    bounds_m: tuple[float, float, float, float]
    cameras: tuple[SceneCamera, ...]
    truth: tuple[Positions, ...] | None


def read_scene(folder: Path) -> Scene:
    """Read a scene folder, all but its detections and pictures.

    Raises:
        SceneError: a file or a key is missing, or holds something else than it should.
    """
    path = folder / "scene.json"
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SceneError(f"{folder} is no scene folder: it has no scene.json") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path} cannot be read: {error}") from error
    except json.JSONDecodeError as error:
        raise SceneError(f"{path} is not JSON: {error}") from error
    entry = _Entry(raw, str(path))
    fps, frames = entry.number("fps"), entry.number("frames")
    if fps <= 0 or frames < 1 or frames != int(frames):
        raise SceneError(f"{path}: fps must be positive and frames a positive whole number")
    cameras = tuple(
        _camera(folder, _Entry(c, f"{path}: camera {i}")) for i, c in enumerate(entry.list("cameras"), 1)
    )
    ids = [camera.model.camera_id for camera in cameras]
    if not ids or len(set(ids)) != len(ids):
        raise SceneError(f"{path}: expected cameras with different ids, got {ids}")
    bounds = entry.array("bounds_m", (4,))
    if bounds[0] >= bounds[2] or bounds[1] >= bounds[3]:
        raise SceneError(f"{path}: bounds_m must be x_min, y_min, x_max, y_max, got {bounds.tolist()}")
    truth = folder / "gt.txt"
    return Scene(
        name=str(entry.get("name")),
        fps=fps,
        frames=int(frames),
        bounds_m=(float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])),
        cameras=cameras,
        truth=_truth(truth, int(frames)) if truth.exists() else None,
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    """A JSON object, read with clear messages."""

    raw: Any
    where: str

    def get(self, key: str) -> Any:
        if not isinstance(self.raw, Mapping):
            raise SceneError(f"{self.where}: expected an object")
        if key not in self.raw:
            raise SceneError(f"{self.where}: the key {key!r} is missing")
        return self.raw[key]

    def has(self, key: str) -> bool:
        return isinstance(self.raw, Mapping) and self.raw.get(key) is not None

    def number(self, key: str) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
            raise SceneError(f"{self.where}: {key} must be a number, got {value!r}")
        return float(value)

    def list(self, key: str) -> list[Any]:
        value = self.get(key)
        if not isinstance(value, list):
            raise SceneError(f"{self.where}: {key} must be a list")
        return value

    def array(self, key: str, shape: tuple[int, ...]) -> Rows:
        raw = self.get(key)
        try:
            value = np.array(raw, dtype=np.float64)
        except (TypeError, ValueError):
            raise SceneError(f"{self.where}: {key} must hold numbers only") from None
        if value.shape != shape or not np.isfinite(value).all():
            raise SceneError(
                f"{self.where}: {key}: expected numbers of shape {shape}, got shape {value.shape}"
            )
        return value

    def path(self, key: str, folder: Path) -> Path | None:
        if not self.has(key):
            return None
        value = self.get(key)
        if not isinstance(value, str):
            raise SceneError(f"{self.where}: {key} must be a path, got {value!r}")
        path = folder / value
        if not path.exists():
            raise SceneError(f"{self.where}: {key}: no such file {path}")
        return path


def _camera(folder: Path, entry: _Entry) -> SceneCamera:
    distortion = entry.array("distortion", (5,)) if entry.has("distortion") else np.zeros(5)
    try:
        model = CameraModel.create(
            camera_id=str(entry.get("id")),
            width=int(entry.number("width")),
            height=int(entry.number("height")),
            h_image_to_world=entry.array("homography_image_to_world", (3, 3)),
            lens=Lens(entry.array("camera_matrix", (3, 3)), distortion)
            if entry.has("camera_matrix")
            else None,
            rotation=entry.array("rotation", (3, 3)) if entry.has("rotation") else None,
            translation_m=entry.array("translation_m", (3,)) if entry.has("translation_m") else None,
        )
    except GeometryError as error:
        raise SceneError(f"{entry.where}: {error}") from error
    return SceneCamera(
        model=model,
        offset_s=entry.number("offset_s") if entry.has("offset_s") else 0.0,
        detections=entry.path("detections", folder),
        embeddings=entry.path("embeddings", folder),
        video=entry.path("video", folder),
        images=entry.path("images", folder),
        true_boxes=entry.path("gt_boxes", folder),
    )


def read_rows(path: Path) -> Rows:
    """Read MOTChallenge text: (n, 10).

    Raises:
        SceneError: a line has not ten numbers.
    """
    rows = []
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        fields = line.split(",")
        if len(fields) != COLUMNS:
            raise SceneError(f"{path}, line {number}: expected {COLUMNS} columns, got {len(fields)}")
        try:
            rows.append([float(f) for f in fields])
        except ValueError:
            raise SceneError(f"{path}, line {number}: expected numbers, got {line.strip()!r}") from None
    table = np.array(rows, dtype=np.float64).reshape(-1, COLUMNS)
    if not np.isfinite(table).all():
        raise SceneError(f"{path}: holds values that are not finite numbers")
    return table


def _truth(path: Path, frames: int) -> tuple[Positions, ...]:
    table = read_rows(path)
    ticks = []
    for frame in range(1, frames + 1):
        rows = table[table[:, 0] == frame]
        if len(np.unique(rows[:, 1])) != len(rows):
            raise SceneError(f"{path}: frame {frame} has an id twice")
        ticks.append(Positions(rows[:, 1].astype(np.int64), rows[:, 7:9]))
    return tuple(ticks)


def read_detections(camera: SceneCamera, frames: int) -> list[tuple[Detections, Floats32]]:
    """Read a camera's ready-made boxes and embeddings, tick by tick; none where it has none.

    Rows of ticks after the last are left out.

    Raises:
        SceneError: wrong columns, boxes without size, or embeddings that do not fit the boxes.
    """
    if camera.detections is None:
        return [(Detections.empty(), np.zeros((0, 0), np.float32))] * frames
    table = read_rows(camera.detections)
    looks = _embeddings(camera, len(table))
    xyxy = table[:, 2:6].copy()
    xyxy[:, 2:] += xyxy[:, :2]
    ticks = []
    for frame in range(1, frames + 1):
        at = table[:, 0] == frame
        found = Detections(xyxy[at].astype(np.float32), table[at, 6].astype(np.float32))
        ticks.append((found, looks[at]))
    return ticks


def read_true_boxes(camera: SceneCamera, frames: int) -> list[tuple[Ids, Floats32]]:
    """Read the ids (n,) and the boxes (n, 4) xyxy px of everybody in a camera's pictures, tick by tick.

    Raises:
        SceneError: wrong columns, or the scene has no true boxes of this camera.
    """
    if camera.true_boxes is None:
        raise SceneError(f"camera {camera.model.camera_id}: the scene has no true boxes (gt_boxes)")
    table = read_rows(camera.true_boxes)
    xyxy = table[:, 2:6].astype(np.float32)
    xyxy[:, 2:] += xyxy[:, :2]
    ticks = [table[:, 0] == frame for frame in range(1, frames + 1)]
    return [(table[at, 1].astype(np.int64), xyxy[at]) for at in ticks]


def _embeddings(camera: SceneCamera, rows: int) -> Floats32:
    if camera.embeddings is None:
        return np.zeros((rows, 0), np.float32)
    try:
        looks = np.load(camera.embeddings, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SceneError(f"{camera.embeddings} is not a NumPy array: {error}") from error
    if looks.ndim != 2 or len(looks) != rows:
        raise SceneError(f"{camera.embeddings}: expected {rows} rows as in the detections, got {looks.shape}")
    return np.asarray(looks, dtype=np.float32)


def read_pictures(camera: SceneCamera, frames: int) -> Iterator[NDArray[np.uint8] | None]:
    """Give a camera's pictures, BGR, tick by tick; None for a tick without one.

    Raises:
        SceneError: a file is no video or no picture, or has another size than the calibration.
    """
    size = (camera.model.height, camera.model.width, 3)
    given = 0
    for image in _video(camera.video) if camera.video else _images(camera.images, frames):
        if given == frames:
            return
        if image is not None and image.shape != size:
            raise SceneError(
                f"camera {camera.model.camera_id}: expected pictures of {size[1]}x{size[0]}, "
                f"got {image.shape[1]}x{image.shape[0]}"
            )
        given += 1
        yield image
    for _ in range(frames - given):
        yield None


def _video(path: Path) -> Iterator[NDArray[np.uint8]]:
    try:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    except (av.error.FFmpegError, IndexError) as error:
        raise SceneError(f"{path} cannot be read as a video: {error}") from error


def _images(folder: Path | None, frames: int) -> Iterator[NDArray[np.uint8] | None]:
    for frame in range(1, frames + 1) if folder else ():
        path = Path(str(folder)) / f"{frame:06d}.jpg"
        if not path.exists():
            yield None
            continue
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SceneError(f"{path} cannot be read as a picture")
        yield np.asarray(image, dtype=np.uint8)
