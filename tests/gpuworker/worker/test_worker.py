"""Sessions claimed, carried out, paused, lost, failed and given back."""

import json
import logging
import queue
import threading
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from django.db import OperationalError, connection

from environments.models import Calibration, Camera
from gpuworker.pipeline.ladder import EFFORTS
from gpuworker.pipeline.seams import (
    AcceleratorFullError,
    AcceleratorLostError,
    EndOfSource,
    UnusableSourceError,
)
from gpuworker.pipeline.values import Event, Frame
from gpuworker.worker import Parts, Worker, WorkerCrashedError
from tests.factories import (
    T0,
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    TrackingSessionFactory,
    ZoneFactory,
)
from tests.gpuworker.made import at, frame, points, result, sighting
from tests.servers import wait_for
from tracking.choices import DesiredState
from tracking.models import Counter, Track, TrackEvent, TrackingSession, TrackPoint
from tracking.services import LEASE, Wish, session_ask

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """A wall clock that a test moves."""

    def __init__(self):
        self.now = T0

    def __call__(self):
        return self.now


class Source:
    """Gives what a test puts into it; an exception is raised."""

    live = True

    def __init__(self, items: "queue.Queue[Frame | Exception]"):
        self._items = items

    def read(self) -> Frame | None:
        try:
            item = self._items.get(timeout=0.02)
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        pass


@dataclass
class Site:
    """Fake cameras by source URL, and what was tracked."""

    items: dict[str, "queue.Queue[Frame | Exception]"] = field(default_factory=dict)
    broken: dict[str, Exception] = field(default_factory=dict)
    seen: list[tuple[str, ...]] = field(default_factory=list)
    sites: list = field(default_factory=list)
    fault: Exception | None = None
    efforts: list[str] = field(default_factory=list)
    enough: str = ""
    events: list[Event] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, url, *, camera_id, started_at, worlds, speed):
        if url in self.broken:
            raise self.broken[url]
        with self.lock:
            return Source(self.items.setdefault(url, queue.Queue()))

    def give(self, url: str, item: Frame | Exception) -> None:
        with self.lock:
            self.items.setdefault(url, queue.Queue()).put(item)

    def make_pipeline(self, site, take_track, take_person, name):
        self.sites.append(site)
        return Pipeline(self, take_track(), take_person())


class Pipeline:
    """Sees one person in every frame."""

    embedder = ""

    def __init__(self, site: Site, track: int, person: int):
        self._site, self._tracks = site, {track: person}

    def step(self, frames):
        if self._site.fault is not None:
            raise self._site.fault
        self._site.seen.append(tuple(sorted(f.camera_id for f in frames)))
        at_s = (frames[0].captured_at - T0).total_seconds()
        return result(
            at_s,
            self._tracks,
            sightings=[sighting(f.camera_id, at_s, self._tracks) for f in frames],
            events=self._site.events,
        )

    def ease(self, effort):
        self._site.efforts.append(effort.name)
        if effort.name == self._site.enough:
            self._site.fault = None

    def unsettled(self):
        return points(8.0, self._tracks if self._site.seen else {})

    def finish(self):
        return points(9.0, self._tracks if self._site.seen else {})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site():
    return Site()


@pytest.fixture
def make_worker(site, clock, monkeypatch, settings, tmp_path):
    monkeypatch.setattr("gpuworker.sinks.rows.WRITE_S", 0.02)
    monkeypatch.setattr("gpuworker.sinks.rows.WRITE_S", 0.02)
    settings.SPOTON_SPOOL = tmp_path / "spool"
    workers = []

    def make(name="one", **options) -> Worker:
        parts = Parts(open_source=site.open, make_pipeline=site.make_pipeline, clock=clock)
        workers.append(Worker(name=name, parts=parts, **options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.stop()
        worker.close(clock())


@pytest.fixture
def plaza():
    """Make an environment with two calibrated cameras and an open session."""
    return make_environment("plaza")


def make_environment(slug: str) -> TrackingSession:
    environment = EnvironmentFactory.create(slug=slug)
    for key in ("c1", "c2"):
        camera = CameraFactory.create(environment=environment, key=key, source_url=f"sim://{slug}/{key}")
        CalibrationFactory.create(camera=camera)
    session: TrackingSession = TrackingSessionFactory.create(environment=environment)
    return session


def picture(key: str, seconds: float = 0.0, *, seq: int = 0, width: int = 640) -> Frame:
    """Give a frame of the size that cameras have here."""
    return frame(key, seconds, seq=seq, width=width, height=480)


def drive(worker: Worker, clock: Clock, until) -> None:
    """Let a worker work, both its threads' parts in turn, until something holds."""

    def attempt():
        worker.step()
        worker.attend(clock())
        return until()

    wait_for(attempt)


def state_of(session: TrackingSession) -> tuple[str, str]:
    session.refresh_from_db()
    return session.actual_state, session.worker


def camera_states() -> dict[str, tuple[str, str]]:
    return {c.key: (c.state, c.state_message) for c in Camera.objects.all()}


def test_worker_carries_a_session_out(make_worker, site, clock, plaza):
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza) == ("running", "one"))
    assert plaza.started_at == T0
    for i in range(3):
        site.give("sim://plaza/c1", picture("c1", i / 10, seq=i))
        drive(worker, clock, lambda i=i: len(site.seen) == i + 1)
    drive(worker, clock, lambda: TrackPoint.objects.exists())
    assert Track.objects.get().session == plaza
    assert set(site.sites[0].cameras) == {"c1", "c2"}
    worker.close(clock())
    assert [p.time for p in TrackPoint.objects.order_by("time")] == [at(t) for t in (0, 0.1, 0.2, 9)]


def test_of_two_workers_one_gets_the_session_and_the_other_follows(make_worker, clock, plaza):
    first, second = make_worker("one"), make_worker("two")
    first.attend(clock())
    second.attend(clock())
    assert (len(first.claims), len(second.claims)) == (1, 0)
    drive(first, clock, lambda: state_of(plaza) == ("running", "one"))
    first.close(clock())
    assert state_of(plaza) == ("waiting", "")
    second.attend(clock())
    assert state_of(plaza) == ("starting", "two")


def test_numbers_left_over_go_back_when_a_worker_ends(make_worker, clock, plaza):
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza) == ("running", "one"))
    counter = Counter.objects.get(name=f"persons:{plaza.environment_id}")
    assert counter.next_value > 100
    worker.close(clock())
    counter.refresh_from_db()
    assert counter.next_value == 2  # the pipeline of these tests takes one


def test_lease_is_renewed_long_before_it_ends(make_worker, clock, plaza):
    worker = make_worker()
    worker.attend(clock())
    for _ in range(6):
        clock.now += LEASE / 3
        worker.attend(clock())
    plaza.refresh_from_db()
    assert plaza.lease_expires_at == clock.now + LEASE


def test_lost_lease_stops_the_session_and_leaves_its_row(make_worker, site, clock, plaza, caplog):
    worker = make_worker()
    site.give("sim://plaza/c1", picture("c1"))
    drive(worker, clock, lambda: camera_states()["c1"][0] == "online")
    run = worker.claims[0].run
    TrackingSession.objects.update(worker="two", epoch=9, actual_state="running", message="mine")
    worker.attend(clock())
    assert worker.claims == ()
    plaza.refresh_from_db()
    assert (plaza.worker, plaza.actual_state, plaza.message, plaza.epoch) == ("two", "running", "mine", 9)
    assert camera_states()["c1"][0] == "online"
    assert "no longer held" in caplog.text
    seen = len(site.seen)
    site.give("sim://plaza/c1", picture("c1", 1.0))
    run.tick(1e9)
    assert len(site.seen) == seen


def test_nothing_is_tracked_after_a_long_sleep_until_the_lease_is_renewed(make_worker, site, clock, plaza):
    worker = make_worker()
    drive(worker, clock, lambda: worker.claims[0].run)
    clock.now += LEASE * 2
    site.give("sim://plaza/c1", picture("c1"))
    run = worker.claims[0].run
    wait_for(lambda: run.readers["c1"].state == "online")
    worker.step()
    assert site.seen == []
    drive(worker, clock, lambda: site.seen == [("c1",)])


def test_pause_resume_and_stop_are_obeyed(make_worker, site, clock, plaza):
    worker = make_worker()
    site.give("sim://plaza/c1", picture("c1", 0.0))
    drive(worker, clock, lambda: site.seen)
    session_ask(session=plaza, desired_state=DesiredState.PAUSED, now=clock())
    drive(worker, clock, lambda: state_of(plaza)[0] == "paused" and camera_states()["c1"][0] == "off")
    seen = len(site.seen)
    session_ask(session=plaza, desired_state=DesiredState.RUNNING, now=clock())
    drive(worker, clock, lambda: state_of(plaza)[0] == "running" and camera_states()["c1"][0] == "connecting")

    def is_tracked_again():
        site.give("sim://plaza/c1", picture("c1", 1.0))  # the reader that was let go may still take one
        return len(site.seen) > seen

    drive(worker, clock, is_tracked_again)
    session_ask(session=plaza, desired_state=DesiredState.STOPPED, now=clock())
    worker.attend(clock())
    assert state_of(plaza) == ("stopped", "")
    assert plaza.stopped_at == T0
    assert {state for state, _ in camera_states().values()} == {"off"}
    assert worker.claims == ()


def test_a_camera_that_fails_degrades_alone(make_worker, site, clock, plaza):
    site.broken["sim://plaza/c2"] = UnusableSourceError("no such camera: check its address")
    site.give("sim://plaza/c1", picture("c1"))
    worker = make_worker()
    drive(worker, clock, lambda: site.seen == [("c1",)])
    drive(
        worker, clock, lambda: camera_states()["c1"][0] == "online" and camera_states()["c2"][0] == "failed"
    )
    assert camera_states()["c2"] == ("failed", "no such camera: check its address")
    drive(worker, clock, lambda: TrackEvent.objects.filter(kind__startswith="camera").count() == 2)
    events = TrackEvent.objects.filter(kind__startswith="camera")
    assert {(e.kind, e.camera and e.camera.key) for e in events} == {
        ("camera_online", "c1"),
        ("camera_offline", "c2"),
    }
    assert state_of(plaza)[0] == "running"


def test_a_bad_calibration_degrades_alone(make_worker, site, clock, plaza):
    Calibration.objects.filter(camera__key="c2").update(h_image_to_world=[[0, 0, 0], [0, 0, 0], [0, 0, 0]])
    worker = make_worker()
    for key in ("c1", "c2"):
        site.give(f"sim://plaza/{key}", picture(key))
    drive(worker, clock, lambda: {key for tick in site.seen for key in tick} == {"c1", "c2"})
    drive(worker, clock, lambda: camera_states()["c2"][0] == "online")
    assert set(site.sites[0].cameras) == {"c1"}
    assert camera_states()["c2"][1] != ""
    assert camera_states()["c1"][1] == ""


def test_a_picture_of_another_size_is_shown_but_not_tracked_with(make_worker, site, clock, plaza):
    worker = make_worker()
    for i in range(2):
        site.give("sim://plaza/c1", picture("c1", seq=i))
        site.give("sim://plaza/c2", picture("c2", seq=i, width=320))
        drive(worker, clock, lambda i=i: len(site.seen) == i + 1)
    drive(worker, clock, lambda: "gives 320 x 480 px but is set up as 640 x 480" in camera_states()["c2"][1])
    assert camera_states()["c2"][0] == "online"
    assert camera_states()["c1"] == ("online", "")
    assert site.seen == [("c1",), ("c1",)]


def test_a_camera_that_moved_is_stored_and_says_so(make_worker, site, clock, plaza):
    payload = {"moved_px": 20.3, "moved_m": 0.8, "before_px": [1.0, 0.0], "after_px": [21.0, 3.0]}
    site.events.append(Event("camera_moved", T0, camera_id="c2", payload=payload))
    worker = make_worker()
    site.give("sim://plaza/c2", picture("c2"))
    drive(worker, clock, lambda: "has moved by 20.3 px (0.8 m on the floor)" in camera_states()["c2"][1])
    assert camera_states()["c2"][0] == "online"
    drive(worker, clock, TrackEvent.objects.filter(kind="camera_moved").exists)
    stored = TrackEvent.objects.values_list("camera__key", "payload").get(kind="camera_moved")
    assert stored == ("c2", payload)


def test_a_session_that_raises_fails_alone_and_is_given_back(
    make_worker, site, clock, plaza, caplog, monkeypatch
):
    other = make_environment("yard")
    worker = make_worker()
    drive(worker, clock, lambda: (state_of(plaza)[0], state_of(other)[0]) == ("running", "running"))
    run = next(c for c in worker.claims if c.session == plaza).run
    monkeypatch.setattr(run._easing, "_pipeline", Pipeline(Site(fault=ZeroDivisionError("oh")), 1, 1))
    site.give("sim://plaza/c1", picture("c1"))
    drive(worker, clock, lambda: state_of(plaza)[0] == "failed")
    assert plaza.message == "ZeroDivisionError: oh"
    assert "Traceback" in caplog.text
    site.give("sim://yard/c1", picture("c1"))
    drive(worker, clock, lambda: site.seen == [("c1",)])
    assert state_of(other)[0] == "running"
    monkeypatch.setattr(next(c for c in worker.claims if c.session == plaza), "give_back_s", 0.0)
    drive(worker, clock, lambda: state_of(plaza)[0] == "running")


def test_changed_cameras_and_zones_are_followed_without_a_restart(
    make_worker, site, clock, plaza, monkeypatch
):
    monkeypatch.setattr("gpuworker.worker.claim.LOOK_S", 0.0)
    worker = make_worker()
    site.give("sim://plaza/c1", picture("c1"))
    drive(worker, clock, lambda: site.seen == [("c1",)] and camera_states()["c1"][0] == "online")
    Camera.objects.filter(key="c2").update(enabled=False)
    added = CameraFactory.create(environment=plaza.environment, key="c3", source_url="sim://plaza/c3")
    CalibrationFactory.create(camera=added)
    ZoneFactory.create(environment=plaza.environment, key="z1")
    drive(worker, clock, lambda: len(site.sites) > 1 and "c3" in site.sites[-1].cameras)
    assert set(site.sites[-1].cameras) == {"c1", "c3"}
    assert [zone.zone_id for zone in site.sites[-1].zones] == ["z1"]

    def are_seen_again():
        for key in ("c1", "c3"):
            site.give(f"sim://plaza/{key}", picture(key, 1.0))
        return {key for tick in site.seen[1:] for key in tick} == {"c1", "c3"}

    drive(worker, clock, are_seen_again)
    drive(worker, clock, lambda: state_of(plaza)[0] == "running" and camera_states()["c1"][0] == "online")
    assert camera_states()["c2"][0] == "off"
    drive(worker, clock, lambda: TrackEvent.objects.filter(kind="camera_online", camera=added).exists())
    # the first camera was up all the time, as far as people are concerned
    assert TrackEvent.objects.filter(kind="camera_online").count() == 2


def test_an_environment_without_cameras_fails_in_words(make_worker, clock):
    session = TrackingSessionFactory.create(environment__name="Yard")
    worker = make_worker()
    drive(worker, clock, lambda: state_of(session)[0] == "failed")
    assert session.message == "Yard has no camera that is enabled: add one"


def test_only_environments_asked_for_are_claimed(make_worker, clock, plaza):
    yard = make_environment("yard")
    worker = make_worker(environment_slugs=["yard"])
    drive(worker, clock, lambda: state_of(yard)[0] == "running")
    assert state_of(plaza) == ("waiting", "")


def test_tracking_goes_on_while_the_database_is_away(make_worker, site, clock, plaza, caplog, monkeypatch):
    caplog.set_level(logging.INFO, "gpuworker.worker.worker")
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza)[0] == "running")

    def away(**_):
        raise OperationalError("server closed the connection")

    with monkeypatch.context() as patch:
        patch.setattr("gpuworker.worker.lease.session_renew", away)
        for _ in range(8):
            clock.now += LEASE / 2
            worker.attend(clock())
        site.give("sim://plaza/c1", picture("c1"))
        wait_for(lambda: worker.step() and site.seen)
    worker.attend(clock())
    messages = [r.getMessage() for r in caplog.records if r.name == "gpuworker.worker.worker"]
    assert len([m for m in messages if "The database is away" in m]) == 1
    assert len([m for m in messages if "The database is back" in m]) == 1
    assert state_of(plaza) == ("running", "one")


def test_tracking_goes_on_while_the_database_takes_its_time(make_worker, site, clock, plaza, monkeypatch):
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza)[0] == "running")
    asked, answers = threading.Event(), threading.Event()

    def slow(**_):
        asked.set()
        answers.wait(10)
        return Wish(DesiredState.RUNNING, None)

    def attend():
        worker.attend(clock())
        connection.close()

    with monkeypatch.context() as patch:
        patch.setattr("gpuworker.worker.lease.session_renew", slow)
        clock.now += LEASE / 2
        control = threading.Thread(target=attend)
        control.start()
        assert asked.wait(10)
        clock.now += LEASE * 3
        site.give("sim://plaza/c1", picture("c1"))
        wait_for(lambda: worker.step() and site.seen)
        answers.set()
        control.join()


def test_once_ends_when_recordings_have_ended(make_worker, site, clock, plaza):
    for key in ("c1", "c2"):
        for i in range(3):
            site.give(f"sim://plaza/{key}", picture(key, i / 10, seq=i))
        site.give(f"sim://plaza/{key}", EndOfSource("the recording is over"))
    worker = make_worker(once=True)
    ended = threading.Thread(target=worker.run)
    ended.start()
    ended.join(timeout=15)
    assert not ended.is_alive()
    assert state_of(plaza) == ("stopped", "")
    assert plaza.message == "all recordings have ended"
    assert Track.objects.count() == 1


def test_a_deleted_environment_ends_its_session_alone(make_worker, site, clock, plaza):
    yard = make_environment("yard")
    worker = make_worker()
    drive(worker, clock, lambda: (state_of(plaza)[0], state_of(yard)[0]) == ("running", "running"))
    plaza.environment.delete()
    drive(worker, clock, lambda: len(worker.claims) == 1)
    site.give("sim://yard/c1", picture("c1"))
    drive(worker, clock, lambda: site.seen == [("c1",)])


def test_a_fault_of_the_worker_itself_is_no_silent_end(make_worker, clock, plaza, monkeypatch, caplog):
    worker = make_worker()
    monkeypatch.setattr(worker, "_claim", lambda now: 1 / 0)
    with pytest.raises(WorkerCrashedError):
        worker.run()
    assert "ZeroDivisionError" in caplog.text


def test_once_with_nothing_to_do_ends_at_once(make_worker):
    worker = make_worker(once=True)
    ended = threading.Thread(target=worker.run)
    ended.start()
    ended.join(timeout=15)
    assert not ended.is_alive()


def test_a_loop_that_is_stuck_leaves_its_sessions_to_others(make_worker, clock, plaza, monkeypatch, caplog):
    worker = make_worker()
    worker.attend(clock())
    monkeypatch.setattr(worker, "_beat_s", -1e9)
    clock.now += LEASE + timedelta(seconds=1)
    worker.attend(clock())
    worker.attend(clock())
    plaza.refresh_from_db()
    assert plaza.lease_expires_at < clock.now
    assert caplog.text.count("The loop is stuck") == 1


def test_an_accelerator_that_fails_ends_the_worker_and_frees_its_sessions(
    make_worker, site, clock, plaza, caplog
):
    worker = make_worker()
    running = threading.Thread(target=lambda: ended.append(failure_of(worker)))
    ended: list[BaseException | None] = []
    running.start()
    wait_for(lambda: state_of(plaza)[0] == "running")
    site.fault = AcceleratorLostError("net: the accelerator failed (CUDA error: unspecified launch failure)")
    site.give("sim://plaza/c1", picture("c1"))
    running.join(timeout=60)
    assert ended == [site.fault]
    assert "the worker ends" in caplog.text
    plaza.refresh_from_db()
    assert plaza.lease_expires_at is None
    assert plaza.message == str(site.fault)
    assert plaza.desired_state == "running"  # another worker goes on
    assert not TrackPoint.objects.exists()


def failure_of(worker: Worker) -> BaseException | None:
    try:
        worker.run()
    except AcceleratorLostError as error:
        return error
    return None


def test_memory_that_is_full_makes_a_session_do_less_and_say_so(make_worker, site, clock, plaza):
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza)[0] == "running")
    site.fault = AcceleratorFullError("net: the accelerator's memory is full")
    site.give("sim://plaza/c1", picture("c1"))
    drive(worker, clock, lambda: state_of(plaza)[0] == "failed")
    assert site.efforts == [effort.name for effort in EFFORTS[1:]]
    assert plaza.message == "AcceleratorFullError: net: the accelerator's memory is full"


def test_less_effort_is_told_and_costs_no_tick(make_worker, site, clock, plaza):
    worker = make_worker()
    drive(worker, clock, lambda: state_of(plaza)[0] == "running")
    site.fault, site.enough = AcceleratorFullError("the accelerator's memory is full"), EFFORTS[3].name
    site.give("sim://plaza/c1", picture("c1"))
    drive(worker, clock, lambda: site.seen == [("c1",)])
    told = json.loads(worker.claims[0].run.board.message(at=T0))
    assert told["overload"] == {"step": 3, "steps": len(EFFORTS) - 1, "name": EFFORTS[3].name}
    assert worker.claims[0].run.live._worst_tier == EFFORTS[3].quality == "low"
