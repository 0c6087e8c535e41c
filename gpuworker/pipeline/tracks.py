"""The tracks that a tracker holds, in arrays."""

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.values import NO_ID
from gpuworker.pipeline.views import STATE

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Tracks:
    """Everybody who may be on the floor, n tracks at one instant; c cameras.

    Attributes:
        mean, covariance: (n, 5) and (n, 5, 5) of x, y, vx, vy, height.
        logit: (n,) log odds that the person exists.
        number: (n,) the track's id, NO_ID before it was published for the first time.
        age_s: (n,) since the track began.
        unseen_s: (n,) since a camera saw the person.
        had: (n, c) whether the camera's last frame showed the person.
        since_s: (n, c) since the camera last showed the person, infinite for never.
        now: (n, c) whether a frame of this tick showed the person.
        look: (n, d) sum of what the number's person looked like, fading; zeros for not known.
        recent: (n, d) sum of what the person looks like since the number was last beyond doubt.
        looked: (n,) whether this tick added to it.
        serial: (n,) unique for ever, in order of birth.
    """

    mean: Floats
    covariance: Floats
    logit: Floats
    number: Ints
    age_s: Floats
    unseen_s: Floats
    had: Bools
    since_s: Floats
    now: Bools
    look: Floats
    recent: Floats
    looked: Bools
    serial: Ints

    def __len__(self) -> int:
        return len(self.mean)

    @classmethod
    def none(cls, cameras: int) -> Self:
        """Give no tracks."""
        return cls(
            mean=np.zeros((0, STATE)),
            covariance=np.zeros((0, STATE, STATE)),
            logit=np.zeros(0),
            number=np.zeros(0, np.int64),
            age_s=np.zeros(0),
            unseen_s=np.zeros(0),
            had=np.zeros((0, cameras), bool),
            since_s=np.zeros((0, cameras)),
            now=np.zeros((0, cameras), bool),
            look=np.zeros((0, 0)),
            recent=np.zeros((0, 0)),
            looked=np.zeros(0, bool),
            serial=np.zeros(0, np.int64),
        )

    @classmethod
    def born(
        cls, mean: Floats, covariance: Floats, logit: Floats, now: Bools, look: Floats, serial: Ints
    ) -> Self:
        """Begin tracks of people seen by the cameras ``now`` (n, c), who look like ``look`` (n, d)."""
        n = len(mean)
        return cls(
            mean=mean,
            covariance=covariance,
            logit=logit,
            number=np.full(n, NO_ID),
            age_s=np.zeros(n),
            unseen_s=np.zeros(n),
            had=now.copy(),
            since_s=np.where(now, 0.0, np.inf),
            now=now,
            look=np.zeros_like(look),
            recent=look,
            looked=np.asarray(look.any(axis=1)),
            serial=serial,
        )

    def select(self, index: NDArray) -> Self:
        """Give the tracks at an index or mask array."""
        return type(self)(**{name: getattr(self, name)[index] for name in COLUMNS})

    def join(self, other: Self) -> Self:
        """Give these tracks and the other ones."""
        return type(self)(
            **{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in COLUMNS}
        )

    @property
    def all_looks(self) -> Floats:
        """Give the sum of everything that the tracks' people looked like, (n, d)."""
        return self.look + self.recent

    @property
    def own_look(self) -> Floats:
        """Give the sum of what the numbers' people look like: the settled looks, recent ones of new numbers, (n, d)."""
        return np.where(self.look.any(axis=1, keepdims=True), self.look, self.recent)

    def with_(self, **changes: NDArray) -> Self:
        """Give the tracks with some columns replaced."""
        return replace(self, **changes)


COLUMNS = tuple(f.name for f in fields(Tracks))
