"""The live view over real processes and sockets: worker, Redis and web, and clients who behave and who do not."""

import signal
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from channels_redis.serializers import registry
from redis import Redis

from gpuworker.sources.sim.stamp import stamp_read
from tests import servers
from tests.browser.conftest import Stack
from tests.raw_socket import BINARY, TEXT, RawSocket, cookie_of_login
from tracking import live
from tracking.outgoing import unpack_texts

pytestmark = [pytest.mark.redis, pytest.mark.slow]

CAMERAS = ["c1", "c2", "c3", "c4"]
BOUND_S = 90.0
START_S = 240.0
STRANGERS = 300
STAMPED = """
from environments.models import Camera
from accounts.models import Role, User
for camera in Camera.objects.all():
    camera.source_url += "?stamp=1"
    camera.save()
User.objects.create_user(username="stranger", password="{password}", role=Role.VIEWER)
"""


@dataclass
class Client:
    """A viewer: acknowledges frames, keeps what it hears."""

    socket: RawSocket
    acks: bool = True
    frames: dict[str, list[tuple[dict[str, Any], bytes, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    texts: list[dict[str, Any]] = field(default_factory=list)

    def listen(self) -> None:
        """Take in what has come."""
        for opcode, payload in self.socket.read():
            if opcode == BINARY:
                header, picture = live.unpack_frame(payload)
                if header["type"] == "texts":
                    self.texts += unpack_texts(payload)
                    continue
                self.frames[header["camera"]].append((header, picture, time.monotonic()))
                if self.acks:
                    self.socket.say({"type": "ack", "frames": {header["camera"]: header["seq"]}})
            else:
                self.texts += unpack_texts(payload.decode())

    def count(self) -> int:
        """Give how many frames came that are not kept ones."""
        return sum(not header.get("still") for some in self.frames.values() for header, _, _ in some)

    def until(self, condition: Callable[[], object], *, bound_s: float = BOUND_S) -> None:
        """Listen until a condition holds."""

        def holds() -> object:
            self.listen()
            return condition()

        servers.wait_for(holds, timeout_s=bound_s)

    def until_closed(self) -> None:
        """Listen until the server closes."""
        self.until(lambda: self.socket.code is not None)

    def until_told(self, **expected: Any) -> None:
        """Listen until a text says something."""
        self.until(lambda: any(expected.items() <= text.items() for text in self.texts))

    def until_count(self, count: int) -> None:
        """Listen until more frames than so many came."""
        self.until(lambda: self.count() > count)


@pytest.fixture(scope="module")
def place() -> Iterator[Stack]:
    """Run the demo's place, whose cameras draw the number of each frame into it."""
    with ExitStack() as cleanup:
        stack = Stack(cleanup.enter_context(servers.short_folder("spoton-wire-")))
        cleanup.callback(stack.stop_all)
        stack.start_redis()
        stack.manage("migrate", "--verbosity", "0")
        stack.manage("create_demo", f"--password={stack.password}")
        stack.manage("shell", "--verbosity", "0", "-c", STAMPED.format(password=stack.password))
        stack.start_web()
        stack.start_worker()
        log = stack.folder / "worker.log"
        servers.wait_for(lambda: log.read_text().count("is online") >= len(CAMERAS), timeout_s=START_S)
        yield stack


@pytest.fixture(scope="module")
def cookie(place: Stack) -> str:
    return cookie_of_login(place.url, name="admin", password=place.password)


@pytest.fixture
def dial(place: Stack, cookie: str) -> Iterator[Callable[..., Client]]:
    """Give a maker of connections that watch, closed at the end."""
    clients = []

    def dial(
        *,
        cookie: str = cookie,
        slug: str = "plaza",
        acks: bool = True,
        quality: str | None = "low",
        packed: bool = False,
    ) -> Client:
        protocols = [live.SUBPROTOCOL, *([live.PACKED] if packed else [])]
        socket = RawSocket(
            place.port, f"/ws/environments/{slug}/live/", cookie=cookie, subprotocols=protocols
        )
        client = Client(socket, acks)
        clients.append(client)
        if quality:
            socket.say({"type": "subscribe", "cameras": CAMERAS, "quality": quality})
        return client

    yield dial
    for client in clients:
        client.socket.socket.close()


def watching(dial: Callable[..., Client], **how: Any) -> Client:
    """Give a client to whom frames of all cameras come."""
    client = dial(**how)
    client.until(lambda: len(client.frames) == len(CAMERAS) and client.count() > len(CAMERAS))
    return client


@pytest.mark.parametrize("quality", ["high", "auto", "low"])
def test_number_in_the_picture_is_that_of_its_header(dial, quality):
    client = watching(dial, quality=quality, packed=True)
    client.until(lambda: all(len(client.frames[camera]) >= 12 for camera in CAMERAS))
    tiers = set()
    for camera in CAMERAS:
        for header, picture, _ in client.frames[camera]:
            image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
            assert image is not None
            assert stamp_read(image.astype(np.uint8)) == header["seq"]
            tiers.add(header["tier"])
    assert (quality if quality != "auto" else "medium") in tiers
    assert client.socket.code is None


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [
        (TEXT, b"nonsense", 4400),
        (TEXT, b"x" * 20_000, 4400),
        (TEXT, b"x" * 2_000_000, 1009),
        (TEXT, b"\xff\xfe", 1007),
        (BINARY, b"\0\0\0\1{", 4400),
        (TEXT, b'{"type":"subscribe","cameras":[1]}', 4400),
        (7, b"reserved", 1002),
    ],
)
def test_who_speaks_nonsense_is_closed_and_nobody_else(dial, opcode, payload, code):
    witness, culprit = watching(dial), dial(quality=None)
    culprit.socket.send(opcode, payload)
    culprit.until_closed()
    assert culprit.socket.code == code
    _goes_on(witness)


def test_who_floods_is_closed_and_nobody_else(dial):
    witness, culprit = watching(dial), dial(quality=None)
    for number in range(500):
        culprit.socket.send(TEXT, b'{"type":"follow","person":%d}' % number)
    culprit.until_closed()
    assert culprit.socket.code == 4429
    _goes_on(witness)


def test_unknown_cameras_are_named_and_nothing_ends(dial):
    witness, other = watching(dial), dial(quality=None)
    other.socket.say({"type": "subscribe", "cameras": ["c9", "c1"], "quality": "low"})
    other.until(lambda: other.frames["c1"])
    errors = [text for text in other.texts if text["type"] == "error"]
    assert errors == [{"type": "error", "code": "unknown_camera", "message": "no camera c9"}]
    assert set(other.frames) == {"c1"}
    _goes_on(witness)
    _goes_on(other)


def test_without_a_grant_nothing_comes(dial, place):
    witness = watching(dial)
    stranger = cookie_of_login(place.url, name="stranger", password=place.password)
    for who, slug, code in [(stranger, "plaza", 4403), (stranger, "nowhere", 4404), ("", "plaza", 4401)]:
        client = dial(cookie=who, slug=slug)
        client.until_closed()
        assert (client.socket.code, dict(client.frames), client.texts) == (code, {}, [])
    _goes_on(witness)


def test_many_strangers_at_once_disturb_nobody(dial, place):
    witness = watching(dial)
    began, strangers = time.monotonic(), []
    for _ in range(STRANGERS):
        strangers.append(RawSocket(place.port, "/ws/environments/plaza/live/"))
        witness.listen()
    for stranger in strangers:
        Client(stranger).until_closed()
        witness.listen()
    assert {stranger.code for stranger in strangers} == {4401}
    for stranger in strangers:
        stranger.socket.close()
    took_s = time.monotonic() - began
    _goes_on(witness)
    # it got its pictures all the while
    during = [at for some in witness.frames.values() for _, _, at in some if at > began]
    assert len(during) > took_s


def test_client_who_never_reads_costs_no_memory_and_no_other_a_frame(dial, place):
    witness, deaf = watching(dial), dial()
    web = psutil.Process(place.processes["web"].pid)
    people = [{"person": n, "x_m": n / 7, "y_m": n / 3, "cameras": ["c1", "c2"]} for n in range(400)]
    text = live.positions(at=datetime.now(UTC), people=people)
    serialize = registry.get_serializer("msgpack").serialize
    wire = serialize(live.layer_text(text))
    with Redis.from_url(place.environment["REDIS_URL"]) as redis:
        group = next(name for name in redis.pubsub_channels() if str(name).endswith(".state'"))
        before = web.memory_info().rss
        for turn in range(50):
            for _ in range(50):
                redis.publish(group, wire)
            mark = live.error(code=f"turn {turn}", message="")  # which nobody is spared
            redis.publish(group, serialize(live.layer_text(mark)))
            witness.until_told(code=f"turn {turn}")
    assert 50 * 50 * len(text) > 60e6
    assert web.memory_info().rss - before < 15e6
    _goes_on(witness)
    assert deaf.socket.code is None


def test_client_who_never_acks_gets_a_picture_now_and_then(dial):
    witness, silent = watching(dial), dial(acks=False)
    silent.until(lambda: silent.count() >= 1)
    before, seen, began = silent.count(), witness.count(), time.monotonic()
    while time.monotonic() - began < 4.0:
        silent.listen()
        witness.listen()
        time.sleep(0.01)
    assert 1 <= silent.count() - before <= 16  # two of each camera in two seconds
    assert witness.count() - seen > silent.count() - before


def test_worker_killed_leaves_stills_and_the_next_one_goes_on(dial, place):
    witness = watching(dial)
    place.processes["worker"].send_signal(signal.SIGKILL)
    place.processes.pop("worker").wait()
    witness.listen()
    seen = witness.count()
    newcomer = dial()
    newcomer.until(lambda: len(newcomer.frames) == len(CAMERAS))
    assert all(header["still"] for some in newcomer.frames.values() for header, _, _ in some)
    newcomer.until(lambda: _session_state(newcomer) == "waiting")
    place.start_worker()
    for client, before in ((witness, seen), (newcomer, 0)):
        client.until_count(before + 8)
        assert client.socket.code is None


def test_redis_killed_says_try_again_and_comes_back(dial, place):
    witness = watching(dial)
    place.stop_redis()
    witness.until(lambda: witness.socket.code is not None)
    assert witness.socket.code == 4503
    during = dial()
    during.until(lambda: during.socket.code is not None)
    assert during.socket.code == 4503
    place.start_redis()

    def is_live() -> bool:
        client = dial()
        try:
            client.until(lambda: client.socket.code is not None or client.count() > 0, bound_s=20.0)
        except TimeoutError:
            return False
        return bool(client.count())

    servers.wait_for(is_live, timeout_s=BOUND_S)


def _session_state(client: Client) -> str | None:
    told = [text for text in client.texts if text["type"] == "status"]
    return None if not told or told[-1]["session"] is None else str(told[-1]["session"]["state"])


def _goes_on(witness: Client) -> None:
    """Check that frames of all cameras go on coming to somebody."""
    witness.listen()
    before = {camera: len(witness.frames[camera]) for camera in list(witness.frames)}
    witness.until(lambda: all(len(witness.frames[camera]) > count for camera, count in before.items()))
    assert witness.socket.code is None
