"""Indexes of FAISS over embeddings, on the CPU and on a GPU.

Source: Douze et al., The Faiss library (2024).
"""

import faiss
import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.values import Floats32

Ints = NDArray[np.int64]

EXACT_UP_TO = 20_000  # embeddings: to compare with all of them is quick, and misses nothing
LISTS = 4.0  # times the square root of the number. Source: FAISS wiki, Guidelines to choose an index
TRAINED_WITH = 50  # embeddings for each list, at most
TRIED = 400  # embeddings that tell how many lists have to be looked through
ALIKE = 0.65  # cosine of a query and the entry that it is of: one person's looks in two cameras
RECALL = 0.995
SEED = 1


class IvfIndex:
    """Looks through the lists of the nearest centres only; as many as its own trial says are needed.

    Vectors are kept in half precision: who asks orders the few candidates by the exact ones.
    """

    def __init__(self, embeddings: Floats32) -> None:
        count, dimension = embeddings.shape
        lists = max(1, round(LISTS * count**0.5))
        self._index = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(dimension),
            dimension,
            lists,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        self._index.cp.niter = 8
        self._index.cp.max_points_per_centroid = TRAINED_WITH
        self._index.cp.min_points_per_centroid = 1  # it only warns
        self._index.cp.seed = SEED
        self._index.cp.spherical = True
        self._index.train(embeddings)
        self._index.add(embeddings)
        self._index.parallel_mode = 0
        self._index.nprobe = self._probes(embeddings)
        self.name = f"faiss IVF, {self._index.nprobe} of {lists} lists"

    def search(self, queries: Floats32, k: int) -> Ints:
        """Give the rows most alike each query."""
        return np.asarray(self._index.search(np.ascontiguousarray(queries), k)[1], dtype=np.int64)

    def _probes(self, embeddings: Floats32) -> int:
        """Find how many lists must be looked through to find what a query is of."""
        queries, truth = trial(embeddings)
        probes = 1
        while probes < self._index.nlist:
            self._index.nprobe = probes
            if (self.search(queries, 1)[:, 0] == truth).mean() >= RECALL:
                break
            probes *= 2
        return min(probes, self._index.nlist)


class FlatIndex:
    """Compares with all embeddings, on a GPU where that takes no time."""

    def __init__(self, embeddings: Floats32, *, device: int | None = None) -> None:
        if device is None:
            self.name, self._index = "faiss flat", faiss.IndexFlatIP(embeddings.shape[1])
        else:
            config = faiss.GpuIndexFlatConfig()
            config.device, config.useFloat16 = device, True
            self._resources = faiss.StandardGpuResources()  # lives as long as the index
            self.name = f"faiss flat on cuda:{device}"
            self._index = faiss.GpuIndexFlatIP(self._resources, embeddings.shape[1], config)
        self._index.add(embeddings)

    def search(self, queries: Floats32, k: int) -> Ints:
        """Give the rows most alike each query."""
        return np.asarray(self._index.search(np.ascontiguousarray(queries), k)[1], dtype=np.int64)


def trial(embeddings: Floats32) -> tuple[Floats32, Ints]:
    """Give queries for a trial of an index, and the row that is truly the most alike each.

    Each is an embedding that was turned in some direction until the cosine is ALIKE.
    """
    rng = np.random.default_rng(SEED)
    of = embeddings[rng.choice(len(embeddings), min(TRIED, len(embeddings)), replace=False)]
    other = embeddings[rng.choice(len(embeddings), len(of))]
    noise = rng.normal(size=of.shape).astype(np.float32) / of.shape[1] ** 0.5 + other
    across = noise - (noise * of).sum(axis=1, keepdims=True) * of
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    queries = np.asarray(ALIKE * of + (1 - ALIKE**2) ** 0.5 * across, dtype=np.float32)
    exact = np.empty(len(queries), np.int64)
    for start in range(0, len(queries), 50):
        exact[start : start + 50] = (queries[start : start + 50] @ embeddings.T).argmax(axis=1)
    return queries, exact


def gpus() -> int:
    """Give the number of GPUs that this FAISS can use."""
    return int(faiss.get_num_gpus()) if hasattr(faiss, "StandardGpuResources") else 0


def make_index(embeddings: Floats32, *, device: str) -> IvfIndex | FlatIndex | None:
    """Make the index that is the quickest for so many embeddings; None where that is to compare with all."""
    if len(embeddings) <= EXACT_UP_TO:
        return None
    if device != "cpu" and gpus():
        return FlatIndex(embeddings, device=int(device.partition(":")[2] or 0))
    return IvfIndex(embeddings)
