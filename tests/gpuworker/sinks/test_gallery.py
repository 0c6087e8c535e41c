"""What is known of people, kept in Redis and the database, and read again by whoever goes on."""

import logging
from datetime import timedelta

import numpy as np
import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection
from redis import Redis

from environments.fields import key_ring
from gpuworker.pipeline.appearance import unit
from gpuworker.pipeline.memory import Known, Memory
from gpuworker.sinks import gallery as module
from gpuworker.sinks.gallery import GallerySink, cache_key, known_packed, known_unpacked, memory_restore
from gpuworker.sinks.identifiers import person_id
from tests.factories import T0, EnvironmentFactory, PersonFactory
from tests.gpuworker.made import redis_in_use
from tests.servers import wait_for
from tracking.gallery import gallery_write
from tracking.models import GalleryEntry, GalleryState

pytestmark = pytest.mark.django_db(transaction=True)
EMBEDDER = "onnx:net"


@pytest.fixture
def redis(redis_url, settings):
    with Redis.from_url(redis_url) as client, redis_in_use(settings, redis_url):
        client.flushall()
        yield client


@pytest.fixture
def place():
    return EnvironmentFactory()


def known(number, *, seen_s=0.0, size=16, prototypes=3):
    rng = np.random.default_rng(number)
    looks = unit(rng.normal(size=(prototypes, size))) if prototypes else np.zeros((0, size))
    at = T0 + timedelta(seconds=seen_s)
    return Known(number, 10 * number, at, rng.uniform(0, 9, 2), looks, rng.normal(size=2))


def memory(*persons, at_s=0.0):
    rng = np.random.default_rng(9)
    cameras = {"c1": (rng.normal(size=16), 40.0), "c2": (np.zeros(16), 0.0)}
    return Memory(T0 + timedelta(seconds=at_s), persons, cameras, rng.uniform(1, 9, (2, 3)))


def restored(place, *, after_s=5.0, embedder=EMBEDDER):
    now = T0 + timedelta(seconds=after_s)
    return memory_restore(environment_id=place.pk, embedder=embedder, now=now)


def assert_same(found, expected):
    assert found.at == expected.at
    assert {k.number for k in found.persons} == {k.number for k in expected.persons}
    by_number = {k.number: k for k in found.persons}
    for who in expected.persons:
        same = by_number[who.number]
        assert (same.track, same.at) == (who.track, who.at)
        assert np.allclose(same.place_m, who.place_m)
        assert np.allclose(same.velocity_mps, who.velocity_mps)
        assert same.looks.shape == who.looks.shape
        assert np.allclose(same.looks, who.looks, atol=1e-3)
    assert found.cameras.keys() == expected.cameras.keys()
    for key, (total, weight) in expected.cameras.items():
        assert np.allclose(found.cameras[key][0], total, atol=1e-6)
        assert found.cameras[key][1] == weight
    assert np.allclose(found.similarities, expected.similarities)


def keep(place, remembered, *, embedder=EMBEDDER):
    sink = GallerySink(environment_id=place.pk, embedder=embedder)
    sink.put(remembered, 0.0)
    sink.close()


@pytest.mark.parametrize("lost", ["nothing", "Redis", "the database"])
def test_what_is_known_is_read_again_from_either_place(redis, place, lost):
    expected = memory(known(1), known(2, seen_s=-3), known(3, prototypes=0))
    keep(place, expected)
    if lost == "Redis":
        redis.flushall()
    if lost == "the database":
        GalleryEntry.objects.all().delete()
        GalleryState.objects.all().delete()
    assert_same(restored(place), expected)


def test_nothing_is_known_of_other_places_and_by_other_embedders(redis, place):
    keep(place, memory(known(1)))
    assert restored(EnvironmentFactory()) is None
    assert restored(place, embedder="onnx:other") is None


def test_looks_are_sealed_in_both_places(redis, place, settings):
    who = known(1)
    keep(place, memory(who))
    with connection.cursor() as cursor:
        cursor.execute("SELECT content FROM tracking_galleryentry")
        stored = bytes(cursor.fetchone()[0])
    cached = redis.hget(cache_key(environment_id=place.pk, embedder=EMBEDDER), "1")
    for sealed in (stored, cached):
        assert who.looks.astype("<f2").tobytes()[:8] not in sealed
        assert b"place_m" not in sealed
    assert key_ring().open_bytes(cached, context=module.CONTEXT) == known_packed(who)
    old = settings.FIELD_ENCRYPTION_KEYS
    settings.FIELD_ENCRYPTION_KEYS = [b"n" * 32, *old]
    call_command("rotate_keys")
    settings.FIELD_ENCRYPTION_KEYS = [b"n" * 32]
    assert_same(restored(place), memory(who))  # what Redis has is under a key that is gone: it is left


def test_newest_word_on_each_person_is_taken(redis, place, monkeypatch):
    monkeypatch.setattr(module, "STORE_S", 0.0)
    keep(place, memory(known(1), known(2, seen_s=-2)))
    monkeypatch.setattr(module, "STORE_S", 1e9)
    sink = GallerySink(environment_id=place.pk, embedder=EMBEDDER)
    sink._store_due_s = 1e18
    newer = memory(known(1, seen_s=4), known(3, seen_s=4), at_s=4)
    sink.put(newer, 0.0)
    wait_for(lambda: restored(place).at == newer.at, timeout_s=10)
    assert GalleryState.objects.get().at == T0
    assert {k.number: (k.at - T0).total_seconds() for k in restored(place).persons} == {1: 4, 2: -2, 3: 4}
    sink.close()


def test_redis_that_begins_anew_is_filled_again(redis, place):
    sink = GallerySink(environment_id=place.pk, embedder=EMBEDDER)
    stays = known(1, seen_s=-60)
    key = cache_key(environment_id=place.pk, embedder=EMBEDDER)

    def put_until(done):
        def look():
            sink.put(memory(stays, known(2)), 0.0)
            return done()

        wait_for(look, timeout_s=10)

    put_until(lambda: redis.hlen(key) == 3)
    redis.flushall()
    put_until(lambda: redis.hexists(key, "1"))
    assert 0 < redis.ttl(key) <= 1800
    sink.put(memory(known(2)), 0.0)
    wait_for(lambda: not redis.hexists(key, "1"), timeout_s=10)
    sink.close()


def test_gallery_outlives_both_being_away(place, settings, caplog, monkeypatch):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    monkeypatch.setattr(module, "STORE_S", 0.0)
    fails = [DatabaseError("gone"), DatabaseError("gone"), None]
    write = gallery_write

    def sometimes(**given):
        error = fails.pop(0) if fails else None
        if error:
            raise error
        write(**given)

    monkeypatch.setattr(module, "gallery_write", sometimes)
    sink = GallerySink(environment_id=place.pk, embedder=EMBEDDER)
    expected = memory(known(1))

    def kept():
        sink.put(expected, 0.0)
        return GalleryEntry.objects.exists()

    with caplog.at_level(logging.INFO, logger=module.__name__):
        wait_for(kept, timeout_s=20)
        sink.close()
    assert_same(restored(place), expected)
    said = [r.getMessage().split(" (")[0] for r in caplog.records]
    assert said.count("Redis is away") >= 1
    assert said.count("The database is away") == 1
    assert "The database is back: the gallery is kept there again" in said


def test_who_was_seen_too_long_ago_is_not_read(redis, place):
    keep(place, memory(known(1), known(2, seen_s=-1700)))
    redis.flushall()
    assert [k.number for k in restored(place, after_s=200).persons] == [1]


def test_what_cannot_be_read_is_left_out(redis, place, caplog):
    keep(place, memory(known(1), known(2)))
    redis.flushall()
    GalleryEntry.objects.filter(person=person_id(environment_id=place.pk, number=2)).update(content=b"what")
    assert [k.number for k in restored(place).persons] == [1]
    assert "cannot be read and is left out" in caplog.text
    GalleryState.objects.update(content=b"\x93")
    assert restored(place) is None


def test_looks_go_with_the_person(redis, place):
    keep(place, memory(known(1), known(2)))
    person = PersonFactory(id=person_id(environment_id=place.pk, number=1), environment=place, number=1)
    person.delete()
    assert GalleryEntry.objects.count() == 1


def test_known_person_is_written_and_read(place):
    who = known(7, size=512, prototypes=8)
    same = known_unpacked(known_packed(who))
    assert np.abs((unit(same.looks) * who.looks).sum(axis=1) - 1).max() < 1e-5
    assert len(known_packed(who)) < 8500
