"""Notices that a camera was moved: its boxes lie beside people whom other cameras see, all by the same way."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from environments.geometry import CameraModel
from gpuworker.pipeline.settings import BiasSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Move:
    """A camera whose picture shifted.

    Attributes:
        camera: index.
        before_px, after_px: (2,) shift right and down beside its calibration.
    """

    camera: int
    before_px: Floats
    after_px: Floats


@dataclass(frozen=True, slots=True)
class _Votes:
    """The votes of one frame.

    Attributes:
        at_s: time.
        people: how many were voted on.
        usual: how many votes are for no way at all.
        ways_px, places_px: (k, 2) from where people should be to boxes, and where they should be.
        agree_px: (k,) by how much votes may differ.
    """

    at_s: float
    people: int
    usual: int
    ways_px: Floats
    places_px: Floats
    agree_px: Floats


@dataclass(slots=True)
class _Watched:
    """One camera; times are seconds since the first tick.

    Attributes:
        votes: of late.
        learned_s: for how long the usual shift has been learned.
        usual_px: the shift before any move; None while it is being learned.
        far_since_s: since when the shift is far from the usual one, None while it is not.
    """

    votes: deque[_Votes] = field(default_factory=deque)
    learned_s: float = 0.0
    usual_px: Floats | None = None
    far_since_s: float | None = None


class CameraWatch:
    """Watches the shifts of a site's cameras."""

    def __init__(self, cameras: Sequence[CameraModel], settings: BiasSettings) -> None:
        """Begin not knowing any camera's usual shift."""
        self._settings = settings
        self._width = np.array([c.width for c in cameras], dtype=np.float64)
        self._watched = [_Watched() for _ in cameras]

    def vote(
        self, camera: int, now_s: float, people_px: Floats, std_px: Floats, boxes_px: Floats
    ) -> Floats | None:
        """Compare where people should be (n, 2) with boxes (m, 2); give the way (2,) by which most are off.

        Every box votes for the way to every person near it: the true way is voted for by most people, others
        by chance. Votes on people whose box may lie ``std_px`` (n,) off may differ by as much. None where most
        are about where they should be, or nothing is sure.
        """
        s, watched = self._settings, self._watched[camera]
        few = slice(None, None, max(1, -(-len(people_px) // s.vote_people)))  # enough at a time
        people_px, std_px = people_px[few], std_px[few]
        reach_px, least_px = s.reach * self._width[camera], s.agree * self._width[camera]
        way = boxes_px[:, None] - people_px  # (m, n, 2)
        box, person = np.nonzero((np.abs(way) <= reach_px).all(axis=2))
        agree_px = np.maximum(s.agree_std * std_px[person], least_px)
        ways_px = way[box, person]
        usual = int((np.abs(ways_px).max(axis=1, initial=0.0) <= agree_px).sum())
        watched.votes.append(_Votes(now_s, len(people_px), usual, ways_px, people_px[person], agree_px))
        people = sum(v.people for v in watched.votes)
        while (
            people - (old := watched.votes[0]).people >= s.vote_people or now_s - old.at_s > s.vote_memory_s
        ):
            people -= watched.votes.popleft().people
        found = _winner(watched.votes, people, reach_px, s) if people >= s.vote_people else None
        if found is not None:
            watched.votes.clear()
        return found

    def judge(self, camera: int, now_s: float, dt_s: float, shift_px: Floats, std_px: float) -> Move | None:
        """Take in a shift (2,) that was learned over ``dt_s``, and how sure it is; give a move that it shows.

        Each move is given once: what is usual is learned afresh after it.
        """
        s, watched = self._settings, self._watched[camera]
        watched.learned_s += dt_s
        if watched.usual_px is None:
            watched.usual_px = shift_px.copy() if watched.learned_s >= s.settle_s else None
            return None
        far_px = max(s.moved * self._width[camera], s.moved_std * std_px)
        if np.linalg.norm(shift_px - watched.usual_px) <= far_px:
            watched.far_since_s = None
            watched.usual_px += (shift_px - watched.usual_px) * -np.expm1(-dt_s / s.usual_s)
            return None
        if watched.far_since_s is None:
            watched.far_since_s = now_s
        if now_s - watched.far_since_s < s.confirm_s:
            return None
        self._watched[camera] = _Watched(votes=watched.votes)
        return Move(camera, watched.usual_px, shift_px.copy())


def _winner(votes: Sequence[_Votes], people: int, reach_px: float, s: BiasSettings) -> Floats | None:
    """Give the way (2,) for which enough of the people voted; None where none has won or it is no way."""
    enough = max(s.vote_share * people, s.vote_lead * sum(v.usual for v in votes))
    if enough > min(people, sum(len(v.ways_px) for v in votes)):  # nobody votes twice for a way
        return None
    ways, places = np.concatenate([v.ways_px for v in votes]), np.concatenate([v.places_px for v in votes])
    agree_px = np.concatenate([v.agree_px for v in votes])
    top = _densest(ways, float(np.median(agree_px)), reach_px)
    near = np.abs(ways - top).max(axis=1) <= agree_px
    if near.sum() < enough:
        return None
    if np.ptp(places[near], axis=0).max() < 2 * reach_px:
        return None  # somebody who is missed stands beside somebody who is found
    return np.asarray(np.median(ways[near], axis=0))


def _densest(ways: Floats, agree_px: float, reach_px: float) -> Floats:
    """Give the middle of the square of half width ``agree_px`` that holds most ways (k, 2), about."""
    cells = int(np.ceil(2 * reach_px / agree_px))
    edges = np.linspace(-reach_px, reach_px, cells + 1)
    count, _, _ = np.histogram2d(ways[:, 0], ways[:, 1], bins=(edges, edges))
    squares = count[:-1, :-1] + count[1:, :-1] + count[:-1, 1:] + count[1:, 1:]
    i, j = np.unravel_index(int(np.argmax(squares)), squares.shape)
    return np.array([edges[i + 1], edges[j + 1]])
