"""``python -m tests.benchmarks gallery``: searching for looks, exactly and through FAISS, up to a million of them.

Two kinds of embeddings of 512 values: *people*, eight looks of each, whose spectrum falls like 1 over the rank as those of
real networks do, asked for with a ninth look; and *uniform*, without any order, asked for with one that was turned by as
much. Times are of one query at a time, in CPU ms of all threads and in elapsed ms.
"""

import argparse
import gc
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from gpuworker.backends import faiss_index
from gpuworker.backends.faiss_index import FlatIndex, IvfIndex
from gpuworker.pipeline.gallery import NEVER, Entries, Gallery
from tests.benchmarks.machine import machine

RESULTS = Path(__file__).parent / "results" / "gallery.json"
DIMENSION = 512
LOOKS = 8  # of a person
NOISE = 0.7  # of a look, against what a person's looks share: a cosine of about .67 between two of them
CROSSOVER = (2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
QUERIES = 300

Floats32 = NDArray[np.float32]


def people(count: int, rng: np.random.Generator) -> tuple[Floats32, Floats32]:
    """Give looks (count, 512) of count / 8 people, and a further look of QUERIES of them."""
    spectrum = (np.arange(DIMENSION) + 1.0).astype(np.float32) ** -0.5

    def directions(n: int) -> Floats32:
        return _unit(rng.standard_normal((n, DIMENSION), dtype=np.float32) * spectrum)

    centre = directions(count // LOOKS)
    looks = np.repeat(centre, LOOKS, axis=0)
    for start in range(0, len(looks), 100_000):
        part = looks[start : start + 100_000]
        part += NOISE * directions(len(part))
        part /= np.linalg.norm(part, axis=1, keepdims=True)
    asked = centre[rng.choice(len(centre), min(QUERIES, len(centre)), replace=False)]
    return looks, _unit(asked + NOISE * directions(len(asked)))


def uniform(count: int, rng: np.random.Generator) -> tuple[Floats32, Floats32]:
    """Give embeddings (count, 512) without order, and QUERIES of them turned by a cosine of .67."""
    looks = _unit(rng.standard_normal((count, DIMENSION), dtype=np.float32))
    asked = looks[rng.choice(count, min(QUERIES, count), replace=False)]
    return looks, _unit(asked + 1.1 * _unit(rng.standard_normal(asked.shape, dtype=np.float32)))


def _unit(rows: Floats32) -> Floats32:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def truth_of(looks: Floats32, queries: Floats32) -> NDArray[np.int64]:
    """Give the row most alike each query."""
    parts = [queries[i : i + 20] @ looks.T for i in range(0, len(queries), 20)]
    return np.concatenate([part.argmax(axis=1) for part in parts])


def most_alike(looks: Floats32, query: Floats32) -> int:
    """Give the row most alike a query."""
    return int((query @ looks.T).argmax())


def timed(ask: Callable[[Floats32], object], queries: Floats32) -> dict[str, float]:
    """Ask one query after the other."""
    wall_ms, cpu_ms = [], []
    for query in queries:
        cpu, wall = process_time(), perf_counter()
        ask(query[None])
        cpu_ms.append((process_time() - cpu) * 1e3)
        wall_ms.append((perf_counter() - wall) * 1e3)
    return {
        f"{kind}_ms_p{p}": round(float(np.percentile(values, p)), 3)
        for kind, values in (("cpu", cpu_ms), ("wall", wall_ms))
        for p in (50, 95)
    }


def crossover(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Time NumPy and FAISS's indexes at growing sizes."""
    rows = []
    for count in sizes:
        looks, queries = people(count, np.random.default_rng(count))
        truth = truth_of(looks, queries)
        began = process_time()
        ivf = IvfIndex(looks)
        built_s = process_time() - began
        flat = FlatIndex(looks)
        rows.append(
            {
                "count": count,
                "numpy": timed(partial(most_alike, looks), queries),
                "faiss_flat": timed(partial(flat.search, k=1), queries),
                "faiss_ivf": timed(partial(ivf.search, k=17), queries),
                "ivf": ivf.name,
                "ivf_build_cpu_s": round(built_s, 2),
                "ivf_recall_at_1": round(float((ivf.search(queries, 1)[:, 0] == truth).mean()), 4),
            }
        )
        print(json.dumps(rows[-1]))
    return rows


def whole(kind: Callable[..., tuple[Floats32, Floats32]], count: int) -> dict[str, Any]:
    """Put so many into a gallery as the worker has it, and ask."""
    looks, queries = kind(count, np.random.default_rng(count))
    truth = truth_of(looks, queries)
    gallery = Gallery(
        "benchmark", DIMENSION, make_index=lambda rows: faiss_index.make_index(rows, device="cpu")
    )
    began = process_time()
    gallery.add(Entries(np.arange(count), looks, np.full(count, NEVER)))
    added_s = process_time() - began
    del looks
    gc.collect()
    began = process_time()
    gallery.rebuild()
    built_s = process_time() - began
    found = np.concatenate([gallery.search(q[None]).keys[:, 0] for q in queries])
    same = found // LOOKS == truth // LOOKS
    report = {
        "embeddings": kind.__name__,
        "count": count,
        "index": gallery.index,
        "add_cpu_s": round(added_s, 2),
        "build_cpu_s": round(built_s, 1),
        "recall_at_1": round(float((found == truth).mean()), 4),
        **({"same_person": round(float(same.mean()), 4)} if kind is people else {}),
        **timed(gallery.search, queries),
    }
    print(json.dumps(report))
    return report


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--crossover", type=int, nargs="*", default=list(CROSSOVER))
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    about = machine()
    report = {
        "machine": about,
        "exact_up_to": faiss_index.EXACT_UP_TO,
        "crossover": crossover(tuple(options.crossover)),
        "galleries": [whole(kind, count) for count in options.counts for kind in (people, uniform)],
    }
    options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
