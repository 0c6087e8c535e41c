"""One tick of association over all frames: each frame against the prediction and all other frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline import kalman
from gpuworker.pipeline.association import assign, fit
from gpuworker.pipeline.observation import HYPOTHESES, Measured
from gpuworker.pipeline.settings import TrackerSettings
from gpuworker.pipeline.views import MEASURED, STATE, Look, Views, look_at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Scene:
    """The frames of one tick, f of them, in order of their capture, with the tracks that they may show.

    Attributes:
        views: the site's cameras.
        camera: (f,) index of each frame's camera.
        dt_s: (f,) capture time of the frame minus the tick.
        measured: boxes of each frame.
        appearance: for each frame (d, t) what the looks of box and track say, nats.
        mean, covariance: (t, 5) and (t, 5, 5) of the tracks, predicted to the tick.
        seen: (f, t) what the tracks look like at ``mean``.
        log_odds: (f, t) log odds that the person exists and is detected in the frame.
        log_prior: (f, t, 3) of the hypotheses.
    """

    views: Views
    camera: Ints
    dt_s: Floats
    measured: tuple[Measured, ...]
    appearance: tuple[Floats, ...]
    mean: Floats
    covariance: Floats
    seen: Look
    log_odds: Floats
    log_prior: Floats


@dataclass(frozen=True, slots=True)
class Match:
    """What an association found.

    Attributes:
        box: (f, t) index of the box that shows the track, -1 for none.
        fit: (f, t) what place and look of that box say for the person, nats; 0 without one.
        confidence: (f, t) what its confidence says.
        outside: (f, t, 3) box that the other frames and the prediction say, NaN in a frame without boxes.
        outside_variance: (f, t, 3) of that box with its own noise, px^2.
        mean, covariance: of the tracks with everything taken in.
    """

    box: Ints
    fit: Floats
    confidence: Floats
    outside: Floats
    outside_variance: Floats
    mean: Floats
    covariance: Floats


class Matcher:
    """Associates the frames of one tick; each pass goes through the frames in order."""

    def __init__(self, scene: Scene, settings: TrackerSettings) -> None:
        """Begin with nothing matched."""
        self._scene = scene
        self._settings = settings
        frames, tracks = len(scene.camera), len(scene.mean)
        self._box = np.full((frames, tracks), -1, dtype=np.int64)
        self._fit = np.zeros((frames, tracks))
        self._confidence = np.zeros((frames, tracks))
        self._outside = np.full((frames, tracks, MEASURED), np.nan)
        self._outside_variance = np.full((frames, tracks, MEASURED), np.nan)
        self._z = np.zeros((frames, tracks, MEASURED))
        self._valid = np.zeros((frames, tracks, MEASURED), dtype=bool)
        self._inverse = kalman.invert(scene.covariance)
        self._matrix = np.zeros((frames, tracks, STATE, STATE))
        self._vector = np.zeros((frames, tracks, STATE))
        self._look, self._predicted = scene.seen, scene.seen.z

    def run(self, passes: int) -> Match:
        """Match all frames, each against what the prediction and all other frames say."""
        for _ in range(passes):
            for frame in range(len(self._scene.camera)):
                self._match(frame)
            shift, _ = self._correct()
            self._linearise(self._scene.mean + shift)
        shift, covariance = self._correct()
        return Match(
            box=self._box,
            fit=self._fit,
            confidence=self._confidence,
            outside=self._outside,
            outside_variance=self._outside_variance,
            mean=self._scene.mean + shift,
            covariance=covariance,
        )

    def _correct(self) -> tuple[Floats, Floats]:
        """Give the shift of the prediction and the covariance with all that the matched boxes tell."""
        return kalman.correct(self._inverse, self._matrix.sum(axis=0), self._vector.sum(axis=0))

    def _linearise(self, at: Floats) -> None:
        """Take derivatives at states (t, 5); shifts stay relative to the prediction."""
        self._look = look_at(self._scene.views, self._scene.camera, self._scene.dt_s, at, self._settings)
        offset = self._scene.mean - at  # (t, 5)
        # the box of the prediction, by the derivatives at the new point
        self._predicted = self._look.z + (self._look.jacobian @ offset[..., None])[..., 0]
        frame, track = np.nonzero(self._box >= 0)
        if len(frame):
            self._inform(frame, track)

    def _inform(self, frame: Ints | int, track: Ints) -> None:
        """Work out what matched pairs (m,) tell about their tracks."""
        self._matrix[frame, track], self._vector[frame, track] = kalman.information(
            self._look.jacobian[frame, track],
            self._look.noise[frame, track],
            self._z[frame, track] - self._predicted[frame, track],
            self._valid[frame, track],
        )

    def _match(self, f: int) -> None:
        """Match one frame against the prediction and all other frames."""
        measured, s = self._scene.measured[f], self._settings
        self._box[f], self._fit[f], self._confidence[f] = -1, 0.0, 0.0
        self._matrix[f], self._vector[f] = 0.0, 0.0  # what is left is of the others
        if len(measured) == 0:
            return
        shift, covariance = self._correct()
        jacobian = self._look.jacobian[f]
        predicted = self._predicted[f] + (jacobian @ shift[..., None])[..., 0]
        spread = jacobian @ covariance @ np.swapaxes(jacobian, 1, 2) + self._look.noise[f]
        camera = self._scene.views.cameras[self._scene.camera[f]]
        found = fit(
            measured,
            predicted,
            spread,
            self._look.size_px[f],
            self._scene.log_prior[f],
            (float(camera.width), float(camera.height)),
            s,
        )
        evidence = found.evidence + self._scene.appearance[f]
        column = assign(evidence + measured.evidence[:, None] + self._scene.log_odds[f])
        row = np.flatnonzero(column >= 0)
        track = column[row]
        self._box[f, track] = row
        self._outside[f] = predicted
        self._outside_variance[f] = np.diagonal(spread, axis1=1, axis2=2)
        self._fit[f, track] = evidence[row, track]
        self._confidence[f, track] = measured.evidence[row]
        self._z[f, track] = measured.z[row]
        self._valid[f, track] = measured.valid[row] & HYPOTHESES[found.hypothesis[row, track]]
        if len(row):
            self._inform(f, track)
