"""A process that feeds the lossless sink with the same rows every time, to be killed by tests and measured.

Like a worker it smooths what is stored, and a tick is published once the sink has taken it in: the file ``progress`` in its
folder says which ticks were begun and which were published. Whoever goes on after its end begins with the tick after
those, with tracks of their own, as after a restart.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from environments.services import camera_add, environment_create
from gpuworker.pipeline.settings import SmoothingSettings
from gpuworker.pipeline.smoothing import Smoother
from gpuworker.pipeline.tracks import Tracks
from gpuworker.pipeline.values import Detections, Event, People, Sighting, StepResult
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from gpuworker.worker.garbage import garbage_search_shorten
from gpuworker.worker.run import SEEN_S
from tests.gpuworker.made import at
from tracking.services import session_start

ROOT = Path(__file__).resolve().parents[3]
Fingerprint = dict[str, tuple[int, str]]
OWN_TRACKS = 10**6  # ids that a process has for itself
ACCELERATION_PSD = 0.18  # m^2/s^3
CHILD = "import django; django.setup(); from tests.gpuworker.sinks.feeding import main; main()"
TABLES = {
    "tracking_person": "id, environment_id, number, first_seen_at, last_seen_at",
    "tracking_track": "id, session_id, person_id, started_at, ended_at",
    # not which camera took over: a worker that begins anew does not know which one had somebody
    "tracking_trackpoint": "time, environment_id, track_id, x_m, y_m, vx_mps, vy_mps, var_x_m2, cov_xy_m2, var_y_m2, cameras, zones, handover",
    "tracking_detection": "time, camera_id, ordinal, track_id, left_px, top_px, right_px, bottom_px, confidence",
    "tracking_trackevent": "id, time, environment_id, kind, person_id, track_id, zone_id, previous_zone_id, camera_id, x_m, y_m, payload",
}


@dataclass(frozen=True, slots=True)
class Feed:
    """What is fed.

    Attributes:
        folder: of the spools and of the file ``progress``.
        first, last: ticks, the last one not included; a tick is 0.1 s of the place's time.
        people: a tick: as many points and, over the cameras, as many boxes; an event each ten ticks.
        tick_s: between two ticks; 0 for as fast as it goes.
        lag_s, interval_s: of the smoother.
        max_bytes: of the spool.
        file_bytes: how long the system lets any file become, as a disk that is full would; None for any length.
        report: name of a file in the folder for a line a second about what waits; empty for none.
    """

    folder: str
    first: int
    last: int
    people: int = 10
    tick_s: float = 0.005
    lag_s: float = 1.0
    interval_s: float = 0.3
    max_bytes: int = 10**9
    file_bytes: int | None = None
    report: str = ""


def fingerprint(url: str) -> Fingerprint:
    """Give by table how many rows there are and a checksum of all that they hold."""
    with psycopg.connect(url.replace("timescale://", "postgres://", 1)) as connection:
        found = {}
        for table, columns in TABLES.items():
            row = connection.execute(
                f"SELECT count(*), coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') "  # noqa: S608
                f"FROM (SELECT {columns} FROM {table}) t"
            ).fetchone()
            assert row is not None
            found[table] = (int(row[0]), str(row[1]))
        return found


def empty(url: str) -> None:
    """Delete all rows."""
    with psycopg.connect(url.replace("timescale://", "postgres://", 1)) as connection:
        for table in TABLES:
            connection.execute(f"TRUNCATE {table} CASCADE")


def start(feed: Feed, url: str) -> "subprocess.Popen[bytes]":
    """Start the process; what it says goes to ``feeding.log`` in its folder."""
    with (Path(feed.folder) / "feeding.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(asdict(feed))],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "spoton.settings_test"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """Numbers of ticks since the first of all: those that the sink was given, and those that it has taken in."""

    begun: int
    published: int


def progress(folder: Path) -> Progress:
    """Say how far the processes have come."""
    path = folder / "progress"
    said = path.read_text().split() if path.exists() else []
    return Progress(*map(int, said or (0, 0)))


def last_stored(url: str, first: int) -> int:
    """Give the tick after the last one that is stored of a process that began with a tick."""
    with psycopg.connect(url.replace("timescale://", "postgres://", 1)) as connection:
        row = connection.execute(
            "SELECT max(ended_at) FROM tracking_track WHERE id BETWEEN %s AND %s",
            (first * OWN_TRACKS, (first + 1) * OWN_TRACKS - 1),
        ).fetchone()
    return first if row is None or row[0] is None else round((row[0] - at(0)).total_seconds() * 10) + 1


def report(folder: Path) -> list[dict[str, Any]]:
    """Give what the process said about each second."""
    return [json.loads(line) for line in (folder / "report").read_text().splitlines()]


def prepare() -> None:
    """Make what the rows refer to, in an empty database that is migrated."""
    environment = environment_create(slug="plaza", name="Plaza")
    for key in ("c1", "c2"):
        camera_add(
            environment=environment, key=key, source_url="sim://plaza/c1", width=640, height=480, fps=10
        )
    session_start(environment=environment)


def tick_result(tick: int, people: int, first: int, smoother: Smoother) -> StepResult:
    """Give what a tick gave: a function of its number, and of the ticks since the process's first."""
    seconds = tick / 10
    # everybody stays for 50 ticks
    stay = np.arange(people, dtype=np.int64) + people * (tick // 50) + 1
    track = stay + first * OWN_TRACKS
    person = stay % (people * 3) + 1
    phase = 0.37 * stay + 0.01 * tick
    state = np.stack([5 * np.cos(phase), 5 * np.sin(phase), -np.sin(phase), np.cos(phase)], axis=1)
    covariance = np.broadcast_to(np.diag([0.04, 0.09, 0.01, 0.01, 0.01]), (people, 5, 5))
    cameras = (("c1", "c2"),) * people
    here = People(
        at=at(seconds),
        track=track,
        person=person,
        state=state,
        covariance=covariance[:, :4, :4],
        height_m=np.full(people, 1.75),
        confidence=np.full(people, 0.9),
        cameras=cameras,
    )
    sightings = []
    for index, key in enumerate(("c1", "c2")):
        seen = slice(index, None, 2)
        left = (300 + 50 * state[seen, 0]).astype(np.float32)
        boxes = np.stack([left, left * 0 + 50, left + 40, left * 0 + 150], axis=1)
        detections = Detections(boxes, np.full(len(boxes), 0.5, np.float32))
        sightings.append(Sighting(key, tick, at(seconds), detections, track[seen], person[seen]))
    events: tuple[Event, ...] = ()
    if tick % 10 == 0:
        events = (
            Event("zone_enter", at(seconds), person=int(person[0]), track=int(track[0]), payload={"n": tick}),
        )
    tracks = replace(
        Tracks.none(2),
        mean=np.column_stack([state, np.full(people, 1.75)]),
        covariance=covariance,
        number=track,
    )
    settled = smoother.step(at(seconds), tracks, person, cameras)
    return StepResult(at(seconds), tuple(sightings), here, events, {"detect": 1.0}, settled)


def run(feed: Feed) -> None:
    """Feed the sink, to the end."""
    if feed.file_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (feed.file_bytes, feed.file_bytes))
    folder = Path(feed.folder)
    sampler = Sampler(
        environment_id=1,
        session_id=1,
        cameras={"c1": 1, "c2": 2},
        zones={},
        detection_interval_s=0.0,
        seen_interval_s=SEEN_S,
    )
    smoother = Smoother(SmoothingSettings(lag_s=feed.lag_s, interval_s=feed.interval_s), ACCELERATION_PSD)
    sink = RowsSink(sampler, folder=folder / "spool", max_bytes=feed.max_bytes, name="plaza")
    meter = _Meter(sink, folder / feed.report if feed.report else None)
    garbage_search_shorten()
    said = os.open(folder / "progress", os.O_WRONLY | os.O_CREAT, 0o600)
    due_s = time.monotonic()
    for tick in range(feed.first, feed.last):
        result = tick_result(tick, feed.people, feed.first, smoother)
        _say(said, tick + 1, tick)
        began_s = time.monotonic()
        sink.put(result, [], provisional=smoother.unsettled())
        meter.count_put(time.monotonic() - began_s)
        _say(said, tick + 1, tick + 1)
        due_s += feed.tick_s
        time.sleep(max(due_s - time.monotonic(), 0.0))
        meter.note(tick)
    sink.put_last(smoother.finish())
    spools = folder / "spool"
    # to the end: also of what those who were killed have left
    while sink.waiting().rows or len(list(spools.glob("*"))) > 1:
        time.sleep(0.02)
        meter.note(feed.last)
    sink.close(timeout_s=30.0)


def _say(file: int, begun: int, published: int) -> None:
    os.pwrite(file, f"{begun} {published}".ljust(40).encode(), 0)


class _Meter:
    """Writes a line a second."""

    def __init__(self, sink: RowsSink, path: Path | None) -> None:
        self._sink, self._path, self._due_s = sink, path, time.monotonic()
        self._oldest_s = 0.0  # at worst since the last line
        self._put_ms: list[float] = []

    def count_put(self, put_s: float) -> None:
        self._put_ms.append(put_s * 1e3)

    def note(self, tick: int) -> None:
        if self._path is None:
            return
        waiting = self._sink.waiting()
        self._oldest_s = max(self._oldest_s, waiting.oldest_s or 0.0)
        if time.monotonic() < self._due_s:
            return
        self._due_s += 1.0
        line = {
            "at_s": time.time(),
            "cpu_s": time.process_time(),
            "tick": tick,
            **asdict(waiting),
            "oldest_s": self._oldest_s,
            "put_ms": self._put_ms,
        }
        self._oldest_s, self._put_ms = 0.0, []
        with suppress(OSError), self._path.open("a") as report:
            report.write(json.dumps(line) + "\n")


def main() -> None:
    """Be that process."""
    run(Feed(**json.loads(sys.argv[1])))
