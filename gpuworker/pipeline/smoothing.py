"""Fixed-lag smoothing of the paths that are stored: what is seen a little later corrects where people were.

The Rauch-Tung-Striebel pass is summed up forwards: a point keeps the product of the gains since its own time,
through which every new filtered state corrects it. So all ticks cost the same, and only the points that are
stored cost anything.
"""

from dataclasses import dataclass, fields
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
    """The points that later frames may still correct, r of them in order of time.

    The newest point of a track is there as long as the track may go on; whether it is kept shows later.

    Attributes:
        at_us, kept_us: (r,) instant of the point, and of its track's last point to keep up to then.
        track, person: (r,) numbers.
        mean, covariance: (r, 5) and (r, 5, 5), smoothed by all ticks so far.
        gain: (r, 5, 5) by how much a change of the track's newest state changes the point.
        cameras: (r,) tuples of ids.
    """

    at_us: Ints
    kept_us: Ints
    track: Ints
    person: Ints
    mean: Floats
    covariance: Floats
    gain: Floats
    cameras: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.at_us)

    @classmethod
    def none(cls) -> Self:
        """Give no points."""
        none, square = np.zeros(0, np.int64), np.zeros((0, STATE, STATE))
        return cls(none, none, none, none, np.zeros((0, STATE)), square, square, np.zeros(0, object))

    def select(self, index: NDArray) -> Self:
        """Give the points at an index or mask array."""
        return type(self)(*(getattr(self, f.name)[index] for f in fields(self)))

    def join(self, other: Self) -> Self:
        """Give these points and later ones."""
        return type(self)(
            *(np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self))
        )

    def points(self) -> Points:
        """Give the points as they are handed out."""
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
        self._window = _Window.none()

    def step(
        self, at: datetime, tracks: Tracks, person: Ints, cameras: tuple[tuple[str, ...], ...]
    ) -> Points:
        """Take in filtered states; give the points that have become final.

        Args:
            at: instant of the states, not before that of the step before.
            tracks: those published, n with a number each.
            person: (n,) person numbers.
            cameras: for each the ids of those that see the person.
        """
        now_us = (at - EPOCH) // MICROSECOND
        window, n = self._window, len(tracks)
        place = _places(window.track, tracks.number)  # (r,)
        here = np.flatnonzero(place >= 0)
        newest = np.full(n, -1)
        newest[place[here]] = here  # the last one wins
        if len(here):
            self._correct(here, place[here], newest, tracks, now_us)
            window.person[here] = person[place[here]]
        # the newest point so far was there to go on from, or it tells of this very instant
        stays = (place < 0) | ((window.kept_us == window.at_us) & (window.at_us < now_us))
        final = stays & (window.at_us <= now_us - self._lag_us)
        kept_us = np.where(newest < 0, now_us, np.append(window.kept_us, now_us)[newest])
        new = _Window(
            at_us=np.full(n, now_us),
            kept_us=np.where(now_us - kept_us >= self._interval_us, now_us, kept_us),
            track=tracks.number,
            person=person,
            mean=tracks.mean,
            covariance=tracks.covariance,
            gain=np.broadcast_to(IDENTITY, (n, STATE, STATE)),
            cameras=np.fromiter(cameras, dtype=object, count=n),
        )
        self._window = window.select(stays & ~final).join(new)
        return window.select(final).points() if final.any() else Points.none()

    def finish(self) -> Points:
        """Give all points that are left, as good as they are."""
        window, self._window = self._window, _Window.none()
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
        moved = covariance @ np.swapaxes(f, 1, 2)
        predicted = f @ moved + kalman.process_noise(dt_s, self._acceleration_psd)
        gain = moved @ kalman.invert(predicted)
        news = tracks.mean[known] - (f @ mean[..., None])[..., 0]
        spread = tracks.covariance[known] - predicted
        row = np.searchsorted(known, place)
        product = window.gain[here] @ gain[row]  # (h, 5, 5)
        window.gain[here] = product
        window.mean[here] += (product @ news[row][..., None])[..., 0]
        window.covariance[here] += product @ spread[row] @ np.swapaxes(product, 1, 2)


def _places(track: Ints, numbers: Ints) -> Ints:
    """Give the index of each track (r,) in numbers (n,), -1 for one that is not there."""
    if len(numbers) == 0:
        return np.full(len(track), -1)
    order = np.argsort(numbers, kind="stable")
    place = order[np.minimum(np.searchsorted(numbers, track, sorter=order), len(numbers) - 1)]
    return np.where(numbers[place] == track, place, -1)
