"""Indexes of FAISS over embeddings, on the CPU and on a GPU.

Source: Douze et al., The Faiss library (2024).
"""

from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.values import Floats32

Ints = NDArray[np.int64]

EXACT_UP_TO = 20_000  # embeddings: to compare with all of them is quick, and misses nothing
LISTS = 4.0  # times the square root of the number. Source: FAISS wiki, Guidelines to choose an index
TRAINED_WITH = 50  # embeddings for each list, at most
TRIED = 400  # embeddings that tell how many lists have to be looked through
RECALL = 0.99
AT_ONCE = 50
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
        """Find how many lists must be looked through to find the embedding most alike another one."""
        rows, truth = trial(embeddings)
        probes = 1
        while probes < self._index.nlist:
            self._index.nprobe = probes
            found = (self.search(embeddings[rows], 2) == truth[:, None]).any(axis=1)
            if found.mean() >= RECALL:
                break
            probes = -(-probes * 7 // 5)
        return min(probes, self._index.nlist)


class FlatIndex:
    """Compares with all embeddings, on a GPU where that takes no time."""

    def __init__(self, embeddings: Floats32, *, device: int | None = None) -> None:
        index: Any
        if device is None:
            self.name, index = "faiss flat", faiss.IndexFlatIP(embeddings.shape[1])
        else:
            config = faiss.GpuIndexFlatConfig()
            config.device, config.useFloat16 = device, True
            self._resources = faiss.StandardGpuResources()  # lives as long as the index
            self.name = f"faiss flat on cuda:{device}"
            index = faiss.GpuIndexFlatIP(self._resources, embeddings.shape[1], config)
        self._index = index
        self._index.add(embeddings)

    def search(self, queries: Floats32, k: int) -> Ints:
        """Give the rows most alike each query."""
        return np.asarray(self._index.search(np.ascontiguousarray(queries), k)[1], dtype=np.int64)


def trial(embeddings: Floats32) -> tuple[Ints, Ints]:
    """Give rows to try an index with, and for each the row of the other embedding that is truly the most alike."""
    rng = np.random.default_rng(SEED)
    rows = rng.choice(len(embeddings), min(TRIED, len(embeddings)), replace=False)
    truth = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        similarity = embeddings[part] @ embeddings.T
        similarity[np.arange(len(part)), part] = -np.inf
        truth[start : start + AT_ONCE] = similarity.argmax(axis=1)
    return rows, truth


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
