"""One tracker on the floor over all cameras: predict, match, correct, judge existence, give birth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import births, kalman
from gpuworker.pipeline.appearance import LikelihoodRatio, unit
from gpuworker.pipeline.crops import Expected
from gpuworker.pipeline.detectability import Detectability
from gpuworker.pipeline.duplicates import Duplicates
from gpuworker.pipeline.existence import judged, log_odds_detected, survived
from gpuworker.pipeline.health import HealthMeters
from gpuworker.pipeline.intake import Intake, Tick
from gpuworker.pipeline.matching import Match, Scene, associate
from gpuworker.pipeline.observation import hypothesis_priors
from gpuworker.pipeline.revision import Reviser, Revision, Sight
from gpuworker.pipeline.seams import TakeNumber
from gpuworker.pipeline.self_calibration import SelfCalibration
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import NO_ID, CameraHealth, CameraShift, Event, Observation, Site
from gpuworker.pipeline.views import Views, look_at
from gpuworker.pipeline.visibility import inside_share, visibility

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SURE_LOGIT = 2.0
IN_VIEW = 0.5  # visible share of a person whose box should be where the person is
MANY = 32  # people of a frame whose looks are compared with each other
INSIDE = 0.8  # share of a person in the picture from which the chance of a detection is learned


@dataclass(frozen=True, slots=True)
class Followed:
    """What the tracker knows after a tick.

    Attributes:
        at: instant of the tick.
        tracks: those published, each with its number.
        cameras: for each of them the ids of the cameras that saw the person in this tick, sorted.
        box_track: for each observation in the order given, the track number of each box, NO_ID for none.
        revisions: numbers that went over to other tracks in this tick.
        health: of the cameras that had a frame.
        events: of cameras that moved.
    """

    at: datetime
    tracks: Tracks
    cameras: tuple[tuple[str, ...], ...]
    box_track: tuple[Ints, ...]
    revisions: tuple[Revision, ...]
    health: dict[str, CameraHealth]
    events: tuple[Event, ...]


class FloorTracker:
    """Follows everybody on the floor of one site."""

    def __init__(
        self,
        site: Site,
        take_track_number: TakeNumber,
        settings: PipelineSettings,
        likelihood: LikelihoodRatio,
    ) -> None:
        """Begin with nobody on the floor."""
        self._views = Views.of(site.cameras)
        self._ids = tuple(camera.camera_id for camera in self._views.cameras)
        self._take_number = take_track_number
        self._settings = settings.tracker
        self._tracks = Tracks.none(len(self._views))
        self._detectability = Detectability(len(self._views))
        self._appearance = settings.appearance
        self._reviser = Reviser(take_track_number, likelihood, settings.identity)
        self._health = HealthMeters(len(self._views), settings.health)
        self._calibration = SelfCalibration(self._views.cameras, settings.bias)
        self._intake = Intake(self._views, self._calibration, settings)
        self._duplicates = Duplicates(settings.tracker, likelihood)
        self._likelihood = likelihood
        self._born = 0  # tracks so far
        self._at: datetime | None = None
        self._next_s = np.inf  # until the next tick, as it was since the last one

    @property
    def shifts(self) -> tuple[CameraShift, ...]:
        """Give how far each camera's boxes lie beside what the other cameras say."""
        return self._calibration.shifts

    def looks_learned(self) -> dict[str, tuple[Floats, float]]:
        """Give by camera the weighted sum of its embeddings (d,), and their weight."""
        return self._intake.looks_learned()

    def looks_relearn(self, learned: Mapping[str, tuple[Floats, float]]) -> None:
        """Take what was learned before of the cameras that are still there."""
        self._intake.looks_relearn(learned)

    def step(self, observations: Sequence[Observation]) -> Followed:
        """Take in the frames of one tick; give who is where at the newest capture time so far.

        Raises:
            ValueError: there is no observation at all in the first tick.
        """
        tick, at, dt_s = self._begin(observations)
        scene, share, detection = self._scene(tick)
        match = associate(scene, self._settings)
        self._judge(tick, match, share, detection)
        self._learn_looks(tick, match)
        owner = np.full(len(tick.measured), NO_ID)  # index of each box's track
        _, track = np.nonzero(match.box >= 0)
        owner[match.box[match.box >= 0]] = track
        self._give_birth(tick, match, owner)
        gone = self._prune(at, tick, owner, dt_s)
        self._tracks, revisions = self._reviser.step(at, self._tracks, gone)
        boxes = tick.measured.valid.any(axis=1)
        self._health.count(tick.camera, tick.elapsed_s, tick.measured.frame[boxes], owner[boxes] != NO_ID)
        return self._publish(tick, at, observations, owner, revisions)

    def expect(self, frames: Sequence[tuple[str, datetime]]) -> Expected:
        """Give where the people known so far should be in frames of cameras taken at instants, to choose whom to look at."""
        t = self._tracks
        index = {camera_id: i for i, camera_id in enumerate(self._ids)}
        boxes = np.full((len(frames), len(t), 4), np.nan)
        known = [k for k, (camera_id, _) in enumerate(frames) if camera_id in index]
        if self._at is not None and known and len(t):
            camera = np.array([index[frames[k][0]] for k in known], dtype=np.int64)
            dt_s = np.array([(frames[k][1] - self._at).total_seconds() for k in known])
            boxes[known] = look_at(self._views, camera, dt_s, t.mean, self._settings).box
        looks = np.linalg.norm(t.all_looks, axis=1)
        return Expected(t.serial, boxes, t.mean[:, :2], looks)

    def _begin(self, observations: Sequence[Observation]) -> tuple[Tick, datetime, float]:
        """Move time and tracks on to the newest frame, by how many seconds, and measure the boxes."""
        s = self._settings
        times = [o.captured_at for o in observations] + ([self._at] if self._at else [])
        if not times:
            raise ValueError("the first tick needs at least one observation")
        at = max(times)
        dt_s = (at - self._at).total_seconds() if self._at else 0.0
        self._next_s = dt_s if self._at else np.inf
        if dt_s > s.gap_limit_s:
            self._tracks = Tracks.none(len(self._views))
        t = self._tracks
        mean, covariance = kalman.predict(t.mean, t.covariance, dt_s, s.acceleration_psd)
        self._tracks = t.with_(
            mean=mean,
            covariance=covariance,
            logit=survived(t.logit, dt_s, s),
            age_s=t.age_s + dt_s,
            unseen_s=t.unseen_s + dt_s,
            since_s=t.since_s + dt_s,
            now=np.zeros_like(t.now),
        )
        self._at = at
        return self._intake.take(observations, at), at, dt_s

    def _scene(self, tick: Tick) -> tuple[Scene, Floats, Floats]:
        """Lay out what the frames should show; also the visible share, NaN outside
        the picture, and the chance of detection, (f, t)."""
        t, s = self._tracks, self._settings
        seen = look_at(self._views, tick.camera, tick.dt_s, t.mean, s)
        shares = visibility(seen, seen, t.logit > 0, self._views.picture[tick.camera])
        had = t.had[:, tick.camera].T  # (f, t)
        detection = self._detectability.probability(tick.camera, shares, had)
        scene = Scene(
            views=self._views,
            camera=tick.camera,
            dt_s=tick.dt_s,
            measured=tick.measured,
            alike=self._alike(tick.looks),
            mean=t.mean,
            covariance=t.covariance,
            seen=seen,
            log_odds=log_odds_detected(t.logit, detection),
            log_prior=hypothesis_priors(shares.feet, s),
        )
        return scene, np.where(shares.inside > INSIDE, shares.body, np.nan), detection

    def _alike(self, looks: Floats) -> Callable[[Ints, Ints], Floats]:
        """Give what the looks (n, d) of boxes say for the tracks."""
        d = looks.shape[1]
        if d == 0 or d != self._tracks.look.shape[1]:
            return lambda box, track: np.zeros(len(box))
        known = unit(self._tracks.all_looks)

        def alike(box: Ints, track: Ints) -> Floats:
            return self._likelihood.evidence(np.vecdot(looks[box], known[track]), self._appearance.limit)

        return alike

    def _learn_looks(self, tick: Tick, match: Match) -> None:
        """Learn what people look like, and what similarities mean."""
        t, d = self._tracks, tick.looks.shape[1]
        same = d in (0, t.look.shape[1])  # else another model: what was learned means nothing now
        look = t.look if same else np.zeros((len(t), d))
        recent = t.recent.copy() if same else np.zeros((len(t), d))
        looked = np.zeros(len(t), dtype=bool)
        known = unit(t.all_looks) if same and d else None
        good = tick.clean & np.isfinite(tick.looks).all(axis=1) if d else tick.clean
        for f in range(len(tick.camera) if good.any() else 0):
            track = np.flatnonzero(match.box[f] >= 0)
            box = match.box[f, track]
            track, box = track[good[box]], box[good[box]]
            if known is not None and len(track):
                self._likelihood.learn(np.vecdot(tick.looks[box], known[track]), same=True)
                some = slice(None, None, -(-len(track) // MANY))  # of many, some pairs are enough
                pairs = tick.looks[box[some]] @ known[track[some]].T
                self._likelihood.learn(pairs[~np.eye(len(pairs), dtype=bool)], same=False)
            recent[track] += tick.looks[box]
            looked[track] = True
        self._tracks = t.with_(look=look, recent=recent, looked=looked)

    def _calibrate(self, tick: Tick, match: Match, sure: Bools) -> None:
        """Learn the cameras' shifts and health from people in view whom another camera sees too, (f, t)."""
        measured = tick.measured
        where = frame, _ = np.nonzero(sure & (match.box >= 0))
        box = match.box[where]
        residual, variance = measured.z[box] - match.outside[where], match.outside_variance[where]
        self._health.compare(tick.camera[frame], residual, variance, measured.valid[box])
        for f, camera in enumerate(tick.camera.tolist()):
            at, of = tick.captured_at[f], measured.of(f)
            if of.start < of.stop and self._calibration.is_due(camera, at) and sure[f].any():
                self._calibration.learn(
                    camera,
                    at,
                    measured.z[of],
                    measured.valid[of],
                    match.box[f] - of.start,
                    match.outside[f],
                    match.outside_variance[f],
                    sure[f],
                )

    def _judge(self, tick: Tick, match: Match, share: Floats, detection: Floats) -> None:
        """Take in the matches: states, existence, and how well people are detected."""
        t = self._tracks
        hit = match.box >= 0  # (f, t)
        had = t.had[:, tick.camera].T
        others = (tick.camera[:, None] != tick.camera).astype(np.int64) @ hit > 0
        confirmed = (t.logit > SURE_LOGIT) & others & np.isfinite(share)
        self._calibrate(tick, match, confirmed & (hit | (share > IN_VIEW)))
        f, n = np.nonzero(confirmed)
        self._detectability.learn(tick.camera[f], share[f, n], had[f, n], hit[f, n])
        now, seen, since_s = t.now.copy(), t.had.copy(), t.since_s.copy()
        for frame, camera in enumerate(tick.camera):
            now[:, camera] |= hit[frame]
            since_s[hit[frame], camera] = 0.0
            if tick.newest[frame]:
                seen[:, camera] = hit[frame]
        self._tracks = t.with_(
            mean=match.mean,
            covariance=match.covariance,
            logit=judged(
                t.logit,
                match.fit,
                match.confidence,
                hit,
                t.mean[:, 4],
                detection,
                tick.elapsed_s,
                t.since_s[:, tick.camera].T,
                self._settings,
            ),
            unseen_s=np.where(hit.any(axis=0), 0.0, t.unseen_s),
            now=now,
            had=seen,
            since_s=since_s,
        )

    def _give_birth(self, tick: Tick, match: Match, owner: Ints) -> None:
        """Begin tracks of people whom only unexplained boxes show."""
        s, t, views = self._settings, self._tracks, self._views
        left = births.leftover(views, tick.camera, tick.dt_s, tick.measured, owner)
        if len(left) == 0:
            return
        seeds = births.seed(left, s)
        alone = births.chances(left, seeds, t.mean[:, :2], s)
        if births.best_chance(alone, left, s) < s.birth_drop_logit:
            return
        seen = look_at(views, tick.camera, tick.dt_s, np.nan_to_num(seeds.mean), s)
        shares = visibility(seen, match.seen, t.logit > 0, views.picture[tick.camera])
        new = np.zeros(shares.body.shape, dtype=bool)
        detection = self._detectability.probability(tick.camera, shares, new)
        misses = np.log1p(-detection).T
        new_people = births.gather(left, seeds, births.pair(left, seeds, s), alone, misses, s)
        count, d = len(new_people.mean), t.look.shape[1]
        if count == 0:
            return
        box, birth = left.box[new_people.box], new_people.birth
        owner[box] = len(t) + birth
        now = np.zeros((count, len(views)), dtype=bool)
        now[birth, tick.camera[tick.measured.frame[box]]] = True
        look = np.zeros((count, d))
        if tick.looks.shape[1] == d:
            clean = tick.clean[box]
            np.add.at(look, birth[clean], np.nan_to_num(tick.looks[box[clean]]))
        serial = self._born + np.arange(count)
        self._born += count
        self._tracks = t.join(
            Tracks.born(new_people.mean, new_people.covariance, new_people.logit, now, look, serial)
        )

    def _prune(self, at: datetime, tick: Tick, owner: Ints, dt_s: float) -> list[Sight]:
        """Merge those who are one person, drop those who are not there any more; give who was lost within sight."""
        t, s = self._tracks, self._settings
        shown = np.zeros((len(tick.camera), len(t)), dtype=bool)
        owned = np.flatnonzero(owner != NO_ID)
        shown[tick.measured.frame[owned], owner[owned]] = True
        into = self._duplicates.survivors(t, shown, dt_s)
        keep = into == np.arange(len(t))
        keep &= (t.logit > s.drop_logit) & (t.unseen_s <= s.coast_s) & np.isfinite(t.mean).all(axis=1)
        if keep.all():
            return []
        place = np.where(keep, np.cumsum(keep) - 1, NO_ID)
        moved = np.append(place[into], NO_ID)  # the last one for NO_ID
        owner[:] = moved[owner]
        self._tracks = t.select(keep)
        return self._lost(at, t, np.flatnonzero(~keep & (t.number != NO_ID)))

    def _lost(self, at: datetime, tracks: Tracks, rows: Ints) -> list[Sight]:
        """Give those of the ended tracks whose people a camera should still show, had they walked on."""
        if len(rows) == 0:
            return []
        every = np.arange(len(self._views))
        seen = look_at(self._views, every, np.zeros(len(every)), tracks.mean[rows], self._settings)
        inside = inside_share(seen.box, self._views.picture[:, None, :]).max(axis=0, initial=0.0)
        looks = tracks.own_look[rows]
        return [
            Sight(
                number=int(tracks.number[i]),
                look=look,
                at=at - timedelta(seconds=float(tracks.unseen_s[i])),
                place_m=tracks.mean[i, :2] - tracks.mean[i, 2:4] * tracks.unseen_s[i],
                velocity_mps=tracks.mean[i, 2:4].copy(),
            )
            for i, look, share in zip(rows.tolist(), looks, inside.tolist(), strict=True)
            if share > INSIDE and np.isfinite(tracks.mean[i]).all()
        ]

    def _publish(
        self,
        tick: Tick,
        at: datetime,
        observations: Sequence[Observation],
        owner: Ints,
        revisions: tuple[Revision, ...],
    ) -> Followed:
        """Give numbers to those who are shown for the first time, and hand out what is shown."""
        t, s = self._tracks, self._settings
        waits = (t.age_s + self._next_s < s.publish_age_s) & (t.logit < s.publish_sure_logit) | (
            t.unseen_s > 0
        )
        enough = np.where(waits, np.inf, s.publish_logit)
        shown = (t.logit > np.where(t.number == NO_ID, enough, 0.0)) & (t.unseen_s <= s.publish_unseen_s)
        number = t.number.copy()
        for i in np.flatnonzero(shown & (number == NO_ID)):
            number[i] = self._take_number()
        self._tracks = t.with_(number=number)
        by_owner = np.append(np.where(shown, number, NO_ID), NO_ID)
        box_track = [np.full(len(o.detections), NO_ID) for o in observations]
        for f, source in enumerate(tick.source.tolist()):
            box_track[source] = by_owner[owner[tick.measured.of(f)]]
        published = self._tracks.select(shown)
        health = {self._ids[c]: self._health.of(c) for c in sorted(set(tick.camera.tolist()))}
        moved = self._calibration.take_events(at)
        return Followed(at, published, self._names(published.now), tuple(box_track), revisions, health, moved)

    def _names(self, now: Bools) -> tuple[tuple[str, ...], ...]:
        """Give the ids of the cameras that see each track (n, c)."""
        if not self._ids:
            return ((),) * len(now)
        rows: list[bytes] = np.ascontiguousarray(now).view(f"V{len(self._ids)}")[:, 0].tolist()
        names = {
            row: tuple(name for name, sees in zip(self._ids, row, strict=True) if sees) for row in set(rows)
        }
        return tuple(names[row] for row in rows)
