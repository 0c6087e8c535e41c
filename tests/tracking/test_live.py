import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracking import client_messages, live, status_messages
from tracking.client_messages import Ack, Clock, Follow, Hidden, Subscribe, Unsubscribe
from tracking.live import WireError

AT = datetime(2026, 5, 4, 12, 0, 0, 123_456, tzinfo=UTC)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
headers = st.dictionaries(st.text(), json_values, max_size=6)


@given(header=headers.filter(lambda h: "inf" not in repr(h)), jpeg=st.binary(max_size=500))
def test_frame_comes_back_as_it_was_packed(header, jpeg):
    assert live.unpack_frame(live.pack_frame(header, jpeg)) == (header, jpeg)


@given(data=st.binary(max_size=200))
def test_unpack_frame_refuses_or_gives_an_object(data):
    try:
        header, _ = live.unpack_frame(data)
    except WireError:
        return
    assert isinstance(header, dict)


@given(data=st.binary(max_size=200))
def test_peek_frame_raises_nothing_but_wire_error(data):
    try:
        live.peek_frame(data)
    except WireError:
        return
    assert {"camera", "seq", "tier"} <= set(live.unpack_frame(data)[0])


@given(length=st.integers(0, 2**32 - 1), rest=st.binary(max_size=64))
def test_unpack_frame_refuses_a_header_longer_than_the_message(length, rest):
    data = length.to_bytes(4, "big") + rest
    if length > len(rest):
        with pytest.raises(WireError):
            live.unpack_frame(data)


def test_peek_frame_says_which_frame_it_is():
    header = live.frame_header(
        camera="c1",
        seq=7,
        captured_at=AT,
        published_at=AT + timedelta(milliseconds=40),
        width=640,
        height=360,
        tier="low",
        boxes=[{"xyxy": [1.0, 2.0, 3.0, 4.0], "confidence": 0.5, "track": 3, "person": None}],
    )
    data = live.pack_frame(header, b"jpeg")

    assert live.peek_frame(data) == live.FrameKey("c1", 7, "low")
    assert live.unpack_frame(data)[0]["captured_at"] == "2026-05-04T12:00:00.123Z"


def test_isoformat_writes_utc():
    assert live.isoformat(AT.astimezone(timezone(timedelta(hours=2)))) == "2026-05-04T12:00:00.123Z"


@given(text=st.text() | json_values.map(json.dumps))
def test_client_message_is_parsed_or_refused(text):
    try:
        message = client_messages.parse_client_message(text)
    except WireError:
        return
    assert isinstance(message, client_messages.ClientMessage)


client_objects = st.fixed_dictionaries(
    {"type": st.sampled_from(sorted(client_messages.READERS)) | st.text()},
    optional={
        "cameras": st.lists(st.text(max_size=8) | st.integers(), max_size=70) | json_values,
        "quality": st.sampled_from(["auto", "high", "low"]) | json_values,
        "max_width": st.integers() | json_values,
        "person": st.integers() | json_values,
        "camera": st.text() | json_values,
        "seq": st.integers() | json_values,
        "frames": st.dictionaries(st.text(max_size=8), st.integers(), max_size=70) | json_values,
        "sent": st.integers() | st.floats() | json_values,
        "hidden": st.booleans() | json_values,
    },
)


@given(data=client_objects)
def test_client_object_is_parsed_or_refused(data):
    try:
        message = client_messages.parse_client_message(json.dumps(data))
    except WireError:
        return
    match message:
        case Subscribe(cameras, quality, max_width):
            assert cameras == tuple(data["cameras"])
            assert quality == data.get("quality", "auto")
            assert max_width == data.get("max_width")
        case Unsubscribe(cameras):
            assert cameras == tuple(data["cameras"])
        case Follow(person):
            assert person == data.get("person")
        case Ack(frames) if data.get("frames") is None:
            assert frames == ((data["camera"], data["seq"]),)
        case Ack(frames):
            assert frames == tuple(data["frames"].items())
        case Clock(sent):
            assert sent == data["sent"]
        case Hidden(hidden):
            assert hidden is data["hidden"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "1",
        "[" * 100_000,
        '{"type":"shout"}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","cameras":"c1"}',
        '{"type":"subscribe","cameras":[1]}',
        '{"type":"subscribe","cameras":[],"quality":"best"}',
        '{"type":"subscribe","cameras":[],"quality":["auto"]}',
        '{"type":"subscribe","cameras":[],"max_width":-1}',
        '{"type":"subscribe","cameras":[],"max_width":1.5}',
        '{"type":"follow","person":true}',
        '{"type":"follow","person":-1}',
        '{"type":"ack","camera":"c1"}',
        '{"type":"ack","camera":"c1","seq":1e3}',
        '{"type":"ack","camera":null,"seq":1}',
        '{"type":"ack","frames":[["c1",1]]}',
        '{"type":"ack","frames":{"c1":-1}}',
        '{"type":"ack","frames":{"c1":true}}',
        json.dumps({"type": "ack", "frames": {f"c{n}": 1 for n in range(65)}}),
        '{"type":"clock"}',
        '{"type":"clock","sent":true}',
        '{"type":"clock","sent":NaN}',
        '{"type":"clock","sent":1e400}',
        '{"type":"hidden"}',
        '{"type":"hidden","hidden":1}',
        json.dumps({"type": "subscribe", "cameras": ["c1"] * 65}),
        json.dumps(
            {"type": "follow", "person": 1, "padding": "x" * client_messages.MAX_CLIENT_MESSAGE_BYTES}
        ),
    ],
)
def test_client_message_of_the_wrong_shape_is_refused(text):
    with pytest.raises(WireError):
        client_messages.parse_client_message(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"subscribe","cameras":["c1","c2"]}', Subscribe(("c1", "c2"), "auto", None)),
        (
            '{"type":"subscribe","cameras":["c1"],"quality":"low","max_width":320}',
            Subscribe(("c1",), "low", 320),
        ),
        ('{"type":"unsubscribe","cameras":["c1"]}', Unsubscribe(("c1",))),
        ('{"type":"follow","person":12}', Follow(12)),
        ('{"type":"follow","person":null}', Follow(None)),
        ('{"type":"ack","camera":"c1","seq":0}', Ack((("c1", 0),))),
        ('{"type":"ack","frames":{"c1":3,"c2":0}}', Ack((("c1", 3), ("c2", 0)))),
        ('{"type":"ack","frames":{}}', Ack(())),
        ('{"type":"clock","sent":1700000000123.25}', Clock(1700000000123.25)),
        ('{"type":"hidden","hidden":true}', Hidden(True)),
    ],
)
def test_client_message_is_read(text, expected):
    assert client_messages.parse_client_message(text) == expected


def test_server_messages_say_their_type():
    messages = [
        live.hello(at=AT, cameras=[], zones=[], floor_map=None),
        live.positions(at=AT, people=[]),
        live.event(
            event_id="e1", at=AT, kind="person_left", person=1, zone=None, camera=None, payload={"a": 1}
        ),
        status_messages.status(at=AT, session=None, cameras=[]),
        live.quality(
            at=AT, cameras={"c1": {"tier": "low", "sent": 3, "skipped": 1}}, limited=True, delay_s=0.02
        ),
        live.clock(sent=1.5, at=AT),
        live.person(number=4, card=None),
        live.error(code="unknown_camera", message="no camera c9"),
        live.acknowledged(event_id="e1", at=AT, by="otto", note="a cat"),
        live.alert(alert_id=1, at=AT, rule="r", severity="info", text="t", event={}, acknowledged=None),
    ]
    assert [json.loads(m)["type"] for m in messages] == [
        "hello",
        "positions",
        "event",
        "status",
        "quality",
        "clock",
        "person",
        "error",
        "acknowledged",
        "alert",
    ]


def test_alert_says_what_rule_and_event_it_is_of_and_who_has_seen_to_it():
    seen = live.acknowledgement(at=AT, by="otto", note="a cat")
    event = {"event": "e1", "kind": "zone_enter", "person": 7, "zone": "hall", "camera": None}
    text = live.alert(
        alert_id=5,
        at=AT,
        rule="Night",
        severity="critical",
        text="Person 7 entered Hall",
        event=event,
        acknowledged=seen,
    )
    assert json.loads(text) == {
        "type": "alert",
        "id": 5,
        "at": live.isoformat(AT),
        "rule": "Night",
        "severity": "critical",
        "text": "Person 7 entered Hall",
        **event,
        "acknowledged": {"at": live.isoformat(AT), "by": "otto", "note": "a cat"},
    }
    assert json.loads(live.acknowledged(event_id="e1", at=AT, by="otto", note="a cat")) == {
        "type": "acknowledged",
        "event": "e1",
        **seen,
    }


def test_messages_refuse_numbers_that_are_not_json():
    with pytest.raises(ValueError, match="JSON compliant"):
        live.positions(at=AT, people=[{"x_m": float("nan")}])


def test_quality_says_what_each_camera_gets_and_all_together():
    cameras = {
        "c1": {"tier": "low", "sent": 3, "skipped": 1},
        "c2": {"tier": "high", "sent": 2, "skipped": 0},
    }
    said = json.loads(live.quality(at=AT, cameras=cameras, limited=True, delay_s=0.0204))
    assert said == {
        "type": "quality",
        "at": "2026-05-04T12:00:00.123Z",
        "tiers": {"c1": "low", "c2": "high"},
        "sent": 5,
        "skipped": 1,
        "cameras": cameras,
        "limited": True,
        "delay_ms": 20,
    }


def test_positions_begin_as_they_are_told_apart():
    assert live.positions(at=AT, people=[]).startswith(live.POSITIONS_START)
