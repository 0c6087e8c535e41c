"""Detector without weights: people are what differs from the empty picture and has a person's size.

For cameras that do not move. With a calibration the size is known everywhere; without one, blobs that
are upright enough are taken as people.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from environments.geometry import CameraModel
from gpuworker.backends.motion_background import Background, Mask
from gpuworker.backends.motion_cover import Canvas, Fit, tighten
from gpuworker.backends.motion_shapes import Shapes, make_shapes
from gpuworker.backends.spec import Number, Spec
from gpuworker.pipeline.values import Detections, Floats32, Frame, Site

WORKING_WIDTH = 320
LONGEST_STEP_S = 1.0  # a gap in the frames teaches no more than this
GHOSTS_EVERY_S = 0.5
# what a pixel speaks for somebody, where foreground is 1
SHADOW_EVIDENCE, BACKGROUND_EVIDENCE = np.float32(-0.2), np.float32(-0.8)
LEAST_FILL = 0.15  # of somebody's shape, foreground less background
# logistic from evidence to confidence, fitted to simulated people
TRUST_STEEP, TRUST_HALF = 7.0, 0.2
# blobs of cameras without a calibration
BLOB_HEIGHT_PX = 14
BLOB_ASPECT = (0.15, 1.0)  # width over height
BLOB_FILL = 0.25


class MotionDetector:
    """Finds people by background subtraction, a background for each camera."""

    name = "motion"

    def __init__(self, site: Site, *, confidence: float) -> None:
        self._site = site
        self._confidence = confidence
        self._views: dict[str, View] = {}

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the people of each frame; frames of one camera in order of time."""
        return [self._detect(frame) for frame in frames]

    def _detect(self, frame: Frame) -> Detections:
        view = self._views.get(frame.camera_id)
        if view is None or view.picture_size != frame.image.shape[:2]:
            view = View(self._site.cameras.get(frame.camera_id), frame.image.shape[:2])
            self._views[frame.camera_id] = view
        found = view.detect(frame)
        return found.select(found.confidence >= self._confidence)


class View:
    """One camera's background and the shapes that people have in it."""

    def __init__(self, camera: CameraModel | None, picture_size: tuple[int, int]) -> None:
        self.picture_size = picture_size
        rows, columns = picture_size
        scale = min(1.0, WORKING_WIDTH / columns)
        self._height, self._width = max(round(rows * scale), 1), max(round(columns * scale), 1)
        self._to_picture = np.tile([columns / self._width, rows / self._height], 2)
        self._background = Background(self._height, self._width)
        self._shapes = None if camera is None else make_shapes(camera, self._height, self._width)
        self._last_s = float("nan")
        self._ghosts_s = float("-inf")
        self._feet = np.zeros((0, 2), np.float32)

    def detect(self, frame: Frame) -> Detections:
        """Give the people of this camera's next frame."""
        now_s = frame.captured_at.timestamp()
        elapsed_s = 0.0 if np.isnan(self._last_s) else float(np.clip(now_s - self._last_s, 0, LONGEST_STEP_S))
        self._last_s = now_s
        small = cv2.resize(frame.image, (self._width, self._height), interpolation=cv2.INTER_AREA)
        change = self._background.compare(np.asarray(small, dtype=np.uint8), now_s)
        if change is None:
            return Detections.empty()
        sure = clean(change.foreground)
        if self._shapes is None:
            xyxy, confidence = blobs(sure)
        else:
            xyxy, confidence = self._people(self._shapes, sure, change.shadow)
        xyxy = np.clip(xyxy, 0, [self._width, self._height] * 2)
        whole = np.rint(xyxy).astype(int)
        if now_s - self._ghosts_s >= GHOSTS_EVERY_S:
            self._ghosts_s = now_s
            real = ~self._background.drop_ghosts(change, whole)
            xyxy, confidence, whole = xyxy[real], confidence[real], whole[real]
        people = np.zeros(sure.shape, np.bool_)
        for x0, y0, x1, y1 in whole:
            people[max(y0 - 2, 0) : y1 + 3, max(x0 - 3, 0) : x1 + 4] = True
        self._background.learn(change, people, elapsed_s)
        return Detections((xyxy * self._to_picture).astype(np.float32), confidence)

    def _people(self, shapes: Shapes, sure: Mask, shadow: Mask) -> tuple[Floats32, Floats32]:
        found = Fit(Canvas(shapes, sure, shadow)).run(self._feet)
        self._feet = shapes.foot[found.index]
        boxes = tighten(shapes, found.index, sure, shadow)
        return boxes, trust(found.fill)


def trust(fill: Floats32) -> Floats32:
    """Turn the evidence for people into how often such people are really there, (n,) in [0, 1]."""
    return np.asarray(1.0 / (1.0 + np.exp(TRUST_STEEP * (TRUST_HALF - fill))), dtype=np.float32)


def clean(foreground: Mask) -> Mask:
    """Drop specks and close the gaps in bodies."""
    smooth = cv2.medianBlur(foreground.view(np.uint8), 3)
    closed = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, np.ones((5, 3), np.uint8))
    return np.asarray(closed, dtype=np.bool_)


def blobs(sure: Mask) -> tuple[Floats32, Floats32]:
    """Take upright blobs as people: boxes (n, 4) px and confidence (n,) by how well they are filled."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(sure.view(np.uint8), connectivity=8)
    left, top, width, height, area = stats[1:count].T.astype(np.float32)
    aspect = width / np.maximum(height, 1)
    upright = (height >= BLOB_HEIGHT_PX) & (aspect > BLOB_ASPECT[0]) & (aspect < BLOB_ASPECT[1])
    fill = area / np.maximum(width * height, 1)
    good = upright & (fill > BLOB_FILL)
    boxes = np.column_stack([left, top, left + width, top + height])[good]
    return boxes.astype(np.float32), np.clip(fill[good], 0.0, 1.0).astype(np.float32)


def make_motion_detector(spec: Spec, *, site: Site) -> MotionDetector:
    """Make the detector for a site's cameras; option ``confidence`` of a box.

    Raises:
        BackendError: a path or an unknown option is given.
    """
    spec.no_argument()
    return MotionDetector(site, **spec.numbers(confidence=Number(0.2, 0.0, 1.0)))
