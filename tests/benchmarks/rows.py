"""The write path under load: `python -m tests.benchmarks rows --seconds 60 --outage 60 [--timescale]`.

A worker's sink is fed with 20,000 points and boxes a second, ten ticks a second, into a throw-away PostgreSQL that makes sure
of what it wrote (fsync on). First in quiet; then the database is stopped at once for a while, comes back, the worker is
killed and another one goes on. In the end what is there is compared with what quiet runs of the same ticks leave.
"""

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import psycopg

from tests.benchmarks.machine import machine
from tests.gpuworker.sinks import feeding
from tests.gpuworker.sinks.place import Place
from tests.servers import short_folder, wait_for

RESULT = Path(__file__).parent / "results" / "rows.json"
PEOPLE = 1000  # a tick, each a point and a box
TICK_S = 0.1
BOUND_S = 900.0


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of load in quiet")
    parser.add_argument("--outage", type=float, default=60.0, help="seconds without a database")
    parser.add_argument("--timescale", action="store_true", help="TimescaleDB instead of plain PostgreSQL")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    kind = "timescale" if arguments.timescale else "postgres"
    before = machine()
    with short_folder("spoton-bench-") as server_folder, short_folder("spoton-bench-") as folder:
        place = Place(kind, folder, server_folder, fsync="on", max_wal_size="4GB", shared_buffers="512MB")
        try:
            measured = _measure(place, arguments.seconds, arguments.outage)
        finally:
            place.close()
    result = {
        "machine": before,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": kind,
        **measured,
    }
    print(json.dumps(result, indent=2))
    results = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    arguments.json.write_text(json.dumps(results | {kind: result}, indent=2) + "\n")
    print(f"written to {arguments.json}")


def _measure(place: Place, seconds: float, outage_s: float) -> dict[str, Any]:
    last = round((seconds + 2.5 * outage_s + 60.0) / TICK_S)
    every_tick = {"people": PEOPLE, "lag_s": 0.0, "interval_s": 0.0}
    worker = place.feed(last=last, tick_s=TICK_S, report="report", **every_tick)
    wait_for(lambda: feeding.progress(place.folder).published > 50, timeout_s=BOUND_S)
    quiet = _load(place, worker.pid, seconds)
    place.stop_database()
    time.sleep(outage_s)
    at_worst = feeding.report(place.folder)[-1]
    place.start_database()
    back_s = time.monotonic()
    wait_for(
        lambda: feeding.report(place.folder)[-1]["rows"] < PEOPLE * 20 or worker.poll() is not None,
        timeout_s=BOUND_S,
    )
    caught_up_s = time.monotonic() - back_s
    if worker.poll() is None:  # else the ticks were over before it had caught up
        place.kill(worker)
    found, expected = place.finish(last=last, tick_s=0.02, **every_tick)
    return {
        "people": PEOPLE,
        "ticks": last,
        "quiet": quiet,
        "outage": {
            "seconds": outage_s,
            "rows_waiting": at_worst["rows"],
            "spool_mb": round(at_worst["spool_bytes"] / 1e6, 1),
            "rows_in_memory": at_worst["memory_rows"],
            "rows_dropped": at_worst["dropped_rows"],
            "caught_up_after_s": round(caught_up_s, 1),
        },
        "rows": {table: count for table, (count, _) in found.items()},
        "all_that_was_published_is_there": found == expected,
    }


def _load(place: Place, worker: int, seconds: float) -> dict[str, Any]:
    """Measure what is written for a while, and what it costs."""
    before, cpu_before, began = _series_rows(place.url), _cpu_s(worker), time.monotonic()
    lines = len(feeding.report(place.folder))
    time.sleep(seconds)
    elapsed_s = time.monotonic() - began
    written, cpu = _series_rows(place.url) - before, _cpu_s(worker)
    waiting = feeding.report(place.folder)[lines:]
    ages = [line["oldest_s"] for line in waiting]
    used_s = {name: cpu[name] - cpu_before[name] for name in cpu}
    return {
        "seconds": round(elapsed_s, 1),
        "rows_per_s": round(written / elapsed_s),
        "worker_cores": round(used_s["worker"] / elapsed_s, 2),
        "database_cores": round(used_s["database"] / elapsed_s, 2),
        # what counts on a machine that others use too
        "cores_for_20000_rows_per_s": round(20_000 * sum(used_s.values()) / written, 2),
        "oldest_waiting_at_worst_each_s": _spread(ages),
        # what the loop that tracks waits for, a tick; its rows and the points that may still change are on disk then
        "put_ms": _spread([put_ms for line in waiting for put_ms in line["put_ms"]]),
        "most_rows_waiting": max(line["rows"] for line in waiting),
    }


def _spread(values: list[float]) -> dict[str, float]:
    p50, p95, worst = np.percentile(values, (50, 95, 100)).round(3).tolist()
    return {"p50": p50, "p95": p95, "max": worst}


def _series_rows(url: str) -> int:
    with psycopg.connect(url.replace("timescale://", "postgres://", 1)) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM tracking_trackpoint) + (SELECT count(*) FROM tracking_detection)"
        ).fetchone()
    return int(row[0]) if row else 0


def _cpu_s(worker: int) -> dict[str, float]:
    """Give the processor time of the worker, and of all processes of the server that it writes to."""
    times = {"worker": sum(psutil.Process(worker).cpu_times()[:2]), "database": 0.0}
    for process in psutil.Process().children(recursive=True):
        if process.name() == "postgres":
            times["database"] += sum(process.cpu_times()[:2])
    return times


if __name__ == "__main__":
    main()
