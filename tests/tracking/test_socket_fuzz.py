"""Whatever is sent to a WebSocket, the server answers in its own words or ends the connection by a code that it names.

``SPOTON_SOCKET_EXAMPLES`` is the number of connections of each kind, 20 where nothing is said.
"""

import json
import os
from collections import Counter
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.testing import WebsocketCommunicator
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from accounts.models import Role
from accounts.services import login_open
from spoton.asgi import application
from tests.factories import CameraFactory, EnvironmentFactory, UserFactory
from tests.roles import roles_ensure
from tests.tracking.sockets import WAIT_S
from tracking import connections, live

EXAMPLES = int(os.environ.get("SPOTON_SOCKET_EXAMPLES", "20"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
CODES = {4400, 4429}
TOLD = {"hello", "status", "quality", "clock", "person", "error", "event", "positions"}
ADDRESSES = {"live": "/ws/environments/plaza/live/", "system": "/ws/system/"}

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(max_size=20)
    | st.sampled_from(["c1", "auto", "high", "subscribe", "follow", "ack", "' OR 1=1 --", "\0", "../../x"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# messages as they are described, and such with one value or more exchanged
FIELDS = ["type", "cameras", "quality", "max_width", "person", "camera", "seq", "frames", "sent", "hidden"]
KNOWN = st.sampled_from(
    [
        {"type": "subscribe", "cameras": ["c1"], "quality": "auto"},
        {"type": "unsubscribe", "cameras": ["c1"]},
        {"type": "follow", "person": 7},
        {"type": "follow", "person": None},
        {"type": "ack", "camera": "c1", "seq": 0},
        {"type": "ack", "frames": {"c1": 0, "c2": 7}},
        {"type": "clock", "sent": 12.5},
        {"type": "hidden", "hidden": True},
    ]
)
NEARLY = st.builds(
    lambda known, change: {**known, **change},
    KNOWN,
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=2),
)
TEXTS = (
    NEARLY.map(json.dumps)
    | VALUES.map(json.dumps)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
    | st.sampled_from(["", "{", "[" * 5000, '{"type":"ack","seq":' + "9" * 5000 + "}", "x" * 20_000])
)
# messages that follow the format, with any values that it allows
NAMES = st.sampled_from(["c1", "c2", ""]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(0, 2**53 - 1)
CAMERAS = st.lists(NAMES, max_size=64)
ALLOWED = (
    st.builds(
        lambda cameras, quality, width: {
            "type": "subscribe",
            "cameras": cameras,
            "quality": quality,
            "max_width": width,
        },
        CAMERAS,
        st.sampled_from(live.QUALITIES),
        st.none() | NUMBERS,
    )
    | CAMERAS.map(lambda cameras: {"type": "unsubscribe", "cameras": cameras})
    | (st.none() | NUMBERS).map(lambda person: {"type": "follow", "person": person})
    | st.builds(lambda camera, seq: {"type": "ack", "camera": camera, "seq": seq}, NAMES, NUMBERS)
    | st.dictionaries(NAMES, NUMBERS, max_size=64).map(lambda frames: {"type": "ack", "frames": frames})
    | NUMBERS.map(lambda sent: {"type": "clock", "sent": sent})
    | st.booleans().map(lambda hidden: {"type": "hidden", "hidden": hidden})
)
MESSAGES = TEXTS.map(lambda text: {"text": text}) | st.binary(max_size=64).map(lambda data: {"bytes": data})
WELL_FORMED = ALLOWED.map(lambda message: {"text": json.dumps(message)})


@pytest.fixture(scope="module")
def heard(request):
    """Count what is heard, and say it."""
    counted: Counter = Counter()
    yield counted
    plugins = request.config.pluginmanager
    with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
        plugins.get_plugin("terminalreporter").write_line(f" {dict(sorted(counted.items()))}")


@pytest.fixture
async def user(settings, redis_url, transactional_db, monkeypatch):
    """Give an Admin of a place with a camera, whose messages nobody counts over connections."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    settings.REDIS_URL = redis_url
    monkeypatch.setattr(connections, "USER_MESSAGES_BURST", 1e9)
    await sync_to_async(roles_ensure)()
    await sync_to_async(
        lambda: CameraFactory.create(environment=EnvironmentFactory.create(slug="plaza"), key="c1")
    )()
    async with Redis.from_url(redis_url) as client:
        await client.flushall()
    return await sync_to_async(UserFactory.create)(role=Role.ADMIN)


@asynccontextmanager
async def own_loop():
    """Close what the connections of an event loop share: each example has a loop of its own."""
    try:
        yield
    finally:
        await connections.shared().redis.connection_pool.disconnect()
        connections._shared_of_loop.clear()


async def dial(user, kind: str) -> WebsocketCommunicator:
    pair = await sync_to_async(login_open)(user=user, now=timezone.now())
    protocols = [live.SUBPROTOCOL, f"jwt.{pair.access}"]
    socket = WebsocketCommunicator(application, ADDRESSES[kind], subprotocols=protocols)
    assert await socket.connect(WAIT_S) == (True, live.SUBPROTOCOL)
    return socket


async def say(socket, **message) -> None:
    await socket.send_input({"type": "websocket.receive", **message})


async def drain(socket, *, until: str) -> dict[str, Any]:
    """Hear until a message of a type or the end; everything is one of ours."""
    while True:
        output = await socket.receive_output(WAIT_S)
        if output["type"] == "websocket.close":
            return dict(output)
        message = json.loads(output["text"])
        assert message["type"] in TOLD
        if message["type"] == until:
            return dict(message)


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
@given(messages=st.lists(MESSAGES, min_size=1, max_size=30) | st.lists(WELL_FORMED, min_size=1, max_size=60))
@FUZZ
@own_loop()
async def test_anything_is_answered_or_ends_the_connection(kind, messages, user, heard):
    socket = await dial(user, kind)
    await drain(socket, until="status")
    for message in messages:
        await say(socket, **message)
    heard["messages"] += len(messages)
    # what is asked last is answered, where the connection outlives what came before
    await say(socket, text='{"type": "follow", "person": 123456789}')
    end = await drain(socket, until="person")
    while end["type"] == "person" and end["person"] != 123456789:
        end = await drain(socket, until="person")
    if end["type"] == "websocket.close":
        assert end["code"] in CODES
        heard[f"closed with {end['code']}"] += 1
    else:
        assert kind == "live"
        heard["outlived"] += 1
    await socket.disconnect()  # raises what the consumer raised


TOKENS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), max_size=60)


@pytest.mark.parametrize("kind", sorted(ADDRESSES))
@given(
    protocols=st.lists(TOKENS | TOKENS.map(lambda text: f"jwt.{text}"), max_size=4),
    origin=st.binary(max_size=30),
)
@FUZZ
@own_loop()
async def test_no_words_of_a_stranger_let_them_in(kind, protocols, origin, user, heard):
    socket = WebsocketCommunicator(
        application,
        ADDRESSES[kind],
        headers=[(b"origin", origin)],
        subprotocols=[live.SUBPROTOCOL, *protocols],
    )
    is_accepted, _ = await socket.connect(WAIT_S)
    if is_accepted:  # to be told why not
        end = await drain(socket, until="hello")
        assert (end["type"], end["code"]) == ("websocket.close", 4401)
    heard["told" if is_accepted else "turned away"] += 1
    await socket.disconnect()
