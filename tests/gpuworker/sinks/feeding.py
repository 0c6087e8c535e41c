"""A process that feeds the lossless sink with the same rows every time, to be killed by tests and measured.

After each tick it writes how many ticks are durable to the file ``durable`` in its folder; whoever goes on after its
end begins there, as a recording would.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from environments.services import camera_add, environment_create
from gpuworker.pipeline.values import Detections, Event, People, Points, Sighting, StepResult
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from tests.gpuworker.made import at
from tracking.services import session_start

ROOT = Path(__file__).resolve().parents[3]
Fingerprint = dict[str, tuple[int, str]]
CHILD = "import django; django.setup(); from tests.gpuworker.sinks.feeding import main; main()"
TABLES = {
    "tracking_person": "id, environment_id, number, first_seen_at, last_seen_at",
    "tracking_track": "id, session_id, person_id, started_at, ended_at",
    # not which camera took over: a worker that begins anew does not know which one had somebody
    "tracking_trackpoint": "time, environment_id, track_id, x_m, y_m, vx_mps, vy_mps, var_x_m2, cov_xy_m2, var_y_m2, cameras, zones",
    "tracking_detection": "time, camera_id, ordinal, track_id, left_px, top_px, right_px, bottom_px, confidence",
    "tracking_trackevent": "id, time, environment_id, kind, person_id, track_id, zone_id, previous_zone_id, camera_id, x_m, y_m, payload",
}


@dataclass(frozen=True, slots=True)
class Feed:
    """What is fed.

    Attributes:
        folder: of the spools and of the file ``durable``.
        first, last: ticks, the last one not included; a tick is 0.1 s of the place's time.
        people: a tick: as many points and, over the cameras, as many boxes; an event each ten ticks.
        tick_s: between two ticks; 0 for as fast as it goes.
        max_bytes: of the spool.
        file_bytes: how long the system lets any file become, as a disk that is full would; None for any length.
        report: name of a file in the folder for a line a second about what waits; empty for none.
    """

    folder: str
    first: int
    last: int
    people: int = 10
    tick_s: float = 0.005
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


def durable(folder: Path) -> int:
    """Give the first tick that is not known to be durable."""
    try:
        return int((folder / "durable").read_text() or 0)
    except FileNotFoundError:
        return 0


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


def tick_result(tick: int, people: int) -> StepResult:
    """Give what a tick gave: a function of its number alone."""
    seconds = tick / 10
    # everybody stays for 50 ticks
    track = np.arange(people, dtype=np.int64) + people * (tick // 50) + 1
    person = track % (people * 3) + 1
    phase = 0.37 * track + 0.01 * tick
    state = np.stack([5 * np.cos(phase), 5 * np.sin(phase), -np.sin(phase), np.cos(phase)], axis=1)
    here = People(
        at=at(seconds),
        track=track,
        person=person,
        state=state,
        covariance=np.broadcast_to(np.diag([0.04, 0.09, 0.01, 0.01]), (people, 4, 4)),
        height_m=np.full(people, 1.75),
        confidence=np.full(people, 0.9),
        cameras=(("c1", "c2"),) * people,
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
    settled = Points((here.at,) * people, track, person, here.state, here.covariance, here.cameras)
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
    )
    sink = RowsSink(sampler, folder=folder / "spool", max_bytes=feed.max_bytes, name="plaza")
    meter = _Meter(sink, folder / feed.report if feed.report else None)
    due_s = time.monotonic()
    for tick in range(feed.first, feed.last):
        sink.put(tick_result(tick, feed.people), [])
        _say_durable(folder, feed.first + sink.durable)
        due_s += feed.tick_s
        time.sleep(max(due_s - time.monotonic(), 0.0))
        meter.note(tick)
    spools = folder / "spool"
    # to the end: also of what those who were killed have left
    while sink.durable < feed.last - feed.first or sink.waiting().rows or len(list(spools.glob("*"))) > 1:
        time.sleep(0.02)
        meter.note(feed.last)
    _say_durable(folder, feed.last)
    sink.close(timeout_s=30.0)


def _say_durable(folder: Path, tick: int) -> None:
    (folder / "durable").write_text(str(tick).ljust(20))


class _Meter:
    """Writes a line a second."""

    def __init__(self, sink: RowsSink, path: Path | None) -> None:
        self._sink, self._path, self._due_s = sink, path, time.monotonic()

    def note(self, tick: int) -> None:
        if self._path is None or time.monotonic() < self._due_s:
            return
        self._due_s += 1.0
        line = {
            "at_s": time.time(),
            "cpu_s": time.process_time(),
            "tick": tick,
            **asdict(self._sink.waiting()),
        }
        with suppress(OSError), self._path.open("a") as report:
            report.write(json.dumps(line) + "\n")


def main() -> None:
    """Be that process."""
    run(Feed(**json.loads(sys.argv[1])))
