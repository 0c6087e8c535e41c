"""Explains what differs from the background by people of ordinary size who stand on the floor.

Source: the idea is that of Fleuret et al., Multicamera People Tracking with a Probabilistic Occupancy Map
(2008): the picture that people at supposed places would give is compared with the foreground by integral
images. Here each camera is explained by itself, by coordinate ascent that begins with who was there before.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends.motion_shapes import BODY, RIM, Shapes

Floats32 = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Index = NDArray[np.intp]
Place = tuple[slice, slice]

# what a pixel speaks for somebody, in steps of a level
BACKGROUND, EXPLAINED, SHADOW, LIMB, FOREGROUND = 0, 5, 7, 11, 15
LEVELS = FOREGROUND - EXPLAINED  # of evidence 1
RIM_WEIGHT = 0.2
WEIGHTS = np.array([1.0] * len(BODY) + [-RIM_WEIGHT] * len(RIM), np.float32)
LIMB_REACH = 0.25  # beside somebody found, share of the width: it may be an arm, or a neighbour
NEW_FILL = 0.12  # mean evidence over a body that is worth a person
KEEP_FILL = 0.05  # and one who was there before
MOST_PEOPLE = 60
SWEEPS = 1
MOST_SPLITS = 1  # a frame: they cost time, and the next frame goes on from here
UNEXPLAINED = 0.3  # foreground left around somebody, share of the body, that may be a second person
SPLIT_GAIN = 0.15  # what two have to explain more than one, share of the body
REACH_X, REACH_Y = 0.3, 0.25  # of a move between frames or in a sweep, shares of the height
STAY = 0.25  # mean evidence that a move by the whole height is worth
# where the ends of a box are looked for, and what ends it
BEYOND_X, BEYOND_Y = 0.3, 0.12  # beyond the shape, shares of its width and height
LEAST_LINE = 0.1  # foreground in a line, share of the shape's size across
HIDDEN = 0.15  # share of a line that belongs to somebody else
HIDDEN_BAND = 0.08  # share of the size beyond an end that is looked at for it
CLOTH_GAP = 0.12  # share of the size that has to be missing before cloth like the floor is believed in
SIGN_OF_SHORT = np.array([1, 1, -1, -1])
FREE = -1  # owner of a pixel: nobody


class Canvas:
    """The evidence of one picture, and how much of it the people placed so far leave unexplained."""

    def __init__(self, shapes: Shapes, foreground: Mask, shadow: Mask) -> None:
        self.shapes = shapes
        levels = np.where(shadow, np.uint8(SHADOW), np.uint8(BACKGROUND))
        levels[foreground] = FOREGROUND
        self._levels: Bytes = levels
        self._left: Bytes = levels.copy()
        self._bodies = np.zeros(levels.shape, np.uint8)
        self._limbs = np.zeros(levels.shape, np.uint8)
        everywhere = np.arange(len(shapes.area))
        # who is too poor now stays so, for what is left to explain only shrinks
        self.alive = everywhere[self.fills(everywhere) > KEEP_FILL]
        self._foot, self._height = shapes.foot[self.alive], shapes.height[self.alive]

    def fills(self, index: Index) -> Floats32:
        """Give the mean evidence that is left over the bodies at an index, less that around them, (k,)."""
        area = self.shapes.area[index]
        found = self.shapes.sums(cv2.integral(self._left), index, WEIGHTS)
        return np.asarray((found / area - EXPLAINED) / LEVELS, dtype=np.float32)

    def near(self, foot: Floats32, reach_x: float, reach_y: float) -> tuple[Index, Floats32]:
        """Give the shapes that may be people around a foot point, (k,), and how far off they are, (k, 2).

        Distances are shares of the height.
        """
        inside = np.flatnonzero(
            (np.abs(self._foot[:, 0] - foot[0]) < reach_x * self._height)
            & (np.abs(self._foot[:, 1] - foot[1]) < reach_y * self._height)
        )
        return self.alive[inside], (self._foot[inside] - foot) / self._height[inside, None]

    def loss(self, place: Place) -> float:
        """Give what is wrong in a part of the picture: foreground unexplained and background explained."""
        left, covered = self._left[place], self._bodies[place] > 0
        unexplained = np.maximum(left, EXPLAINED).sum(dtype=np.int64) - EXPLAINED * left.size
        wrong = np.count_nonzero(covered & (self._levels[place] == BACKGROUND)) * (EXPLAINED - BACKGROUND)
        return float(unexplained + wrong) / LEVELS

    def around(self, index: int, share: float) -> Place:
        """Give the part of the picture around a shape, with a margin of a share of its width."""
        height, width = self.shapes.size
        x0, y0, x1, y1 = self.shapes.box[index]
        margin = share * (x1 - x0)
        rows = slice(max(int(y0 - margin / 2), 0), min(int(np.ceil(y1 + margin / 2)), height))
        return rows, slice(max(int(x0 - margin), 0), min(int(np.ceil(x1 + margin)), width))

    def place(self, index: int) -> None:
        """Put somebody there: their pixels are explained, and part of what is close beside them."""
        self._change(index, 1)

    def remove(self, index: int) -> None:
        """Take somebody away again."""
        self._change(index, 255)  # wraps to a subtraction of 1

    def _change(self, index: int, by: int) -> None:
        place = self.around(index, LIMB_REACH)
        self._limbs[place] += np.uint8(by)
        for left, top, right, bottom in self.shapes.body[index]:
            self._bodies[top:bottom, left:right] += np.uint8(by)
        levels = self._levels[place]
        left_over = np.where(self._limbs[place] > 0, np.minimum(levels, LIMB), levels)
        self._left[place] = np.where(self._bodies[place] > 0, EXPLAINED, left_over)


@dataclass(frozen=True, slots=True)
class Cover:
    """People who explain a picture.

    Attributes:
        index: (k,) shapes.
        fill: (k,) mean evidence of each body that nobody else explains.
    """

    index: Index
    fill: Floats32


class Fit:
    """Chooses the people who explain a picture best."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._fill: dict[int, float] = {}  # of each shape chosen

    def run(self, expected: Floats32) -> Cover:
        """Begin with people expected at foot points (m, 2) px; then move, add, drop and split."""
        shapes = self._canvas.shapes
        for foot in expected[np.argsort(-expected[:, 1], kind="stable")]:  # the nearest hide the others
            self._settle(foot)
        self._add()
        self._split()
        for _ in range(SWEEPS):
            for index in self._crowded():
                self._drop(index)
                self._settle(shapes.foot[index])
            self._add()
        return Cover(
            np.array(list(self._fill), dtype=np.intp), np.array(list(self._fill.values()), dtype=np.float32)
        )

    def _take(self, index: int, fill: float) -> None:
        self._fill[index] = fill
        self._canvas.place(index)

    def _drop(self, index: int) -> None:
        del self._fill[index]
        self._canvas.remove(index)

    def _settle(self, foot: Floats32) -> None:
        """Place somebody at the best spot near a foot point, unless no spot there is worth it."""
        near, off = self._canvas.near(foot, REACH_X, REACH_Y)
        if not len(near):
            return
        fill = self._canvas.fills(near)
        area = self._canvas.shapes.area[near]
        # all that a body explains counts, not its share: who is farther away would be filled as well
        best = int(np.argmax(fill * area / area.mean() - STAY * (off**2).sum(axis=1)))
        if fill[best] > KEEP_FILL:
            self._take(int(near[best]), float(fill[best]))

    def _add(self, among: Index | None = None) -> None:
        alive = self._canvas.alive if among is None else among
        while len(self._fill) < MOST_PEOPLE and len(alive):
            fill = self._canvas.fills(alive)
            rich = fill > NEW_FILL
            alive, fill = alive[rich], fill[rich]
            if len(alive):
                best = int(np.argmax(fill * self._canvas.shapes.area[alive]))
                self._take(int(alive[best]), float(fill[best]))

    def _crowded(self) -> list[int]:
        """Give those chosen whose surroundings somebody else touches; the others stand well already."""
        chosen = list(self._fill)
        box = self._canvas.shapes.box[chosen]
        margin = LIMB_REACH * (box[:, 2:3] - box[:, :1])
        low, high = box[:, :2] - margin, box[:, 2:] + margin
        touch = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=2)
        return [index for index, n in zip(chosen, touch.sum(axis=1), strict=True) if n > 1]

    def _split(self) -> None:
        """Try several people instead of one where much foreground is left around somebody."""
        tries = 0
        for index in list(self._fill):
            place = self._canvas.around(index, 0.5)
            area = float(self._canvas.shapes.area[index])
            if tries == MOST_SPLITS or self._canvas.loss(place) < UNEXPLAINED * area:
                continue
            tries += 1
            self._split_one(index, place, area)

    def _split_one(self, index: int, place: Place, area: float) -> None:
        canvas, foot = self._canvas, self._canvas.shapes.foot[index]
        kept = dict(self._fill)
        least, best = canvas.loss(place) - SPLIT_GAIN * area, kept
        near, off = canvas.near(foot, 0.5, 0.5)
        for side in (off[:, 0] < -0.08, off[:, 0] > 0.08, off[:, 1] > 0.08):
            self._drop(index)
            self._add_best(near[side])
            self._add(near)
            loss = canvas.loss(place) + SPLIT_GAIN * area * (len(self._fill) - len(kept))
            if loss < least:
                least, best = loss, dict(self._fill)
            self._become(kept)
        self._become(best)

    def _add_best(self, among: Index) -> None:
        if len(among):
            fill = self._canvas.fills(among)
            best = int(np.argmax(fill * self._canvas.shapes.area[among]))
            self._take(int(among[best]), float(fill[best]))

    def _become(self, wanted: dict[int, float]) -> None:
        for index in [i for i in self._fill if i not in wanted]:
            self._drop(index)
        for index, fill in wanted.items():
            if index not in self._fill:
                self._take(index, fill)


def tighten(shapes: Shapes, index: Index, sure: Mask, shadow: Mask) -> Floats32:
    """Give boxes (k, 4) that end where the foreground of each person chosen ends.

    People of other heights than the mean are met so; a foot or a head that somebody nearer hides stays
    where the shape has it.
    """
    owner = np.full(shapes.size, FREE, np.int16)
    order = np.argsort(shapes.box[index, 3], kind="stable")  # the nearer cover the farther
    for k in order:
        for left, top, right, bottom in shapes.body[index[k]]:
            owner[top:bottom, left:right] = k
    # what looks like a shadow within a body may be cloth of the floor's colour
    cloth = sure | (shadow & (owner != FREE))
    boxes = np.zeros((len(index), 4), np.float32)
    for k, box in enumerate(shapes.box[index]):
        ends = _tighten(box, k, owner, sure)
        for believed in (_tighten(box, k, owner, cloth), box):
            short = SIGN_OF_SHORT * (ends - box) > CLOTH_GAP * np.tile(box[2:] - box[:2], 2)
            ends = np.where(short, believed, ends)
        boxes[k] = ends
    return boxes


def _tighten(box: Floats32, k: int, owner: NDArray[np.int16], sure: Mask) -> Floats32:
    height, width = owner.shape
    x0, y0, x1, y1 = box
    wide, tall = float(x1 - x0), float(y1 - y0)
    left, top = max(int(x0 - BEYOND_X * wide), 0), max(int(y0 - BEYOND_Y * tall), 0)
    right = min(int(np.ceil(x1 + BEYOND_X * wide)), width)
    bottom = min(int(np.ceil(y1 + BEYOND_Y * tall)), height)
    near = owner[top:bottom, left:right]
    mine = sure[top:bottom, left:right] & ((near == k) | (near == FREE))
    others = (near != k) & (near != FREE)
    out = box.copy()
    for axis, size, across in ((0, wide, tall), (1, tall, wide)):  # columns, then rows
        ends = np.flatnonzero(mine.sum(axis=axis) >= max(1.0, LEAST_LINE * across))
        if not len(ends):
            continue
        taken = others.sum(axis=axis) > HIDDEN * across
        band = max(int(HIDDEN_BAND * size), 1)
        first, last = ends[0], ends[-1] + 1
        offset = (left, top)[axis]
        if not taken[max(first - band, 0) : first].any():
            out[axis] = offset + first
        if not taken[last : last + band].any():
            out[axis + 2] = offset + last
    return out
