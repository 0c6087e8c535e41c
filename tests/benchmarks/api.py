"""How many live positions the REST interface gives: `python -m tests.benchmarks.api --rate 300 --seconds 30`.

Starts Redis and one web process over SQLite with the demo's place, says as a worker would where twenty people are, and
asks at a fixed rate whether or not the answers keep up (an open loop), so that delays count from when a request was
due. Many logins take turns, over connections that they keep.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from redis.asyncio import Redis

from spoton.secrets_file import secrets_write
from tests import servers
from tests.benchmarks.machine import machine
from tracking import live

ROOT = Path(__file__).resolve().parents[2]
RESULT = Path(__file__).parent / "results" / "api.json"
PATH = "/api/v1/positions/?environment=plaza"
PEOPLE = 20
CONNECTIONS = 32
WARM_UP_S = 5.0
OPEN_LOGINS = """
from django.utils import timezone
from accounts.models import User
from accounts.services import login_open
for _ in range({count}):
    print(login_open(user=User.objects.get(username="admin"), now=timezone.now()).access)
"""
READY_S = 60.0


@dataclass(slots=True)
class Heard:
    """What the clients got: seconds from when a request was due to the end of its answer."""

    delays_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    people: int = 0


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--logins", type=int, nargs="+", default=[4, 60, 600], help="how many take turns")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    runs = []
    for logins in arguments.logins:
        with servers.short_folder("spoton-api-bench-") as data, _web(data, logins) as (port, web, tokens):
            runs.append(asyncio.run(_load(data, port, web, tokens, arguments.rate, arguments.seconds)))
            print(json.dumps(runs[-1], indent=2))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result | {"runs": runs}, indent=2) + "\n")


@contextmanager
def _web(data: Path, logins: int) -> Iterator[tuple[int, psutil.Process, list[str]]]:
    secrets_write(data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"SPOTON_DATA": str(data), "REDIS_URL": f"unix://{data / 'redis.sock'}"}
    with servers.run_redis(data):
        _manage(environment, "migrate", "--verbosity", "0")
        _manage(environment, "create_demo", "--password", "a password that nobody uses")
        tokens = _manage(environment, "shell", "--verbosity", "0", "-c", OPEN_LOGINS.format(count=logins))
        command = [
            "-m",
            "spoton.web",
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "spoton.asgi:application",
        ]
        process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment)
        try:
            servers.wait_for(lambda: _is_up(port), timeout_s=READY_S)
            yield port, psutil.Process(process.pid), tokens.split()
        finally:
            process.terminate()
            process.wait(20)


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _manage(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


async def _load(
    data: Path, port: int, web: psutil.Process, tokens: list[str], rate: float, seconds: float
) -> dict[str, Any]:
    telling = asyncio.create_task(_tell(data))
    await _ask(port, tokens, rate, WARM_UP_S)
    before_s, began_s = _cpu_s(web), time.monotonic()
    heard = await _ask(port, tokens, rate, seconds)
    elapsed_s = time.monotonic() - began_s
    telling.cancel()
    delays_ms = np.array(heard.delays_s) * 1e3
    return {
        "logins": len(tokens),
        "asked_per_s": rate,
        "answered_per_s": round(len(heard.delays_s) / elapsed_s, 1),
        "seconds": seconds,
        "statuses": heard.statuses,
        "people_an_answer": round(heard.people / max(len(heard.delays_s), 1), 2),
        "delay_ms": {f"p{share}": round(float(np.percentile(delays_ms, share)), 1) for share in (50, 95, 99)},
        "web_cpu_ms_a_request": round(1e3 * (_cpu_s(web) - before_s) / len(heard.delays_s), 3),
        "web_memory_mb": round(web.memory_info().rss / 1e6),
    }


async def _tell(data: Path) -> None:
    """Say again and again where everybody is, as a worker does."""
    cameras = ["c1", "c2"]
    async with Redis(unix_socket_path=str(data / "redis.sock")) as redis:
        while True:
            people = [
                {"person": n, "track": n, "x_m": n * 0.5, "y_m": 1.0, "vx_mps": 0.4, "vy_mps": 0.0}
                | {"std_m": 0.1, "cov_m2": [0.01, 0.0, 0.01], "cameras": cameras}
                for n in range(1, PEOPLE + 1)
            ]
            text = live.now(at=datetime.now(UTC), people=people, cameras_up=4)
            await redis.set(live.now_key(1), text, ex=live.NOW_TTL_S)
            await asyncio.sleep(0.25)


async def _ask(port: int, tokens: list[str], rate: float, seconds: float) -> Heard:
    heard = Heard()
    due: asyncio.Queue[tuple[float, str] | None] = asyncio.Queue()
    clients = [asyncio.create_task(_client(port, due, heard)) for _ in range(CONNECTIONS)]
    began_s = time.monotonic()
    for number in range(round(rate * seconds)):
        at_s = began_s + number / rate
        await asyncio.sleep(max(at_s - time.monotonic(), 0.0))
        due.put_nowait((at_s, tokens[number % len(tokens)]))
    for _ in clients:
        due.put_nowait(None)
    await asyncio.gather(*clients)
    return heard


async def _client(port: int, due: "asyncio.Queue[tuple[float, str] | None]", heard: Heard) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (next_one := await due.get()) is not None:
        at_s, token = next_one
        request = f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(request.encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"
        )
        body = await reader.readexactly(length)
        heard.delays_s.append(time.monotonic() - at_s)
        status = int(head[9:12])
        heard.statuses[status] = heard.statuses.get(status, 0) + 1
        heard.people += body.count(b'"person":')
    writer.close()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
