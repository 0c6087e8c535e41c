import json
import struct

import pytest
from autobahn.websocket.protocol import PreparedMessage
from hypothesis import given
from hypothesis import strategies as st

from tests.tracking.sockets import AT, frame
from tracking import live
from tracking.outgoing import (
    DEFLATE_ABOVE_BYTES,
    FrameParcel,
    Outgoing,
    TextParcel,
    pack_texts,
    parcel_of,
    unpack_texts,
    websocket_bytes,
)

POSITIONS = live.positions(at=AT, people=[])
ERROR = live.error(code="x", message="y")


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 200_000])
@pytest.mark.parametrize("kind", ["text", "binary"])
def test_websocket_bytes_are_those_of_the_servers_library(length, kind):
    payload = "x" * length if kind == "text" else b"x" * length
    prepared = PreparedMessage(b"x" * length, kind == "binary", False, True)
    assert websocket_bytes(payload) == prepared.payloadHybi


def test_websocket_bytes_count_bytes_and_not_letters():
    assert websocket_bytes("\N{GREEK SMALL LETTER PI}")[1] == 2


texts = st.lists(
    st.dictionaries(st.text(max_size=5), st.text(max_size=600), max_size=6), min_size=1, max_size=6
)


@given(messages=texts)
def test_texts_come_back_as_they_were_packed(messages):
    assert unpack_texts(pack_texts([json.dumps(message) for message in messages])) == messages


def test_one_short_text_stays_as_it_is():
    assert pack_texts([POSITIONS]) == POSITIONS


def test_several_texts_become_one_array():
    assert pack_texts([POSITIONS, ERROR]) == f"[{POSITIONS},{ERROR}]"


def test_long_texts_are_deflated_and_say_so():
    people = [{"person": n, "x_m": n / 7, "cameras": ["c1", "c2"]} for n in range(200)]
    text = live.positions(at=AT, people=people)
    packed = pack_texts([text])
    assert isinstance(packed, bytes)
    assert live.unpack_frame(packed)[0] == {"type": "texts", "encoding": "deflate-raw"}
    assert len(packed) < len(text) / 3
    assert unpack_texts(packed) == [json.loads(text)]
    assert isinstance(pack_texts(["x" * DEFLATE_ABOVE_BYTES]), str)


def test_parcel_of_a_frame_holds_its_very_bytes():
    data = frame("c2", seq=9, tier="low")
    parcel = parcel_of(live.layer_frame(data))
    assert isinstance(parcel, FrameParcel)
    assert parcel.key == live.FrameKey("c2", 9, "low")
    assert parcel.message.payload is data
    header = struct.pack(">BBH", 0x82, 126, len(data))
    assert parcel.message.wire == b"".join([header, data])
    assert parcel.message.wire is parcel.message.wire


@pytest.mark.parametrize(
    ("positions", "packed", "expected"),
    [
        (True, False, [POSITIONS, ERROR]),
        (False, False, [ERROR]),
        (True, True, [f"[{POSITIONS},{ERROR}]"]),
        (False, True, [ERROR]),
    ],
)
def test_parcel_of_texts_is_made_once_for_each_kind_of_viewer(positions, packed, expected):
    parcel = parcel_of(live.layer_texts([POSITIONS, ERROR]))
    assert isinstance(parcel, TextParcel)
    made = parcel.messages(positions=positions, packed=packed)
    assert [message.payload for message in made] == expected
    assert parcel.messages(positions=positions, packed=packed) is made


def test_parcel_of_positions_alone_is_nothing_for_who_needs_none():
    parcel = parcel_of(live.layer_text(POSITIONS))
    assert isinstance(parcel, TextParcel)
    assert parcel.messages(positions=False, packed=True) == []
    assert parcel.messages(positions=True, packed=True) == [Outgoing(POSITIONS)]
