"""Every behaviour of the live view's connection, on the whole ASGI application; who gets in is tested beside it."""

import asyncio
import json
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from redis.asyncio import Redis

from accounts.models import AuditEntry, Role
from tests.factories import (
    EnvironmentFactory,
    PersonFactory,
    TrackingSessionFactory,
    UserFactory,
)
from tests.tracking.sockets import (
    AT,
    WAIT_S,
    frame,
    hear,
    hear_close,
    hear_frame,
    hear_type,
    opened,
    publish_frame,
    publish_text,
    say,
    until,
)
from tracking import client_messages, connections, live
from tracking.consumers import LiveConsumer
from tracking.outgoing import unpack_texts

pytestmark = pytest.mark.usefixtures("_layer", "redis")


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


async def test_last_picture_comes_at_once_and_newer_ones_after_it(dial, place, redis):
    still = frame("c1", seq=8)
    await redis.set(live.still_key(place.environment.pk, "c1"), still)
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1", "c2"], quality="low")
    await hear_type(socket, "quality")
    assert (await socket.receive_output(WAIT_S)).get("bytes") == still
    await publish_frame(place, frame("c1", seq=9, tier="low"))
    assert await hear_frame(socket) == 9

    await say(socket, type="subscribe", cameras=["c1"], quality="high")  # it is watched already
    await hear_type(socket, "quality")
    assert await socket.receive_nothing()


async def test_viewer_whom_nobody_looks_at_gets_no_positions(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="hidden", hidden=True)
    await say(socket, type="clock", sent=1)
    await hear_type(socket, "clock")
    error = live.error(code="x", message="y")
    await publish_text(place, live.positions(at=AT, people=[]))
    await get_channel_layer().group_send(
        live.state_group(place.environment.pk),
        live.layer_texts([live.positions(at=AT, people=[]), error]),
    )
    assert (await socket.receive_output(WAIT_S))["text"] == error

    await say(socket, type="hidden", hidden=False)
    await say(socket, type="clock", sent=2)
    await hear_type(socket, "clock")
    await publish_text(place, live.positions(at=AT, people=[]))
    assert (await hear(socket))["type"] == "positions"


async def test_texts_are_packed_for_clients_who_take_that(dial, place):
    plain = await opened(dial, place)
    packed = await dial(place.user, subprotocols=(live.SUBPROTOCOL, live.PACKED))
    assert await packed.connect(WAIT_S) == (True, live.SUBPROTOCOL)
    assert (await hear(packed))["type"] == "hello"
    assert (await hear(packed))["type"] == "status"
    people = [{"person": n, "x_m": n / 7, "cameras": ["c1"]} for n in range(200)]
    texts = [live.positions(at=AT, people=people), live.error(code="x", message="y")]
    await get_channel_layer().group_send(live.state_group(place.environment.pk), live.layer_texts(texts))
    assert [(await plain.receive_output(WAIT_S))["text"] for _ in texts] == texts
    both = (await packed.receive_output(WAIT_S))["bytes"]
    assert unpack_texts(both) == [json.loads(text) for text in texts]
    assert len(both) < len(texts[0]) / 3


async def test_clock_is_answered_at_once_with_what_was_said(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="clock", sent=12345.5)
    said = await hear(socket)
    assert (said["type"], said["sent"]) == ("clock", 12345.5)
    assert abs((datetime.fromisoformat(said["at"]) - datetime.now(UTC)).total_seconds()) < WAIT_S


async def test_one_ack_may_be_of_several_cameras(dial, place):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1", "c2"])
    await hear_type(socket, "quality")
    for seq in range(30):
        for camera in ("c1", "c2"):
            await publish_frame(place, frame(camera, seq=seq))
        assert [await hear_frame(socket), await hear_frame(socket)] == [seq, seq]
        await say(socket, type="ack", frames={"c1": seq, "c2": seq})
        await until(lambda: _is_read(socket))
    await publish_text(place, live.positions(at=AT, people=[]))
    assert (await hear(socket))["type"] == "positions"


# --- keeping up ---


async def test_quality_tells_what_was_left_out_and_why(dial, place, fast):
    socket = await opened(dial, place)
    await say(socket, type="subscribe", cameras=["c1", "c2"], quality="high")
    await hear_type(socket, "quality")
    for seq in range(10):
        await publish_frame(place, frame(seq=seq, tier="high"))
    assert [await hear_frame(socket), await hear_frame(socket)] == [0, 1]
    await say(socket, type="ack", camera="c1", seq=1)
    said = await hear_type(socket, "quality")
    while said["delay_ms"] is None or said["skipped"]:
        said = await hear_type(socket, "quality")
    assert said["cameras"] == {
        "c1": {"tier": "high", "sent": said["sent"], "skipped": 0},
        "c2": {"tier": "high", "sent": 0, "skipped": 0},
    }
    assert said["limited"] is False


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


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
async def test_connection_ends_with_the_place(dial, place, fast, role):
    place.user.role = role
    await place.user.asave()
    socket = await opened(dial, place)
    await place.environment.adelete()
    assert await hear_close(socket) == 4404


async def test_connection_of_an_admin_lasts_without_a_grant(dial, place, fast):
    admin = await sync_to_async(UserFactory.create)(role=Role.ADMIN)
    socket = await opened(dial, SimpleNamespace(user=admin))
    for _ in range(3):
        await hear_type(socket, "quality")


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
