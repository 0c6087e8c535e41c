"""What the live view's web process carries: `python -m tests.benchmarks live --seconds 180`.

Starts Redis and one web process (daphne, as in production) over SQLite with the demo's place, feeds it with the
simulator's four cameras at ten frames a second through the real live sink, and watches:

- ``low``: fifty viewers of four cameras in the lowest tier, five frames a second each; for the web process's memory, long;
- ``auto``: twenty viewers whose quality adapts, and one more whose line becomes slow (1 Mbit/s) midway;
- ``json``: fifty viewers who get the same pictures as base64 in JSON from the same processes, in turn with ``low``.

Costs are processor time of the web process, user and system.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from spoton.secrets_file import secrets_write
from tests import servers
from tests.benchmarks.machine import machine

ROOT = Path(__file__).resolve().parents[2]
RESULT = Path(__file__).parent / "results" / "live.json"
CAMERAS = ("c1", "c2", "c3", "c4")
READY_S = 60.0
WARM_UP_S = 12.0
SAMPLE_S = 5.0
LOW_VIEWERS, AUTO_VIEWERS = 50, 20
SLOW_BYTES_PER_S = 125_000  # 1 Mbit/s
SLOW_AFTER_S = 20.0
SETTLED_S = 3.0  # after which a slow viewer's pictures are young again
PREPARE = """
import json
from importlib import import_module
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from accounts.models import Role, User
from environments.models import Camera, Environment, Grant
plaza = Environment.objects.get(slug="plaza")
echo = Environment.objects.create(slug="echo", name="Echo")
for camera in plaza.cameras.all():
    Camera.objects.create(environment=echo, key=camera.key, name=camera.name, source_url=camera.source_url, width=camera.width,
        height=camera.height, fps=camera.fps)
store, cookies = import_module(settings.SESSION_ENGINE).SessionStore, []
for number in range({count}):
    user = User.objects.create_user(username=f"viewer{{number}}", password=None, role=Role.VIEWER)
    for place in (plaza, echo):
        Grant.objects.create(user=user, environment=place)
    session = store()
    session.update({{SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: settings.AUTHENTICATION_BACKENDS[-1],
        HASH_SESSION_KEY: user.get_session_auth_hash()}})
    session.save()
    cookies.append(f"{{settings.SESSION_COOKIE_NAME}}={{session.session_key}}")
print(json.dumps({{"plaza": plaza.pk, "echo": echo.pk, "cookies": cookies}}))
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """What is measured.

    Attributes:
        data: its data folder.
        port: of the web process.
        web: the web process.
        cookies: one login each.
    """

    data: Path
    port: int
    web: psutil.Process
    cookies: list[str]


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="to watch each kind, after warming up")
    parser.add_argument("--memory-seconds", type=float, default=600.0, help="to watch in the lowest tier")
    parser.add_argument("--rounds", type=int, default=2, help="of frames beside JSON")
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--only", choices=("low", "auto", "json"), help="one kind alone")
    parser.add_argument("--server", default="spoton.web", help="module that serves; daphne for the plain one")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), "at": datetime.now(UTC).isoformat(timespec="seconds")}
    with servers.short_folder("spoton-live-bench-") as data, _stand(data, arguments) as stand:
        result |= _watch_all(stand, arguments)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {arguments.json}")


def _watch_all(stand: Stand, arguments: argparse.Namespace) -> dict[str, Any]:
    low = {"slug": "plaza", "viewers": LOW_VIEWERS, "subscribe": {"cameras": CAMERAS, "quality": "low"}}
    echo = {"slug": "echo", "viewers": LOW_VIEWERS, "subscribe": None}
    auto = {
        "slug": "plaza",
        "viewers": AUTO_VIEWERS + 1,
        "subscribe": {"cameras": CAMERAS, "quality": "auto"},
        "slow": 1,
        "slow_after_s": SLOW_AFTER_S,
        "slow_bytes_per_s": SLOW_BYTES_PER_S,
    }
    only: str | None = arguments.only
    result: dict[str, Any] = {}
    if only in (None, "json"):
        rounds = [
            {"frames": _watch(stand, low, arguments.seconds), "json": _watch(stand, echo, arguments.seconds)}
            for _ in range(arguments.rounds)
        ]
        result["frames_beside_json"] = rounds
    if only in (None, "auto"):
        result["auto"] = _watch(stand, auto, arguments.seconds)
    if only in (None, "low"):
        result["low"] = _watch(stand, low, arguments.memory_seconds)
    return result


@contextmanager
def _stand(data: Path, arguments: argparse.Namespace) -> Iterator[Stand]:
    secrets_write(data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {"SPOTON_DATA": str(data), "REDIS_URL": f"unix://{data / 'redis.sock'}"}
    with servers.run_redis(data), ExitStack() as stack:
        _manage(environment, "migrate", "--verbosity", "0")
        _manage(environment, "create_demo", "--password", "a password that nobody uses")
        prepared = json.loads(
            _manage(environment, "shell", "--verbosity", "0", "-c", PREPARE.format(count=LOW_VIEWERS))
        )
        server = ["-v", "0", "-b", "127.0.0.1", "-p", str(port), "spoton.asgi:application"]
        web = stack.enter_context(_running(environment, "-m", arguments.server, *server))
        feed = ["-m", "tests.benchmarks", "live_feed", "--people", str(arguments.people), "--environment"]
        stack.enter_context(_running(environment, *feed, str(prepared["plaza"])))
        if arguments.only in (None, "json"):
            stack.enter_context(_running(environment, *feed, str(prepared["echo"]), "--base64"))
        servers.wait_for(lambda: _is_up(port), timeout_s=READY_S)
        yield Stand(data, port, psutil.Process(web.pid), prepared["cookies"])


@contextmanager
def _running(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


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


def _is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _watch(stand: Stand, wish: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Let viewers watch for a while; give what they got and what it cost."""
    wish = {
        **wish,
        "port": stand.port,
        "cookies": stand.cookies[-wish["viewers"] :],
        "warm_up_s": WARM_UP_S,
        "seconds": seconds,
    }
    viewers = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.live_viewers"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert viewers.stdin is not None
    assert viewers.stdout is not None
    viewers.stdin.write(json.dumps(wish) + "\n")
    viewers.stdin.flush()
    if viewers.stdout.readline() != "began\n":
        raise SystemExit("the viewers did not begin")
    before_s, memory_mb = _cpu_s(stand.web), [_memory_mb(stand.web)]
    began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        time.sleep(min(SAMPLE_S, seconds - (time.monotonic() - began_s)))
        memory_mb.append(_memory_mb(stand.web))
    report = json.loads(viewers.stdout.readline())
    spent_s = _cpu_s(stand.web) - before_s
    viewers.wait(20)
    figures = _figures(report, spent_s, memory_mb)
    print(json.dumps({"slug": wish["slug"], **figures}, indent=2), flush=True)
    return figures


def _figures(report: dict[str, Any], spent_s: float, memory_mb: list[float]) -> dict[str, Any]:
    slow = report.pop("slow")
    figures = report | {
        "web_cpu_ms_a_frame": round(1e3 * spent_s / max(report["frames"], 1), 4),
        "web_cores": round(spent_s / report["seconds"], 3),
        "web_memory_mb": {
            "first": memory_mb[0],
            "last": memory_mb[-1],
            "most": max(memory_mb),
            "growth_a_minute": _growth(memory_mb),
        },
        "load_average": round(os.getloadavg()[0], 1),
    }
    if slow:
        figures["slow"] = [_slow_figures(frames) for frames in slow]
    return figures


def _slow_figures(frames: list[tuple[float, float, str]]) -> dict[str, Any]:
    """Say how a viewer fared once its line was slow; frames are seconds since then, ages in ms, and tiers."""
    lower_s = next((at_s for at_s, _, tier in frames if tier != frames[0][2]), None)
    settled = [age_ms for at_s, age_ms, _ in frames if at_s >= SETTLED_S]
    return {
        "mbit_per_s": SLOW_BYTES_PER_S * 8e-6,
        "lower_tier_after_s": None if lower_s is None else round(lower_s, 2),
        "tiers": sorted({tier for _, _, tier in frames}),
        "frames": len(frames),
        "oldest_before_settled_ms": round(max((a for s, a, _ in frames if s < SETTLED_S), default=0.0)),
        "age_settled_ms": {
            f"p{share}": round(float(np.percentile(settled, share))) for share in (50, 95, 100)
        }
        if settled
        else {},
    }


def _growth(memory_mb: list[float]) -> float:
    """Give the slope of memory over the second half, MB a minute."""
    late = memory_mb[len(memory_mb) // 2 :]
    if len(late) < 3:
        return 0.0
    return round(float(np.polyfit(np.arange(len(late)) * SAMPLE_S / 60, late, 1)[0]), 3)


def _memory_mb(process: psutil.Process) -> float:
    return round(float(process.memory_info().rss) / 1e6, 1)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
