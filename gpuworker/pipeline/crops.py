"""Which boxes of a tick are worth a look: those of people who are new, in doubt, or were not looked at for a while."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.boxes import covered_share, iou
from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.values import Detections, Frame

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# what a look at somebody is worth: a box of nobody known more than one whose person is in doubt, and so on
NEW, DOUBTFUL, STALE = 3.0, 2.0, 1.0
MATCH = 0.3  # overlap of a box and where somebody is expected


@dataclass(frozen=True, slots=True)
class Expected:
    """Where the people known so far should be in f frames.

    Attributes:
        serial: (t,) of their tracks, unique for ever.
        boxes: (f, t, 4) xyxy px, NaN behind the camera.
        places_m: (t, 2) on the floor.
        looks: (t,) how many looks are known of each, as the length of their sum.
    """

    serial: Ints
    boxes: Floats
    places_m: Floats
    looks: Floats


class CropChoice:
    """Chooses the boxes to look at, within a budget."""

    def __init__(self, settings: PipelineSettings) -> None:
        """Begin with nobody looked at."""
        self._settings = settings
        self._looked_s: dict[int, float] = {}  # serial -> when
        self._near_s: dict[
            int, float
        ] = {}  # serial -> when somebody else was last so near that they may be confused

    def choose(
        self,
        frames: Sequence[Frame],
        detections: Sequence[Detections],
        expected: Expected,
        now_s: float,
        budget: int,
    ) -> list[Ints]:
        """Give the boxes of each frame to look at, in order; the most valuable within the budget, the cleanest first."""
        self._note_near(expected, now_s)
        cover = [covered_share(found.xyxy) for found in detections]
        of = [self._owners(found, boxes) for found, boxes in zip(detections, expected.boxes, strict=True)]
        frame = np.repeat(np.arange(len(frames)), [len(c) for c in cover])
        box = np.concatenate([np.zeros(0, np.int64), *(np.arange(len(c)) for c in cover)])
        share = np.concatenate([np.zeros(0), *cover])
        height = np.concatenate([np.zeros(0), *(d.xyxy[:, 3] - d.xyxy[:, 1] for d in detections)])
        owner = np.concatenate([np.zeros(0, np.int64), *of])
        value = np.append(self._values(expected, now_s), NEW)[owner]
        s = self._settings
        clean = np.flatnonzero((share <= s.appearance.clean_share) & (height >= s.min_crop_px) & (value > 0))
        chosen = clean[np.lexsort((share[clean], -value[clean]))][:budget]
        for serial in expected.serial[owner[chosen][owner[chosen] >= 0]].tolist():
            self._looked_s[serial] = now_s
        return [np.sort(box[chosen[frame[chosen] == k]]).astype(np.int64) for k in range(len(frames))]

    def _note_near(self, expected: Expected, now_s: float) -> None:
        """Note who is near whom, and forget who is not there any more."""
        here = set(expected.serial.tolist())
        self._looked_s = {serial: at for serial, at in self._looked_s.items() if serial in here}
        self._near_s = {serial: at for serial, at in self._near_s.items() if serial in here}
        apart = expected.places_m[:, None] - expected.places_m[None]
        near = (apart**2).sum(axis=2) < self._settings.identity.near_m**2
        np.fill_diagonal(near, False)
        for serial in expected.serial[near.any(axis=1)].tolist():
            self._near_s[serial] = now_s

    def _owners(self, found: Detections, boxes: Floats) -> Ints:
        """Give whose box each one seems to be (n,), -1 for nobody's."""
        if not len(boxes) or not len(found):
            return np.full(len(found), -1)
        overlap = iou(found.xyxy, np.nan_to_num(boxes, nan=-1.0))
        owner = overlap.argmax(axis=1)
        return np.where(overlap[np.arange(len(found)), owner] >= MATCH, owner, -1)

    def _values(self, expected: Expected, now_s: float) -> Floats:
        """Give what a look at each person is worth (t,), 0 for nothing."""
        s = self._settings
        value = np.zeros(len(expected.serial))
        for i, serial in enumerate(expected.serial.tolist()):
            age_s = now_s - self._looked_s.get(serial, float("-inf"))
            if age_s < s.look_apart_s:
                continue
            if expected.looks[i] < s.known_looks:
                value[i] = NEW
            elif now_s - self._near_s.get(serial, float("-inf")) <= s.doubt_s:
                value[i] = DOUBTFUL
            elif age_s >= s.look_again_s:
                value[i] = STALE
        return value
