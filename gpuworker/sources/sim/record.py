"""Writing the simulator as a scene folder: calibration, truth, detections, videos or pictures."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.values import Detections
from gpuworker.sources.sim.detect import TrueBoxes, detected, true_boxes
from gpuworker.sources.sim.draw import CameraView
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.scene import FPS, plaza_cameras
from gpuworker.sources.sim.world import Truth
from gpuworker.sources.sim.worlds import SharedWorld, Worlds

Image = NDArray[np.uint8]
Pictures = Literal["video", "images", "none"]
PutPicture = Callable[[Image], None]

SEEN_SHARE = 0.1  # true boxes of people of whom less is seen are left out
JPEG_QUALITY = 92


class RecordError(Exception):
    """A scene that cannot be written; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What was written.

    Attributes:
        frames: of each camera.
        ids: how many different people were there.
    """

    frames: int
    ids: int


def record_scene(
    folder: Path,
    *,
    seconds: float,
    people: int = 10,
    seed: int = 7,
    fps: float = FPS,
    pictures: Pictures = "none",
    with_detections: bool = True,
    worlds: Worlds | None = None,
) -> Recorded:
    """Write a scene folder of the simulated plaza: always truth, calibration and true boxes.

    Args:
        folder: must not exist or be empty.
        pictures: ``video`` for one mp4 a camera, ``images`` for numbered pictures, ``none``.
        with_detections: add what a detector of middling quality would have found.
        worlds: where the empty views are kept, for who records several scenes.

    Raises:
        RecordError: the folder is in use or cannot be written, or a number makes no sense.
    """
    frames = round(seconds * fps)
    if frames < 1 or people < 0 or seed < 0:
        raise RecordError("a scene needs at least one frame, and people and seed of 0 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecordError(f"{folder} is in use: choose a folder that does not exist or is empty")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        views = [(worlds or Worlds()).view(camera, seed) for camera in plaza_cameras()]
        recorder = _Recorder(
            folder,
            views,
            fps=fps,
            pictures=pictures,
            with_detections=with_detections,
            rng=np.random.default_rng([seed, 99]),
        )
        return recorder.record(SharedWorld(people=people, seed=seed), frames)
    except OSError as error:
        raise RecordError(f"{folder} cannot be written: {error.strerror}") from error


class _Recorder:
    def __init__(
        self,
        folder: Path,
        views: list[CameraView],
        *,
        fps: float,
        pictures: Pictures,
        with_detections: bool,
        rng: np.random.Generator,
    ) -> None:
        self._folder, self._views, self._fps = folder, views, fps
        self._pictures, self._with_detections, self._rng = pictures, with_detections, rng

    def record(self, world: SharedWorld, frames: int) -> Recorded:
        truth_rows: list[str] = []
        boxes: dict[str, list[str]] = {view.camera.camera_id: [] for view in self._views}
        detections: dict[str, list[str]] = {key: [] for key in boxes}
        ids: set[int] = set()
        with ExitStack() as files:
            put = {v.camera.camera_id: self._open_pictures(v.camera, files) for v in self._views}
            for frame in range(1, frames + 1):
                truth = world.truth_at((frame - 1) / self._fps)
                ids.update(truth.ids.tolist())
                truth_rows += _truth_rows(frame, truth)
                for view in self._views:
                    key = view.camera.camera_id
                    seen = true_boxes(view.camera, view.backdrop, truth)
                    boxes[key] += _box_rows(frame, seen)
                    if self._with_detections:
                        found = detected(seen, view.camera, PLAZA, self._rng)
                        detections[key] += _detection_rows(frame, found)
                    if self._pictures != "none":
                        put[key](view.draw(truth, frame))
        _write(self._folder / "gt.txt", truth_rows)
        for key in boxes:
            _write(self._folder / "gt_boxes" / f"{key}.txt", boxes[key])
            if self._with_detections:
                _write(self._folder / "detections" / f"{key}.txt", detections[key])
        scene = json.dumps(self._description(frames), indent=1)
        (self._folder / "scene.json").write_text(scene + "\n", encoding="utf-8")
        return Recorded(frames, len(ids))

    def _open_pictures(self, camera: CameraModel, files: ExitStack) -> PutPicture:
        if self._pictures == "video":
            path = self._folder / "video" / f"{camera.camera_id}.mp4"
            path.parent.mkdir(exist_ok=True)
            video = files.enter_context(_Mp4(path, camera, self._fps))
            return video.put
        folder = self._folder / "images" / camera.camera_id
        if self._pictures == "images":
            folder.mkdir(parents=True)
        return _NumberedImages(folder).put

    def _description(self, frames: int) -> dict[str, object]:
        return {
            "name": self._folder.resolve().name,
            "fps": self._fps,
            "frames": frames,
            "bounds_m": list(PLAZA.bounds_m),
            "cameras": [self._camera_description(view.camera) for view in self._views],
        }

    def _camera_description(self, camera: CameraModel) -> dict[str, object]:
        key = camera.camera_id
        if camera.lens is None or camera.rotation is None or camera.translation_m is None:
            raise RecordError(f"camera {key} lacks its full calibration")
        description: dict[str, object] = {
            "id": key,
            "width": camera.width,
            "height": camera.height,
            "homography_image_to_world": camera.h_image_to_world.tolist(),
            "camera_matrix": camera.lens.matrix.tolist(),
            "rotation": camera.rotation.tolist(),
            "translation_m": camera.translation_m.tolist(),
            "distortion": camera.lens.distortion.tolist(),
            "gt_boxes": f"gt_boxes/{key}.txt",
        }
        if self._with_detections:
            description["detections"] = f"detections/{key}.txt"
        if self._pictures == "video":
            description["video"] = f"video/{key}.mp4"
        elif self._pictures == "images":
            description["images"] = f"images/{key}"
        return description


class _Mp4:
    """A video file that frames of one size are put into, each 1 / fps after the other."""

    def __init__(self, path: Path, camera: CameraModel, fps: float) -> None:
        rate = Fraction(fps).limit_denominator(1000)
        self._container = av.open(str(path), "w")
        if "libx264" in av.codecs_available:
            self._stream = self._container.add_stream("libx264", rate=rate)
            self._stream.options = {"crf": "20", "preset": "veryfast"}
        else:
            self._stream = self._container.add_stream("mpeg4", rate=rate)
            self._stream.bit_rate = 4_000_000
        self._stream.width, self._stream.height, self._stream.pix_fmt = camera.width, camera.height, "yuv420p"
        self._stream.codec_context.gop_size = max(1, round(fps * 2))
        self._stream.codec_context.time_base = 1 / rate
        self._count = 0

    def __enter__(self) -> "_Mp4":
        return self

    def __exit__(self, *_: object) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()

    def put(self, image: Image) -> None:
        frame = av.VideoFrame.from_ndarray(image, format="bgr24")
        frame.pts, self._count = self._count, self._count + 1
        self._container.mux(self._stream.encode(frame))


class _NumberedImages:
    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    def put(self, image: Image) -> None:
        self._count += 1
        path = self._folder / f"{self._count:06d}.jpg"
        if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise RecordError(f"{path} cannot be written")


def _truth_rows(frame: int, truth: Truth) -> list[str]:
    places = zip(truth.ids.tolist(), truth.position_m.tolist(), strict=True)
    return [f"{frame},{i},-1,-1,-1,-1,1,{x:.3f},{y:.3f},0" for i, (x, y) in places]


def _box_rows(frame: int, boxes: TrueBoxes) -> list[str]:
    seen = boxes.visible >= SEEN_SHARE
    rows = zip(boxes.ids[seen].tolist(), boxes.xyxy[seen].tolist(), strict=True)
    return [
        f"{frame},{i},{x0:.1f},{y0:.1f},{x1 - x0:.1f},{y1 - y0:.1f},1,-1,-1,-1"
        for i, (x0, y0, x1, y1) in rows
    ]


def _detection_rows(frame: int, found: Detections) -> list[str]:
    rows = zip(found.xyxy.tolist(), found.confidence.tolist(), strict=True)
    return [
        f"{frame},-1,{x0:.1f},{y0:.1f},{x1 - x0:.1f},{y1 - y0:.1f},{c:.3f},-1,-1,-1"
        for (x0, y0, x1, y1), c in rows
    ]


def _write(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
