"""Who is who: numbers of tracks, revised when looks show that a number has gone over to somebody else.

People who come close or hide one another can leave each other's track, and who hides for a while comes back
on a new one. Each track therefore keeps two looks: the settled one, which belongs to its number, and the
recent one since the last verdict. While tracks were near each other their numbers are in doubt; as soon as
the recent looks are clear, numbers are assigned to tracks anew, by Hungarian over everybody who was near,
those included who are hidden. Numbers change only when that explains the looks better by a margin.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.seams import TakeNumber
from gpuworker.pipeline.settings import IdentitySettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sight:
    """The last clear sight of a number's person.

    Attributes:
        number: of the track.
        look: (d,) sum of what the person looked like.
        at, place_m, velocity_mps: when, where (2,) and how (2,) the person moved.
    """

    number: int
    look: Floats
    at: datetime
    place_m: Floats
    velocity_mps: Floats


@dataclass(frozen=True, slots=True)
class Revision:
    """A number that went over to another track, with the evidence.

    Attributes:
        row: index of the track.
        before, after: number of the track until now, and from now on.
        similarity: cosine of the track's recent look with that of the number it takes.
        evidence, runner_up: what that says, and what the next best number would, nats.
        absent_s: since the number was last seen; 0 where it was exchanged.
        is_new: whether the number given up had no settled look yet: it is used no more.
    """

    row: int
    before: int
    after: int
    similarity: float
    evidence: float
    runner_up: float
    absent_s: float
    is_new: bool


class Reviser:
    """Keeps the numbers of tracks with the people they were given to."""

    def __init__(
        self, take_number: TakeNumber, likelihood: LikelihoodRatio, settings: IdentitySettings
    ) -> None:
        """Begin with nobody."""
        self._take_number = take_number
        self._likelihood = likelihood
        self._settings = settings
        self._near: dict[int, set[int]] = {}  # number -> numbers it may have been exchanged with
        self._shown: dict[int, Sight] = {}  # number of a track -> when its person's look was last seen
        self._hidden: dict[int, Sight] = {}  # number without a track -> the same
        self._judged: dict[int, tuple[datetime, Floats]] = {}  # number -> when and where last beyond doubt
        self._proposed: dict[tuple[int, int], datetime] = {}  # before and after -> since when
        self._at: datetime | None = None

    def step(
        self, at: datetime, tracks: Tracks, gone: Iterable[Sight] = ()
    ) -> tuple[Tracks, tuple[Revision, ...]]:
        """Give the tracks with the numbers that they should have, and what was changed.

        Args:
            at: instant of the tick.
            tracks: after all that the tick showed was taken in.
            gone: people whose tracks have ended in this tick within sight.
        """
        if not tracks.look.shape[1]:
            return tracks, ()
        s = self._settings
        rows = {n: i for i, n in enumerate(tracks.number.tolist()) if n != NO_ID}
        for who in gone:
            self._hidden[who.number] = replace(self._shown.get(who.number, who), look=who.look)
        self._note(at, tracks, rows)
        age_s = (at - self._at).total_seconds() if self._at else 0.0
        self._at = at
        tracks = tracks.with_(recent=tracks.recent * np.exp(-age_s / s.recent_s))
        ready = (tracks.number != NO_ID) & (_length(tracks.recent) >= s.revise_looks)
        due = self._due(at, tracks, rows)
        settled = ready & due
        revisions: list[Revision] = []
        rivals = self._rivals(tracks, ready & (due | ~tracks.look.any(axis=1)), rows)
        proposed: dict[tuple[int, int], datetime] = {}
        for group in _groups(rivals, rows):
            found, sure = _Verdict(self, at, tracks, group, rivals, rows, ready).reach()
            settled[group] &= sure
            for r in found:
                key = r.before, r.after
                proposed[key] = self._proposed.get(key, at)
            hasty = [r for r in found if ready[r.row] and not r.is_new]
            if all((at - proposed[r.before, r.after]).total_seconds() >= s.confirm_s for r in hasty):
                revisions += found
            else:
                settled[[r.row for r in found]] = False
        self._proposed = proposed
        return self._apply(at, tracks, revisions, settled)

    def _note(self, at: datetime, tracks: Tracks, rows: dict[int, int]) -> None:
        """Note who is near whom, who is new, and forget what was too long ago."""
        s = self._settings
        for number, i in rows.items():
            if number not in self._judged:
                self._judged[number] = (at, tracks.mean[i, :2].copy())
        index = np.array(list(rows.values()), dtype=np.int64)
        numbers = list(rows)
        pairs = cKDTree(tracks.mean[index, :2]).query_pairs(s.near_m) if rows else set()
        for a, b in sorted(pairs):
            for one, other in ((a, b), (b, a)):
                self._near.setdefault(numbers[one], set()).add(numbers[other])
        for i in np.flatnonzero(tracks.looked & (tracks.number != NO_ID)).tolist():
            self._shown[int(tracks.number[i])] = _sight(at, tracks, i)
        memory = timedelta(seconds=s.hidden_s)
        self._hidden = {n: h for n, h in self._hidden.items() if n not in rows and at - h.at <= memory}
        alive = rows.keys() | self._hidden.keys()
        self._near = {n: near & alive for n, near in self._near.items() if n in rows}
        self._shown = {n: h for n, h in self._shown.items() if n in rows}
        self._judged = {n: j for n, j in self._judged.items() if n in rows}

    def _due(self, at: datetime, tracks: Tracks, rows: dict[int, int]) -> Bools:
        """Say which tracks (n,) were watched for long enough to settle their looks."""
        s, due = self._settings, np.zeros(len(tracks), dtype=bool)
        for number, i in rows.items():
            since_s = (at - self._judged[number][0]).total_seconds()
            due[i] = since_s >= (s.settle_s if tracks.look[i].any() else s.revise_s)
        return due

    def _rivals(self, tracks: Tracks, ready: Bools, rows: dict[int, int]) -> dict[int, dict[int, float]]:
        """Give for each track that was looked at the other numbers that it may have to carry.

        Returns:
            By index of the track: number to what place says for it, nats; tracks without rivals are left out.
        """
        s = self._settings
        own = self._likelihood.evidence(np.vecdot(unit(tracks.recent), unit(tracks.look)), s.limit)
        rivals: dict[int, dict[int, float]] = {}
        for i in np.flatnonzero(ready).tolist():
            number, is_new = int(tracks.number[i]), not tracks.look[i].any()
            found = {
                other: -s.revise_doubt
                for other in sorted(self._near.get(number, ()))
                if _length(self._look_of(tracks, other, rows)) >= s.min_looks
            }
            if is_new or own[i] < 0:
                doubt = s.hidden_logit if is_new else -s.revise_doubt
                for other, odds in self._lost(number):
                    found[other] = max(odds + doubt, found.get(other, -np.inf))
            if found:
                rivals[i] = found
        return rivals

    def _lost(self, number: int) -> Iterator[tuple[int, float]]:
        """Give who was lost from sight before a track's number was last beyond doubt, and could have come there."""
        s = self._settings
        since, here_m = self._judged[number]
        lost = [
            who
            for who in (*self._hidden.values(), *self._shown.values())
            if who.at < since and who.number != number and _length(who.look) >= s.min_looks
        ]
        if lost:
            place_m, velocity_mps = (
                np.array([w.place_m for w in lost]),
                np.array([w.velocity_mps for w in lost]),
            )
            gap_s = np.array([(since - who.at).total_seconds() for who in lost])
            odds = place_odds(here_m, place_m, velocity_mps, gap_s, s)
            yield from ((who.number, o) for who, o in zip(lost, odds.tolist(), strict=True) if o > -np.inf)

    def _look_of(self, tracks: Tracks, number: int, rows: dict[int, int]) -> Floats:
        who = self._hidden.get(number)
        return who.look if who else tracks.look[rows[number]]

    def _apply(
        self, at: datetime, tracks: Tracks, revisions: list[Revision], settled: Bools
    ) -> tuple[Tracks, tuple[Revision, ...]]:
        """Give the tracks with the numbers assigned, each with the look of its number."""
        number, look, recent = tracks.number.copy(), tracks.look.copy(), tracks.recent.copy()
        rows = {int(n): i for i, n in enumerate(tracks.number.tolist())}
        taken = {r.after for r in revisions}
        revisions = [r if r.after != NO_ID else replace(r, after=self._take_number()) for r in revisions]
        for r in revisions:
            number[r.row] = r.after
            known = r.after in self._hidden or r.after in rows
            look[r.row] = self._look_of(tracks, r.after, rows) if known else 0.0
            self._hidden.pop(r.after, None)
        for r in revisions:
            if r.before not in taken and not r.is_new:
                self._hidden[r.before] = replace(
                    self._shown.get(r.before, _sight(at, tracks, r.row)), look=tracks.look[r.row]
                )
            self._near.pop(r.before, None)
            self._near.pop(r.after, None)
        for i in np.flatnonzero(settled).tolist():
            self._near.pop(int(number[i]), None)
            self._judged[int(number[i])] = (at, tracks.mean[i, :2].copy())
        look[settled] = _faded(look[settled] + recent[settled], self._settings.look_memory)
        recent[settled] = 0.0
        return tracks.with_(number=number, look=look, recent=recent), tuple(revisions)


def _faded(look: Floats, memory: float) -> Floats:
    """Scale sums of looks (n, d) down to a length of ``memory`` at most, so that what follows still counts."""
    length = _length(look)[:, None]
    return np.asarray(look * np.minimum(1.0, memory / np.maximum(length, 1e-9)))


class _Verdict:
    """Assigns numbers to the tracks of one group."""

    def __init__(
        self,
        reviser: Reviser,
        at: datetime,
        tracks: Tracks,
        group: list[int],
        rivals: dict[int, dict[int, float]],
        rows: dict[int, int],
        ready: Bools,
    ) -> None:
        self._reviser, self._at, self._tracks, self._group = reviser, at, tracks, group
        self._settings = reviser._settings
        self._ready = ready[group]
        self._newcomers = {k for k, i in enumerate(group) if not tracks.look[i].any()}
        mine = [rivals.get(i, {}) for i in group]
        self._own = [int(tracks.number[i]) for i in group]
        others = {n for r in mine for n in r} - set(self._own)
        # a track that nobody looked at says nothing, and may take any number of the group
        mine = [r or dict.fromkeys(self._own, 0.0) for r in mine]
        self._numbers = self._own + sorted(others)
        looks = unit(np.array([reviser._look_of(tracks, n, rows) for n in self._numbers]))
        self._similarity = unit(tracks.recent[group]) @ looks.T  # (g, n)
        self._score = self._scores(mine)

    def _scores(self, rivals: list[dict[int, float]]) -> Floats:
        """Give what speaks for each number, and in the last columns for a new one, (g, n + g)."""
        s, g, n = self._settings, len(self._group), len(self._numbers)
        evidence = self._reviser._likelihood.evidence(self._similarity, s.limit)
        score = np.full((g, n + g), -np.inf)
        for k in range(g):
            for j, number in enumerate(self._numbers):
                if j == k or number in rivals[k]:
                    place = 0.0 if j == k else rivals[k][number]
                    score[k, j] = evidence[k, j] + place if self._ready[k] else 0.0
            if k not in self._newcomers:
                score[k, n + k] = s.stranger_logit if self._ready[k] else -s.revise_doubt
        return score

    def reach(self) -> tuple[list[Revision], Bools]:
        """Give the numbers that change, and which tracks are beyond doubt, (g,)."""
        s, k = self._settings, np.arange(len(self._group))
        _, column = linear_sum_assignment(np.where(np.isfinite(self._score), -self._score, 1e6))
        column = self._justified(column)
        changed = column != k
        rest = self._score.copy()
        rest[k, column] = -np.inf
        lead = self._score[k, column] - rest.max(axis=1)
        # nothing is known of a newcomer that a bad look could spoil
        needed = np.array([0.0 if a in self._newcomers else s.settle_margin for a in k.tolist()])
        sure = self._ready & ((lead >= needed) | changed)
        return [self._revision(a, int(column[a]), rest) for a in np.flatnonzero(changed).tolist()], sure

    def _justified(self, column: Ints) -> Ints:
        """Keep the exchanges that explain the looks better by a margin, each for itself; undo the others."""
        k = np.arange(len(column))
        if (column == k).all():
            return column
        gain = self._score[k, column] - self._score[k, k]
        taken = np.where(column < len(k), column, k)  # the track whose number each takes
        label = _linked(len(k), zip(k.tolist(), taken.tolist(), strict=True))
        enough = np.bincount(label, gain)[label] >= self._settings.margin
        return np.where(enough, column, k)

    def _revision(self, a: int, column: int, rest: Floats) -> Revision:
        known = column < len(self._numbers)
        after = self._numbers[column] if known else NO_ID
        who = self._reviser._hidden.get(after)
        return Revision(
            row=self._group[a],
            before=self._own[a],
            after=after,
            similarity=float(self._similarity[a, column]) if known else float("nan"),
            evidence=float(self._score[a, column]),
            runner_up=float(rest[a].max()),
            absent_s=(self._at - who.at).total_seconds() if who else 0.0,
            is_new=a in self._newcomers,
        )


def _groups(rivals: dict[int, dict[int, float]], rows: dict[int, int]) -> list[list[int]]:
    """Give the tracks whose numbers hang together, each group sorted."""
    if not rivals:
        return []
    index = {
        i: k
        for k, i in enumerate(sorted({*rivals, *(rows[n] for r in rivals.values() for n in r if n in rows)}))
    }
    shared: dict[int, int] = {}  # number without a track -> the first track that may take it
    edges = []
    for i, found in rivals.items():
        for number in found:
            other = rows[number] if number in rows else shared.setdefault(number, i)
            edges.append((index[i], index[other]))
    groups: dict[int, list[int]] = {}
    for i, label in zip(index, _linked(len(index), edges), strict=True):
        groups.setdefault(label, []).append(i)
    return list(groups.values())


def _linked(count: int, edges: Iterable[tuple[int, int]]) -> list[int]:
    """Label things that edges link, by the first of them; of so few that a library would take longer."""
    label = list(range(count))
    for a, b in edges:
        keep, drop = sorted((label[a], label[b]))
        if keep != drop:
            label = [keep if known == drop else known for known in label]
    return label


def _length(vectors: Floats) -> Floats:
    return np.asarray(np.sqrt(np.vecdot(vectors, vectors)))


def _sight(at: datetime, tracks: Tracks, i: int) -> Sight:
    return Sight(
        number=int(tracks.number[i]),
        look=tracks.look[i].copy(),
        at=at,
        place_m=tracks.mean[i, :2].copy(),
        velocity_mps=tracks.mean[i, 2:4].copy(),
    )


def place_odds(
    here_m: Floats, there_m: Floats, velocity_mps: Floats, gap_s: Floats, settings: IdentitySettings
) -> Floats:
    """Give the log odds (n,), by time and way, that a newcomer is each of n absent people and not a new one.

    Args:
        here_m: (2,) where the newcomer is.
        there_m, velocity_mps, gap_s: (n, 2), (n, 2) and (n,) where and how the others were last, and how long ago.
        settings: tuning values.

    Somebody who is away walks on for a moment and spreads over the floor with time, until anywhere is
    as likely as for a newcomer; -inf where the way is too far for the time.
    """
    s = settings
    walked_on = s.walks_on_s * -np.expm1(-gap_s / s.walks_on_s)
    off_m = here_m - there_m - velocity_mps * walked_on[:, None]
    spread2 = np.minimum(s.place_m**2 + (s.walk_mps * gap_s) ** 2, s.floor_m2 / (2 * np.pi))
    odds = np.log(s.floor_m2 / (2 * np.pi * spread2)) - (off_m**2).sum(axis=1) / (2 * spread2)
    too_far = np.hypot(*(here_m - there_m).T) > s.reach_m + s.reach_mps * gap_s
    return np.where(too_far, -np.inf, odds)
