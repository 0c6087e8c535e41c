"""Fixed-lag smoothing of the paths that are stored: what is seen a little later corrects where people were.

The Rauch-Tung-Striebel pass is summed up forwards: a point keeps the product of the gains since its own time,
through which every new filtered state corrects it. So all ticks cost the same, and only the points that are
stored cost anything.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

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


POINT = np.dtype(
    [
        ("at_us", np.int64),
        ("kept_us", np.int64),  # instant of the track's last point to keep up to then
        ("track", np.int64),
        ("person", np.int64),
        ("cameras", object),
        ("mean", np.float64, (STATE,)),  # with the covariance, smoothed by all ticks so far
        ("covariance", np.float64, (STATE, STATE)),
        ("gain", np.float64, (STATE, STATE)),  # by how much news of the track's newest state change the point
    ]
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
        self._window = np.zeros(0, POINT)

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
        place = _places(window["track"], tracks.number)  # (r,)
        ended = np.isin(window["track"], list(renumbered))
        place[ended], window["gain"][ended] = -1, 0.0  # nothing that comes corrects them
        here = np.flatnonzero(place >= 0)
        newest = np.full(n, -1)
        newest[place[here]] = here  # the last one wins
        if len(here):
            self._correct(here, place[here], newest, tracks, now_us)
            window["person"][here] = person[place[here]]
        at_us, kept_us = window["at_us"], window["kept_us"]
        # the newest point so far was there to go on from, or it tells of this very instant
        stays = (place < 0) | ((kept_us == at_us) & (at_us < now_us))
        final = stays & (at_us <= now_us - self._lag_us)
        new = np.zeros(n, POINT)
        new["at_us"], new["track"], new["person"] = now_us, tracks.number, person
        new["mean"], new["covariance"], new["gain"] = tracks.mean, tracks.covariance, IDENTITY
        new["cameras"] = np.fromiter(cameras, dtype=object, count=n)
        last_us = np.where(newest < 0, now_us, np.append(kept_us, now_us)[newest])
        new["kept_us"] = np.where(now_us - last_us >= self._interval_us, now_us, last_us)
        self._window = np.concatenate([window[stays & ~final], new])
        return _points(window[final]) if final.any() else Points.none()

    def finish(self) -> Points:
        """Give all points that are left, as good as they are."""
        window, self._window = self._window, np.zeros(0, POINT)
        return _points(window)

    def _correct(self, here: Ints, place: Ints, newest: Ints, tracks: Tracks, now_us: int) -> None:
        """Correct the points ``here`` of tracks ``place`` by what is new in the tracks since their newest points.

        Source: Rauch, Tung & Striebel 1965; summed up forwards as in the general fixed-point smoother
        equations of Sarkka, Bayesian Filtering and Smoothing, 2013, chapter 10.
        """
        window = self._window
        known = np.flatnonzero(newest >= 0)
        last = window[newest[known]]
        mean, covariance = last["mean"], last["covariance"]
        dt_s = (now_us - last["at_us"]) / 1e6
        f = kalman.transition(dt_s)
        moved = covariance @ np.swapaxes(f, 1, 2)
        predicted = f @ moved + kalman.process_noise(dt_s, self._acceleration_psd)
        gain = moved @ kalman.invert(predicted)
        news = tracks.mean[known] - (f @ mean[..., None])[..., 0]
        spread = tracks.covariance[known] - predicted
        row = np.searchsorted(known, place)
        product = window["gain"][here] @ gain[row]  # (h, 5, 5)
        window["gain"][here] = product
        window["mean"][here] += (product @ news[row][..., None])[..., 0]
        window["covariance"][here] += product @ spread[row] @ np.swapaxes(product, 1, 2)


def _points(window: NDArray[np.void]) -> Points:
    return Points(
        at=tuple(EPOCH + us * MICROSECOND for us in window["at_us"].tolist()),
        track=window["track"].copy(),
        person=window["person"].copy(),
        state=window["mean"][:, :4].copy(),
        covariance=window["covariance"][:, :4, :4].copy(),
        cameras=tuple(window["cameras"]),
    )


def _places(track: Ints, numbers: Ints) -> Ints:
    """Give the index of each track (r,) in numbers (n,), -1 for one that is not there."""
    if len(numbers) == 0:
        return np.full(len(track), -1)
    order = np.argsort(numbers, kind="stable")
    place = order[np.minimum(np.searchsorted(numbers, track, sorter=order), len(numbers) - 1)]
    return np.where(numbers[place] == track, place, -1)
