"""How the demo does on this machine: `make bench`, or `python -m tests.benchmarks.demo --seconds 120`.

Starts the demo on a free port with a data folder of its own, logs in, and watches all cameras as one client of the
live WebSocket does. Reports frames a second and age of frames by camera, what the published positions are worth
against the simulator's truth, and what each process cost.
"""

import argparse
import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
from dotenv import dotenv_values

from gpuworker.scoring import PROTOCOL, Positions, score
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.world import World
from spoton.secrets_file import secrets_write
from tests.benchmarks.machine import machine
from tests.servers import short_folder, wait_for
from tracking.live import SUBPROTOCOL, unpack_frame

ROOT = Path(__file__).resolve().parents[2]
RESULT = Path(__file__).parent / "results" / "demo.json"
CAMERAS = ("c1", "c2", "c3", "c4")
SEED, PEOPLE = 7, 10  # what sim://plaza/c1 shows
READY_S = 120.0
WARM_UP_S = 20.0  # the motion detector learns the empty place first
PROCESSES = {
    "redis-server": "redis",
    "spoton.web": "web",
    "run_worker": "worker",
    "beat": "beat",
    "celery": "celery",
}


@dataclass(slots=True)
class Watched:
    """What a client received: arrival times are seconds since the epoch, ages seconds."""

    frames: dict[str, list[tuple[float, float, float]]] = field(default_factory=lambda: defaultdict(list))
    positions: list[tuple[datetime, list[dict[str, Any]]]] = field(default_factory=list)
    tiers: set[str] = field(default_factory=set)
    bytes_received: int = 0
    closed: str = ""


class Viewer(WebSocketClientProtocol):
    """Subscribes to all cameras in the best quality and acknowledges every frame, as the page does."""

    watched: Watched

    def onOpen(self) -> None:  # noqa: N802 - autobahn's name
        """Ask for all cameras."""
        message = {"type": "subscribe", "cameras": CAMERAS, "quality": "high"}
        self.sendMessage(json.dumps(message).encode())

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:  # noqa: N802, N803 - autobahn's names
        """Remember why, for a connection that was to last."""
        self.watched.closed = f"closed with {code} {reason or ''}"

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803 - autobahn's names
        """Note a frame or positions."""
        if not isBinary:
            message = json.loads(payload)
            if message["type"] == "positions":
                self.watched.positions.append((datetime.fromisoformat(message["at"]), message["people"]))
            return
        header, _ = unpack_frame(payload)
        arrived = time.time()
        captured, published = (
            datetime.fromisoformat(header[name]).timestamp() for name in ("captured_at", "published_at")
        )
        self.watched.frames[header["camera"]].append((arrived, published - captured, arrived - captured))
        self.watched.tiers.add(header["tier"])
        self.watched.bytes_received += len(payload)
        ack = {"type": "ack", "camera": header["camera"], "seq": header["seq"]}
        self.sendMessage(json.dumps(ack).encode())


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="to watch, after warming up")
    parser.add_argument("--json", type=Path, default=RESULT)
    arguments = parser.parse_args()
    before = machine()
    with short_folder("spoton-bench-") as data:
        result = {"machine": before, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        result |= _benchmark(data, arguments.seconds)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    _print(result)
    print(f"written to {arguments.json}")


def _benchmark(data: Path, seconds: float) -> dict[str, Any]:
    secrets_write(data)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    began = time.monotonic()
    log = data / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "manage.py", "run_demo", "--port", str(port)],
            cwd=ROOT,
            env=os.environ | {"SPOTON_DATA": str(data)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: demo.poll() is not None or _answers(url), timeout_s=READY_S)
        if demo.poll() is not None:
            raise SystemExit(f"the demo ended:\n{log.read_text()}")
        ready_s = time.monotonic() - began
        cookies = _log_in(url, str(dotenv_values(data / ".env")["DEMO_PASSWORD"]))
        wait_for(lambda: log.read_text().count("is online") >= len(CAMERAS), timeout_s=READY_S)
        tracking_s = time.monotonic() - began
        time.sleep(WARM_UP_S)
        cost = _Cost(demo.pid)
        watched = asyncio.run(_watch(port, cookies, seconds))
        return {
            "seconds": seconds,
            "detector": os.environ.get("SPOTON_DETECTOR", "motion"),
            "embedder": os.environ.get("SPOTON_EMBEDDER", "colour"),
            "page_ready_s": round(ready_s, 1),
            "cameras_online_s": round(tracking_s, 1),
            "live": _live_figures(watched, seconds),
            "accuracy": _accuracy(watched, started_at=_session_started_at(data)),
            "processes": cost.figures(),
        }
    finally:
        demo.terminate()
        demo.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except OSError:
        return False


def _log_in(url: str, password: str) -> str:
    """Log in as the pages do; give the cookies as a header."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = f"{url}/accounts/login/"
    opener.open(page).close()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
    opener.open(page, urllib.parse.urlencode(form).encode()).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)


async def _watch(port: int, cookies: str, seconds: float) -> Watched:
    watched = Watched()
    factory = WebSocketClientFactory(
        f"ws://127.0.0.1:{port}/ws/environments/plaza/live/",
        origin=f"http://127.0.0.1:{port}",
        protocols=[SUBPROTOCOL],
        headers={"Cookie": cookies},
    )
    factory.protocol = type("BoundViewer", (Viewer,), {"watched": watched})
    transport, _ = await asyncio.get_running_loop().create_connection(factory, "127.0.0.1", port)
    await asyncio.sleep(seconds)
    if watched.closed or not watched.frames:
        raise SystemExit(
            f"the live view gave {sum(map(len, watched.frames.values()))} frames; {watched.closed}"
        )
    transport.close()
    return watched


class _Cost:
    """What the demo's processes use from now on."""

    def __init__(self, pid: int) -> None:
        self._began = time.monotonic()
        self._before = {child: _cpu_s(child) for child in psutil.Process(pid).children(recursive=True)}

    def figures(self) -> dict[str, dict[str, float]]:
        """Give cores used and memory by process; honcho's own are left out."""
        elapsed_s = time.monotonic() - self._began
        figures = {}
        for child, before_s in self._before.items():
            words = " ".join(child.cmdline())
            name = next(
                (name for mark, name in PROCESSES.items() if mark in words and "run_demo" not in words), None
            )
            if name:
                figures[name] = {
                    "cores": round((_cpu_s(child) - before_s) / elapsed_s, 3),
                    "memory_mb": round(child.memory_info().rss / 1e6),
                }
        return figures


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _live_figures(watched: Watched, seconds: float) -> dict[str, Any]:
    return {
        "tiers": sorted(watched.tiers),
        "mbit_per_s": round(watched.bytes_received * 8e-6 / seconds, 2),
        "positions_per_s": round(len(watched.positions) / seconds, 2),
        "cameras": {
            camera: {
                "fps": round(len(frames) / seconds, 2),
                "age_at_publication_ms": _percentiles([1e3 * age for _, age, _ in frames]),
                "age_at_arrival_ms": _percentiles([1e3 * age for _, _, age in frames]),
                "longest_gap_ms": round(1e3 * float(np.diff([at for at, _, _ in frames]).max())),
            }
            for camera, frames in sorted(watched.frames.items())
        },
    }


def _percentiles(values: list[float]) -> dict[str, float]:
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95, 99)}


def _session_started_at(data: Path) -> datetime:
    with sqlite3.connect(data / "spoton.sqlite3") as database:
        (text,) = database.execute("SELECT started_at FROM tracking_trackingsession").fetchone()
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _accuracy(watched: Watched, *, started_at: datetime) -> dict[str, Any]:
    """Score every published message against where the simulated people were at its time."""
    world = World(SEED, PEOPLE)
    truth, published = [], []
    for at, people in watched.positions:
        elapsed_s = (at - started_at).total_seconds()
        world.step_to(max(world.tick, round(elapsed_s * 10)))
        now = world.truth()
        truth.append(Positions(now.ids, now.position_m).inside(PLAZA.bounds_m))
        ids = np.array([p["person"] for p in people], np.int64)
        xy_m = np.array([(p["x_m"], p["y_m"]) for p in people], float).reshape(-1, 2)
        published.append(Positions(ids, xy_m).inside(PLAZA.bounds_m))
    scores = {
        name: value if value is None else round(value, 4)
        for name, value in asdict(score(truth, published)).items()
    }
    return {
        "protocol": PROTOCOL,
        "people": len({i for tick in truth for i in tick.ids.tolist()}),
        "identities": len({i for tick in published for i in tick.ids.tolist()}),
        **scores,
    }


def _print(result: dict[str, Any]) -> None:
    print(
        f"{result['detector']} and {result['embedder']} on {result['machine']['cpu']}, {result['machine']['cores']} cores"
    )
    print(f"page after {result['page_ready_s']} s, cameras after {result['cameras_online_s']} s")
    for name, camera in result["live"]["cameras"].items():
        print(f"{name}: {camera['fps']} fps, age at publication {camera['age_at_publication_ms']} ms")
    accuracy = result["accuracy"]
    print(", ".join(f"{name} {value}" for name, value in accuracy.items() if name != "protocol"))
    for name, process in result["processes"].items():
        print(f"{name}: {process['cores']} cores, {process['memory_mb']} MB")


if __name__ == "__main__":
    main()
