"""Every behaviour of the live view's connection, on the whole ASGI application."""

import asyncio
import json
import time
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, get_args

import jwt
import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.utils import timezone
from redis.asyncio import Redis

from accounts.models import AuditEntry, Role
from accounts.services import login_open
from accounts.tokens import signing_backend
from spoton.asgi import application
from tests.factories import (
    CameraFactory,
    EnvironmentFactory,
    GrantFactory,
    PersonFactory,
    TrackingSessionFactory,
    UserFactory,
)
from tracking import client_messages, connections, live
from tracking.consumers import LiveConsumer

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WAIT_S = 5.0


@pytest.fixture(autouse=True)
def _layer(settings, redis_url, transactional_db):
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.REDIS_URL = redis_url


@pytest.fixture(autouse=True)
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


async def hear(socket):
    """Give the next message, JSON texts as objects."""
    output = await socket.receive_output(WAIT_S)
    if output["type"] == "websocket.send" and output.get("text") is not None:
        return json.loads(output["text"])
    return output


async def hear_type(socket, kind):
    """Give the next message of a type, letting others pass."""
    while True:
        message = await hear(socket)
        assert message["type"] != "websocket.close", message
        if message["type"] == kind:
            return message


async def hear_close(socket):
    """Give the code by which the server ends the connection, letting messages pass."""
    while (message := await hear(socket))["type"] != "websocket.close":
        pass
    assert is_plain(message)
    return message["code"]


def is_plain(message):
    """Say whether a close message is one that daphne takes: it refuses enumerations and codes below 3000."""
    return type(message["code"]) is int and 3000 <= message["code"] <= 4999


async def opened(dial, place):
    """Give a connection that has heard hello and status."""
    socket = await dial(place.user)
    accepted, subprotocol = await socket.connect(WAIT_S)
    assert (accepted, subprotocol) == (True, live.SUBPROTOCOL)
    assert (await hear(socket))["type"] == "hello"
    assert (await hear(socket))["type"] == "status"
    return socket


async def say(socket, **message):
    await socket.send_to(text_data=json.dumps(message))


def frame(camera="c1", seq=0, tier="medium"):
    header = live.frame_header(
        camera=camera,
        seq=seq,
        captured_at=AT,
        published_at=AT,
        width=640,
        height=480,
        tier=tier,
        boxes=[{"xyxy": [1, 2, 3, 4], "confidence": 0.9, "track": 1, "person": 1}],
    )
    return live.pack_frame(header, b"\xff\xd8 a picture")


async def publish_frame(place, data):
    key = live.peek_frame(data)
    group = live.frames_group(place.environment.pk, key.camera, key.tier)
    await get_channel_layer().group_send(group, live.layer_frame(data))


async def publish_text(place, text):
    await get_channel_layer().group_send(live.state_group(place.environment.pk), live.layer_text(text))


async def hear_frame(socket):
    """Give the next binary message's seq, letting texts pass."""
    while True:
        output = await socket.receive_output(WAIT_S)
        assert output["type"] == "websocket.send", output
        if output.get("bytes") is not None:
            return live.peek_frame(output["bytes"]).seq


async def until(condition):
    """Wait until an async condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not await condition():  # noqa: ASYNC110 - nobody there to set an event
            await asyncio.sleep(0.01)


# --- getting in ---


async def test_hello_comes_first_and_describes_the_place(dial, place):
    socket = await dial(place.user)
    assert await socket.connect(WAIT_S) == (True, live.SUBPROTOCOL)

    hello = await hear(socket)
    assert hello["type"] == "hello"
    assert [(c["id"], c["state"], c["width"]) for c in hello["cameras"]] == [
        ("c1", "online", 640),
        ("c2", "online", 640),
    ]
    assert hello["zones"] == []
    assert hello["map"] is None
    assert abs((datetime.fromisoformat(hello["at"]) - datetime.now(UTC)).total_seconds()) < WAIT_S
    status = await hear(socket)
    assert (status["type"], status["session"]) == ("status", None)


async def test_admin_needs_no_grant(dial, place):
    admin = await sync_to_async(UserFactory.create)(role=Role.ADMIN)
    socket = await dial(admin)
    await socket.connect(WAIT_S)
    assert (await hear(socket))["type"] == "hello"


@pytest.mark.parametrize(
    ("who", "slug", "code"),
    [("nobody", "plaza", 4401), ("stranger", "plaza", 4403), ("user", "no-such-place", 4404)],
)
async def test_refusal_is_accepted_and_closed_with_its_code(dial, place, who, slug, code):
    stranger = await sync_to_async(UserFactory.create)()
    user = {"nobody": None, "stranger": stranger, "user": place.user}[who]
    socket = await dial(user, slug=slug)

    assert await socket.connect(WAIT_S) == (True, live.SUBPROTOCOL)
    assert await hear_close(socket) == code


async def test_client_without_the_subprotocol_is_malformed(dial, place):
    socket = await dial(place.user, subprotocols=[])
    assert await socket.connect(WAIT_S) == (True, None)
    assert (await hear(socket))["code"] == 4400


@pytest.mark.parametrize("origin", [b"http://evil.example", b"null", b""])
async def test_other_origins_are_turned_away(dial, place, origin):
    socket = await dial(place.user, origin=origin)
    accepted, _ = await socket.connect(WAIT_S)
    assert not accepted


async def test_inactive_user_is_not_authenticated(dial, place):
    socket = await dial(place.user)
    place.user.is_active = False
    await place.user.asave()
    await socket.connect(WAIT_S)
    assert (await hear(socket))["code"] == 4401


# --- getting in by a token ---


@pytest.fixture
def pair(place):
    """Give the tokens of a new login of somebody who may see the place."""
    return login_open(user=place.user, now=timezone.now())


@pytest.mark.parametrize("origin", [None, b"https://other.example"])
async def test_access_token_opens_from_anywhere(dial, place, pair, origin):
    socket = await dial(origin=origin, token=pair.access)
    assert await socket.connect(WAIT_S) == (True, live.SUBPROTOCOL)
    assert (await hear(socket))["type"] == "hello"


async def test_cookie_of_another_sites_page_opens_nothing_even_beside_a_token(dial, place):
    socket = await dial(place.user, origin=b"https://evil.example", token="nonsense")
    await socket.connect(WAIT_S)
    assert await hear_close(socket) == 4401


async def test_cookie_without_an_origin_opens_nothing(dial, place):
    socket = await dial(place.user, origin=None)
    accepted, _ = await socket.connect(WAIT_S)
    assert not accepted


async def test_tokens_that_let_nobody_in_open_nothing(dial, place, pair):
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    bad = {
        "refresh": pair.refresh,
        "foreign": jwt.encode(claims, "k" * 64, algorithm="HS256"),
        "none": jwt.encode(claims, "", algorithm="none"),
        "expired": signing_backend().encode(claims | {"exp": 1}),
        "nothing": "",
    }
    codes = {}
    for name, token in bad.items():
        socket = await dial(origin=None, token=token)
        await socket.connect(WAIT_S)
        codes[name] = await hear_close(socket)
    assert codes == dict.fromkeys(bad, 4401)


async def test_token_of_a_stranger_opens_nothing(dial, place):
    stranger = await sync_to_async(UserFactory.create)()
    pair = await sync_to_async(login_open)(user=stranger, now=timezone.now())
    socket = await dial(origin=None, token=pair.access)
    await socket.connect(WAIT_S)
    assert await hear_close(socket) == 4403


async def opened_by_token(dial, token):
    """Give a connection that has heard hello and status."""
    socket = await dial(origin=None, token=token)
    await socket.connect(WAIT_S)
    await hear_type(socket, "status")
    return socket


async def test_connection_ends_with_the_tokens_login(dial, place, pair, fast):
    socket = await opened_by_token(dial, pair.access)
    await place.user.logins.all().adelete()
    assert await hear_close(socket) == 4401


async def test_connection_ends_with_its_token(dial, place, pair, fast):
    claims = jwt.decode(pair.access, options={"verify_signature": False})
    soon = signing_backend().encode(claims | {"exp": int(time.time()) + 2})
    socket = await opened_by_token(dial, soon)
    assert await hear_close(socket) == 4401


async def test_withdrawn_grant_ends_a_connection_at_its_next_subscription(dial, place):
    socket = await opened(dial, place)
    await place.user.grants.all().adelete()
    await say(socket, type="subscribe", cameras=["c1"])
    assert await hear_close(socket) == 4403


# --- every message x every role, with and without a grant ---

MESSAGES: dict[str, dict[str, Any]] = {
    "Subscribe": {"type": "subscribe", "cameras": ["c1"]},
    "Unsubscribe": {"type": "unsubscribe", "cameras": ["c1"]},
    "Follow": {"type": "follow", "person": 7},
    "Ack": {"type": "ack", "camera": "c1", "seq": 0},
}


def test_every_message_has_a_row():
    assert sorted(MESSAGES) == sorted(kind.__name__ for kind in get_args(client_messages.ClientMessage))


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "not granted"])
@pytest.mark.parametrize("who", ["anonymous", *Role])
@pytest.mark.parametrize("kind", sorted(MESSAGES))
async def test_message_is_heard_from_those_who_may_see_the_place(dial, place, kind, who, granted):
    user = None
    if who != "anonymous":
        user = await sync_to_async(UserFactory.create)(role=Role(who))
        if granted:
            await sync_to_async(GrantFactory.create)(environment=place.environment, user=user)
    socket = await dial(user)
    await socket.connect(WAIT_S)
    if user is None or not (granted or user.is_admin):
        await say(socket, **MESSAGES[kind])
        assert await hear_close(socket) == (4401 if user is None else 4403)
        return
    await hear_type(socket, "status")
    await say(socket, **MESSAGES[kind])
    await say(socket, type="subscribe", cameras=[])  # its answer says that the one before was heard
    await hear_type(socket, "quality")


# --- how much one user may open and say ---


async def test_connections_of_a_user_are_limited(dial, place, monkeypatch):
    monkeypatch.setattr(connections, "USER_CONNECTIONS", 2)
    first, second = await opened(dial, place), await opened(dial, place)
    third = await dial(place.user)
    await third.connect(WAIT_S)
    assert await hear_close(third) == 4429

    await say(second, type="subscribe", cameras=["c1"])
    assert (await hear_type(second, "quality"))["tiers"] == {"c1": "medium"}
    await first.disconnect()
    await opened(dial, place)


async def test_connections_that_vanished_are_not_counted(dial, place, redis, monkeypatch):
    monkeypatch.setattr(connections, "USER_CONNECTIONS", 1)
    gone = time.time() - connections.CONNECTION_TTL_S - 1
    await redis.zadd(live.connections_key(place.user.pk), {"specific.gone": gone})
    await opened(dial, place)


async def test_messages_of_a_user_are_limited_over_all_connections(dial, place, monkeypatch):
    monkeypatch.setattr(connections, "USER_MESSAGES_BURST", 50.0)
    monkeypatch.setattr(connections, "USER_MESSAGES_PER_S", 0.001)
    sockets = [await opened(dial, place), await opened(dial, place)]
    for socket in sockets:
        for _ in range(30):
            await say(socket, type="follow", person=None)
    assert await hear_close(sockets[1]) == 4429


# --- what the worker sends ---


async def test_texts_are_passed_on_as_they_are(dial, place):
    socket = await opened(dial, place)
    text = live.positions(at=AT, people=[{"person": 1, "x_m": 1.5}])
    await publish_text(place, text)
    assert (await socket.receive_output(WAIT_S))["text"] == text


async def test_texts_of_other_environments_stay_there(dial, place):
    other = await sync_to_async(EnvironmentFactory.create)()
    socket = await opened(dial, place)
    await get_channel_layer().group_send(
        live.state_group(other.pk), live.layer_text(live.positions(at=AT, people=[]))
    )
    assert await socket.receive_nothing()


async def test_frames_come_as_they_are_and_only_of_subscribed_cameras(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"])
    assert (await hear_type(socket, "quality"))["tiers"] == {"c1": "medium"}

    await publish_frame(place, frame("c2"))
    await publish_frame(place, frame("c1", tier="high"))
    await publish_frame(place, frame("c1", seq=3))
    assert (await socket.receive_output(WAIT_S)).get("bytes") == frame("c1", seq=3)

    await say(socket, type="ack", camera="c1", seq=3)
    await say(socket, type="unsubscribe", cameras=["c1", "c2"])
    await say(socket, type="subscribe", cameras=[])  # its answer says that the one before was done
    assert (await hear_type(socket, "quality"))["tiers"] == {}
    await publish_frame(place, frame("c1", seq=4))
    assert await socket.receive_nothing()


@pytest.mark.parametrize(
    ("wish", "tier"),
    [
        ({"quality": "high"}, "high"),
        ({"quality": "low"}, "low"),
        ({"quality": "auto"}, "medium"),
        ({"quality": "auto", "max_width": 320}, "low"),
        ({"quality": "auto", "max_width": 1920}, "medium"),
        ({"quality": "high", "max_width": 320}, "high"),
    ],
)
async def test_quality_chooses_the_tier(dial, place, redis, wish, tier):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"], **wish)

    assert (await hear_type(socket, "quality"))["tiers"] == {"c1": tier}
    assert await redis.keys("spoton:demand:*") == [live.demand_key(place.environment.pk, "c1", tier)]


async def test_old_tier_is_shown_until_the_new_one_arrives(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"], quality="low")
    await hear_type(socket, "quality")
    await say(socket, type="subscribe", cameras=["c1"], quality="high")
    await hear_type(socket, "quality")

    for seq, tier in enumerate(["low", "high", "low", "high"]):
        await publish_frame(place, frame(seq=seq, tier=tier))
        await say(socket, type="ack", camera="c1", seq=seq)
        await asyncio.sleep(0)
    assert [await hear_frame(socket) for _ in range(3)] == [0, 1, 3]


async def test_unknown_camera_is_an_error_that_does_not_end_the_connection(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c9", "c1"])
    assert await hear_type(socket, "error") == {
        "type": "error",
        "code": "unknown_camera",
        "message": "no camera c9",
    }
    assert (await hear_type(socket, "quality"))["tiers"] == {"c1": "medium"}


# --- keeping up ---


async def test_viewer_who_does_not_ack_gets_no_more_than_the_allowance(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"])
    await hear_type(socket, "quality")
    for seq in range(10):
        await publish_frame(place, frame(seq=seq))
    assert [await hear_frame(socket), await hear_frame(socket)] == [0, 1]
    assert await socket.receive_nothing()


async def test_slow_viewer_does_not_slow_another(dial, place):
    slow, prompt = await opened(dial, place), await opened(dial, place)
    for socket in (slow, prompt):
        await say(socket, type="subscribe", cameras=["c1"])
        await hear_type(socket, "quality")
    for seq in range(30):
        await publish_frame(place, frame(seq=seq))
        assert await hear_frame(prompt) == seq
        await say(prompt, type="ack", camera="c1", seq=seq)
        await until(lambda: _is_read(prompt))
    await publish_text(place, live.positions(at=AT, people=[]))
    assert [await hear_frame(slow), await hear_frame(slow)] == [0, 1]
    assert (await hear(slow))["type"] == "positions"


async def _is_read(socket):
    return socket.input_queue.empty()


async def test_quality_falls_for_a_viewer_who_falls_behind(dial, place, redis, fast, monkeypatch):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"])
    assert (await hear_type(socket, "quality"))["tiers"] == {"c1": "medium"}
    for seq in range(2000):
        await publish_frame(place, frame(seq=seq))
        await asyncio.sleep(0.001)
        if await redis.exists(live.demand_key(place.environment.pk, "c1", "low")):
            break
    else:
        pytest.fail("the tier did not fall")
    while (await hear_type(socket, "quality"))["tiers"] != {"c1": "low"}:
        pass


async def test_demand_is_kept_alive_and_expires(dial, place, redis, fast):
    key = live.demand_key(place.environment.pk, "c1", "medium")
    socket = await opened(dial, place)
    assert not await redis.exists(key)
    await say(socket, type="subscribe", cameras=["c1"])
    await hear_type(socket, "quality")
    assert 0 < await redis.ttl(key) <= live.DEMAND_TTL_S

    await redis.delete(key)
    await until(lambda: redis.exists(key))

    await say(socket, type="unsubscribe", cameras=["c1"])
    await until(lambda: _is_read(socket))
    await redis.delete(key)
    await asyncio.sleep(10 * LiveConsumer.tick_s)  # what must not happen has its time to happen
    assert not await redis.exists(key)


# --- what the client sends ---


@pytest.mark.parametrize(
    "text", ["nonsense", '{"type":"dance"}', "x" * (client_messages.MAX_CLIENT_MESSAGE_BYTES + 1)]
)
async def test_malformed_message_ends_the_connection(dial, place, text):
    socket = await opened(dial, place)
    await socket.send_to(text_data=text)
    assert (await hear(socket))["code"] == "malformed"
    assert await hear(socket) == {"type": "websocket.close", "code": 4400}


async def test_binary_message_ends_the_connection(dial, place):
    socket = await opened(dial, place)
    await socket.send_to(bytes_data=b"\0")
    assert await hear_close(socket) == 4400


async def test_flood_ends_the_connection(dial, place):
    socket = await opened(dial, place)
    for _ in range(100):
        await say(socket, type="follow", person=None)
    assert await hear_close(socket) == 4429


async def test_acks_of_frames_that_were_sent_are_no_flood(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"])
    await hear_type(socket, "quality")
    for seq in range(100):
        await publish_frame(place, frame(seq=seq))
        assert await hear_frame(socket) == seq
        await say(socket, type="ack", camera="c1", seq=seq)
        await until(lambda: _is_read(socket))
    await publish_text(place, live.positions(at=AT, people=[]))
    assert (await hear(socket))["type"] == "positions"


async def test_acks_out_of_thin_air_are_a_flood(dial, place):
    socket = await opened(dial, place)
    for seq in range(100):
        await say(socket, type="ack", camera="c1", seq=seq)
    assert await hear_close(socket) == 4429


async def test_follow_answers_with_the_persons_card(dial, place):
    await sync_to_async(PersonFactory.create)(environment=place.environment, number=7)
    socket = await opened(dial, place)

    await say(socket, type="follow", person=7)
    assert (await hear(socket))["card"] == {
        "first_seen_at": "2026-05-04T12:00:00.000Z",
        "last_seen_at": "2026-05-04T12:01:00.000Z",
        "since": None,
        "visits": 0,
        "zone": None,
    }
    await say(socket, type="follow", person=8)
    assert await hear(socket) == {"type": "person", "person": 8, "card": None}


async def test_looks_are_written_down_once_a_connection(dial, place):
    socket = await opened(dial, place)
    for _ in range(2):
        await say(socket, type="subscribe", cameras=["c1"])
        await hear_type(socket, "quality")
        await say(socket, type="follow", person=7)
        await hear_type(socket, "person")
    entries = [
        (e.action, e.kind, e.object_id, e.environment, e.actor)
        async for e in AuditEntry.objects.order_by("pk")
    ]
    name = place.user.username
    assert entries == [
        ("viewed", "camera", "c1", "plaza", name),
        ("viewed", "person", "7", "plaza", name),
    ]


# --- as time goes by ---


async def test_connection_ends_with_the_login(dial, place, client, fast):
    socket = await opened(dial, place)
    await sync_to_async(client.logout)()
    assert await hear_close(socket) == 4401


async def test_connection_ends_when_the_user_is_deactivated(dial, place, fast):
    socket = await opened(dial, place)
    place.user.is_active = False
    await place.user.asave()
    assert await hear_close(socket) == 4401


async def test_connection_ends_when_the_password_changes(dial, place, fast):
    socket = await opened(dial, place)
    place.user.set_password("another")
    await place.user.asave()
    assert await hear_close(socket) == 4401


async def test_connection_ends_when_the_grant_is_taken_away(dial, place, fast):
    socket = await opened(dial, place)
    await place.user.grants.all().adelete()
    assert await hear_close(socket) == 4403


async def test_session_that_changes_without_a_worker_is_told(dial, place, fast):
    socket = await opened(dial, place)
    await sync_to_async(TrackingSessionFactory.create)(environment=place.environment)
    status = await hear_type(socket, "status")
    assert status["session"]["state"] == "waiting"
    assert [camera["state"] for camera in status["cameras"]] == ["off", "off"]


async def test_server_clock_is_told_again_and_again(dial, place, fast):
    socket = await opened(dial, place)
    first = await hear_type(socket, "quality")
    second = await hear_type(socket, "quality")
    assert first["at"] < second["at"]


async def test_changed_place_is_described_again(dial, place, fast):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c2"])
    await hear_type(socket, "quality")
    place.cameras[1].enabled = False
    await place.cameras[1].asave()

    assert [camera["id"] for camera in (await hear_type(socket, "hello"))["cameras"]] == ["c1"]
    assert (await hear_type(socket, "quality"))["tiers"] == {}


async def test_place_that_stays_is_described_once(dial, place, fast, monkeypatch):
    monkeypatch.setattr(LiveConsumer, "ticks_per_layout", 1)
    socket = await opened(dial, place)
    place.cameras[1].state = "offline"  # a state is news, not a change of the place
    await place.cameras[1].asave()
    for _ in range(2):
        assert (await hear(socket))["type"] in ("quality", "status")


async def test_viewers_share_what_is_read_of_an_environment(place):
    asked = []

    def select(*, environment, number):
        asked.append(number)
        return {"number": number}

    shared = connections.Shared()
    reads = [shared.read(select, place.environment, max_age_s=60.0, number=k) for k in range(3)]
    assert await asyncio.gather(*reads) == [{"number": 0}] * 3
    assert asked == [0]
    assert await shared.read(select, place.environment, max_age_s=0.0, number=7) == {"number": 7}


# --- when Redis is away ---


async def test_redis_away_at_the_start_closes_with_try_again(dial, place, settings):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["unix:///nowhere/redis.sock"]},
        }
    }
    socket = await dial(place.user)
    assert await socket.connect(WAIT_S) == (True, live.SUBPROTOCOL)
    assert await hear(socket) == {"type": "websocket.close", "code": 4503}


async def test_redis_away_on_subscribing_closes_with_try_again(dial, place, monkeypatch):
    socket = await opened(dial, place)
    await connections.shared().redis.connection_pool.disconnect()
    monkeypatch.setattr(connections.shared(), "redis", Redis.from_url("unix:///nowhere/redis.sock"))
    await say(socket, type="subscribe", cameras=["c1"])
    assert await hear_close(socket) == 4503


async def test_redis_going_away_closes_with_try_again(dial, place, fast, monkeypatch):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1"])
    await hear_type(socket, "quality")
    await connections.shared().redis.connection_pool.disconnect()
    gone = Redis.from_url("unix:///nowhere/redis.sock")
    monkeypatch.setattr(connections.shared(), "redis", gone)
    assert await hear_close(socket) == 4503
