"""The demo as a whole: it serves, it tracks, it stops, and it says what is in its way."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from spoton.secrets_file import secrets_write
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
BOUND_S = 120.0
NAMES = {"redis-server", "spoton.web", "run_worker", "worker", "beat"}


@contextmanager
def _running(data: Path) -> Iterator[tuple[subprocess.Popen, Path]]:
    secrets_write(data)
    log = data / "demo.log"
    with log.open("wb") as output:
        demo = subprocess.Popen(
            [sys.executable, "manage.py", "run_demo", "--port", str(_free_port())],
            cwd=ROOT,
            env=os.environ | {"SPOTON_DATA": str(data), "DJANGO_SETTINGS_MODULE": "spoton.settings"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield demo, log
    finally:
        demo.terminate()
        demo.wait(BOUND_S)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def _wait_for_line(demo: subprocess.Popen, log: Path, pattern: str) -> re.Match[str]:
    def found() -> re.Match[str] | None:
        if demo.poll() is not None:
            pytest.fail(f"the demo ended with {demo.returncode}:\n{log.read_text()}")
        return re.search(pattern, log.read_text())

    servers.wait_for(found, timeout_s=BOUND_S)
    match = found()
    assert match is not None
    return match


def _session_state(data: Path) -> str:
    with closing(sqlite3.connect(data / "spoton.sqlite3")) as database:
        (state,) = database.execute("SELECT actual_state FROM tracking_trackingsession").fetchone()
    return str(state)


@pytest.mark.redis
@pytest.mark.slow
def test_run_demo_serves_tracks_and_leaves_nothing_behind():
    with servers.short_folder("spoton-demo-") as data, _running(data) as (demo, log):
        address = _wait_for_line(demo, log, r"address +(http://127\.0\.0\.1:\d+/)")[1]
        with urllib.request.urlopen(address, timeout=10) as page:
            assert page.status == 200
        children = psutil.Process(demo.pid).children(recursive=True)
        assert {name for name in NAMES for child in children if name in " ".join(child.cmdline())} == NAMES
        servers.wait_for(lambda: _session_state(data) == "running", timeout_s=BOUND_S)
        again = subprocess.run(
            [sys.executable, "manage.py", "run_demo", "--port", str(_free_port())],
            cwd=ROOT,
            env=os.environ | {"SPOTON_DATA": str(data), "DJANGO_SETTINGS_MODULE": "spoton.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (again.returncode, again.stderr) == (
            1,
            f"CommandError: a demo runs on {data} already: stop it with Ctrl-C where it was started, "
            "or choose another data folder with DATA=\n",
        )
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
        _, alive = psutil.wait_procs(children, timeout=2)
        assert alive == []


@pytest.mark.redis
@pytest.mark.slow
def test_run_demo_names_the_process_that_ends():
    with servers.short_folder("spoton-demo-") as data, _running(data) as (demo, log):
        _wait_for_line(demo, log, r"address +http")
        worker = next(
            child
            for child in psutil.Process(demo.pid).children(recursive=True)
            if "run_worker" in child.cmdline()
        )
        worker.kill()
        assert demo.wait(20) != 0
        last = log.read_text().splitlines()[-1]
        assert last.startswith(
            "CommandError: worker ended with code -9, so all were stopped; its last line: "
        )
