"""What looks say about identity: embeddings made comparable between cameras, and a learned likelihood ratio.

Each camera tints all embeddings in its own way, so its mean is taken off first. How much a similarity
says is learned without labels: a person's box against the person's own looks so far (same), and against
the looks of others seen in the same frame (different). Until enough was seen, a configured threshold holds.
"""

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.settings import AppearanceSettings

Floats = NDArray[np.float64]

MIN_STD = 0.05  # of similarities: narrower than this is too good to be true


def unit(vectors: Floats) -> Floats:
    """Scale vectors (..., d) to unit length; a vector of zeros becomes NaN."""
    length = np.sqrt(np.vecdot(vectors, vectors))[..., None]
    return np.asarray(vectors / np.where(length > 0, length, np.nan))


class CameraMeans:
    """The mean embedding of each camera."""

    def __init__(self, cameras: int, settings: AppearanceSettings) -> None:
        """Begin with means of zero."""
        self._sum = np.zeros((cameras, 0))
        self._count = np.zeros(cameras)
        self._settings = settings

    def centre(self, camera: int, embeddings: NDArray) -> Floats:
        """Take the camera's mean off embeddings (n, d); unit rows, NaN where there was none.

        An empty embedding (d = 0) stays empty.
        """
        looks = np.asarray(embeddings, dtype=np.float64)
        if looks.shape[1] == 0 or len(looks) == 0:
            return looks
        if looks.shape[1] != self._sum.shape[1]:  # another model: what was learned means nothing now
            self._sum = np.zeros((len(self._count), looks.shape[1]))
            self._count[:] = 0.0
        known = looks[np.isfinite(looks).all(axis=1)]
        memory = self._settings.camera_memory
        fade = min(1.0, memory / (self._count[camera] + len(known) + 1e-9))
        self._sum[camera] = (self._sum[camera] + known.sum(axis=0)) * fade
        self._count[camera] = (self._count[camera] + len(known)) * fade
        # shrunk to zero while few are known
        return unit(looks - self._sum[camera] / (self._count[camera] + self._settings.camera_prior))

    def learned(self) -> list[tuple[Floats, float]]:
        """Give the weighted sum of each camera's embeddings (d,), and their weight."""
        return [(total.copy(), float(count)) for total, count in zip(self._sum, self._count, strict=True)]

    def relearn(self, camera: int, total: Floats, count: float) -> None:
        """Take what was learned of a camera before; where sizes differ, the model of the last one holds."""
        if self._sum.shape[1] != len(total):
            self._sum = np.zeros((len(self._count), len(total)))
            self._count[:] = 0.0
        self._sum[camera], self._count[camera] = total, count


class LikelihoodRatio:
    """How much more likely a similarity is for one person than for two."""

    def __init__(self, settings: AppearanceSettings) -> None:
        """Begin with the configured threshold."""
        self._settings = settings
        self._moments = np.zeros((2, 3))  # different, same: count, sum, sum of squares

    def learn(self, similarity: Floats, *, same: bool) -> None:
        """Take in similarities (n,) of pairs that are surely one person, or surely two."""
        s = similarity[np.isfinite(similarity)]
        row = self._moments[int(same)]
        row += [len(s), s.sum(), (s**2).sum()]
        row *= min(1.0, self._settings.pair_memory / max(row[0], 1.0))

    def learned(self) -> Floats:
        """Give what was learned, (2, 3): of different people and of one, how many pairs, their sum and sum of squares."""
        return self._moments.copy()

    def relearn(self, moments: Floats) -> None:
        """Take what was learned before."""
        self._moments = np.array(moments, dtype=np.float64).reshape(2, 3)

    @property
    def is_learned(self) -> bool:
        """Say whether enough pairs of both kinds were seen."""
        return bool((self._moments[:, 0] >= self._settings.min_pairs).all())

    def evidence(self, similarity: Floats, limit: float) -> Floats:
        """Give the log likelihood ratio of similarities (...), at most ``limit`` nats either way; 0 for NaN.

        Between the means of both kinds the ratio of two normal densities is monotone; beyond them it
        stays as it is there.
        """
        s = self._settings
        if not self.is_learned:
            ratio = np.clip((similarity - s.threshold) * s.cold_slope, 0.0, min(limit, s.cold_limit))
            return np.where(np.isnan(ratio), 0.0, ratio)
        mean = self._moments[:, 1] / self._moments[:, 0]
        std = np.sqrt(np.maximum(self._moments[:, 2] / self._moments[:, 0] - mean**2, MIN_STD**2))
        if mean[1] <= mean[0]:
            return np.zeros_like(similarity)
        at = np.minimum(np.maximum(similarity, mean[0]), mean[1])
        same = -0.5 * ((at - mean[1]) / std[1]) ** 2 - np.log(std[1])
        different = -0.5 * ((at - mean[0]) / std[0]) ** 2 - np.log(std[0])
        ratio = np.minimum(np.maximum(same - different, -limit), limit)
        return np.where(np.isnan(ratio), 0.0, ratio)
