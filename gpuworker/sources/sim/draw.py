"""Pictures of a simulated place: the empty view, shadows, people from far to near, and a little noise."""

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.sources.sim.backdrop import Backdrop
from gpuworker.sources.sim.figure import paint_figure
from gpuworker.sources.sim.ground import SHADE, SHADOW_PER_M
from gpuworker.sources.sim.outfit import Outfit, outfit_of
from gpuworker.sources.sim.silhouette import SHIFT, Silhouettes, project_points, silhouettes
from gpuworker.sources.sim.world import Truth

Image = NDArray[np.uint8]

NOISE_SIGMA = 2.0
NOISE_MARGIN_PX = 64
SHADOW_BLUR_PX = 2.0


class CameraView:
    """Draws what one camera sees; the same truth and frame number always give the same picture."""

    def __init__(self, camera: CameraModel, backdrop: Backdrop, *, seed: int) -> None:
        self.camera, self.backdrop = camera, backdrop
        self._outfit = lru_cache(maxsize=1024)(lambda person_id: outfit_of(seed, person_id))
        rng = np.random.default_rng([seed, *camera.camera_id.encode()])
        size = (camera.height + NOISE_MARGIN_PX, camera.width + NOISE_MARGIN_PX, 3)
        noise = np.round(rng.normal(0.0, NOISE_SIGMA, size))
        self._brighter = np.maximum(noise, 0).astype(np.uint8)
        self._darker = np.maximum(-noise, 0).astype(np.uint8)

    def draw(self, truth: Truth, frame: int) -> Image:
        """Draw everybody, (h, w, 3) BGR uint8; ``frame`` chooses the noise."""
        image = self.backdrop.image.copy()
        outfits = [self._outfit(int(i)) for i in truth.ids]
        build = np.array([outfit.build for outfit in outfits])
        shape = silhouettes(self.camera, truth, build)
        self._cast_shadows(image, truth, shape)
        for i in np.argsort(-shape.depth_m):
            self._paint(image, shape, int(i), outfits[shape.index[i]])
        self._add_noise(image, frame)
        return image

    def _paint(self, image: Image, shape: Silhouettes, i: int, outfit: Outfit) -> None:
        area = _clipped(shape.xyxy[i], image, margin=3)
        if area is None:
            return
        part = image[area]
        offset = np.array([area[1].start, area[0].start], np.int32)
        paint_figure(part, shape, i, outfit, offset)
        hidden = self.backdrop.depth_m[area] < shape.depth_m[i]
        if hidden.any():
            cv2.copyTo(self.backdrop.image[area], hidden.view(np.uint8), part)

    def _cast_shadows(self, image: Image, truth: Truth, shape: Silhouettes) -> None:
        outlines = project_points(self.camera, _shadows_m(truth, shape.index))[0]
        for outline in outlines[np.isfinite(outlines).all(axis=(1, 2))]:
            box = np.concatenate([outline.min(axis=0), outline.max(axis=0)])
            area = _clipped(box, image, margin=6)
            if area is None:
                continue
            mask = np.zeros((area[0].stop - area[0].start, area[1].stop - area[1].start), np.uint8)
            fixed = np.round((outline - [area[1].start, area[0].start]) * (1 << SHIFT)).astype(np.int32)
            cv2.fillConvexPoly(mask, fixed, (255 * SHADE,), cv2.LINE_AA, SHIFT)
            mask = cv2.GaussianBlur(mask, (0, 0), SHADOW_BLUR_PX).astype(np.uint8)
            mask &= self.backdrop.floor[area]
            light = cv2.cvtColor(255 - mask, cv2.COLOR_GRAY2BGR)
            part = image[area]
            cv2.multiply(part, light, part, 1 / 255)

    def _add_noise(self, image: Image, frame: int) -> None:
        turn = frame * 2654435761 + 97  # Knuth's multiplicative hash spreads the frame numbers
        y, x = turn % NOISE_MARGIN_PX, turn // NOISE_MARGIN_PX % NOISE_MARGIN_PX
        window = (slice(y, y + image.shape[0]), slice(x, x + image.shape[1]))
        cv2.add(image, self._brighter[window], image)
        cv2.subtract(image, self._darker[window], image)


def _clipped(xyxy: NDArray, image: Image, *, margin: int) -> tuple[slice, slice] | None:
    x0, y0 = max(0, int(xyxy[0]) - margin), max(0, int(xyxy[1]) - margin)
    x1, y1 = min(image.shape[1], int(xyxy[2]) + margin), min(image.shape[0], int(xyxy[3]) + margin)
    return (slice(y0, y1), slice(x0, x1)) if x1 > x0 and y1 > y0 else None


def _shadows_m(truth: Truth, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Outline the shadows of people on the floor, (n, 12, 3) m: from the feet to where the head's falls."""
    foot = truth.position_m[index][:, None]  # (n, 1, 2)
    head = foot + SHADOW_PER_M * truth.height_m[index][:, None, None]
    along = np.arctan2(SHADOW_PER_M[1], SHADOW_PER_M[0])
    turn = np.linspace(-np.pi / 2, np.pi / 2, 6) + along
    arc = np.column_stack([np.cos(turn), np.sin(turn)])
    outline = np.concatenate([head + 0.15 * arc, foot - 0.19 * arc], axis=1)
    return np.concatenate([outline, np.zeros((*outline.shape[:2], 1))], axis=2)
