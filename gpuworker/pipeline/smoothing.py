"""Fixed-lag smoothing of the paths that are stored: what is seen a little later corrects where people were.

The Rauch-Tung-Striebel pass is summed up forwards: a point keeps the product of the gains since its own time,
through which every new filtered state corrects it. So all ticks cost the same, and only the points that are
stored cost anything.
"""

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from gpuworker.pipeline.settings import SmoothingSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import Points
from gpuworker.pipeline.views import STATE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
IDENTITY = np.eye(STATE)


@dataclass(frozen=True, slots=True)
class _Window:
    """Points that later frames may still correct, r of them.

    Attributes:
        at_us: (r,) instant.
        kept_us: (r,) instant of the track's last point to keep up to then.
        track, person: (r,) numbers.
        cameras: (r,) ids of those that saw the person.
        mean, covariance: (r, 5) and (r, 5, 5), smoothed by all ticks so far.
        gain: (r, 5, 5) by how much news of the track's newest state change the point.
    """

    at_us: Ints
    kept_us: Ints
    track: Ints
    person: Ints
    cameras: NDArray[np.object_]
    mean: Floats
    covariance: Floats
    gain: Floats

    @classmethod
    def of(cls, at_us: int, tracks: Tracks, person: Ints, cameras: tuple[tuple[str, ...], ...]) -> Self:
        """Begin a point of each track."""
        n = len(tracks)
        now = np.full(n, at_us)
        seen_by = np.fromiter(cameras, dtype=object, count=n)
        gain = np.tile(IDENTITY, (n, 1, 1))
        return cls(now, now, tracks.number, person, seen_by, tracks.mean, tracks.covariance, gain)

    def select(self, which: NDArray) -> Self:
        """Give the points at an index or mask array."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    def join(self, other: Self) -> Self:
        """Give these points and the other ones."""
        return type(self)(
            *(np.concatenate([getattr(w, f.name) for w in (self, other)]) for f in fields(self))
        )

    def points(self) -> Points:
        """Give them to be stored."""
        return Points(
            at=tuple(EPOCH + us * MICROSECOND for us in self.at_us.tolist()),
            track=self.track,
            person=self.person,
            state=self.mean[:, :4],
            covariance=self.covariance[:, :4, :4],
            cameras=tuple(self.cameras),
        )


class Smoother:
    """Smooths the paths of published tracks."""

    def __init__(self, settings: SmoothingSettings, acceleration_psd: float) -> None:
        """Begin with no paths; ``acceleration_psd`` is that of the tracker, m^2/s^3."""
        self._lag_us = round(settings.lag_s * 1e6)
        self._interval_us = round(settings.interval_s * 1e6)
        self._acceleration_psd = acceleration_psd
        # what later frames may still correct, in order of time; the newest point of a track is there as long
        # as the track may go on, and whether it is kept shows later
        self._window = NOTHING

    def step(
        self,
        at: datetime,
        tracks: Tracks,
        person: Ints,
        cameras: tuple[tuple[str, ...], ...],
        renumbered: Collection[int] = (),
    ) -> Points:
        """Take in filtered states; give the points that have become final.

        Args:
            at: instant of the states, not before that of the step before.
            tracks: those published, n with a number each.
            person: (n,) person numbers.
            cameras: for each the ids of those that see the person.
            renumbered: numbers that went over to other tracks: their paths begin anew.
        """
        now_us = (at - EPOCH) // MICROSECOND
        window, n = self._window, len(tracks)
        place = _places(window.track, tracks.number)  # (r,)
        if renumbered:
            ended = np.isin(window.track, list(renumbered))
            place[ended], window.gain[ended] = -1, 0.0  # nothing that comes corrects them
        here = np.flatnonzero(place >= 0)
        newest = np.full(n, -1)
        newest[place[here]] = here  # the last one wins
        if len(here):
            self._correct(here, place[here], newest, tracks, now_us)
            window.person[here] = person[place[here]]
        at_us, kept_us = window.at_us, window.kept_us
        # the newest point so far was there to go on from, or it tells of this very instant
        stays = (place < 0) | ((kept_us == at_us) & (at_us < now_us))
        final = stays & (at_us <= now_us - self._lag_us)
        last_us = np.where(newest < 0, now_us, np.append(kept_us, now_us)[newest])
        kept_us = np.where(now_us - last_us >= self._interval_us, now_us, last_us)
        new = replace(_Window.of(now_us, tracks, person, cameras), kept_us=kept_us)
        self._window = window.select(stays & ~final).join(new)
        return window.select(final).points() if final.any() else Points.none()

    def unsettled(self) -> Points:
        """Give what :meth:`finish` would, and go on."""
        window = self._window
        return window.select(
            np.arange(len(window.track))
        ).points()  # copies: what follows corrects the window

    def finish(self) -> Points:
        """Give all points that are left, as good as they are."""
        window, self._window = self._window, NOTHING
        return window.points()

    def _correct(self, here: Ints, place: Ints, newest: Ints, tracks: Tracks, now_us: int) -> None:
        """Correct the points ``here`` of tracks ``place`` by what is new in the tracks since their newest points.

        Source: Rauch, Tung & Striebel 1965; summed up forwards as in the general fixed-point smoother
        equations of Sarkka, Bayesian Filtering and Smoothing, 2013, chapter 10.
        """
        window = self._window
        known = np.flatnonzero(newest >= 0)
        last = newest[known]
        mean, covariance = window.mean[last], window.covariance[last]
        dt_s = (now_us - window.at_us[last]) / 1e6
        f = kalman.transition(dt_s)
        moved = covariance @ kalman.turned(f)
        predicted = f @ moved + kalman.process_noise(dt_s, self._acceleration_psd)
        gain = moved @ kalman.invert(predicted)
        news = tracks.mean[known] - (f @ mean[..., None])[..., 0]
        spread = tracks.covariance[known] - predicted
        row = np.searchsorted(known, place)
        product = window.gain[here] @ gain[row]  # (h, 5, 5)
        window.gain[here] = product
        window.mean[here] += (product @ news[row][..., None])[..., 0]
        window.covariance[here] += kalman.through(product, spread[row])


def _places(track: Ints, numbers: Ints) -> Ints:
    """Give the index of each track (r,) in numbers (n,), -1 for one that is not there."""
    if len(numbers) == 0:
        return np.full(len(track), -1)
    order = np.argsort(numbers, kind="stable")
    place = order[np.minimum(np.searchsorted(numbers, track, sorter=order), len(numbers) - 1)]
    return np.where(numbers[place] == track, place, -1)


NOTHING = _Window.of(0, Tracks.none(0), np.zeros(0, dtype=np.int64), ())
