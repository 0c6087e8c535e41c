"""The lossy sink, over a real Redis."""

import json
import logging
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import redis
from channels_redis.serializers import registry

from gpuworker.pipeline.values import CameraHealth, CameraShift, Event
from gpuworker.sinks.backlog import Waiting
from gpuworker.sinks.identifiers import event_id
from gpuworker.sinks.live import LiveSink
from gpuworker.sinks.status import StatusBoard
from tests.gpuworker.made import at, frame, redis_in_use, result, sighting
from tests.servers import run_redis, short_folder, wait_for
from tracking import live

ENVIRONMENT = 7


class Viewer:
    """Listens, as a web process does, to everything that is published."""

    def __init__(self, url: str):
        self.redis: redis.Redis = redis.Redis.from_url(url)
        self._serializer = registry.get_serializer("msgpack")
        self._pubsub = self.redis.pubsub(ignore_subscribe_messages=True)
        self._pubsub.psubscribe("spoton__group__*")
        self.messages: list[tuple[str, dict]] = []

    def poll(self) -> None:
        while (message := self._pubsub.get_message(timeout=0.01)) is not None:
            group = message["channel"].decode().removeprefix("spoton__group__")
            self.messages.append((group, self._serializer.deserialize(message["data"])))

    def texts(self, kind: str) -> list[dict]:
        self.poll()
        texts = [json.loads(text) for _, m in self.messages for text in m.get("texts", [m.get("text", "{}")])]
        return [text for text in texts if text.get("type") == kind]

    def frames(self, camera: str, tier: str) -> list[tuple[dict, bytes]]:
        self.poll()
        group = live.frames_group(ENVIRONMENT, camera, tier)
        return [live.unpack_frame(m["data"]) for g, m in self.messages if g == group]

    def watch(self, camera: str, tier: str) -> None:
        self.redis.set(live.demand_key(ENVIRONMENT, camera, tier), 1)

    def unwatch(self, camera: str, tier: str) -> None:
        self.redis.delete(live.demand_key(ENVIRONMENT, camera, tier))

    def close(self) -> None:
        self._pubsub.close()
        self.redis.close()


@pytest.fixture
def viewer(redis_url, settings):
    with redis_in_use(settings, redis_url):
        viewer = Viewer(redis_url)
        viewer.redis.flushall()
        yield viewer
        viewer.close()


@pytest.fixture
def make_sink(monkeypatch):
    monkeypatch.setattr("gpuworker.sinks.publisher.DEMAND_POLL_S", 0.05)
    sinks = []

    def make(clock=lambda: at(10)) -> LiveSink:
        cameras = ["c1", "c2"]
        session = {"id": 5, "state": "running", "message": "", "worker": "w"}
        board = StatusBoard(session=session, cameras=cameras)
        sinks.append(LiveSink(environment_id=ENVIRONMENT, cameras=cameras, board=board, clock=clock))
        return sinks[-1]

    yield make
    for sink in sinks:
        sink.close()


def test_last_status_is_kept_for_a_while_for_those_who_oversee(viewer, make_sink):
    sink = make_sink()
    sink.put(result(1.0, {7: 3}), [frame("c1", 1.0)])
    sink.show_session(state="paused", message="by hand")
    key = live.status_key(ENVIRONMENT)

    def is_told() -> bool:
        text = viewer.redis.get(key)
        return text is not None and json.loads(text)["session"]["state"] == "paused"

    wait_for(is_told)
    assert 0 < viewer.redis.ttl(key) <= live.NOW_TTL_S
    told = json.loads(viewer.redis.get(key))
    wait_for(lambda: told in viewer.texts("status"))


def test_positions_are_sent_each_tick(viewer, make_sink):
    sink = make_sink()
    for t in range(3):
        sink.put(result(t, {7: 3}), [])
    wait_for(lambda: len(viewer.texts("positions")) == 3)
    assert [m["at"][-5:] for m in viewer.texts("positions")] == ["00.000Z"[-5:]] * 3
    assert viewer.texts("positions")[0]["people"] == [
        {
            "person": 3,
            "track": 7,
            "x_m": 1.0,
            "y_m": 2.0,
            "vx_mps": 0.5,
            "vy_mps": 0.0,
            "std_m": 0.3,
            "cov_m2": [0.04, 0.0, 0.09],
            "cameras": ["c1", "c2"],
        }
    ]


def test_events_are_sent_with_the_id_that_the_database_has(viewer, make_sink):
    event = Event(
        kind="zone_enter", at=at(1), person=3, zone_id="z1", x_m=1.0, y_m=2.0, payload={"side": "left"}
    )
    sink = make_sink()
    sink.put(result(1, {7: 3}, events=[event]), [])
    sink.put_event(Event(kind="camera_offline", at=at(2), camera_id="c1"))
    wait_for(lambda: len(viewer.texts("event")) == 2)
    first, second = viewer.texts("event")
    assert first["id"] == str(event_id(environment_id=ENVIRONMENT, event=event))
    assert first["payload"] == {"side": "left", "x_m": 1.0, "y_m": 2.0}
    assert (second["kind"], second["camera"], second["person"]) == ("camera_offline", "c1", None)


def test_frames_are_encoded_only_while_somebody_watches(viewer, make_sink, monkeypatch):
    encoded: list[str] = []

    def encode(frame, tier):
        if tier.name != "medium":  # which now and then is kept, whoever watches
            encoded.append(tier.name)
        return b"jpeg"

    monkeypatch.setattr("gpuworker.sinks.publisher.encode", encode)
    sink = make_sink()
    sink.put(result(0), [frame(seq=0)])
    wait_for(lambda: viewer.texts("positions"))
    assert encoded == []

    def put_until(condition):
        def attempt():
            sink.put(result(1), [frame(seq=1)])
            return condition()

        wait_for(attempt)

    viewer.watch("c1", "low")
    put_until(lambda: viewer.frames("c1", "low"))
    viewer.unwatch("c1", "low")
    polls = count_polls(viewer)
    put_until(lambda: count_polls(viewer) >= polls + 2)
    before = len(encoded)
    ticks = len(viewer.texts("positions"))
    sink.put(result(2), [frame(seq=2)])
    wait_for(lambda: len(viewer.texts("positions")) > ticks)
    assert len(encoded) == before


def await_ticks(viewer, count: int) -> None:
    wait_for(lambda: len(viewer.texts("positions")) >= count)


def count_polls(viewer) -> int:
    stats = viewer.redis.info("commandstats")
    return int(stats.get("cmdstat_mget", {"calls": 0})["calls"])


def watched_frame(viewer, sink, tier: str, image, shown):
    """Put a frame until it is published in a tier; give the first."""
    viewer.watch("c1", tier)

    def attempt():
        sink.put(result(0, sightings=[shown]), [image])
        return viewer.frames("c1", tier)

    wait_for(attempt)
    return viewer.frames("c1", tier)[0]


def test_frame_holds_its_own_boxes_and_a_picture_of_the_tiers_width(viewer, make_sink):
    sink = make_sink(clock=lambda: at(0.25))
    header, jpeg = watched_frame(
        viewer, sink, "low", frame(width=768, height=480, seq=9), sighting("c1", 0.0, {7: 3}, nobody=2)
    )
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape == (240, 384, 3)
    assert {k: header[k] for k in ("camera", "seq", "width", "height", "tier")} == {
        "camera": "c1",
        "seq": 9,
        "width": 768,
        "height": 480,
        "tier": "low",
    }
    assert header["captured_at"].endswith("00:00.000Z")
    assert header["published_at"].endswith("00:00.250Z")
    # the second box of nobody is too unsure to be shown
    assert header["boxes"] == [
        {"xyxy": [0.0, 5.0, 8.0, 30.0], "confidence": 0.9, "track": 7, "person": 3},
        {"xyxy": [10.0, 5.0, 18.0, 30.0], "confidence": 0.6, "track": None, "person": None},
    ]


def test_frames_that_are_not_tracked_with_are_shown_without_boxes(viewer, make_sink):
    sink = make_sink()
    viewer.watch("c2", "low")

    def attempt():
        sink.put_frames([frame("c2", seq=4)])
        return viewer.frames("c2", "low")

    wait_for(attempt)
    header, _ = viewer.frames("c2", "low")[0]
    assert (header["seq"], header["boxes"]) == (4, [])
    assert viewer.texts("positions") == []


def test_the_newest_frame_of_a_camera_wins(make_sink, viewer, monkeypatch):
    sink = make_sink()
    watched_frame(viewer, sink, "high", frame(seq=0), sighting())
    with monkeypatch.context() as patch:
        patch.setattr(sink, "_notify", lambda: None)  # as if the sink were busy with the last tick
        for seq in (1, 2, 3):
            sink.put(result(0), [frame(seq=seq)])

    def attempt():
        sink.put(result(0), [frame(seq=3)])  # again, for the tier may not have been due
        return viewer.frames("c1", "high")[-1][0]["seq"] == 3

    wait_for(attempt)
    sent = [header["seq"] for header, _ in viewer.frames("c1", "high")]
    assert sent[-2:] == [0, 3]


def test_status_tells_states_at_once_and_figures(viewer, make_sink):
    sink = make_sink(clock=lambda: at(0.2))
    for t in range(3):
        told = replace(result(t / 10), health={"c1": CameraHealth(innovation=0.876, unexplained=None)})
        sink.put(told, [frame(seconds=0.1)])
    wait_for(lambda: any(m["cameras"][0]["age_ms"] for m in viewer.texts("status")))
    sink.show_camera("c1", "offline", "unplugged")
    sink.show_session(state="paused", message="")
    wait_for(lambda: viewer.texts("status")[-1]["session"]["state"] == "paused")
    status = viewer.texts("status")[-1]
    assert status["session"] == {
        "id": 5,
        "state": "paused",
        "message": "",
        "worker": "w",
        "recordings": None,
    }
    camera = status["cameras"][0]
    assert (camera["id"], camera["state"], camera["message"], camera["age_ms"]) == (
        "c1",
        "offline",
        "unplugged",
        100,
    )
    assert (camera["innovation"], camera["unexplained"]) == (0.88, None)
    assert status["stages"]["detect"] == {"p50_ms": 4.0, "p95_ms": 4.0}
    assert status["storage"] is None


@pytest.mark.parametrize(
    ("std_px", "told"), [(0.3, {"px": [12.3, -4.0], "m": [0.41, 0.1]}), (4.0, None), (float("nan"), None)]
)
def test_status_tells_how_far_off_a_camera_is_once_that_is_known(viewer, make_sink, std_px, told):
    sink = make_sink()
    shift = CameraShift("c1", np.array([12.34, -4.0]), std_px, np.array([0.412, 0.1]))
    sink.put(result(shifts=[shift]), [frame()])
    sink.show_camera("c1", "online", "")
    wait_for(lambda: viewer.texts("status") and viewer.texts("status")[-1]["cameras"][0]["state"] == "online")
    assert viewer.texts("status")[-1]["cameras"][0]["shift"] == told


@pytest.mark.parametrize("state", ["offline", "failed"])
def test_last_picture_of_a_camera_is_kept_when_it_goes(viewer, make_sink, state):
    sink = make_sink()
    key = live.still_key(ENVIRONMENT, "c1")

    def kept_seq():
        raw = viewer.redis.get(key)
        return None if raw is None else live.unpack_frame(raw)[0]["seq"]

    sink.put(result(0), [frame(seq=0), frame("c2", seq=5)])
    wait_for(lambda: kept_seq() == 0)
    for seq in (1, 2, 3):
        sink.put(result(seq), [frame(seq=seq)])
        await_ticks(viewer, seq + 1)
    assert kept_seq() == 1  # one now and then; the pace forgives the second
    sink.show_camera("c1", state, "unplugged")
    wait_for(lambda: kept_seq() == 3)
    header, picture = live.unpack_frame(viewer.redis.get(key))
    assert (header["still"], header["tier"], header["camera"]) == (True, "medium", "c1")
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR) is not None
    assert 0 < viewer.redis.ttl(key) <= live.STILL_TTL_S


def test_last_pictures_are_kept_at_the_end(viewer, make_sink):
    sink = make_sink()
    for seq in (1, 2):
        sink.put(result(seq), [frame(seq=seq)])
        await_ticks(viewer, seq)
    sink.close()
    header, _ = live.unpack_frame(viewer.redis.get(live.still_key(ENVIRONMENT, "c1")))
    assert header["seq"] == 2


def test_what_a_tick_tells_is_one_message(viewer, make_sink):
    sink = make_sink()
    events = [Event(kind="person_entered", at=at(1), person=n) for n in (1, 2)]
    sink.put(result(1, {7: 3}, events=events), [])
    wait_for(lambda: len(viewer.texts("event")) == 2)
    batches = [m["texts"] for _, m in viewer.messages if m["type"] == "live.texts"]
    kinds = [[json.loads(text)["type"] for text in batch] for batch in batches]
    assert kinds == [["positions", "event", "event"]]


def test_overload_is_told_and_pictures_become_cheaper(viewer, make_sink):
    sink = make_sink()
    shown = frame(width=1280, height=720, seq=1)
    _, fine = watched_frame(viewer, sink, "high", shown, sighting())
    sink.show_overload(step=4, steps=4, name="live quality", quality="low")
    wait_for(lambda: viewer.texts("status")[-1]["overload"] is not None)
    assert viewer.texts("status")[-1]["overload"] == {"step": 4, "steps": 4, "name": "live quality"}
    before = len(viewer.frames("c1", "high"))

    def attempt():
        sink.put(result(0), [shown])
        return len(viewer.frames("c1", "high")) > before

    wait_for(attempt)
    header, coarse = viewer.frames("c1", "high")[-1]
    assert header["tier"] == "high"
    pictures = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in (fine, coarse)]
    assert [np.asarray(picture).shape[1] for picture in pictures] == [1280, 384]


def test_status_tells_how_many_frames_newer_ones_overtook():
    board = StatusBoard(session={}, cameras=["c1"], span_s=60.0)
    dropped = {"c1": 0}
    board.watch_dropped(lambda: dict(dropped))
    assert json.loads(board.message(at=at(0)))["cameras"][0]["dropped_fps"] == 0.0
    began = time.monotonic()
    dropped["c1"] = 500
    wait_for(lambda: time.monotonic() - began > 0.1)
    told = json.loads(board.message(at=at(0)))["cameras"][0]["dropped_fps"]
    assert 0 < told <= 500 / 0.1


def test_who_is_where_now_is_kept_for_a_few_seconds(viewer, make_sink):
    sink = make_sink(clock=lambda: at(1))
    sink.show_camera("c1", "online", "")
    sink.put(result(1, {7: 3}), [])
    key = live.now_key(ENVIRONMENT)

    def value():
        raw = viewer.redis.get(key)
        return json.loads(raw) if raw else {"people": []}

    wait_for(lambda: value()["people"], timeout_s=5)
    assert (value()["people"][0]["person"], value()["cameras_up"]) == (3, 1)
    assert 0 < viewer.redis.ttl(key) <= live.NOW_TTL_S
    sink.close()
    assert value()["people"] == []
    wait_for(lambda: viewer.texts("status"))


def test_who_is_where_now_is_as_of_its_tick(viewer, make_sink):
    sink = make_sink(clock=lambda: at(3))
    key = live.now_key(ENVIRONMENT)

    def kept(number):
        sink.put(result(1 + number / 10, {7: 3}), [])
        value = json.loads(viewer.redis.get(key) or '{"people": []}')
        return value["people"] and value["at"] > live.isoformat(
            at(1)
        )  # nobody's place is known before the first tick

    numbers = iter(range(1, 10_000))
    wait_for(lambda: kept(next(numbers)))
    assert json.loads(viewer.redis.get(key))["people"][0]["person"] == 3
    sink.close()


def test_a_message_that_cannot_be_written_does_not_end_the_live_view(viewer, make_sink, caplog):
    sink = make_sink()
    sink.put(result(0, {7: 3}, x_m=float("nan")), [])
    wait_for(lambda: "A tick of the live view is dropped" in caplog.text)
    sink.put(result(1, {7: 3}), [])
    wait_for(lambda: viewer.texts("positions"))


def test_close_without_farewell_says_nothing(viewer, make_sink):
    sink = make_sink()
    wait_for(lambda: viewer.texts("status"))
    sink.show_session(state="running", message="")
    wait_for(lambda: len(viewer.texts("status")) > 1)
    said = len(viewer.texts("status"))
    sink.close(farewell=False)
    assert len(viewer.texts("status")) == said


def test_redis_away_and_back(settings, make_sink, caplog):
    caplog.set_level(logging.INFO, "gpuworker.sinks.live")
    with short_folder("spoton-live-") as folder, redis_in_use(settings, f"unix://{folder}/redis.sock"):
        with run_redis(folder) as url:
            viewer = Viewer(url)
            sink = make_sink()
            sink.put(result(0), [])
            wait_for(lambda: viewer.texts("positions"))
            viewer.close()
        wait_for(lambda: put_and_ask(sink, 1, lambda: "Redis is away" in caplog.text))
        for _ in range(5):
            sink.put(result(2), [frame()])
        with run_redis(folder) as url:
            viewer = Viewer(url)
            wait_for(lambda: put_and_ask(sink, 3, lambda: viewer.texts("positions")))
            viewer.close()
            sink.close()
    ours = [record.levelname for record in caplog.records if record.name == "gpuworker.sinks.live"]
    assert ours == ["WARNING", "INFO"]


def put_and_ask(sink, seconds: float, condition):
    started = time.monotonic()
    sink.put(result(seconds), [])
    assert time.monotonic() - started < 0.5
    return condition()


def test_status_says_what_waits_for_the_database():
    board = StatusBoard(session={"id": 1}, cameras=[])
    board.watch_storage(lambda: Waiting(9, 3, 1200, 2.345, 0))
    assert json.loads(board.message(at=at(0)))["storage"] == {
        "backlog_rows": 9,
        "memory_rows": 3,
        "oldest_s": 2.3,
        "spool_bytes": 1200,
        "dropped_rows": 0,
    }
