"""The connection of who oversees the system, on the whole ASGI application."""

import json

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.contrib.auth.models import Group
from django.utils import timezone
from redis.asyncio import Redis

from accounts.models import Role
from accounts.services import login_open
from environments.models import Environment
from spoton.asgi import application
from tests.factories import (
    CameraFactory,
    EnvironmentFactory,
    GrantFactory,
    TrackingSessionFactory,
    UserFactory,
)
from tests.roles import roles_ensure
from tests.tracking.sockets import WAIT_S, hear, hear_close, hear_type
from tracking import connections, live, selectors, status_messages
from tracking.services import LEASE
from tracking.system_consumer import SystemConsumer

ADDRESS = "/ws/system/"
STAGES = {"detect": {"p50_ms": 4.0, "p95_ms": 9.0}}
GPUS = [{"name": "H100", "used_mb": 900, "total_mb": 80_000}]
STORAGE = {"backlog_rows": 3, "memory_rows": 0, "oldest_s": 0.5, "spool_bytes": 900, "dropped_rows": 0}


@pytest.fixture(autouse=True)
async def redis(settings, redis_url, transactional_db):
    """Give a client of an empty Redis, and close the consumers' own afterwards."""
    settings.REDIS_URL = redis_url
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    await sync_to_async(roles_ensure)()
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        await client.flushall()
        yield client
    await connections.shared().redis.connection_pool.disconnect()
    connections._shared_of_loop.clear()


@pytest.fixture
def fast(monkeypatch):
    """Let a second of the consumer's clockwork pass in 20 ms."""
    monkeypatch.setattr(SystemConsumer, "tick_s", 0.02)


@pytest.fixture
async def dial():
    """Give a maker of connections by token; those still open are closed at the end."""
    opened = []

    async def dial(user=None, *, headers=(), subprotocols=(live.SUBPROTOCOL,)):
        protocols = list(subprotocols)
        if user is not None:
            pair = await sync_to_async(login_open)(user=user, now=timezone.now())
            protocols.append(f"jwt.{pair.access}")
        socket = WebsocketCommunicator(application, ADDRESS, headers=list(headers), subprotocols=protocols)
        opened.append(socket)
        assert (await socket.connect(WAIT_S))[0]
        return socket

    yield dial
    for socket in opened:
        if not socket.future.done():
            await socket.disconnect()


@pytest.fixture
def plaza():
    """Make a place whose session a worker holds, and another one that nobody tracks."""
    place = EnvironmentFactory.create(slug="plaza", name="A")
    CameraFactory.create(environment=place, key="c1", state="online")
    TrackingSessionFactory.create(
        environment=place, actual_state="running", worker="w1", lease_expires_at=timezone.now() + LEASE
    )
    yard = EnvironmentFactory.create(slug="yard", name="B")
    CameraFactory.create(environment=yard, key="c9", state="online", state_message="fine")
    return place


@sync_to_async
def user_with(role: Role, place=None):
    user = UserFactory.create(role=role)
    if place is not None:
        GrantFactory.create(environment=place, user=user)
    return user


async def tell(redis, place, *, at=None) -> None:
    """Say what a worker would of a place."""
    camera = {"id": "c1", "state": "online", "message": "", "fps": 9.8, "age_ms": 40, "age_p95_ms": 70}
    camera |= {"innovation": 1.0, "unexplained": 0.0, "shift": None}
    text = status_messages.status(
        at=timezone.now(), session=None, cameras=[camera], stages=STAGES, storage=STORAGE, gpus=GPUS
    )
    await redis.set(live.status_key(place.pk), text)


async def test_admin_is_told_of_everything(dial, redis, plaza):
    await tell(redis, plaza)
    await redis.rpush("celery", "one", "two")
    socket = await dial(await user_with(Role.ADMIN))
    said = await hear(socket)
    (session,) = said["sessions"]
    assert {name: session[name] for name in ("environment", "state", "worker")} == {
        "environment": "plaza",
        "state": "running",
        "worker": "w1",
    }
    assert said["workers"] == [{"name": "w1", "sessions": [session["id"]], "gpus": GPUS}]
    seen, unseen = said["cameras"]
    assert (seen["environment"], seen["id"], seen["fps"], seen["age_p95_ms"]) == ("plaza", "c1", 9.8, 70)
    # nobody tracks the other place: what was heard of its camera last is over
    assert (unseen["environment"], unseen["state"], unseen["message"], unseen["fps"]) == (
        "yard",
        "off",
        "",
        None,
    )
    assert set(seen) == set(unseen)
    assert (said["stages"], said["storage"]) == ({"plaza": STAGES}, {"plaza": STORAGE})
    assert said["queues"] == {"celery": 2, "models": 0, "notifications": 0}


async def test_operator_is_told_of_their_places(dial, redis, plaza):
    await tell(redis, plaza)
    other = await sync_to_async(EnvironmentFactory.create)(slug="other")
    socket = await dial(await user_with(Role.OPERATOR, other))
    said = await hear(socket)
    assert [said[name] for name in ("workers", "sessions", "cameras", "stages", "storage")] == [
        [],
        [],
        [],
        {},
        {},
    ]
    socket = await dial(await user_with(Role.OPERATOR, plaza))
    assert {camera["environment"] for camera in (await hear(socket))["cameras"]} == {"plaza"}


@pytest.mark.parametrize(("role", "code"), [(None, 4401), (Role.VIEWER, 4403)])
async def test_others_are_turned_away(dial, plaza, role, code):
    headers = [(b"origin", b"http://localhost")]
    socket = await dial(None if role is None else await user_with(role, plaza), headers=headers)
    assert await hear_close(socket) == code


async def test_client_without_the_subprotocol_is_malformed(dial, plaza):
    socket = await dial(await user_with(Role.ADMIN), subprotocols=())
    assert await hear_close(socket) == 4400


async def test_pages_of_other_sites_open_nothing(client, plaza):
    await sync_to_async(client.force_login)(await user_with(Role.ADMIN))
    headers = [
        (b"origin", b"https://evil.example"),
        (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()),
    ]
    socket = WebsocketCommunicator(application, ADDRESS, headers=headers, subprotocols=[live.SUBPROTOCOL])
    assert (await socket.connect(WAIT_S))[0] is False


async def test_session_cookie_of_our_page_opens(client, plaza):
    await sync_to_async(client.force_login)(await user_with(Role.ADMIN))
    headers = [
        (b"origin", b"http://localhost"),
        (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode()),
    ]
    socket = WebsocketCommunicator(application, ADDRESS, headers=headers, subprotocols=[live.SUBPROTOCOL])
    await socket.connect(WAIT_S)
    assert (await hear(socket))["type"] == "status"
    await socket.disconnect()


async def test_change_is_told_at_once_and_figures_now_and_then(dial, redis, plaza, fast, monkeypatch):
    monkeypatch.setattr(SystemConsumer, "ticks_at_most", 10**9)
    socket = await dial(await user_with(Role.ADMIN))
    assert (await hear(socket))["stages"] == {}
    await tell(redis, plaza)  # figures alone are no change of a state
    assert await socket.receive_nothing(0.3)
    camera = await plaza.cameras.aget()
    camera.state = "offline"
    await camera.asave()
    await redis.delete(live.status_key(plaza.pk))
    while (said := await hear_type(socket, "status"))["cameras"][0]["state"] != "offline":
        pass
    monkeypatch.setattr(SystemConsumer, "ticks_at_most", 2)
    first, second = await hear_type(socket, "status"), await hear_type(socket, "status")
    assert {**first, "at": None} == {**second, "at": None} == {**said, "at": None}


async def test_something_is_told_every_five_seconds():
    assert SystemConsumer.tick_s * SystemConsumer.ticks_at_most < 5


async def test_connection_ends_with_its_login(dial, plaza, fast):
    user = await user_with(Role.ADMIN)
    socket = await dial(user)
    await hear_type(socket, "status")
    await user.logins.all().adelete()
    assert await hear_close(socket) == 4401


async def test_connection_ends_with_the_role(dial, plaza, fast):
    user = await user_with(Role.OPERATOR, plaza)
    socket = await dial(user)
    await hear_type(socket, "status")
    user.role = Role.VIEWER
    await user.asave()
    assert await hear_close(socket) == 4403


async def test_connection_ends_with_the_permission_of_the_role(dial, plaza, fast):
    socket = await dial(await user_with(Role.OPERATOR, plaza))
    await hear_type(socket, "status")
    group = await Group.objects.aget(name=Role.OPERATOR)
    await group.permissions.aclear()
    assert await hear_close(socket) == 4403


async def test_grant_that_ends_takes_its_place_away(dial, plaza, fast):
    user = await user_with(Role.OPERATOR, plaza)
    socket = await dial(user)
    assert (await hear_type(socket, "status"))["cameras"]
    await user.grants.all().adelete()
    while (await hear_type(socket, "status"))["cameras"]:
        pass


@pytest.mark.parametrize(
    "message", [{"text_data": '{"type": "subscribe", "cameras": []}'}, {"bytes_data": b"x"}]
)
async def test_there_is_nothing_to_say(dial, plaza, message):
    socket = await dial(await user_with(Role.ADMIN))
    await socket.send_to(**message)
    assert await hear_close(socket) == 4400


async def test_connections_of_a_user_are_limited(dial, plaza, monkeypatch):
    monkeypatch.setattr(connections, "USER_CONNECTIONS", 1)
    user = await user_with(Role.ADMIN)
    first = await dial(user)
    await hear(first)
    assert await hear_close(await dial(user)) == 4429
    await first.disconnect()
    assert (await hear(await dial(user)))["type"] == "status"


async def test_redis_going_away_closes_with_try_again(dial, plaza, fast, settings):
    socket = await dial(await user_with(Role.ADMIN))
    await hear_type(socket, "status")
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    assert await hear_close(socket) == 4503


@pytest.mark.django_db
def test_report_takes_few_queries_however_many_places_there_are(django_assert_num_queries):
    for _ in range(6):
        CameraFactory.create(environment=TrackingSessionFactory.create().environment)
    places = Environment.objects.all()
    with django_assert_num_queries(3):
        report = selectors.system_report(environments=places, now=timezone.now())
    assert (len(report["sessions"]), len(report["cameras"])) == (6, 6)
    assert json.dumps(report)
