"""The reader of one camera: newest frame wins, reconnects, and never hangs its owner."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from gpuworker.pipeline.seams import EndOfSource, Source, SourceError, UnusableSourceError
from gpuworker.pipeline.values import Frame
from gpuworker.sources.reader import CameraReader

AT = datetime(2026, 1, 1, tzinfo=UTC)
PATIENCE_S = 5.0


def frame(seq: int) -> Frame:
    return Frame("cam", seq, AT, np.zeros((2, 2, 3), np.uint8))


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


class Scripted:
    """A source that follows a script: frames to give, errors to raise; then it waits until closed."""

    live = True

    def __init__(self, *script: Frame | Exception) -> None:
        self.script = list(script)
        self.closed = threading.Event()

    def read(self) -> Frame | None:
        if not self.script:
            self.closed.wait(0.01)
            return None
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed.set()


class Opened:
    """Opens scripted sources one after the other; the last one again and again."""

    def __init__(self, *sources: Source | Exception) -> None:
        self.sources = list(sources)
        self.count = 0

    def __call__(self) -> Source:
        source = self.sources[min(self.count, len(self.sources) - 1)]
        self.count += 1
        if isinstance(source, Exception):
            raise source
        return source


Make = Callable[..., tuple[CameraReader, list[tuple[str, str]]]]


@pytest.fixture
def make() -> Iterator[Make]:
    readers: list[CameraReader] = []

    def reader_of(*sources: Source | Exception, **options) -> tuple[CameraReader, list[tuple[str, str]]]:
        states: list[tuple[str, str]] = []
        settings = {"watchdog_s": 10.0, "backoff_s": (0.002, 0.01)} | options
        reader = CameraReader(
            "c1",
            Opened(*sources),
            lambda _, state, message: states.append((state, message)),
            **settings,  # type: ignore[arg-type]
        )
        readers.append(reader)
        return reader, states

    yield reader_of
    for reader in readers:
        reader.stop()


def test_newest_frame_wins_and_dropped_ones_are_counted(make):
    arrived = threading.Event()
    source = Scripted(frame(0), frame(1), frame(2))
    reader, _ = make(source, wake=arrived.set)
    until(lambda: not source.script and reader.dropped == 2)
    assert arrived.is_set()
    taken = reader.take()
    assert taken is not None
    assert taken.seq == 2
    assert reader.take() is None


def test_states_follow_the_camera(make):
    reader, states = make(Scripted(frame(0), EndOfSource("the film is over")))
    until(lambda: reader.state == "ended")
    assert states == [("connecting", ""), ("online", ""), ("ended", "the film is over")]
    assert reader.take() is not None


def test_broken_camera_is_opened_again_and_its_count_goes_on(make):
    second = Scripted(frame(0))
    reader, states = make(Scripted(frame(0), frame(1), SourceError("cable pulled")), second)
    until(lambda: reader.state == "online" and not second.script)
    assert [state for state, _ in states] == ["connecting", "online", "offline", "connecting", "online"]
    assert ("offline", "cable pulled") in states
    taken = reader.take()
    assert taken is not None
    assert taken.seq == 2  # after 0 and 1 of the first connection


def test_camera_that_can_never_work_is_not_tried_again(make):
    opened = Opened(UnusableSourceError("no such file"))
    states: list[str] = []
    reader = CameraReader("c1", opened, lambda _, state, __: states.append(state))
    until(lambda: reader.state == "failed")
    reader.stop()
    assert opened.count == 1
    assert states == ["connecting", "failed"]


@pytest.mark.parametrize("end", [EndOfSource("the film is over"), UnusableSourceError("no such file")])
def test_what_ended_is_opened_anew_when_that_is_asked(make, end):
    reader, states = make(Scripted(frame(0), end), Scripted(frame(0)))
    until(lambda: reader.state in ("ended", "failed"))
    reader.reopen()
    assert reader.take() is None  # of the moment that is not wanted any more
    until(lambda: [state for state, _ in states[2:]] == [reader_end(end), "connecting", "online"])
    taken = reader.take()
    assert taken is not None
    assert taken.seq == 1


def test_what_goes_on_is_opened_anew_when_that_is_asked(make):
    first, second = Scripted(frame(0)), Scripted(frame(0))
    reader, states = make(first, second)
    until(lambda: reader.state == "online")
    reader.reopen()
    until(lambda: not second.script)
    until(lambda: [state for state, _ in states] == ["connecting", "online"] * 2)
    reader.pause()
    reader.reopen()
    until(lambda: reader.state == "off")


def reader_end(end: Exception) -> str:
    return "ended" if isinstance(end, EndOfSource) else "failed"


def test_waiting_grows_between_attempts(monkeypatch, make):
    reader, _ = make(SourceError("off"), backoff_s=(0.01, 0.04))
    waits: list[float] = []
    rest = reader._rest

    def noted_rest(delay_s: float) -> None:
        waits.append(delay_s)
        rest(delay_s)

    monkeypatch.setattr(reader, "_rest", noted_rest)
    until(lambda: len(waits) >= 6)
    assert max(waits) <= 0.04 * 1.25
    assert sum(waits[-2:]) / 2 > 0.04 * 0.7


def test_silent_camera_is_given_up_and_opened_again(make):
    silent, talking = Scripted(frame(0)), Scripted(frame(0))
    reader, states = make(silent, talking, watchdog_s=0.05)
    until(lambda: not talking.script and reader.state == "online")
    assert ("offline", "no frame for 0.05 s") in states
    until(silent.closed.is_set)


class Hanging:
    """A source whose read does not come back until it is let go."""

    live = True

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.is_reading = threading.Event()

    def read(self) -> Frame | None:
        self.is_reading.set()
        self.let_go.wait(PATIENCE_S)
        return frame(99)

    def close(self) -> None:
        """Nothing to release."""


def test_stop_returns_although_a_read_hangs(make):
    hanging = Hanging()
    reader, _ = make(hanging)
    assert hanging.is_reading.wait(PATIENCE_S)
    begin = time.monotonic()
    reader.stop(timeout_s=0.1)
    assert time.monotonic() - begin < 1.0
    hanging.let_go.set()
    assert reader.take() is None


def test_hanging_reads_are_given_up_but_never_pile_up(make):
    hanging = Hanging()
    opened = Opened(hanging)
    reader = CameraReader("c1", opened, lambda *_: None, watchdog_s=0.01, backoff_s=(0.001, 0.002))
    until(lambda: opened.count == 3)
    for _ in range(20):  # twenty times the back-off
        reader._changed.set()
        time.sleep(0.002)
    assert opened.count == 3
    hanging.let_go.set()  # the old reads end and their late frames are ignored
    until(lambda: opened.count > 3)
    reader.stop()


def test_pause_lets_go_of_the_camera_and_resume_takes_it_again(make):
    first, second = Scripted(frame(0)), Scripted(frame(0))
    reader, states = make(first, second)
    until(lambda: reader.state == "online")
    reader.pause()
    until(lambda: reader.state == "off" and first.closed.is_set())
    assert reader.take() is None
    assert second.script
    reader.resume()
    until(lambda: reader.state == "online" and not second.script)
    assert [state for state, _ in states] == ["connecting", "online", "off", "connecting", "online"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_reader_survives_an_unexpected_error_of_its_source(make):
    second = Scripted(frame(0))
    reader, states = make(Scripted(RuntimeError("a bug")), second)
    until(lambda: reader.state == "online")
    assert ("offline", "reading stopped unexpectedly: see the worker's log") in states


def test_stop_ends_a_reader_that_waits_to_try_again(make):
    reader, _ = make(SourceError("off"), backoff_s=(60.0, 60.0))
    until(lambda: reader.state == "offline")
    begin = time.monotonic()
    reader.stop()
    assert time.monotonic() - begin < 1.0
