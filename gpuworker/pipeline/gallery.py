"""Search for the embeddings most like others: exact while they are few, through an index when they are many.

An entry is a unit embedding under a key of the caller's, e.g. one prototype of a person, with an end of its time. An
index is built over what is there at that moment and never changed: what comes later is searched exactly beside it, what
goes is passed over, and when either is too much the index is built anew, on a thread of its own.
"""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from gpuworker.pipeline.values import NO_ID, Floats32

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEVER = float("inf")
STALE = 0.2  # share of an index beyond which it is built anew: for what came later, and for what went
LOOK_BESIDE = 16  # candidates over those asked for: an index may rank them a little differently


@dataclass(frozen=True, slots=True)
class Entries:
    """Embeddings with their keys.

    Attributes:
        keys: (n,) int64, each once, 0 or more.
        embeddings: (n, d) float32 unit rows.
        expires_s: (n,) seconds since 1970 from which an entry does not count, infinite for never.
    """

    keys: Ints
    embeddings: Floats32
    expires_s: Floats

    def __post_init__(self) -> None:
        n = len(self.keys)
        if self.embeddings.ndim != 2 or len(self.embeddings) != n or self.expires_s.shape != (n,):
            raise ValueError(
                f"entries: expected {n} embeddings and ends, got {self.embeddings.shape} and {self.expires_s.shape}"
            )

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def none(cls, dimension: int) -> Self:
        """Give no entries."""
        return cls(np.zeros(0, np.int64), np.zeros((0, dimension), np.float32), np.zeros(0))

    def select(self, index: NDArray | slice) -> Self:
        """Give the entries at an index or mask array."""
        return type(self)(self.keys[index], self.embeddings[index], self.expires_s[index])

    def join(self, other: Self) -> Self:
        """Give these entries and the other ones."""
        return type(self)(
            np.concatenate([self.keys, other.keys]),
            np.concatenate([self.embeddings, other.embeddings]),
            np.concatenate([self.expires_s, other.expires_s]),
        )


@dataclass(frozen=True, slots=True)
class Alike:
    """What was found for q queries, the most alike first.

    Attributes:
        keys: (q, k) int64, NO_ID where there are fewer entries.
        similarity: (q, k) float32 cosine, NaN there.
    """

    keys: Ints
    similarity: Floats32


class Index(Protocol):
    """Finds, perhaps not exactly, the rows of a fixed array of embeddings that are most alike queries."""

    name: str

    def search(self, queries: Floats32, k: int) -> Ints:
        """Give up to k rows for each query (q, d), the most alike first, NO_ID beyond the last, (q, k)."""
        ...


MakeIndex = Callable[[Floats32], Index | None]
"""Makes an index over embeddings (n, d), or says by None that to compare with all of them is better."""


class Rows:
    """A few entries that change: arrays with room to grow, in which the last row takes a removed one's place."""

    def __init__(self, dimension: int) -> None:
        self._entries = Entries.none(dimension)
        self._count = 0
        self._row: dict[int, int] = {}

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: int) -> bool:
        return key in self._row

    @property
    def entries(self) -> Entries:
        """Give what is there, as views that hold until the next change."""
        return self._entries.select(slice(self._count))

    def put(self, new: Entries) -> None:
        """Add entries, in the places of those of the same keys."""
        self._grow(len(new))
        known = self._entries
        for i, key in enumerate(new.keys.tolist()):
            row = self._row.setdefault(key, self._count)
            self._count = max(self._count, row + 1)
            known.keys[row] = key
            known.embeddings[row] = new.embeddings[i]
            known.expires_s[row] = new.expires_s[i]

    def remove(self, keys: Iterable[int]) -> int:
        """Remove entries; give how many were there."""
        before, known = self._count, self._entries
        for key in keys:
            row = self._row.pop(key, None)
            if row is None:
                continue
            self._count -= 1
            if row != self._count:
                for column in (known.keys, known.embeddings, known.expires_s):
                    column[row] = column[self._count]
                self._row[int(known.keys[row])] = row
        return before - self._count

    def _grow(self, by: int) -> None:
        needed = self._count + by
        if needed > len(self._entries):
            room = max(needed, 2 * len(self._entries), 64) - self._count
            known = self.entries
            empty = Entries(
                np.zeros(room, np.int64),
                np.zeros((room, known.embeddings.shape[1]), np.float32),
                np.zeros(room),
            )
            self._entries = known.join(empty)


class Indexed:
    """Entries under an index, some of which do not count any more."""

    def __init__(self, entries: Entries, index: Index | None) -> None:
        self.entries = entries
        self.index = index
        self.is_gone = np.zeros(len(entries), dtype=bool)
        self.gone = 0
        self._row = {key: row for row, key in enumerate(entries.keys.tolist())}

    def __len__(self) -> int:
        return len(self.entries) - self.gone

    def remove(self, keys: Iterable[int]) -> int:
        """Let entries not count any more; give how many did."""
        before = self.gone
        for key in keys:
            row = self._row.pop(key, None)
            if row is not None:
                self.is_gone[row] = True
                self.gone += 1
        return self.gone - before

    def search(self, queries: Floats32, k: int) -> Alike:
        """Give the k most alike that count; as the index sees it, ordered exactly."""
        if self.index is None or not len(self):
            return compare(self.entries.select(~self.is_gone), queries, k)
        wanted = k + LOOK_BESIDE
        while True:
            rows = self.index.search(queries, min(wanted, len(self.entries)))
            counts = (rows != NO_ID) & ~self.is_gone[rows]
            if wanted >= len(self.entries) or (counts.sum(axis=1) >= k).all() or (rows == NO_ID).any():
                return self._ordered(queries, rows, counts, k)
            wanted *= 4

    def _ordered(self, queries: Floats32, rows: Ints, counts: NDArray[np.bool_], k: int) -> Alike:
        similarity = np.einsum("qd,qrd->qr", queries, self.entries.embeddings[rows])
        return best(self.entries.keys[rows], np.where(counts, similarity, np.float32(-np.inf)), k)


class Gallery:
    """Embeddings of one model, to be searched.

    Attributes:
        model: whose embeddings these are; those of another one do not compare.
        dimension: of an embedding.
    """

    def __init__(self, model: str, dimension: int, *, make_index: MakeIndex) -> None:
        """Begin with nothing."""
        self.model = model
        self.dimension = dimension
        self._make_index = make_index
        self._indexed = Indexed(Entries.none(dimension), None)
        self._fresh = Rows(dimension)
        self._building: threading.Thread | None = None
        self._built: Indexed | None = None
        self._changed: set[int] = set()  # keys since the build that goes on began
        self._refused = 0  # size at which no index was thought of use

    def __len__(self) -> int:
        return len(self._indexed) + len(self._fresh)

    @property
    def index(self) -> str:
        """Name how most entries are searched."""
        return self._indexed.index.name if self._indexed.index else "exact"

    @property
    def entries(self) -> Entries:
        """Give everything that counts."""
        return self._indexed.entries.select(~self._indexed.is_gone).join(self._fresh.entries)

    def add(self, entries: Entries) -> None:
        """Add entries, in the places of those of the same keys.

        Raises:
            ValueError: embeddings of another size, not of unit length, or no numbers; a key twice, or below 0.
        """
        if entries.embeddings.shape[1] != self.dimension:
            raise ValueError(
                f"embeddings: expected {self.dimension} values of {self.model}, got {entries.embeddings.shape[1]}"
            )
        length = np.linalg.norm(entries.embeddings, axis=1)
        if not (np.abs(length - 1.0) < 1e-2).all():
            raise ValueError("embeddings: expected unit length")
        if len(set(entries.keys.tolist())) < len(entries) or (entries.keys < 0).any():
            raise ValueError("keys: expected each once, 0 or more")
        self._take_over()
        keys = entries.keys.tolist()
        self._changed.update(keys)
        self._indexed.remove(keys)
        self._fresh.put(entries)
        self._renew()

    def remove(self, keys: Iterable[int]) -> int:
        """Remove entries; give how many were there."""
        self._take_over()
        keys = list(keys)
        self._changed.update(keys)
        removed = self._indexed.remove(keys) + self._fresh.remove(keys)
        self._renew()
        return removed

    def expire(self, now: datetime) -> int:
        """Remove the entries whose time is over; give how many."""
        indexed, fresh = self._indexed.entries, self._fresh.entries
        over_s = now.timestamp()
        over = indexed.keys[(indexed.expires_s <= over_s) & ~self._indexed.is_gone]
        return self.remove([*over.tolist(), *fresh.keys[fresh.expires_s <= over_s].tolist()])

    def search(self, queries: Floats32, k: int = 1) -> Alike:
        """Give the k entries most alike each query (q, d) of unit length; a query of NaN finds nothing.

        Raises:
            ValueError: queries of another size.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise ValueError(f"queries: expected shape (n, {self.dimension}), got {queries.shape}")
        self._take_over()
        asked = np.nan_to_num(queries)
        found = self._indexed.search(asked, k)
        if len(self._fresh):
            fresh = compare(self._fresh.entries, asked, k)
            keys = np.concatenate([found.keys, fresh.keys], axis=1)
            found = best(keys, np.concatenate([found.similarity, fresh.similarity], axis=1), k)
        nothing = ~np.isfinite(queries).all(axis=1)
        found.keys[nothing], found.similarity[nothing] = NO_ID, np.nan
        return found

    def rebuild(self) -> None:
        """Build the index over everything, now."""
        self.wait()
        self._begin()
        self.wait()
        self._take_over()

    def wait(self) -> None:
        """Wait for a build that goes on."""
        if self._building is not None:
            self._building.join()

    def _renew(self) -> None:
        """Begin to build when the index is too old."""
        size, indexed = len(self), len(self._indexed.entries)
        fresh, gone = len(self._fresh), self._indexed.gone
        if self._building is None and max(fresh, gone) > STALE * max(indexed, self._refused):
            self._refused = size
            self._begin()

    def _begin(self) -> None:
        self._changed = set()
        everything = self.entries
        self._building = threading.Thread(target=self._build, args=(everything,), name="index", daemon=True)
        self._building.start()

    def _build(self, entries: Entries) -> None:
        index = self._make_index(entries.embeddings)
        if index is not None:
            self._built = Indexed(entries, index)

    def _take_over(self) -> None:
        """Put what was built in the place of the old, less what has changed since."""
        if self._building is None or self._building.is_alive():
            return
        self._building = None
        built, self._built = self._built, None
        if built is None:
            return
        built.remove(self._changed)
        fresh = self._fresh.entries
        later = np.array([key in self._changed for key in fresh.keys.tolist()], dtype=bool)
        kept = fresh.select(later)
        self._indexed, self._fresh = built, Rows(self.dimension)
        self._fresh.put(kept)


def compare(entries: Entries, queries: Floats32, k: int) -> Alike:
    """Give the k entries most alike each query (q, d), by comparing with all."""
    similarity = queries @ entries.embeddings.T
    return best(np.broadcast_to(entries.keys, similarity.shape), similarity, k)


def best(keys: Ints, similarity: Floats32, k: int) -> Alike:
    """Give the k best of candidates (q, n), the most alike first; -inf and NaN stand for none."""
    score = np.where(np.isnan(similarity), np.float32(-np.inf), similarity)
    if k == 1 and score.shape[1]:
        order = score.argmax(axis=1)[:, None]
    else:
        few = min(k, score.shape[1])
        some = (
            np.argpartition(-score, few - 1, axis=1)[:, :few] if few else np.zeros((len(score), 0), np.int64)
        )
        order = np.take_along_axis(
            some, np.argsort(-np.take_along_axis(score, some, 1), axis=1, kind="stable"), 1
        )
    found = np.take_along_axis(score, order, axis=1)
    is_there = np.isfinite(found)
    out_keys = np.full((len(score), k), NO_ID)
    out = np.full((len(score), k), np.nan, np.float32)
    out_keys[:, : order.shape[1]] = np.where(is_there, np.take_along_axis(keys, order, axis=1), NO_ID)
    out[:, : order.shape[1]] = np.where(is_there, found, np.nan)
    return Alike(out_keys, out)
