"""One tracker on the floor over all cameras: predict, match, correct, judge existence, give birth."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import births, kalman
from gpuworker.pipeline.appearance import CameraMeans, LikelihoodRatio, unit
from gpuworker.pipeline.boxes import covered_share
from gpuworker.pipeline.detectability import Detectability
from gpuworker.pipeline.duplicates import survivors
from gpuworker.pipeline.existence import judged, log_odds_detected, survived
from gpuworker.pipeline.health import HealthMeters
from gpuworker.pipeline.matching import Match, Matcher, Scene
from gpuworker.pipeline.observation import Measured, hypothesis_priors, measure
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

PASSES = 2  # a third one changes nothing
SURE_LOGIT = 2.0
IN_VIEW = 0.5  # visible share of a person whose box should be where the person is
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


@dataclass(frozen=True, slots=True)
class _Tick:
    """The frames of one tick that can be used, f of them in order of capture.

    Attributes:
        source: (f,) index of the observation.
        captured_at: (f,) of the frame.
        camera: (f,) index of the camera.
        dt_s: (f,) capture time minus the tick.
        elapsed_s: (f,) since the camera's newest frame before; 0 for a late one, whose time was counted then.
        newest: (f,) whether it is the camera's newest.
        measured: boxes.
        looks: embeddings of each frame's boxes (n, d), comparable between cameras, NaN for none.
        alike: similarity of each frame's boxes to the tracks (n, t), NaN where a look is not known.
        clean: (n,) which boxes of each frame show one person only.
    """

    source: Ints
    captured_at: tuple[datetime, ...]
    camera: Ints
    dt_s: Floats
    elapsed_s: Floats
    newest: Bools
    measured: tuple[Measured, ...]
    looks: tuple[Floats, ...]
    alike: tuple[Floats, ...]
    clean: tuple[Bools, ...]


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
        self._index = {camera.camera_id: i for i, camera in enumerate(self._views.cameras)}
        self._take_number = take_track_number
        self._settings = settings.tracker
        self._tracks = Tracks.none(len(self._views))
        self._detectability = Detectability(len(self._views))
        self._appearance = settings.appearance
        self._reviser = Reviser(take_track_number, likelihood, settings.identity)
        self._camera_means = CameraMeans(len(self._views), settings.appearance)
        self._health = HealthMeters(len(self._views), settings.health)
        self._calibration = SelfCalibration(self._views.cameras, settings.bias)
        self._likelihood = likelihood
        self._at: datetime | None = None
        self._last_frame: dict[int, datetime] = {}

    @property
    def shifts(self) -> tuple[CameraShift, ...]:
        """Give how far each camera's boxes lie beside what the other cameras say."""
        return self._calibration.shifts

    def step(self, observations: Sequence[Observation]) -> Followed:
        """Take in the frames of one tick; give who is where at the newest capture time so far.

        Raises:
            ValueError: there is no observation at all in the first tick.
        """
        tick, at = self._begin(observations)
        scene, share, detection = self._scene(tick)
        match = Matcher(scene, self._settings).run(PASSES)
        self._judge(tick, match, share, detection)
        self._learn_looks(tick, match)
        owners = [np.full(len(m), NO_ID) for m in tick.measured]  # index of each box's track
        for frame, boxes in enumerate(match.box):
            track = np.flatnonzero(boxes >= 0)
            owners[frame][boxes[track]] = track
        self._give_birth(tick, owners)
        gone = self._prune(at, owners)
        self._tracks, revisions = self._reviser.step(at, self._tracks, gone)
        for frame, camera in enumerate(tick.camera):
            boxes = tick.measured[frame].valid.any(axis=1)
            self._health.count(int(camera), owners[frame][boxes] != NO_ID, float(tick.elapsed_s[frame]))
        return self._publish(tick, at, observations, owners, revisions)

    def _begin(self, observations: Sequence[Observation]) -> tuple[_Tick, datetime]:
        """Move time and tracks on to the newest frame, and measure the boxes."""
        s = self._settings
        times = [o.captured_at for o in observations] + ([self._at] if self._at else [])
        if not times:
            raise ValueError("the first tick needs at least one observation")
        at = max(times)
        dt_s = (at - self._at).total_seconds() if self._at else 0.0
        if dt_s > s.gap_limit_s:
            self._tracks = Tracks.none(len(self._views))
        t = self._tracks
        mean, covariance = kalman.predict(t.mean, t.covariance, dt_s, s.acceleration_psd)
        self._tracks = t.with_(
            mean=mean,
            covariance=covariance,
            logit=survived(t.logit, dt_s, s),
            unseen_s=t.unseen_s + dt_s,
            now=np.zeros_like(t.now),
            apart_s=t.apart_s + dt_s,
        )
        self._at = at
        return self._select(observations, at), at

    def _select(self, observations: Sequence[Observation], at: datetime) -> _Tick:
        """Take the frames of calibrated cameras that are not too late, in order of capture."""
        s = self._settings
        usable = [
            (o.captured_at, o.camera_id, i)
            for i, o in enumerate(observations)
            if o.camera_id in self._index and (at - o.captured_at).total_seconds() <= s.late_limit_s
        ]
        source = [i for _, _, i in sorted(usable)]
        camera = np.array([self._index[observations[i].camera_id] for i in source], dtype=np.int64)
        elapsed, newest, measured, looks, clean = [], [], [], [], []
        for i, c in zip(source, camera, strict=True):
            o, model = observations[i], self._views.cameras[c]
            last = self._last_frame.get(int(c))
            since_s = s.evidence_s if last is None else (o.captured_at - last).total_seconds()
            elapsed.append(max(since_s, 0.0))
            newest.append(since_s >= 0.0)
            if newest[-1]:
                self._last_frame[int(c)] = o.captured_at
            sees_height = bool(self._views.sees_height[c])
            boxes = measure(model, o.detections, s, sees_height=sees_height)
            measured.append(Measured(self._calibration.correct(int(c), boxes.z), boxes.valid, boxes.evidence))
            looks.append(self._camera_means.centre(int(c), o.embeddings))
            clean.append(covered_share(o.detections.xyxy) <= self._appearance.clean_share)
        return _Tick(
            source=np.array(source, dtype=np.int64),
            captured_at=tuple(observations[i].captured_at for i in source),
            camera=camera,
            dt_s=np.array([(observations[i].captured_at - at).total_seconds() for i in source]),
            elapsed_s=np.array(elapsed, dtype=np.float64),
            newest=np.array(newest, dtype=bool),
            measured=tuple(measured),
            looks=tuple(looks),
            alike=self._similarities(looks),
            clean=tuple(clean),
        )

    def _scene(self, tick: _Tick) -> tuple[Scene, Floats, Floats]:
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
            appearance=tuple(
                self._likelihood.evidence(alike, self._appearance.limit) for alike in tick.alike
            ),
            mean=t.mean,
            covariance=t.covariance,
            seen=seen,
            log_odds=log_odds_detected(t.logit, detection),
            log_prior=hypothesis_priors(shares.feet, s),
        )
        return scene, np.where(shares.inside > INSIDE, shares.body, np.nan), detection

    def _similarities(self, looks: Sequence[Floats]) -> tuple[Floats, ...]:
        """Give the similarity of each frame's boxes to the tracks (n, t); NaN where a look is not known."""
        known = unit(self._tracks.all_looks)
        d = known.shape[1]
        unknown = np.full(len(known), np.nan)
        return tuple(
            rows @ known.T if rows.shape[1] == d > 0 else np.tile(unknown, (len(rows), 1)) for rows in looks
        )

    def _learn_looks(self, tick: _Tick, match: Match) -> None:
        """Learn what people look like, and what similarities mean."""
        t = self._tracks
        d = max((looks.shape[1] for looks in tick.looks), default=0)
        same = d in (0, t.look.shape[1])  # else another model: what was learned means nothing now
        look = t.look if same else np.zeros((len(t), d))
        recent = t.recent.copy() if same else np.zeros((len(t), d))
        looked = np.zeros(len(t), dtype=bool)
        for f, looks in enumerate(tick.looks):
            if looks.shape[1] == 0:
                continue
            track = np.flatnonzero(match.box[f] >= 0)
            box = match.box[f, track]
            good = tick.clean[f][box] & np.isfinite(looks[box]).all(axis=1)
            track, box = track[good], box[good]
            own = np.eye(len(track), dtype=bool)
            pairs = tick.alike[f][box[:, None], track]
            self._likelihood.learn(pairs[own], same=True)
            self._likelihood.learn(pairs[~own], same=False)
            recent[track] += looks[box]
            looked[track] = True
        self._tracks = t.with_(look=look, recent=recent, looked=looked)

    def _calibrate(self, tick: _Tick, match: Match, sure: Bools) -> None:
        """Learn the cameras' shifts and health from people in view whom another camera sees too, (f, t)."""
        for f, camera in enumerate(tick.camera.tolist()):
            measured = tick.measured[f]
            if len(measured) == 0:
                continue
            track = np.flatnonzero(sure[f] & (match.box[f] >= 0))
            box, expected, variance = match.box[f], match.outside[f], match.outside_variance[f]
            residual = measured.z[box[track]] - expected[track]
            self._health.compare(camera, residual, variance[track], measured.valid[box[track]])
            at = tick.captured_at[f]
            self._calibration.learn(camera, at, measured, box, expected, variance, sure[f])

    def _judge(self, tick: _Tick, match: Match, share: Floats, detection: Floats) -> None:
        """Take in the matches: states, existence, and how well people are detected."""
        t = self._tracks
        hit = match.box >= 0  # (f, t)
        had = t.had[:, tick.camera].T
        others = (tick.camera[:, None] != tick.camera).astype(np.int64) @ hit > 0
        confirmed = (t.logit > SURE_LOGIT) & others & np.isfinite(share)
        self._calibrate(tick, match, confirmed & (hit | (share > IN_VIEW)))
        f, n = np.nonzero(confirmed)
        self._detectability.learn(tick.camera[f], share[f, n], had[f, n], hit[f, n])
        now, seen = t.now.copy(), t.had.copy()
        for frame, camera in enumerate(tick.camera):
            now[:, camera] |= hit[frame]
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
                t.unseen_s,
                self._settings,
            ),
            unseen_s=np.where(hit.any(axis=0), 0.0, t.unseen_s),
            now=now,
            had=seen,
        )

    def _give_birth(self, tick: _Tick, owners: list[Ints]) -> None:
        """Begin tracks of people whom only unexplained boxes show."""
        s, t, views = self._settings, self._tracks, self._views
        left = births.leftover(views, tick.camera, tick.dt_s, tick.measured, owners)
        if len(left) == 0 or births.best_chance(left, s) < s.birth_drop_logit:
            return
        seeds = births.seed(left, s)
        seen = look_at(views, tick.camera, tick.dt_s, np.nan_to_num(seeds.mean), s)
        others = look_at(views, tick.camera, tick.dt_s, t.mean, s)
        shares = visibility(seen, others, t.logit > 0, views.picture[tick.camera])
        new = np.zeros(shares.body.shape, dtype=bool)
        detection = self._detectability.probability(tick.camera, shares, new)
        misses = np.maximum(np.log1p(-detection), -s.birth_miss_limit).T
        prior = s.birth_logit + births.crowding(seeds.mean[:, :2], t.mean[:, :2], s)
        prior = np.where(np.isfinite(seeds.mean).all(axis=1), prior, -np.inf)
        new_people = births.gather(left, seeds, births.pair(left, seeds, s), prior, misses, s)
        if len(new_people.mean) == 0:
            return
        now = np.zeros((len(new_people.mean), len(views)), dtype=bool)
        look = np.zeros((len(new_people.mean), t.look.shape[1]))
        for birth, box in zip(new_people.birth, new_people.box, strict=True):
            owners[left.frame[box]][left.box[box]] = len(t) + birth
            now[birth, tick.camera[left.frame[box]]] = True
            frame, row = left.frame[box], left.box[box]
            if tick.looks[frame].shape[1] == look.shape[1] and tick.clean[frame][row]:
                look[birth] += np.nan_to_num(tick.looks[frame][row])
        born = Tracks.born(new_people.mean, new_people.covariance, new_people.logit, now, look)
        self._tracks = t.join(born)

    def _prune(self, at: datetime, owners: list[Ints]) -> list[Sight]:
        """Merge those who are one person, drop those who are not there any more; give who was lost within sight."""
        t, s = self._tracks, self._settings
        apart = t.apart_s.copy()
        for owner in owners:
            shown = owner[owner != NO_ID]
            apart[shown[:, None], shown] = 0.0
        t = t.with_(apart_s=apart)
        into = survivors(t, s, self._likelihood)
        keep = into == np.arange(len(t))
        keep &= (t.logit > s.drop_logit) & (t.unseen_s <= s.coast_s) & np.isfinite(t.mean).all(axis=1)
        if keep.all():
            self._tracks = t
            return []
        place = np.where(keep, np.cumsum(keep) - 1, NO_ID)
        moved = np.append(place[into], NO_ID)  # the last one for NO_ID
        for owner in owners:
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
        tick: _Tick,
        at: datetime,
        observations: Sequence[Observation],
        owners: list[Ints],
        revisions: tuple[Revision, ...],
    ) -> Followed:
        """Give numbers to those who are shown for the first time, and hand out what is shown."""
        t, s = self._tracks, self._settings
        enough = np.where(t.number == NO_ID, s.publish_logit, 0.0)
        shown = (t.logit > enough) & (t.unseen_s <= s.publish_unseen_s)
        number = t.number.copy()
        for i in np.flatnonzero(shown & (number == NO_ID)):
            number[i] = self._take_number()
        self._tracks = t.with_(number=number)
        by_owner = np.append(np.where(shown, number, NO_ID), NO_ID)
        box_track = [np.full(len(o.detections), NO_ID) for o in observations]
        for source, owner in zip(tick.source, owners, strict=True):
            box_track[source] = by_owner[owner]
        published = self._tracks.select(shown)
        ids = np.array([camera.camera_id for camera in self._views.cameras], dtype=object)
        cameras = tuple(tuple(ids[row]) for row in published.now)
        health = {ids[c]: self._health.of(c) for c in sorted(set(tick.camera.tolist()))}
        moved = self._calibration.take_events(at)
        return Followed(at, published, cameras, tuple(box_track), revisions, health, moved)
