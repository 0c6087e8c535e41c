"""From tracks to persons: an identity that outlives its track.

A new track is a new person unless it looks like exactly one person who is away and could have come here
in the time gone by. The decision is taken when the track is first published, and may be revised once
while the track is young; in doubt it is a new person. After an interruption, when everybody's track is
new, a track waits a moment for its look before it is anybody.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.memory import Known
from gpuworker.pipeline.revision import Revision, place_odds
from gpuworker.pipeline.seams import TakeNumber
from gpuworker.pipeline.settings import IdentitySettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEVER = datetime.min.replace(tzinfo=UTC)
LIKELIEST = 4.0  # log odds that anything but looks and place may say
TIDY = timedelta(seconds=1)  # between two searches for what was too long ago


@dataclass(frozen=True, slots=True)
class Recognition:
    """A person recognised again, with the evidence.

    Attributes:
        track, person: who.
        previous: number that the track had before, None where it had none.
        similarity, evidence: cosine, and what it says, nats.
        absent_s, distance_m: time and way since the person was last seen.
    """

    track: int
    person: int
    previous: int | None
    similarity: float
    evidence: float
    absent_s: float
    distance_m: float


@dataclass(frozen=True, slots=True)
class Renamed:
    """A track whose number was revised, as persons.

    Attributes:
        person, previous: who it follows from now on, and who until now.
        is_merged: whether the previous person was new and is nobody any more.
        why: the revision of the number.
    """

    person: int
    previous: int
    is_merged: bool
    why: Revision


@dataclass(slots=True)
class _Newcomer:
    """A track whose person may still turn out to be known."""

    born_at: datetime
    place_m: Floats


@dataclass(frozen=True, slots=True)
class _Interruption:
    """A time in which nothing was seen.

    Attributes:
        began_at, ended_at: its last tick before, and its first one after.
        persons: who was on the floor when it began, and has not been seen since.
    """

    began_at: datetime
    ended_at: datetime
    persons: set[int]

    def logit(self, stay_s: float) -> float:
        """Give the log odds that somebody who was there is there still, and did not leave meanwhile."""
        length_s = max((self.ended_at - self.began_at).total_seconds(), 0.0)
        return min(-math.log(math.expm1(length_s / stay_s) + 1e-9), LIKELIEST)


class Persons:
    """Gives each track its person."""

    def __init__(
        self, take_person_number: TakeNumber, likelihood: LikelihoodRatio, settings: IdentitySettings
    ) -> None:
        """Begin knowing nobody."""
        self._take_number = take_person_number
        self._likelihood = likelihood
        self._settings = settings
        self._person: dict[int, int] = {}  # track -> person
        self._known: dict[int, Known] = {}  # person -> what is remembered
        self._newcomers: dict[int, _Newcomer] = {}  # by track
        # who was here in the tick before, whose place is noted once they have gone
        self._before = (NEVER, Tracks.none(0), np.zeros(0, dtype=np.int64))
        self._tidied_at = NEVER
        self._interrupted_at: datetime | None = None  # until the first tick after it
        self._interruption: _Interruption | None = None

    @property
    def at(self) -> datetime | None:
        """Give the instant of the last tick, also of one before an interruption; None where there was none."""
        return self._interrupted_at or (None if self._before[0] == NEVER else self._before[0])

    def step(
        self, at: datetime, tracks: Tracks, revisions: Sequence[Revision] = ()
    ) -> tuple[Ints, tuple[Recognition, ...], tuple[Renamed, ...]]:
        """Give the person of each published track (n,), who was recognised, and who was renamed in this tick.

        A person is NO_ID while it is too early to say who it is after an interruption.
        """
        ids = tracks.number.tolist()
        self._go_on(at)
        self._note_gone(ids)
        before = {r.before: self._person[r.before] for r in revisions if r.before in self._person}
        for i, t in enumerate(ids):
            if t not in self._person and t not in self._newcomers:
                self._newcomers[t] = _Newcomer(at, tracks.mean[i, :2].copy())
        open_ = [i for i, t in enumerate(ids) if t in self._newcomers]
        recognised = self._recognise(at, tracks, open_)
        for r in recognised:
            self._person[r.track] = r.person
            if self._interruption:
                self._interruption.persons.discard(r.person)
            self._newcomers.pop(r.track, None)
            if r.previous is not None:
                self._known.pop(r.previous, None)
        for t in ids:
            if t not in self._person and not self._waits(at, t):
                self._person[t] = self._take_number()
        person = np.array([self._person.get(t, NO_ID) for t in ids], dtype=np.int64)
        unknown = [p not in self._known and p != NO_ID for p in person.tolist()]
        self._remember(
            at,
            tracks,
            person,
            ((tracks.looked & (person != NO_ID)) | np.array(unknown, dtype=bool)).nonzero()[0],
        )
        self._before = at, tracks, person
        renamed = tuple(
            Renamed(self._person[r.after], before[r.before], r.is_new and r.before not in ids, r)
            for r in revisions
            if r.after in ids
            and r.before in before
            and self._person.get(r.after, before[r.before]) != before[r.before]
        )
        for merged in (r for r in renamed if r.is_merged):
            self._known.pop(merged.previous, None)
            self._newcomers.pop(merged.why.before, None)
        self._forget(at, set(ids))
        return person, recognised, renamed

    def _recognise(self, at: datetime, tracks: Tracks, rows: list[int]) -> tuple[Recognition, ...]:
        """Match newcomers to people who are away: mutually best, likely, reachable, with a margin."""
        s = self._settings
        if not rows or not tracks.look.shape[1]:
            return ()
        length = np.sqrt((tracks.all_looks[rows] ** 2).sum(axis=1))
        clear = [i for i, enough in zip(rows, (length >= s.min_looks).tolist(), strict=True) if enough]
        present = {self._person.get(t) for t in tracks.number.tolist()}
        d = tracks.look.shape[1]
        away = [
            k for n, k in self._known.items() if n not in present and len(k.looks) and k.looks.shape[1] == d
        ]
        if not away or not clear:
            return ()
        away.sort(key=lambda k: k.at, reverse=True)
        # who went last is the likeliest to be back
        prior = s.return_logit - np.log(np.arange(len(away)) + 1.0)
        if self._interruption:
            prior[[k.number in self._interruption.persons for k in away]] = self._interruption.logit(s.stay_s)
        first = np.cumsum([0, *(len(k.looks) for k in away[:-1])])
        alike = unit(tracks.all_looks[clear]) @ np.concatenate([k.looks for k in away]).T
        similarity = np.maximum.reduceat(alike, first, axis=1)  # (r, away)
        place_m, velocity_mps = np.array([k.place_m for k in away]), np.array([k.velocity_mps for k in away])
        left_s = np.array([(at - k.at).total_seconds() for k in away])
        odds = prior + [self._place(at, tracks, i, away, place_m, velocity_mps, left_s) for i in clear]
        likely = similarity >= s.threshold if not self._likelihood.is_learned else True
        odds = np.where(likely, odds + self._likelihood.evidence(similarity, s.limit), -np.inf)
        found = []
        for row, i in enumerate(clear):
            column = int(np.argmax(odds[row]))
            rivals = np.concatenate([np.delete(odds[row], column), np.delete(odds[:, column], row), [0.0]])
            if odds[row, column] - rivals.max() >= s.margin:
                pair = (float(similarity[row, column]), float(odds[row, column]))
                found.append(self._recognition(at, tracks, i, away[column], *pair))
        return tuple(found)

    def _place(
        self,
        at: datetime,
        tracks: Tracks,
        i: int,
        away: Sequence[Known],
        place_m: Floats,
        velocity_mps: Floats,
        left_s: Floats,
    ) -> Floats:
        """Give the log odds (n,), by time and way, that a newcomer is each absent person and not a new one.

        Somebody who is away spreads over the floor with time, until anywhere is as likely as for a
        newcomer; -inf where the two cannot be the same.
        """
        s = self._settings
        track, here_m = int(tracks.number[i]), tracks.mean[i, :2]
        newcomer, mine = self._newcomers.get(track), self._person.get(track)
        born_at, born_m = (newcomer.born_at, newcomer.place_m) if newcomer else (at, here_m)
        gap_s = left_s - (at - born_at).total_seconds()  # negative where both were there
        odds = np.where(
            gap_s < 0,  # then only where they are since then compares
            place_odds(here_m, place_m, velocity_mps, np.maximum(left_s, 0.0), s),
            place_odds(born_m, place_m, velocity_mps, np.maximum(gap_s, 0.0), s),
        )
        other = np.array([who.number != mine for who in away])
        return np.where(other & (gap_s >= -s.overlap_s), odds, -np.inf)

    def _recognition(
        self, at: datetime, tracks: Tracks, i: int, who: Known, similarity: float, evidence: float
    ) -> Recognition:
        return Recognition(
            track=int(tracks.number[i]),
            person=who.number,
            previous=self._person.get(int(tracks.number[i])),
            similarity=similarity,
            evidence=evidence,
            absent_s=max((at - who.at).total_seconds(), 0.0),
            distance_m=float(np.linalg.norm(tracks.mean[i, :2] - who.place_m)),
        )

    def _note_gone(self, here: Sequence[int]) -> None:
        """Note where those were last whose tracks are not published any more."""
        at, tracks, person = self._before
        still = set(here)
        for i, number in enumerate(tracks.number.tolist()):
            if number not in still:
                self._note(at, tracks, int(person[i]), i)

    def _note(self, at: datetime, tracks: Tracks, person: int, i: int) -> None:
        if person in self._known:
            place_m, velocity_mps = tracks.mean[i, :2].copy(), tracks.mean[i, 2:4].copy()
            self._known[person] = replace(
                self._known[person],
                at=at,
                track=int(tracks.number[i]),
                place_m=place_m,
                velocity_mps=velocity_mps,
            )

    def _remember(self, at: datetime, tracks: Tracks, person: Ints, rows: Ints) -> None:
        """Note who is new or was looked at; a look that is new to the person is kept beside the others."""
        if len(rows) == 0:
            return
        own = tracks.own_look[rows]
        clear = (np.sqrt((own**2).sum(axis=1)) >= self._settings.min_looks).tolist()
        units = unit(own)
        for k, i in enumerate(rows.tolist()):
            number = int(person[i])
            before = self._known.get(number)
            looks = before.looks if before and before.looks.shape[1] == own.shape[1] else own[:0]
            if clear[k]:
                looks = self._with_look(looks, units[k])
            place_m, velocity_mps = tracks.mean[i, :2].copy(), tracks.mean[i, 2:4].copy()
            self._known[number] = Known(number, int(tracks.number[i]), at, place_m, looks, velocity_mps)

    def _with_look(self, looks: Floats, look: Floats) -> Floats:
        """Add a prototype, or put it in the place of the one that it is like."""
        s = self._settings
        different = looks[looks @ look < s.same_look]
        return np.concatenate([different, look[None]])[-s.max_looks :]

    def _forget(self, at: datetime, here: set[int]) -> None:
        """Close old decisions, and drop what was too long ago."""
        s = self._settings
        self._newcomers = {
            t: n
            for t, n in self._newcomers.items()
            if t in here and (at - n.born_at).total_seconds() <= s.revise_s
        }
        if at - self._tidied_at < TIDY:
            return
        self._tidied_at = at
        present = {self._person.get(t) for t in here}
        gone = [
            n for n, k in self._known.items() if n not in present and (at - k.at).total_seconds() > s.memory_s
        ]
        for number in gone:
            del self._known[number]
        live = {k.track for k in self._known.values()} | here
        self._person = {t: p for t, p in self._person.items() if t in live}

    def _go_on(self, at: datetime) -> None:
        """Note in the first tick who was there when an interruption began; end it once that is too long ago."""
        if self._interrupted_at is not None:
            began_at, self._interrupted_at = self._interrupted_at, None
            there = {n for n, k in self._known.items() if k.at >= began_at}
            self._interruption = _Interruption(began_at, at, there)
        gap = self._interruption
        if gap and (not gap.persons or (at - gap.began_at).total_seconds() > self._settings.hidden_s):
            self._interruption = None

    def _waits(self, at: datetime, track: int) -> bool:
        """Say whether it is too early after an interruption to take a track for a new person."""
        gap = self._interruption
        if gap is None or (at - gap.ended_at).total_seconds() > self._settings.revise_s:
            return False
        seen_s = (at - self._newcomers[track].born_at).total_seconds()
        return seen_s < self._settings.collect_s

    def learn(self, known: Iterable[Known], interrupted_at: datetime) -> None:
        """Take in people known from before, and until when the floor was watched."""
        for who in known:
            self._known[who.number] = replace(who, looks=unit(who.looks))
        self._interrupted_at = interrupted_at

    def known(self) -> tuple[Known, ...]:
        """Give what is remembered of everybody."""
        at, tracks, person = self._before
        for i, number in enumerate(person.tolist()):
            self._note(at, tracks, number, i)
        return tuple(self._known.values())
