"""One tick of association over all frames: each against the prediction and what the other frames show."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from gpuworker.pipeline.association import Pairs, assign, fit, near
from gpuworker.pipeline.observation import HYPOTHESES, Measured
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.views import MEASURED, Look, Views, look_at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SETTLED = 0.005  # share of matches that may change without another look


@dataclass(frozen=True, slots=True)
class Scene:
    """The frames of one tick, f of them, in order of their capture, with the tracks that they may show.

    Attributes:
        views: the site's cameras.
        camera: (f,) index of each frame's camera.
        dt_s: (f,) capture time of the frame minus the tick.
        measured: boxes of all frames.
        alike: gives for boxes (p,) and tracks (p,) what their looks say, nats (p,).
        mean, covariance: (t, 5) and (t, 5, 5) of the tracks, predicted to the tick.
        seen: (f, t) what the tracks look like at ``mean``.
        log_odds: (f, t) log odds that the person exists and is detected in the frame.
        log_prior: (f, t, 2) of the hypotheses.
    """

    views: Views
    camera: Ints
    dt_s: Floats
    measured: Measured
    alike: Callable[[Ints, Ints], Floats]
    mean: Floats
    covariance: Floats
    seen: Look
    log_odds: Floats
    log_prior: Floats


@dataclass(frozen=True, slots=True)
class Match:
    """What an association found.

    Attributes:
        box: (f, t) index of the box that shows the track among those of all frames, -1 for none.
        fit: (f, t) what place and look of that box say for the person, nats; 0 without one.
        confidence: (f, t) what its confidence says.
        outside: (f, t, 3) box that the other frames and the prediction say.
        outside_variance: (f, t, 3) of that box with its own noise, px^2.
        mean, covariance: of the tracks with everything taken in.
        seen: (f, t) what the tracks look like close to ``mean``.
    """

    box: Ints
    fit: Floats
    confidence: Floats
    outside: Floats
    outside_variance: Floats
    mean: Floats
    covariance: Floats
    seen: Look


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Pairs that were matched, m of them.

    Attributes:
        frame, track, box: (m,) indices.
        evidence: (m,) what place and look say, nats.
        used: (m, 3) components that count under the likeliest hypothesis.
    """

    frame: Ints
    track: Ints
    box: Ints
    evidence: Floats
    used: Bools

    def changed(self, before: "_Found") -> int:
        """Count boxes that show other tracks, or other parts of them, than before."""
        if all(
            np.array_equal(getattr(self, name), getattr(before, name)) for name in ("box", "track", "used")
        ):
            return 0
        first, second = (np.column_stack([f.box, f.track, f.used]) for f in (self, before))
        rows = np.unique(np.concatenate([first, second]), axis=0)
        return len(rows) - min(len(first), len(second))


def associate(scene: Scene, settings: TrackerSettings) -> Match:
    """Match the frames of one tick.

    At first one after the other, each against the prediction with all frames before it; then, around the places that
    this has found, each against the prediction with all others at once. Where that changes anything, of many matches
    more than a few, once more: one after the other, so that no two frames wait for each other, and all at once.
    """
    pairing = _Pairing(scene, settings)
    found = pairing.one_by_one([NOTHING] * len(scene.camera))
    pairing.centre(found)
    final, predicted, spread = pairing.all_at_once(found)
    changed = final.changed(_joined(found))
    if changed > SETTLED * len(final.box):
        found = pairing.one_by_one(found)
        final, predicted, spread = pairing.all_at_once(found)
    if changed:
        pairing.settle(final)
    shape = scene.log_odds.shape
    box, evidence, confidence = np.full(shape, -1, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    box[final.frame, final.track] = final.box
    evidence[final.frame, final.track] = final.evidence
    confidence[final.frame, final.track] = scene.measured.evidence[final.box]
    return Match(
        box=box,
        fit=evidence,
        confidence=confidence,
        outside=predicted,
        outside_variance=np.diagonal(spread, axis1=2, axis2=3),
        mean=scene.mean + pairing.shift,
        covariance=pairing.covariance,
        seen=pairing.seen,
    )


class _Pairing:
    """Tracks with what the boxes matched so far tell about them.

    Attributes:
        seen: (f, t) what the tracks look like where derivatives are taken.
        shift, covariance: (t, 5) and (t, 5, 5) away from the prediction, with all that was matched.
    """

    def __init__(self, scene: Scene, settings: TrackerSettings) -> None:
        """Begin with the prediction."""
        self._scene, self._settings = scene, settings
        self.seen, self._z = scene.seen, scene.seen.z  # (f, t, 3) box of the prediction by those derivatives
        self.shift, self.covariance = np.zeros_like(scene.mean), scene.covariance.copy()
        self._inverse = kalman.invert(scene.covariance)
        cameras = [scene.views.cameras[c] for c in scene.camera.tolist()]
        picture_px = np.array([[c.width, c.height] for c in cameras], dtype=np.float64).reshape(-1, 2)
        s = scene.seen
        spread = kalman.through(s.jacobian, scene.covariance) + s.noise
        self._pairs = near(scene.measured, s.z, spread, s.size_px, scene.log_prior, picture_px, settings)
        box, frame, track = self._pairs.box, self._pairs.frame, self._pairs.track
        self._alike = scene.alike(box, track)
        self._said = scene.measured.evidence[box] + scene.log_odds[frame, track] + self._alike
        runs = _runs(frame, len(cameras))
        self._frames = [(self._pairs.part(run), self._said[run], self._alike[run]) for run in runs]

    def _decide(self, pairs: Pairs, said: Floats, alike: Floats, predicted: Floats, spread: Floats) -> _Found:
        """Match pairs by the boxes that their tracks should give.

        Args:
            pairs: p of them.
            said, alike: (p,) what speaks for each pair whatever its place, nats, and what of that their looks say.
            predicted, spread: (p, 3) and (p, 3, 3).
        """
        evidence, hypothesis = fit(pairs, predicted, spread, self._settings)
        tracks = max(len(self.shift), 1)
        chosen = assign(evidence + said, pairs.box, pairs.frame * tracks + pairs.track)
        return _Found(
            frame=pairs.frame[chosen],
            track=pairs.track[chosen],
            box=pairs.box[chosen],
            evidence=(evidence + alike)[chosen],
            used=pairs.valid[chosen] & HYPOTHESES[hypothesis[chosen]],
        )

    def one_by_one(self, found: Sequence[_Found]) -> list[_Found]:
        """Match each frame anew, what was found in it before taken out, and what is found taken in."""
        out = []
        for f, (pairs, said, alike) in enumerate(self._frames):
            if len(pairs) == 0:
                out.append(NOTHING)
                continue
            self._take(found[f], -1.0)
            jacobian, track = self.seen.jacobian[f], pairs.track
            predicted = self._z[f] + (jacobian @ self.shift[..., None])[..., 0]
            spread = kalman.through(jacobian, self.covariance) + self.seen.noise[f]
            out.append(self._decide(pairs, said, alike, predicted[track], spread[track]))
            self._take(out[-1], 1.0)
        return out

    def _take(self, found: _Found, sign: float) -> None:
        """Take in what was found in one frame, or take it out: in with less than no noise."""
        if len(found.box) == 0:
            return
        t, where = found.track, (found.frame, found.track)
        jacobian, noise = self.seen.jacobian[where], sign * self.seen.noise[where]
        predicted = self._z[where] + (jacobian @ self.shift[t][..., None])[..., 0]
        residual = self._scene.measured.z[found.box] - predicted
        shift, self.covariance[t] = kalman.update(self.covariance[t], jacobian, noise, residual, found.used)
        self.shift[t] += shift

    def centre(self, found: Sequence[_Found]) -> None:
        """Take derivatives where the tracks are with what was found in each frame."""
        scene, at = self._scene, self._scene.mean + self.shift
        self.seen = look_at(scene.views, scene.camera, scene.dt_s, at, self._settings)
        self._z = self.seen.z - (self.seen.jacobian @ self.shift[..., None])[..., 0]
        self.settle(_joined(found))

    def settle(self, found: _Found) -> None:
        """Take in all that was found, and nothing else."""
        where = found.frame, found.track
        residual = self._scene.measured.z[found.box] - self._z[where]
        told, pull = kalman.information(
            self.seen.jacobian[where], self.seen.noise[where], residual, found.used
        )
        matrix, vector = self._inverse.copy(), np.zeros(self.shift.shape)
        for run in _runs(found.frame, len(self.seen.z)):  # a track has one box in a frame at most
            matrix[found.track[run]] += told[run]
            vector[found.track[run]] += pull[run]
        self.shift, self.covariance = kalman.correct(matrix, vector)

    def all_at_once(self, found: Sequence[_Found]) -> tuple[_Found, Floats, Floats]:
        """Match all frames anew, each against what the others show; give the boxes that those say too."""
        predicted, spread = self._outside(found)
        where = self._pairs.frame, self._pairs.track
        found_now = self._decide(self._pairs, self._said, self._alike, predicted[where], spread[where])
        return found_now, predicted, spread

    def _outside(self, found: Sequence[_Found]) -> tuple[Floats, Floats]:
        """Give the boxes (f, t, 3) and (f, t, 3, 3) that the prediction and all other frames say."""
        jacobian, own = self.seen.jacobian, _joined(found)
        predicted = self._z + (jacobian @ self.shift[..., None])[..., 0]
        spread = kalman.through(jacobian, self.covariance)
        where = own.frame, own.track
        residual = np.where(own.used, self._scene.measured.z[own.box] - predicted[where], 0.0)
        # the gain of taking in the own box with less than no noise
        gain = spread[where] @ kalman.weights(self.seen.noise[where] - spread[where], own.used)
        predicted[where] -= (gain @ residual[..., None])[..., 0]
        spread[where] += gain @ spread[where]
        return predicted, spread + self.seen.noise


def _runs(frame: Ints, frames: int) -> list[slice]:
    """Give where each of the frames lies in (n,) sorted ones."""
    begin = frame.searchsorted(np.arange(frames + 1)).tolist()
    return [slice(a, b) for a, b in pairwise(begin)]


def _joined(found: Sequence[_Found]) -> _Found:
    """Join what was found in frames, in their order."""
    return _Found(*(np.concatenate([getattr(f, name) for f in (NOTHING, *found)]) for name in FOUND))


FOUND = tuple(f.name for f in fields(_Found))
_NONE = np.zeros(0, dtype=np.int64)
NOTHING = _Found(_NONE, _NONE, _NONE, np.zeros(0), np.zeros((0, MEASURED), dtype=bool))
