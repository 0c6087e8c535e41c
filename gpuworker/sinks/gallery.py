"""The gallery's sink: what the pipeline knows of people outlives the worker.

A thread of its own writes, each second, what changed to Redis, and each ten seconds to the database, sealed in both. Redis may
lose everything at any moment: it is filled again, and the database alone then tells a worker that begins who was where.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgpack
import numpy as np
from django.conf import settings
from django.db import DatabaseError, connection
from redis.exceptions import RedisError

from accounts.rest.redis_pool import redis_at
from environments.encryption import Undecryptable
from environments.fields import key_ring
from gpuworker.pipeline.memory import Known, Memory
from gpuworker.pipeline.settings import IdentitySettings
from gpuworker.sinks.identifiers import person_id
from tracking.gallery import Entry, Gallery, gallery_read, gallery_write

logger = logging.getLogger(__name__)

CACHE_S, STORE_S = 1.0, 10.0  # between two writes to Redis, and to the database
AWAY = (RedisError, OSError)
STATE = b"state"  # field of a cache that holds no person
CONTEXT = "redis.gallery"  # what values in Redis are sealed for
UNREADABLE = (Undecryptable, ValueError, KeyError, TypeError, msgpack.UnpackException)


class GallerySink:
    """Keeps one environment's gallery; ``put`` waits for nothing, the newest wins."""

    def __init__(self, *, environment_id: int, embedder: str) -> None:
        """Start the thread."""
        self._environment_id, self._embedder = environment_id, embedder
        self._key = cache_key(environment_id=environment_id, embedder=embedder)
        self._memory: Memory | None = None
        self._cached: dict[int, Known] = {}
        self._stored: dict[int, Known] = {}
        self._store_due_s = time.monotonic() + CACHE_S
        self._is_away: dict[str, bool] = {"Redis": False, "The database": False}
        self._closing = threading.Event()
        self._due_s = 0.0
        self._thread = threading.Thread(target=self._run, name=f"gallery {environment_id}", daemon=True)
        self._thread.start()

    def is_due(self, now_s: float) -> bool:
        """Say whether it is time for what is known by now."""
        return now_s >= self._due_s

    def put(self, memory: Memory | None, now_s: float) -> None:
        """Take in what is known; asked for again a second later."""
        self._memory, self._due_s = memory, now_s + CACHE_S

    def close(self, timeout_s: float = 3.0) -> None:
        """Write what is known, for at most ``timeout_s``, and stop."""
        self._closing.set()
        self._thread.join(timeout_s)

    # on its own thread

    def _run(self) -> None:
        try:
            is_last = False
            while not is_last:
                is_last = self._closing.wait(CACHE_S)
                memory, self._memory = self._memory, None
                if memory is not None:
                    self._keep("Redis", memory)
                if memory is not None and (is_last or time.monotonic() >= self._store_due_s):
                    self._keep("The database", memory)
                    self._store_due_s = time.monotonic() + STORE_S
        finally:
            connection.close()

    def _keep(self, where: str, memory: Memory) -> None:
        """Write to one of the two; where it is away, what changed meanwhile is written when it is back."""
        write = self._cache if where == "Redis" else self._store
        try:
            write(memory)
        except (*AWAY, DatabaseError) as error:
            connection.close()
            if not self._is_away[where]:
                logger.warning("%s is away (%s): the gallery is not kept there for now", where, error)
            self._is_away[where] = True
        except Exception:
            logger.exception("The gallery cannot be kept: %s", where)
        else:
            if self._is_away[where]:
                logger.info("%s is back: the gallery is kept there again", where)
            self._is_away[where] = False

    def _cache(self, memory: Memory) -> None:
        changed = _changed(memory, self._cached)
        gone = self._cached.keys() - {known.number for known in memory.persons}
        values: dict[Any, bytes] = {known.number: _sealed(known_packed(known)) for known in changed}
        with redis_at(settings.REDIS_URL).pipeline() as transaction:
            if gone:
                transaction.hdel(self._key, *map(str, gone))
            transaction.hset(self._key, mapping={STATE: _sealed(state_packed(memory)), **values})
            transaction.expire(self._key, timedelta(seconds=IdentitySettings().memory_s))
            transaction.hlen(self._key)
            kept = transaction.execute()[-1]
        # a Redis that began anew has less: then everything is written the next time
        self._cached = {k.number: k for k in memory.persons} if kept > len(memory.persons) else {}

    def _store(self, memory: Memory) -> None:
        entries = tuple(
            Entry(
                person_id(environment_id=self._environment_id, number=known.number),
                known.at,
                known_packed(known),
            )
            for known in _changed(memory, self._stored)
        )
        gallery = Gallery(memory.at, state_packed(memory), entries)
        gallery_write(environment_id=self._environment_id, embedder=self._embedder, gallery=gallery)
        self._stored = {known.number: known for known in memory.persons}


def memory_restore(*, environment_id: int, embedder: str, now: datetime) -> Memory | None:
    """Give what was known in an environment when it was last watched with this embedder; None where that is nothing.

    Raises:
        DatabaseError: the database is away.
    """
    since = now - timedelta(seconds=IdentitySettings().memory_s)
    gallery = gallery_read(environment_id=environment_id, embedder=embedder, since=since)
    stored = None if gallery is None else _read(gallery.state, [entry.content for entry in gallery.entries])
    cached = _read_cache(environment_id, embedder)
    if stored is None or cached is None:
        return stored or cached
    newest = max(stored, cached, key=lambda memory: memory.at)
    persons: dict[int, Known] = {}
    for known in (*stored.persons, *cached.persons):
        if known.number not in persons or known.at >= persons[known.number].at:
            persons[known.number] = known
    return Memory(newest.at, tuple(persons.values()), newest.cameras, newest.similarities)


def cache_key(*, environment_id: int, embedder: str) -> str:
    """Name the gallery of an environment in Redis, a hash by person number."""
    return f"spoton:gallery:{environment_id}:{embedder}"


def known_packed(known: Known) -> bytes:
    """Write what is remembered of a person; prototypes in half precision, which moves a cosine by less than .001."""
    packed: bytes = msgpack.packb(
        {
            "number": known.number,
            "track": known.track,
            "at": known.at,
            "place_m": known.place_m.tolist(),
            "velocity_mps": known.velocity_mps.tolist(),
            "looks": known.looks.astype("<f2").tobytes(),
            "size": known.looks.shape[1],
        },
        datetime=True,
    )
    return packed


def known_unpacked(packed: bytes) -> Known:
    """Read what is remembered of a person.

    Raises:
        ValueError, KeyError, TypeError, UnpackException: it was not written so.
    """
    read = msgpack.unpackb(packed, timestamp=3)
    looks = np.frombuffer(read["looks"], "<f2").astype(np.float64)
    return Known(
        number=read["number"],
        track=read["track"],
        at=read["at"],
        place_m=np.array(read["place_m"], dtype=np.float64),
        velocity_mps=np.array(read["velocity_mps"], dtype=np.float64),
        looks=looks.reshape(-1, read["size"]) if read["size"] else looks.reshape(0, 0),
    )


def state_packed(memory: Memory) -> bytes:
    """Write what looks mean."""
    packed: bytes = msgpack.packb(
        {
            "at": memory.at,
            "cameras": {
                key: [total.astype("<f4").tobytes(), weight]
                for key, (total, weight) in memory.cameras.items()
            },
            "similarities": memory.similarities.tolist(),
        },
        datetime=True,
    )
    return packed


def _read(state: bytes, contents: Iterable[bytes]) -> Memory | None:
    """Read a gallery; who cannot be read is left out, and nothing is there where the state cannot be."""
    try:
        read = msgpack.unpackb(state, timestamp=3)
        cameras = {
            key: (np.frombuffer(total, "<f4").astype(np.float64), float(weight))
            for key, (total, weight) in read["cameras"].items()
        }
        similarities = np.array(read["similarities"], dtype=np.float64)
        return Memory(read["at"], tuple(_read_persons(contents)), cameras, similarities)
    except UNREADABLE as error:
        logger.warning("A gallery cannot be read and is left: %s", error)
        return None


def _read_persons(contents: Iterable[bytes]) -> Iterable[Known]:
    for content in contents:
        try:
            yield known_unpacked(content)
        except UNREADABLE as error:
            logger.warning("Somebody in a gallery cannot be read and is left out: %s", error)


def _read_cache(environment_id: int, embedder: str) -> Memory | None:
    key = cache_key(environment_id=environment_id, embedder=embedder)
    try:
        values: Mapping[bytes, bytes] = redis_at(settings.REDIS_URL).hgetall(key)
        if STATE not in values:
            return None
        opened = {name: _opened(value) for name, value in values.items()}
    except AWAY as error:
        logger.warning("Redis is away (%s): people are recognised by what is stored", error)
        return None
    except Undecryptable as error:
        logger.warning("The gallery in Redis cannot be read and is left: %s", error)
        return None
    return _read(opened.pop(STATE), opened.values())


def _changed(memory: Memory, before: Mapping[int, Known]) -> list[Known]:
    """Give those of whom something else is known than before."""
    return [known for known in memory.persons if before.get(known.number) is not known]


def _sealed(content: bytes) -> bytes:
    return key_ring().seal_bytes(content, context=CONTEXT)


def _opened(sealed: bytes) -> bytes:
    return key_ring().open_bytes(sealed, context=CONTEXT)
