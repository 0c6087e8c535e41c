"""What a lens does to a picture: OpenCV's camera matrix and distortion."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import cv2
import numpy as np
from numpy.typing import ArrayLike

from environments.polygons import Floats, GeometryError, as_floats

HORIZON_EPS = 1e-9
# cv2 stops after five rounds by default, a third of a pixel off in the corners of a wide lens
UNDISTORT_UNTIL = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 50, 1e-6)
UNDISTORT_TOLERANCE_PX = 0.5


@dataclass(frozen=True)
class Lens:
    """Inner calibration of a camera in OpenCV's convention.

    Attributes:
        matrix: (3, 3) camera matrix in px.
        distortion: (5,) k1 k2 p1 p2 k3; zeros for none.
    """

    matrix: Floats
    distortion: Floats

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3):
            raise GeometryError(f"camera matrix: expected shape (3, 3), got {self.matrix.shape}")
        if self.distortion.shape != (5,):
            raise GeometryError(f"distortion: expected shape (5,), got {self.distortion.shape}")

    @classmethod
    def create(cls, *, matrix: ArrayLike, distortion: ArrayLike | None = None) -> Self:
        """Check numbers from outside; no distortion means none.

        Raises:
            GeometryError: shapes, values that are not numbers, a focal length that is not positive.
        """
        k = as_floats("camera matrix", matrix, (3, 3))
        if k[0, 0] <= 0 or k[1, 1] <= 0 or not np.allclose(k[2], [0, 0, 1]):
            raise GeometryError(
                "camera matrix: expected [[fx, 0, cx], [0, fy, cy], [0, 0, 1]] with positive fx and fy"
            )
        return cls(k, np.zeros(5) if distortion is None else as_floats("distortion", distortion, (5,)))

    @property
    def is_distorting(self) -> bool:
        """Say whether any distortion coefficient is non-zero."""
        return bool(np.any(self.distortion))

    def undistort(self, points_px: Floats) -> Floats:
        """Move recorded pixels to where a lens without distortion would show them, (n, 2) -> (n, 2).

        NaN where no point of the world is shown by these coefficients.
        """
        if not self.is_distorting or len(points_px) == 0:
            return points_px
        out = cv2.undistortPoints(
            points_px.reshape(-1, 1, 2), self.matrix, self.distortion, P=self.matrix, criteria=UNDISTORT_UNTIL
        )
        out = np.asarray(out, dtype=np.float64).reshape(-1, 2)
        missed_px = np.abs(self.distort(out) - points_px).max(axis=1)
        return np.where((missed_px < UNDISTORT_TOLERANCE_PX)[:, None], out, np.nan)

    def distort(self, points_px: Floats) -> Floats:
        """Move undistorted pixels to where the recorded picture shows them, (n, 2) -> (n, 2).

        NaN so far out that the lens would fold the point back into the picture.
        """
        if not self.is_distorting or len(points_px) == 0:
            return points_px
        normal = np.column_stack([points_px, np.ones(len(points_px))]) @ np.linalg.inv(self.matrix).T
        out, _ = cv2.projectPoints(normal, np.zeros(3), np.zeros(3), self.matrix, self.distortion)
        folded = (normal[:, :2] ** 2).sum(axis=1) > self.reach2
        return np.where(folded[:, None], np.nan, np.asarray(out, dtype=np.float64).reshape(-1, 2))

    @cached_property
    def reach2(self) -> float:
        """Give the squared normalised radius up to which the radial distortion grows outwards."""
        k1, k2, _, _, k3 = np.where(np.abs(self.distortion) < HORIZON_EPS, 0.0, self.distortion)
        roots = np.roots([7 * k3, 5 * k2, 3 * k1, 1.0])  # of d/dr of r (1 + k1 r^2 + k2 r^4 + k3 r^6)
        turns = roots.real[(np.abs(roots.imag) < HORIZON_EPS) & (roots.real > 0)]
        return float(turns.min(initial=np.inf))
