"""Connections to the live view, for those tests that ask for them."""

from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from redis.asyncio import Redis

from spoton.asgi import application
from tests.factories import (
    CameraFactory,
    EnvironmentFactory,
    GrantFactory,
)
from tracking import connections, live
from tracking.consumers import LiveConsumer


@pytest.fixture
def _layer(settings, redis_url, transactional_db):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.REDIS_URL = redis_url


@pytest.fixture
async def redis(_layer, redis_url):
    """Give a client of an empty Redis, and close the consumers' own afterwards."""
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await client.flushall()
        yield client
    await connections.shared().redis.connection_pool.disconnect()
    connections._shared_of_loop.clear()


@pytest.fixture
def place(_layer):
    """Make an environment with two cameras and somebody who may see it."""
    environment = EnvironmentFactory.create(slug="plaza")
    cameras = [CameraFactory.create(environment=environment, key=key, state="online") for key in ("c1", "c2")]
    user = GrantFactory.create(environment=environment).user
    return SimpleNamespace(environment=environment, cameras=cameras, user=user)


@pytest.fixture
def fast(monkeypatch):
    """Let a second of the consumer's clockwork pass in 20 ms."""
    monkeypatch.setattr(LiveConsumer, "tick_s", 0.02)


@pytest.fixture
async def dial(client):
    """Give a maker of connections as somebody; those still open are closed at the end."""
    opened = []

    async def dial(
        user=None, *, slug="plaza", origin=b"http://localhost", subprotocols=(live.SUBPROTOCOL,), token=None
    ):
        headers = [] if origin is None else [(b"origin", origin)]
        if token is not None:
            subprotocols = (*subprotocols, f"jwt.{token}")
        if user is not None:
            await sync_to_async(client.force_login)(user)
            cookie = client.cookies["sessionid"].value
            headers.append((b"cookie", f"sessionid={cookie}".encode()))
        path = f"/ws/environments/{slug}/live/"
        socket = WebsocketCommunicator(application, path, headers=headers, subprotocols=list(subprotocols))
        opened.append(socket)
        return socket

    yield dial
    for socket in opened:
        if not socket.future.done():
            await socket.disconnect()
