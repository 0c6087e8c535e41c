"""Boxes of standing people in one camera's picture."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from environments.polygons import Floats, GeometryError

Ints = NDArray[np.int64]

EDGE_PX = 3.0  # a box that touches the picture's edge is cut off
SLIM, STOUT = 5.0, 1.5  # height over width of somebody who stands
LEGS, HIDDEN = 0.33, 0.15  # the lower part of a box, and which share of it may be hidden


@dataclass(frozen=True, slots=True)
class Sightings:
    """Boxes of one camera over time.

    Attributes:
        camera_id: key of the camera.
        width, height: of its picture, px.
        tick: (n,) which instant; the same number for the same instant in all cameras.
        xyxy: (n, 4) px.
    """

    camera_id: str
    width: int
    height: int
    tick: Ints
    xyxy: Floats

    def __post_init__(self) -> None:
        if self.xyxy.shape != (len(self.tick), 4):
            raise GeometryError(f"boxes: expected shape ({len(self.tick)}, 4), got {self.xyxy.shape}")

    @property
    def mid_u(self) -> Floats:
        """Give the middle between left and right edge, (n,) px."""
        return (self.xyxy[:, 0] + self.xyxy[:, 2]) / 2

    @property
    def edges(self) -> Floats:
        """Give middle, lower and upper edge, (n, 3) px."""
        return np.column_stack([self.mid_u, self.xyxy[:, 3], self.xyxy[:, 1]])

    def whole(self) -> "Sightings":
        """Leave out boxes that are cut off by the picture's edge, or shaped like nobody who stands."""
        left, top, right, bottom = self.xyxy.T
        inside = (left > EDGE_PX) & (top > EDGE_PX)
        inside &= (right < self.width - EDGE_PX) & (bottom < self.height - EDGE_PX)
        ratio = (bottom - top) / np.maximum(right - left, 1.0)
        return self.only(inside & (ratio > STOUT) & (ratio < SLIM) & (self._hidden_feet() < HIDDEN))

    def _hidden_feet(self) -> Floats:
        """Give which share of each box's lower part lies in one box of somebody nearer, (n,)."""
        share = np.zeros(len(self.tick))
        order = np.argsort(self.tick, kind="stable")
        for at in np.split(order, np.flatnonzero(np.diff(self.tick[order])) + 1):
            left, top, right, bottom = self.xyxy[at].T
            legs = bottom - LEGS * (bottom - top)
            wide = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
            high = np.minimum(bottom[:, None], bottom) - np.maximum(legs[:, None], top)
            nearer = bottom > bottom[:, None]
            covered = np.where(nearer, np.maximum(wide, 0) * np.maximum(high, 0), 0.0).max(
                axis=1, initial=0.0
            )
            share[at] = covered / np.maximum((right - left) * (bottom - legs), 1e-9)
        return share

    def only(self, which: NDArray[np.bool_] | Ints) -> "Sightings":
        """Give some of the boxes."""
        return Sightings(self.camera_id, self.width, self.height, self.tick[which], self.xyxy[which])
