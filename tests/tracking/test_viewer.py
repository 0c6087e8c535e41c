"""What of all that comes goes to a viewer."""

import asyncio

import pytest

from tests.tracking.sockets import AT, frame, until
from tracking import live
from tracking.outgoing import Outgoing, parcel_of
from tracking.outlets import FULL_BYTES, AsgiOutlet, LineOutlet, outlet_of
from tracking.viewer import Viewer, Watch

POSITIONS = live.layer_text(live.positions(at=AT, people=[]))
EVENT = live.layer_text(live.error(code="x", message="y"))


class Outlet:
    def __init__(self):
        self.payloads = []
        self.is_full = False

    def put(self, message):
        self.payloads.append(message.payload)

    async def run(self):
        await asyncio.Event().wait()


@pytest.fixture
def outlet():
    return Outlet()


@pytest.fixture
def viewer(outlet):
    viewer = Viewer(outlet, takes_packed=False)
    viewer.greet()
    viewer.watches["c1"] = Watch(None, "high", "medium")
    return viewer


def give(viewer, message):
    viewer.take(parcel_of(message))


def give_frame(viewer, seq, tier="medium", camera="c1"):
    give(viewer, live.layer_frame(frame(camera, seq=seq, tier=tier)))


def test_what_is_told_before_the_greeting_comes_after_it(outlet):
    viewer = Viewer(outlet, takes_packed=False)
    give(viewer, POSITIONS)
    give(viewer, EVENT)
    assert outlet.payloads == []
    viewer.greet()
    assert outlet.payloads == [POSITIONS["text"], EVENT["text"]]


def test_client_that_does_not_read_gets_nothing_that_grows_stale(outlet, viewer):
    outlet.is_full = True
    give(viewer, POSITIONS)
    give(viewer, EVENT)
    give_frame(viewer, 1)
    assert outlet.payloads == [EVENT["text"]]
    assert viewer.pacer.take_counts()["c1"].skipped == 1
    outlet.is_full = False
    give_frame(viewer, 2)
    assert outlet.payloads[-1] == frame(seq=2)


def test_positions_come_less_often_while_the_viewer_is_behind(outlet, viewer):
    for seq in range(30):  # no ack comes
        give_frame(viewer, seq)
    viewer.pacer.tier = live.TIER_ORDER[-1]
    viewer.pacer.adapt(now=1e9, best="high")
    assert viewer.pacer.is_behind
    outlet.payloads.clear()
    for _ in range(5):
        give(viewer, POSITIONS)
    assert outlet.payloads == [POSITIONS["text"]]


def test_old_tier_fades_when_the_new_one_comes(outlet, viewer):
    viewer.watches["c1"] = Watch(None, "high", "high", fading="medium")
    for seq, tier in enumerate(["medium", "low", "high", "medium"]):
        give_frame(viewer, seq, tier)
        viewer.acked("c1", seq)
    assert [live.peek_frame(data).seq for data in outlet.payloads] == [0, 2]
    assert viewer.faded == [("c1", "medium")]


def test_silence_is_complete(outlet, viewer):
    viewer.fall_silent()
    give(viewer, EVENT)
    give_frame(viewer, 1)
    assert outlet.payloads == []


async def test_viewer_who_loses_the_worker_is_told(viewer):
    serving = asyncio.create_task(viewer.serve())
    viewer.lose(ConnectionError("gone"))
    with pytest.raises(ConnectionError, match="gone"):
        await serving


# --- outlets ---


async def test_asgi_outlet_sends_in_order_and_knows_what_waits():
    sent, may_go = [], asyncio.Event()

    async def send(message):
        await may_go.wait()
        sent.append(message)

    outlet = outlet_of({}, send)
    assert isinstance(outlet, AsgiOutlet)
    sending = asyncio.create_task(outlet.run())
    outlet.put(Outgoing("a text"))
    outlet.put(Outgoing(b"x" * FULL_BYTES))
    assert outlet.is_full
    may_go.set()

    async def is_empty():
        return not outlet.is_full and len(sent) == 2

    await until(is_empty)
    assert sent[0] == {"type": "websocket.send", "text": "a text"}
    assert sent[1]["bytes"] == b"x" * FULL_BYTES
    sending.cancel()


def test_line_outlet_writes_ready_made_bytes():
    async def unused(message):
        raise AssertionError(message)

    class Line:
        waiting_bytes = FULL_BYTES
        written = b""

        def write(self, wire):
            self.written += wire

    line = Line()
    outlet = outlet_of({"extensions": {"spoton.line": line}}, unused)
    assert isinstance(outlet, LineOutlet)
    outlet.put(Outgoing("hi"))
    assert line.written == b"\x81\x02hi"
    assert not outlet.is_full
    line.waiting_bytes += 1
    assert outlet.is_full
