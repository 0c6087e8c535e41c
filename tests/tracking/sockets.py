"""What tests say and hear over WebSockets."""

import asyncio
import json
from datetime import UTC, datetime

from channels.layers import get_channel_layer

from tracking import live

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WAIT_S = 5.0


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


def frame(camera: str = "c1", seq: int = 0, tier: str = "medium") -> bytes:
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
