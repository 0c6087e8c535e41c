"""Who gets into the live view, with what, and how much of it."""

import time
from datetime import UTC, datetime
from typing import Any, get_args

import jwt
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import Role
from accounts.services import login_open
from accounts.tokens import signing_backend
from tests.factories import (
    GrantFactory,
    UserFactory,
)
from tests.tracking.sockets import WAIT_S, hear, hear_close, hear_type, opened, say
from tracking import client_messages, connections, live

pytestmark = pytest.mark.usefixtures("_layer", "redis")


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
    "Clock": {"type": "clock", "sent": 1.5},
    "Hidden": {"type": "hidden", "hidden": True},
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
