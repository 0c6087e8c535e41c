"""Who is who in several cameras at one instant: people who stand at the same place."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from environments.geometry.camera import CameraModel
from environments.geometry.people.sightings import Ints, Sightings
from environments.geometry.people.view import std_px
from environments.polygons import Floats

BODY_M = 0.15  # feet are not under the middle of a box
DOUBT = 2.0  # how much further away the next one must be, in squared distance over its variance


@dataclass(frozen=True, slots=True)
class Shared:
    """People seen by several cameras at once.

    Attributes:
        person: (k,) index of the person-at-an-instant of each observation, from 0.
        camera: (k,) index of the camera.
        box: (k,) index of the box among the camera's sightings.
        places_m: (p, 2) about where they stand.
    """

    person: Ints
    camera: Ints
    box: Ints
    places_m: Floats

    @property
    def cameras(self) -> Ints:
        """Give by how many cameras each person is seen, (p,)."""
        return np.bincount(self.person, minlength=len(self.places_m))


def find_shared(
    sightings: Sequence[Sightings], models: Sequence[CameraModel | None], *, off_m: float, ticks: Ints
) -> Shared:
    """Match boxes that are each other's nearest on the floor and have no rival nearby.

    Args:
        sightings, models: of each camera; None for one that is not placed yet.
        off_m: how far calibrations may be off.
        ticks: (t,) instants to look at.
    """
    floor = [_on_floor(s, m, off_m) for s, m in zip(sightings, models, strict=True)]
    person: list[int] = []
    camera: list[int] = []
    box: list[int] = []
    places: list[Floats] = []
    for tick in ticks.tolist():
        at = [np.flatnonzero(s.tick == tick) for s in sightings]
        for group in _groups(floor, at):
            person += [len(places)] * len(group)
            camera += [c for c, _ in group]
            box += [b for _, b in group]
            places.append(np.asarray(np.mean([floor[c][0][b] for c, b in group], axis=0)))
    return Shared(
        np.array(person, dtype=np.int64),
        np.array(camera, dtype=np.int64),
        np.array(box, dtype=np.int64),
        np.array(places).reshape(-1, 2),
    )


def _on_floor(sightings: Sightings, model: CameraModel | None, off_m: float) -> tuple[Floats, Floats]:
    """Give places (n, 2) and variances (n, 2, 2); NaN for a camera that is not placed."""
    n = len(sightings.tick)
    if model is None:
        return np.full((n, 2), np.nan), np.full((n, 2, 2), np.nan)
    px = sightings.edges[:, :2]
    places, spread = model.to_floor_with_covariance(
        px, (std_px(sightings.xyxy) ** 2)[:, None, None] * np.eye(2)
    )
    return places, spread + (BODY_M**2 + off_m**2) * np.eye(2)


def _groups(floor: Sequence[tuple[Floats, Floats]], at: Sequence[Ints]) -> list[list[tuple[int, int]]]:
    """Join boxes of one instant by pairs of cameras, nearest first, one box a camera."""
    links = []
    for a, b in combinations(range(len(floor)), 2):
        links += _links(floor, a, b, at[a], at[b])
    group_of: dict[tuple[int, int], dict[int, int]] = {}
    for _, one, other in sorted(links):
        first, second = group_of.get(one, {one[0]: one[1]}), group_of.get(other, {other[0]: other[1]})
        if first is second or first.keys() & second.keys():
            continue
        joined = first | second
        for member in joined.items():
            group_of[member] = joined
    distinct = {id(group): group for group in group_of.values()}
    return [sorted(group.items()) for group in distinct.values()]


def _links(
    floor: Sequence[tuple[Floats, Floats]], a: int, b: int, at_a: Ints, at_b: Ints
) -> list[tuple[float, tuple[int, int], tuple[int, int]]]:
    way = floor[a][0][at_a][:, None] - floor[b][0][at_b]  # (n, m, 2)
    if way.size == 0 or not np.isfinite(way).any():
        return []
    spread = floor[a][1][at_a][:, None] + floor[b][1][at_b]
    spread = np.where(np.isfinite(spread), spread, np.eye(2))
    chi2 = np.einsum("nmi,nmi->nm", way, np.linalg.solve(spread, way[..., None])[..., 0])
    chi2 = np.where(np.isfinite(chi2), chi2, np.inf)
    found = []
    for i, j in zip(*np.nonzero(chi2 < 9.0), strict=True):
        rivals = np.append(np.delete(chi2[i], j), np.delete(chi2[:, j], i))
        if chi2[i, j] * DOUBT < rivals.min(initial=np.inf) and rivals.min(initial=np.inf) > 2.0:
            found.append((float(chi2[i, j]), (a, int(at_a[i])), (b, int(at_b[j]))))
    return found
