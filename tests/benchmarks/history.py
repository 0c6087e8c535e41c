"""Ninety days of history: `python -m tests.benchmarks history [--points 10000000] [--timescale] [--folder DIR]`.

Fills a throw-away PostgreSQL, or TimescaleDB, with the points, boxes and events of a place with four cameras, the same ones
every time, counts them, and times random requests for history to the REST interface. With a folder the data stay there for
the next run.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psutil
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from accounts.models import Role, User
from analytics.services import aggregates_refresh
from environments.models import Environment
from environments.services import camera_add, environment_create
from gpuworker.sinks.batch import Batch, DetectionRow, EventRow, PersonRow, PointRow, TrackRow
from gpuworker.sinks.identifiers import person_id
from gpuworker.sinks.writing import batch_write
from tests.benchmarks.machine import machine
from tests.roles import client_of
from tests.servers import postgres_database_url, run_postgres, run_redis, short_folder
from tests.tracking.test_databases import default_database
from tracking.models import LateSpan, Person
from tracking.services import session_start

Request = tuple[str, dict[str, str]]  # address and query
RESULT = Path(__file__).parent / "results" / "history.json"
UNTIL = datetime(2026, 6, 1, tzinfo=UTC)
DAYS = 90
REQUESTS = 200
INTERVAL_S = 0.5  # between two points of a track
TRACK_S = (20.0, 400.0)  # a stay is as long as this
FLOOR_M = (24.0, 16.0)
AREAS = ("door", "hall", "shelf")
AGGREGATED = (
    "analytics_occupancyminute",
    "analytics_zoneoccupancyminute",
    "analytics_cameraminute",
    "analytics_heatcellhour",
    "analytics_transitionhour",
)
SERIES = ("tracking_trackpoint", "tracking_detection", "tracking_trackevent")
LIMITS_MS = {"positions_last_hour": 50, "journey": 50, "heat_map_week": 200, "occupancy_90_days": 100}


def main() -> None:
    """Fill, ask, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=10_000_000)
    parser.add_argument("--timescale", action="store_true", help="TimescaleDB instead of plain PostgreSQL")
    parser.add_argument("--folder", type=Path, help="of the server's data, kept")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    kind = "timescale" if arguments.timescale else "postgres"
    result: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    with ExitStack() as stack:
        folder = arguments.folder or stack.enter_context(short_folder("spoton-history-"))
        folder.mkdir(parents=True, exist_ok=True)
        stack.enter_context(
            run_postgres(folder, fsync="on", shared_buffers="1GB", max_wal_size="8GB", work_mem="32MB")
        )
        stack.enter_context(default_database(_database(folder, kind)))
        settings.REDIS_URL = stack.enter_context(
            run_redis(stack.enter_context(short_folder("spoton-history-")))
        )
        result |= _measure(kind, arguments.points)
    print(json.dumps(result, indent=2))
    results = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    results[kind] = results.get(kind, {}) | result  # of an earlier run, how long filling and counting took
    arguments.json.write_text(json.dumps(results, indent=2) + "\n")
    print(f"written to {arguments.json}")


def _database(folder: Path, kind: str) -> str:
    """Make the database unless it is there from an earlier run; give its URL."""
    url = postgres_database_url(folder, kind)
    with psycopg.connect(postgres_database_url(folder, "postgres"), autocommit=True) as server:
        if server.execute("SELECT FROM pg_database WHERE datname = %s", [kind]).fetchone() is None:
            server.execute(f"CREATE DATABASE {kind}")
    if kind == "timescale":
        with psycopg.connect(url, autocommit=True) as database:
            database.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        url = url.replace("postgres://", "timescale://", 1)
    return url


def _measure(kind: str, points: int) -> dict[str, Any]:
    call_command("migrate", verbosity=0)
    result: dict[str, Any] = {}
    if not Environment.objects.exists():
        began = time.monotonic()
        _fill(points)
        result["fill_s"] = round(time.monotonic() - began, 1)
    if LateSpan.objects.exists():
        began = time.monotonic()
        aggregates_refresh(now=UNTIL)
        result["count_s"] = round(time.monotonic() - began, 1)
    if kind == "timescale":  # an earlier run has compressed, and the policy would
        _run(
            "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000"
        )
        for table in SERIES:
            _run(f"SELECT decompress_chunk(c, true) FROM show_chunks('{table}') c")
    _run("VACUUM ANALYZE")
    result |= {
        "rows": {
            table: _run(f"SELECT count(*) FROM {table}")[0][0]
            for table in (*SERIES, "tracking_track", *AGGREGATED)
        },
        "size_mb": _sizes(),
        "asked": _ask(),
    }
    if kind == "timescale":
        began = time.monotonic()
        for table in SERIES:
            _run(
                f"SELECT compress_chunk(c, true) FROM show_chunks('{table}', older_than => '{UNTIL - timedelta(days=7)}'::timestamptz) c"
            )
        result["compression_s"] = round(time.monotonic() - began, 1)
        _run("VACUUM ANALYZE")
        result["size_compressed_mb"] = _sizes()
        result["asked_compressed"] = _ask()
    return result


def _run(query: str, *params: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params or None)
        return list(cursor.fetchall()) if cursor.description else []


def _sizes() -> dict[str, float]:
    """Give the size of each table with its indexes."""
    sizes = {}
    is_timescale = "timescale" in connection.settings_dict["ENGINE"]
    for table in (*SERIES, *AGGREGATED):
        size = "pg_total_relation_size"
        name = f"'{table}'"
        if is_timescale:
            size = "hypertable_size"
            if table in AGGREGATED:
                name = (
                    "(SELECT format('%I.%I', materialization_hypertable_schema, materialization_hypertable_name)::regclass "
                    f"FROM timescaledb_information.continuous_aggregates WHERE view_name = '{table}')"
                )
        [(count,)] = _run(f"SELECT {size}({name})")
        sizes[table] = round(count / 1e6, 1)
    return sizes


# what is there


def _fill(points: int) -> None:
    environment = environment_create(slug="plaza", name="Plaza")
    environment.retention_days = 365
    environment.save()
    for number in range(1, 5):
        camera_add(
            environment=environment,
            key=f"c{number}",
            source_url="sim://plaza/c1",
            width=640,
            height=480,
            fps=10,
        )
    for key in AREAS:
        environment.zones.create(key=key, name=key, points_m=[[0, 0], [1, 0], [1, 1]])
    session_start(environment=environment)
    for number, day in enumerate(_days(points)):
        batch_write(day)
        print(f"\rday {number + 1} of {DAYS}", end="", flush=True)
    print()


def _days(points: int) -> Iterator[Batch]:
    """Make the rows of each day: people come by day more than by night, stay, wander, and are often seen again."""
    chance = np.random.default_rng(1)
    by_hour = np.array([1, 1, 1, 1, 1, 2, 4, 8, 12, 14, 15, 16, 18, 18, 16, 15, 15, 16, 14, 10, 6, 4, 2, 1])
    tracks_a_day = round(points / DAYS * INTERVAL_S / np.mean(TRACK_S))
    track = 0
    for day in range(DAYS):
        batch = Batch()
        midnight = (UNTIL - timedelta(days=DAYS - day)).timestamp()
        hours = chance.choice(24, tracks_a_day, p=by_hour / by_hour.sum())
        for begin in np.sort(midnight + hours * 3600 + chance.uniform(0, 3600, tracks_a_day)):
            track += 1
            # about three stays a person
            batch.merge(
                _stay(chance, track=track, person=int(chance.integers(1, 2 + track // 3)), begin=float(begin))
            )
        yield batch


def _stay(chance: np.random.Generator, *, track: int, person: int, begin: float) -> Batch:
    """Make one track's rows: points, a box for each fourth of them, and the entries to areas."""
    count = int(chance.uniform(*TRACK_S) / INTERVAL_S)
    steps = chance.normal(0, 0.35, (count, 2)).cumsum(axis=0) + chance.uniform((2, 2), FLOOR_M)
    places = np.abs(np.mod(steps, np.multiply(FLOOR_M, 2)) - FLOOR_M).tolist()  # walls reflect
    times = [datetime.fromtimestamp(round(begin, 3) + INTERVAL_S * i, UTC) for i in range(count)]
    zones = [AREAS[int(x // 8) % len(AREAS)] if y < 8 else "" for x, y in places]
    cameras = [1 + int(x > 12) + 2 * int(y > 8) for x, y in places]
    owner = person_id(environment_id=1, number=person)
    batch = Batch(
        persons={owner: PersonRow(owner, 1, person, times[0], times[-1])},
        tracks={track: TrackRow(track, 1, owner, times[0], times[-1])},
    )
    batch.points = [
        PointRow(at, 1, track, x, y, 0.1, 0.2, 0.04, 0.0, 0.04, f"c{camera}", zone)
        for at, (x, y), camera, zone in zip(times, places, cameras, zones, strict=True)
    ]
    batch.detections = [
        DetectionRow(at, camera, track % 30_000, track, 10.0, 20.0, 60.0, 180.0, 0.75)
        for at, camera in zip(times[::4], cameras[::4], strict=True)
    ]
    before: int | None = None
    for number, (at, zone) in enumerate(zip(times, zones, strict=True)):
        entered = AREAS.index(zone) + 1 if zone else None
        if entered is not None and entered != before:
            event = UUID(int=(track << 64) + number)
            where = (entered, before, None, None, None, "{}")
            batch.events.append(EventRow(event, at, 1, "zone_enter", owner, track, *where))
            before = entered
    return batch


# what is asked of it


def _ask() -> dict[str, dict[str, float]]:
    """Time requests to the REST interface, in this process and through all middleware; the database is warm, as in use."""
    user, _ = User.objects.get_or_create(username="asks", defaults={"role": Role.ADMIN})
    persons = list(Person.objects.order_by("number").values_list("pk", flat=True))
    chance = random.Random(2)

    def over(since: datetime, until: datetime) -> dict[str, str]:
        return {"environment": "plaza", "since": since.isoformat(), "until": until.isoformat()}

    def moment(span: timedelta) -> datetime:
        return UNTIL - timedelta(seconds=chance.uniform(span.total_seconds(), DAYS * 86_400))

    def last_hour() -> Request:
        # of the newest days, which are not compressed, at a random moment
        until = UNTIL - timedelta(seconds=chance.uniform(0, 6 * 86_400))
        return "positions/history", over(until - timedelta(hours=1), until)

    def any_hour() -> Request:
        since = moment(timedelta(hours=1))
        return "positions/history", over(since, since + timedelta(hours=1))

    def journey() -> Request:
        return f"persons/{chance.choice(persons)}/journey", over(UNTIL - timedelta(days=DAYS), UNTIL)

    def heat_map() -> Request:
        since = moment(timedelta(days=7))
        return "analytics/heatmap", over(since, since + timedelta(days=7))

    def occupancy() -> Request:
        since = UNTIL - timedelta(days=DAYS, minutes=chance.randint(0, 600))
        return "analytics/occupancy", over(since, UNTIL) | {"step": "hour"}

    requests = {
        "positions_last_hour": last_hour,
        "positions_any_hour": any_hour,
        "journey": journey,
        "heat_map_week": heat_map,
        "occupancy_90_days": occupancy,
    }
    return {name: _timed(user, make) | {"limit_ms": LIMITS_MS.get(name)} for name, make in requests.items()}


def _timed(user: User, make: Callable[[], Request]) -> dict[str, Any]:
    client = client_of(user)
    client.defaults["SERVER_NAME"] = "localhost"

    def ask() -> Any:
        address, query = make()
        answer = client.get(f"/api/v1/{address}/", query)
        if answer.status_code != 200:
            raise SystemExit(f"{address}: {answer.status_code} {answer.content[:300]!r}")
        return answer

    ask()
    [(backend,)] = _run("SELECT pg_backend_pid()")
    server, began_s = psutil.Process(backend), time.process_time()
    server_began_s = sum(server.cpu_times()[:2])
    elapsed_ms, answers = [], []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answers.append(ask())
        elapsed_ms.append(1e3 * (time.perf_counter() - began))
    own_ms = 1e3 * (time.process_time() - began_s) / REQUESTS
    server_ms = 1e3 * (sum(server.cpu_times()[:2]) - server_began_s) / REQUESTS
    p50, p95 = np.percentile(elapsed_ms, (50, 95))
    return {
        "p50_ms": round(p50, 1),
        "p95_ms": round(p95, 1),
        # for a machine that others use too
        "mean_cpu_ms": {"web": round(own_ms, 1), "database": round(server_ms, 1)},
        "mean_rows": round(float(np.mean([len(answer.json()["results"]) for answer in answers]))),
        "mean_kb": round(float(np.mean([len(answer.content) for answer in answers])) / 1e3, 1),
    }


if __name__ == "__main__":
    main()
