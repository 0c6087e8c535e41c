"""What several tests of a kind begin with: connections to the live view, and users of REST with a place."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from accounts.models import Role
from spoton.asgi import application
from tests.factories import (
    T0,
    CameraFactory,
    EnvironmentFactory,
    GrantFactory,
    PersonFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
    UserFactory,
)
from tests.roles import client_of, client_with, roles_ensure
from tracking import connections, live
from tracking.consumers import LiveConsumer


@pytest.fixture
def _layer(settings, redis_url, transactional_db):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.REDIS_URL = redis_url


@pytest.fixture
async def redis(_layer, redis_url):
    """Give a client of an empty Redis, and close the consumers' own afterwards."""
    async with AsyncRedis.from_url(redis_url, decode_responses=True) as client:
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


@pytest.fixture
def _surroundings(settings, redis_url):
    roles_ensure()
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def plaza():
    return EnvironmentFactory.create(slug="plaza")


@pytest.fixture
def admin():
    return client_with(Role.ADMIN)


@pytest.fixture
def viewer(plaza):
    return client_of(GrantFactory.create(environment=plaza).user)


@pytest.fixture
def operator(plaza):
    user = UserFactory.create(role=Role.OPERATOR)
    GrantFactory.create(environment=plaza, user=user)
    return client_of(user)


@pytest.fixture
def track(plaza):
    """Give a track of ten seconds of person 7, a point a second."""
    session = TrackingSessionFactory.create(environment=plaza)
    person = PersonFactory.create(environment=plaza, number=7)
    track = TrackFactory.create(session=session, person=person)
    for second in range(10):
        TrackPointFactory.create(track=track, time=T0 + timedelta(seconds=second), x_m=float(second))
    return track
