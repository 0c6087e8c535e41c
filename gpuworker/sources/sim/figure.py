"""Painting one person: limbs, clothes and head, far parts first."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.sources.sim.outfit import Bgr, Outfit, lit
from gpuworker.sources.sim.silhouette import (
    LEFT_ARM,
    LEFT_LEG,
    LONG_HAIR,
    NECK,
    PACK,
    RIGHT_ARM,
    RIGHT_LEG,
    SHIFT,
    Silhouettes,
)

Image = NDArray[np.uint8]

SHADED, SUNNY = 0.74, 1.06
COAT_RING, HIP_RING, TOP_RING = 1, 2, 8
SMALL_PX = 2.2  # heads smaller than this get no face


def paint_figure(image: Image, shape: Silhouettes, i: int, outfit: Outfit, offset: NDArray[np.int32]) -> None:
    """Paint person i of the silhouettes into a part of a picture that begins at ``offset`` (2,) px."""
    brush = _Brush(image, shape, i, offset)
    for leg in _far_first(shape.leg_depth_m[i], LEFT_LEG, RIGHT_LEG):
        brush.limb(leg, outfit.trousers)
        brush.limb(leg + 1, outfit.skin if outfit.shorts else outfit.trousers)
        brush.limb(leg + 2, outfit.shoes)
    far_arm, near_arm = _far_first(shape.arm_depth_m[i], LEFT_ARM, RIGHT_ARM)
    _paint_arm(brush, far_arm, outfit)
    away = shape.front[i] < 0
    if outfit.backpack and not away:
        brush.limb(PACK, outfit.backpack)
    if outfit.long_hair and not away:
        brush.limb(LONG_HAIR, lit(outfit.hair, 0.85))
    _paint_trunk(brush, outfit, float(shape.front[i]))
    if outfit.backpack and away:
        brush.limb(PACK, outfit.backpack)
    _paint_arm(brush, near_arm, outfit)
    brush.limb(NECK, outfit.skin)
    _paint_head(brush, outfit, float(shape.front[i]), float(shape.side[i]))
    if outfit.long_hair and away:
        brush.limb(LONG_HAIR, outfit.hair)


class _Brush:
    """Fills the outlines of one person, in shade and in sun."""

    def __init__(self, image: Image, shape: Silhouettes, i: int, offset: NDArray[np.int32]) -> None:
        self.image = image
        shift = offset << SHIFT
        self._limbs, self._limbs_lit = shape.limbs[i] - shift, shape.limbs_lit[i] - shift
        self._trunk, self._trunk_lit = shape.trunk[i] - shift, shape.trunk_lit[i] - shift
        self.head_px = shape.head_px[i] - offset
        self.head_radius_px = float(shape.head_radius_px[i])

    def fill(self, polygon: NDArray[np.int32], colour: Bgr) -> None:
        cv2.fillConvexPoly(self.image, polygon, colour, cv2.LINE_AA, SHIFT)

    def limb(self, limb: int, colour: Bgr) -> None:
        self.fill(self._limbs[limb], lit(colour, SHADED))
        self.fill(self._limbs_lit[limb], lit(colour, SUNNY))

    def band(self, low: int, high: int, colour: Bgr) -> None:
        """Clothe the trunk between two rings."""
        self.fill(_hull(self._trunk[low : high + 1]), lit(colour, SHADED))
        self.fill(_hull(self._trunk_lit[low : high + 1]), lit(colour, SUNNY))

    def front_strip(self, low: int, high: int, colour: Bgr) -> None:
        """Clothe the front of the trunk between two rings: a shirt under an open jacket."""
        rings = self._trunk[low : high + 1]
        self.fill(np.concatenate([rings[:, 11], rings[::-1, 1]]), lit(colour, 0.97))

    def ellipse(
        self, centre_px: NDArray, axes_px: tuple[float, float], colour: Bgr, start: int = 0, end: int = 360
    ) -> None:
        one = 1 << SHIFT
        centre = (round(float(centre_px[0]) * one), round(float(centre_px[1]) * one))
        axes = (max(1, round(axes_px[0] * one)), max(1, round(axes_px[1] * one)))
        cv2.ellipse(self.image, centre, axes, 0, start, end, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def _hull(points: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.asarray(cv2.convexHull(points.reshape(-1, 2)), np.int32)


def _far_first(depths: NDArray, left: int, right: int) -> tuple[int, int]:
    return (left, right) if depths[0] > depths[1] else (right, left)


def _paint_arm(brush: _Brush, arm: int, outfit: Outfit) -> None:
    brush.limb(arm + 2, outfit.skin)
    brush.limb(arm + 1, outfit.skin if outfit.short_sleeves else outfit.top)
    brush.limb(arm, outfit.top)


def _paint_trunk(brush: _Brush, outfit: Outfit, front: float) -> None:
    if outfit.pattern == "skirt":
        brush.band(0, HIP_RING + 1, outfit.second)
    low = COAT_RING if outfit.pattern == "coat" else HIP_RING
    brush.band(low, TOP_RING, outfit.top)
    if outfit.pattern == "stripes":
        for ring in (3, 5):
            brush.band(ring, ring + 1, outfit.second)
    elif outfit.pattern == "two-tone":
        brush.band(5, TOP_RING, outfit.second)
    elif outfit.pattern in ("open jacket", "coat") and front > 0.15:
        brush.front_strip(low + 1, 7, outfit.second)


def _paint_head(brush: _Brush, outfit: Outfit, front: float, side: float) -> None:
    r, centre = brush.head_radius_px, brush.head_px
    wide, tall = 0.82 * r, 1.06 * r
    brush.ellipse(centre, (wide, tall), lit(outfit.hair, 0.9))
    if r > SMALL_PX and front > -0.5:
        face = centre + np.array([0.34 * side * wide, 0.2 * tall])
        brush.ellipse(face, (wide * (0.62 + 0.26 * max(front, 0.0)), 0.76 * tall), outfit.skin)
    elif front > 0:
        brush.ellipse(centre + np.array([0.0, 0.25 * tall]), (0.8 * wide, 0.7 * tall), outfit.skin)
    if outfit.hat:
        top = centre - np.array([0.0, 0.12 * tall])
        brush.ellipse(top, (1.08 * wide, 0.95 * tall), outfit.hat, 180, 360)
        brush.ellipse(
            top + np.array([0.3 * side * wide, 0.0]), (1.25 * wide, 0.16 * tall), lit(outfit.hat, 0.8)
        )
