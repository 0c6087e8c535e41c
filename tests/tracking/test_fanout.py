"""One listener a group and process, over a real Redis."""

import asyncio

import pytest
from channels.layers import channel_layers, get_channel_layer
from redis.exceptions import RedisError

from tests.gpuworker.made import redis_in_use
from tests.tracking.sockets import frame, until
from tracking import live
from tracking.fanout import Fanout
from tracking.outgoing import FrameParcel

GROUP = live.frames_group(1, "c1", "low")


class Heard:
    """Notes what comes."""

    def __init__(self):
        self.seqs = []
        self.errors = []

    def take(self, parcel):
        assert isinstance(parcel, FrameParcel)
        self.seqs.append(parcel.key.seq)

    def lose(self, error):
        self.errors.append(error)


class Broken(Heard):
    def take(self, parcel):
        raise RuntimeError("a fault")


@pytest.fixture
async def layer(settings, redis_url):
    with redis_in_use(settings, redis_url):
        layer = get_channel_layer()
        yield layer
        await layer.flush()


async def publish(layer, seq):
    await layer.group_send(GROUP, live.layer_frame(frame(seq=seq, tier="low")))


async def told(layer, seq, *takers):
    """Publish until somebody heard: Redis confirms a subscription after the call that asks for it."""

    async def heard():
        await publish(layer, seq)
        await asyncio.sleep(0.01)
        return all(seq in taker.seqs for taker in takers)

    await until(heard)


async def test_everybody_in_a_group_gets_the_same_parcel(layer):
    fanout, takers = Fanout(), [Heard() for _ in range(3)]
    for taker in takers:
        await fanout.join(GROUP, taker)
    await told(layer, 1, *takers)
    assert len(fanout._groups) == 1
    await fanout.leave(GROUP, takers[0])
    before = list(takers[0].seqs)
    await told(layer, 2, *takers[1:])
    assert takers[0].seqs == before
    for taker in takers[1:]:
        await fanout.leave(GROUP, taker)
    assert fanout._groups == {}


async def test_group_nobody_is_in_is_left(layer, redis_url):
    fanout, taker = Fanout(), Heard()
    await fanout.join(GROUP, taker)
    await told(layer, 1, taker)
    await fanout.leave(GROUP, taker)
    await fanout.leave(GROUP, taker)
    inner = layer._get_layer()
    assert (inner.groups, inner.channels) == ({}, {})


async def test_who_joins_while_the_last_one_leaves_is_not_forgotten(layer):
    fanout, first = Fanout(), Heard()
    await fanout.join(GROUP, first)
    for turn in range(20):
        second = Heard()
        await asyncio.gather(fanout.leave(GROUP, first), fanout.join(GROUP, second))
        await told(layer, turn, second)
        first = second
    await fanout.leave(GROUP, first)


async def test_fault_in_one_place_is_told_and_the_next_one_begins_anew(layer):
    fanout, good, broken = Fanout(), Heard(), Broken()
    await fanout.join(GROUP, good)
    await fanout.join(GROUP, broken)

    async def is_told():
        await publish(layer, 1)
        await asyncio.sleep(0.01)
        return good.errors and broken.errors

    await until(is_told)
    assert [str(error) for error in good.errors] == ["a fault"]
    again = Heard()
    await fanout.join(GROUP, again)
    await told(layer, 2, again)
    await fanout.leave(GROUP, again)


async def test_redis_away_is_told_to_who_joins(settings):
    with redis_in_use(settings, "unix:///nowhere/redis.sock"):
        channel_layers.backends.clear()
        fanout = Fanout()
        for _ in range(2):
            with pytest.raises((RedisError, OSError)):
                await fanout.join(GROUP, Heard())
        assert fanout._groups == {}
        await get_channel_layer().flush()
