"""What a camera's empty picture looks like, and which pixels differ from it."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Boxes = NDArray[np.int_]

# all times in seconds, so that nothing depends on the frame rate
SAMPLE_EVERY_S = 0.19  # of the first pictures, which the background is made from; two frames at 10 fps
SAMPLES = 15
FIRST_SAMPLES, MEDIAN_EVERY = 10, 5  # their median is used from ten on, and taken every five
CALM_S = 4.0  # in which the background follows slow changes
OBJECT_S = 20.0  # in which something that is no person becomes background
PERSON_S = 300.0  # in which somebody who stands still does
NOISE_FLOOR = 2.0  # grey levels, standard deviation
FOREGROUND_SIGMAS = 4.0
FLICKER = 1.3  # worst of three channels; the mean difference of two frames is 1.13 standard deviations
NOISE_CAP = 4.0  # a difference counts as so many times the noise at most, so that a passer-by is none
SHADOW_DARKEST = 0.4  # a shadow keeps at least this share of the light
SHADOW_BRIGHTEST = 0.97
SHADOW_TINT = 0.06  # by how much a shadow may change the colour, share of the brightness
GHOST_LEAST_PX = 12
GHOST_MOVES = 0.2  # share of a ghost that may move
DOUBT_EDGES = 1.25  # under this share a still person is learned like a thing
GHOST_EDGES = 0.9  # share of the background's edges that is left where a person is no more
RIM = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class Change:
    """What differs from the background.

    Attributes:
        foreground: (h, w) bool, surely something else.
        shadow: (h, w) bool, darker but of the background's colour.
        planes: (3, h, w) float32, the picture in the background's light.
        strength: (h, w) float32 grey levels, the largest difference of the three channels.
    """

    foreground: Mask
    shadow: Mask
    planes: Floats32
    strength: Floats32


class Background:
    """Learns a camera's empty picture, though people may be in it from the first frame on.

    It starts from the median of samples over some seconds, then follows slow changes. Pixels where
    people were found are learned far more slowly, and a change of the light over the whole picture is
    a gain, not motion.
    """

    def __init__(self, height: int, width: int) -> None:
        self._samples: list[Bytes] = []
        self._sampled_s = -np.inf
        self._mean = np.zeros((3, height, width), np.float32)
        self._checked: Floats32 | None = None  # the picture when ghosts were looked for last
        self._before: Floats32 | None = None
        self._doubtful = np.zeros((height, width), np.bool_)  # may be a ghost: not kept from being learned
        self._noise = np.full((height, width), NOISE_FLOOR, np.float32)

    def compare(self, picture: Bytes, now_s: float) -> Change | None:
        """Say what of a picture (h, w, 3) BGR is not background; None while that is not known yet."""
        planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
        if len(self._samples) < SAMPLES and now_s - self._sampled_s >= SAMPLE_EVERY_S:
            self._sample(planes, now_s)
        if len(self._samples) < FIRST_SAMPLES:
            return None
        light = _light(planes, self._mean)[:, None, None]
        expected = self._mean * light
        now = planes.astype(np.float32)
        strength = np.abs(now - expected).max(axis=0)
        changed = strength > FOREGROUND_SIGMAS * self._noise
        shadow = np.zeros_like(changed)
        shadow[changed] = _is_shadow(now[:, changed], expected[:, changed], self._noise[changed])
        return Change(changed & ~shadow, shadow, now / light, strength)

    def learn(self, change: Change, people: Mask, elapsed_s: float) -> None:
        """Take a compared picture in: people (h, w) marks where somebody was found."""
        calm = ~(change.foreground | change.shadow)
        rate = np.where(calm, _rate(elapsed_s, CALM_S), _rate(elapsed_s, OBJECT_S))
        rate = np.where(people & ~self._doubtful, _rate(elapsed_s, PERSON_S), rate).astype(np.float32)
        if len(self._samples) >= SAMPLES:
            self._mean += rate * (change.planes - self._mean)
        # noise is what flickers from frame to frame; what merely differs from the background is not
        if self._before is not None:
            flicker = FLICKER * np.abs(change.planes[1] - self._before)
            flicker = np.minimum(flicker, NOISE_CAP * self._noise)
            self._noise += np.where(people, np.float32(0), rate) * (flicker - self._noise)
            np.maximum(self._noise, NOISE_FLOOR, out=self._noise)
        self._before = change.planes[1]

    def drop_ghosts(self, change: Change, boxes: Boxes) -> Mask:
        """Learn what is left of people and shadows that went; say which boxes (n,) of people were such.

        Around somebody real the picture has an edge where the background has none; around the place that
        somebody left, it is the other way round, and nothing moves there.
        """
        before, self._checked = self._checked, change.planes
        ghosts = np.zeros(len(boxes), np.bool_)
        if before is None or len(self._samples) < SAMPLES:
            return ghosts
        moving = np.abs(change.planes[1] - before[1]) > FOREGROUND_SIGMAS * self._noise
        body = change.foreground.view(np.uint8)
        rim = cv2.dilate(body, RIM) != cv2.erode(body, RIM)
        edges = np.stack([_edges(change.planes), _edges(self._mean)]) * rim
        self._doubtful = np.zeros_like(change.foreground)
        alone = change.foreground.copy()  # what belongs to no person
        for i, (x0, y0, x1, y1) in enumerate(boxes):
            place = np.s_[y0:y1, x0:x1]
            alone[place] = False
            ghosts[i] = self._drop_ghost(change, place, change.foreground[place], moving, edges)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(alone.view(np.uint8), connectivity=8)
        for label, (x0, y0, wide, tall, _) in zip(range(1, count), stats[1:], strict=True):
            place = np.s_[max(y0 - 1, 0) : y0 + tall + 1, max(x0 - 1, 0) : x0 + wide + 1]
            self._drop_ghost(change, place, labels[place] == label, moving, edges)
        return ghosts

    def _drop_ghost(
        self, change: Change, place: tuple[slice, slice], inside: Mask, moving: Mask, edges: Floats32
    ) -> bool:
        area = np.count_nonzero(inside)
        if area < GHOST_LEAST_PX or np.count_nonzero(moving[place] & inside) > GHOST_MOVES * area:
            return False
        now, before = edges[:, *place].sum(axis=(1, 2))
        if now < GHOST_EDGES * before:
            self._mean[:, *place][:, inside] = change.planes[:, *place][:, inside]
            return True
        self._doubtful[place] |= inside & (now < DOUBT_EDGES * before)
        return False

    def _sample(self, planes: Bytes, now_s: float) -> None:
        self._samples.append(planes)
        self._sampled_s = now_s
        count = len(self._samples)
        if count >= FIRST_SAMPLES and count % MEDIAN_EVERY == 0:
            self._mean = np.partition(np.stack(self._samples), count // 2, axis=0)[count // 2].astype(
                np.float32
            )


def _is_shadow(now: Floats32, expected: Floats32, noise: Floats32) -> Mask:
    """Say which pixels (3, n) are the background in less light.

    Source: Horprasert et al., A Statistical Approach for Real-time Robust Background Subtraction and
    Shadow Detection (1999): brightness and chromaticity distortion.
    """
    before = expected.sum(axis=0)
    ratio = now.sum(axis=0) / np.maximum(before, 1.0)
    tint = np.abs(now - expected * ratio).max(axis=0)
    dark = (ratio > SHADOW_DARKEST) & (ratio < SHADOW_BRIGHTEST)
    return np.asarray(dark & (tint < SHADOW_TINT * before / 3 + 2 * noise))


def _edges(planes: Floats32) -> Floats32:
    """Give how fast the colour changes at each pixel, (3, h, w) -> (h, w)."""
    across = sum(np.abs(cv2.Sobel(plane, cv2.CV_32F, 1, 0)) for plane in planes)
    down = sum(np.abs(cv2.Sobel(plane, cv2.CV_32F, 0, 1)) for plane in planes)
    return np.asarray(across + down, dtype=np.float32)


def _light(planes: Bytes, mean: Floats32) -> Floats32:
    """Give by how much the light of each channel changed, (3,): the median over a grid of pixels."""
    now = planes[:, 2::5, 2::5].reshape(3, -1).astype(np.float32)
    before = mean[:, 2::5, 2::5].reshape(3, -1)
    return np.asarray(np.median((now + 1.0) / (before + 1.0), axis=1), dtype=np.float32)


def _rate(elapsed_s: float, time_s: float) -> float:
    return 1.0 - float(np.exp(-elapsed_s / time_s))
