"""All cameras of a place at once: from people whom several see, and a few places whose coordinates are known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_matrix, lil_matrix

from environments.geometry.people.correspond import Shared
from environments.geometry.people.sightings import Sightings
from environments.geometry.people.view import (
    CENTRE_STD,
    FOCAL,
    FOCAL_STD,
    HEIGHT_M,
    HEIGHT_STD_M,
    NUMBERS,
    edges_of,
    project_people,
    std_px,
)
from environments.polygons import Floats

MARK_STD_PX = 3.0
MEAN_STD_M = 0.03  # of the mean height of people, besides what each differs by
BODY_SHARE = 0.04  # of a box's height: feet are not under the middle of the box
FAR = 30.0  # standard deviations


@dataclass(frozen=True, slots=True)
class Anchor:
    """A place on the floor whose coordinates are known, and where cameras show it.

    Attributes:
        place_m: (2,).
        marks_px: where in the picture, by camera id, (2,).
    """

    place_m: tuple[float, float]
    marks_px: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class Bundle:
    """Cameras after all agree as well as they can.

    Attributes:
        theta: (c, 9).
        covariance: (c, 9, 9) of each camera's numbers.
        people: (p, 3) x, y, height.
        error_px: (k,) of each observation's lower edge and middle, typical over its boxes' exactness.
        variance: by how much errors are larger than assumed, squared.
    """

    theta: Floats
    covariance: Floats
    people: Floats
    error: Floats
    variance: float


def adjust(
    sightings: Sequence[Sightings], start: Floats, shared: Shared, anchors: Sequence[Anchor]
) -> Bundle:
    """Adjust cameras (c, 9) and people together.

    Source: Triggs, McLauchlan, Hartley, Fitzgibbon, Bundle Adjustment - A Modern Synthesis (2000).
    """
    problem = _Problem(sightings, shared, anchors)
    x = problem.pack(start, shared.places_m)
    found = least_squares(
        problem.residuals,
        x,
        jac_sparsity=problem.sparsity(),
        loss="cauchy",
        f_scale=2.0,
        x_scale="jac",
        method="trf",
        tr_solver="lsmr",
        max_nfev=60,
        ftol=1e-5,
        xtol=1e-7,
    )
    theta, people, _ = problem.unpack(found.x)
    off = problem.residuals(found.x)[: 3 * len(shared.person)].reshape(-1, 3)
    used = np.abs(off) < 4.0
    variance = float(max(1.0, (off[used] ** 2).sum() / max(1, used.sum() - 2 * len(people))))
    covariance = _camera_covariance(cast(csr_matrix, found.jac), len(sightings)) * variance
    return Bundle(theta, covariance, people, off, variance)


@dataclass(frozen=True)
class _Problem:
    sightings: Sequence[Sightings]
    shared: Shared
    anchors: Sequence[Anchor]

    def __post_init__(self) -> None:
        s, shared = self.sightings, self.shared
        size = np.array([[c.width, c.height] for c in s], dtype=np.float64)
        boxes = np.array([s[c].xyxy[b] for c, b in zip(shared.camera, shared.box, strict=True)]).reshape(
            -1, 4
        )
        tall = boxes[:, 3] - boxes[:, 1]
        spread = std_px(boxes)
        body = np.hypot(spread, BODY_SHARE * tall)
        index = {c.camera_id: i for i, c in enumerate(s)}
        marks = [
            (index[key], *px, *anchor.place_m)
            for anchor in self.anchors
            for key, px in anchor.marks_px.items()
            if key in index
        ]
        for name, value in {
            "size": size,
            "edges": np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], boxes[:, 1]]),
            "std": np.column_stack([body, body, spread]),
            "marks": np.array(marks, dtype=np.float64).reshape(-1, 5),
        }.items():
            object.__setattr__(self, name, value)

    size: Floats = None  # type: ignore[assignment]
    edges: Floats = None  # type: ignore[assignment]
    std: Floats = None  # type: ignore[assignment]
    marks: Floats = None  # type: ignore[assignment]

    def pack(self, theta: Floats, places_m: Floats) -> Floats:
        people = np.column_stack([places_m, np.full(len(places_m), HEIGHT_M)])
        return np.concatenate([theta.ravel(), [0.0], people.ravel()])

    def unpack(self, x: Floats) -> tuple[Floats, Floats, float]:
        cameras = len(self.sightings) * NUMBERS
        return x[:cameras].reshape(-1, NUMBERS), x[cameras + 1 :].reshape(-1, 3), float(x[cameras])

    def residuals(self, x: Floats) -> Floats:
        theta, people, mean = self.unpack(x)
        c = self.shared.camera
        told = edges_of(theta[c], self.size[c, 0], self.size[c, 1], people[self.shared.person])
        off = np.clip(np.nan_to_num((told - self.edges) / self.std, nan=FAR), -FAR, FAR)
        m = self.marks
        at = m[:, 0].astype(np.int64)
        spots = np.column_stack([m[:, 3:5], np.zeros(len(m))])
        shown = project_people(theta[at], self.size[at, 0], self.size[at, 1], spots)
        missed = np.clip(np.nan_to_num((shown - m[:, 1:3]) / MARK_STD_PX, nan=FAR), -FAR, FAR)
        return np.concatenate(
            [
                off.ravel(),
                missed.ravel(),
                (people[:, 2] - HEIGHT_M - mean) / HEIGHT_STD_M,
                (theta[:, 6] - np.log(FOCAL)) / FOCAL_STD,
                (theta[:, 7:9] / CENTRE_STD).ravel(),
                [mean / MEAN_STD_M],
            ]
        )

    def sparsity(self) -> lil_matrix:
        k, m, c, p = len(self.edges), len(self.marks), len(self.sightings), len(self.shared.places_m)
        mask = lil_matrix((3 * k + 2 * m + p + 3 * c + 1, NUMBERS * c + 1 + 3 * p), dtype=np.int8)
        first = NUMBERS * c + 1
        for i, (camera, person) in enumerate(zip(self.shared.camera, self.shared.person, strict=True)):
            mask[3 * i : 3 * i + 3, NUMBERS * camera : NUMBERS * (camera + 1)] = 1
            mask[3 * i : 3 * i + 3, first + 3 * person : first + 3 * person + 3] = 1
        for i, camera in enumerate(self.marks[:, 0].astype(np.int64)):
            row = 3 * k + 2 * i
            mask[row : row + 2, NUMBERS * camera : NUMBERS * (camera + 1)] = 1
        row = 3 * k + 2 * m
        for person in range(p):
            mask[row + person, first + 3 * person + 2] = 1
        mask[row : row + p, first - 1] = 1
        row += p
        for camera in range(c):
            mask[row + camera, NUMBERS * camera + 6] = 1
            for j in range(2):
                mask[row + c + 2 * camera + j, NUMBERS * camera + 7 + j] = 1
        mask[-1, first - 1] = 1
        return mask


def _camera_covariance(jac: csr_matrix, cameras: int) -> Floats:
    """Give the covariance of each camera's numbers, (c, 9, 9), with everything else free."""
    split = NUMBERS * cameras + 1
    normal = (jac.T @ jac).tocsr()
    a, b = normal[:split, :split].toarray(), normal[:split, split:].tocsc()
    c = normal[split:, split:].tocsr()
    people = c.shape[0] // 3
    reduced = a.copy()
    for i in range(people):
        block = c[3 * i : 3 * i + 3, 3 * i : 3 * i + 3].toarray()
        link = b[:, 3 * i : 3 * i + 3].toarray()
        reduced -= link @ np.linalg.pinv(block) @ link.T
    full = np.linalg.pinv(reduced, hermitian=True)
    return np.array([full[9 * i : 9 * i + 9, 9 * i : 9 * i + 9] for i in range(cameras)])
