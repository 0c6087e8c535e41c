"""The demo's processes: started together, stopped together, and nothing left behind."""

import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import CommandError, call_command

from spoton import demo
from tests import servers

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from spoton import demo
try:
    demo.run(dict(zip(sys.argv[1::2], sys.argv[2::2])), on_started=lambda: print("all started", flush=True))
except demo.ProcessEnded as error:
    print(error)
    sys.exit(error.code)
"""


@contextmanager
def _demo(**commands: str) -> Iterator[subprocess.Popen[str]]:
    """Run commands as the demo runs its own, in a process that can be signalled."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *(word for pair in commands.items() for word in pair)],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "spoton.settings_test"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def _read_until(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return
    pytest.fail(f"ended with {process.wait()} before it said {text!r}")


def _is_running(marker: str) -> bool:
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    return any(line == marker for line in lines.splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_stops_all_when_told_to(number: signal.Signals):
    first, second = (f"sleep 1000.{os.getpid()}{number.value}{i}" for i in (1, 2))
    with _demo(first=f"exec {first}", second=f"exec {second}") as process:
        _read_until(process, "second started")
        process.send_signal(number)
        assert process.wait(10) == 0
    assert not _is_running(first)
    assert not _is_running(second)


def test_run_stops_all_when_told_to_while_they_start():
    marks = [f"sleep 1000.{os.getpid()}5{i}" for i in range(5)]
    with _demo(**{f"p{i}": f"exec {mark}" for i, mark in enumerate(marks)}) as process:
        _read_until(process, "started")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    assert not any(map(_is_running, marks))


def test_run_names_the_process_that_ended_and_gives_its_code():
    other = f"sleep 1000.{os.getpid()}3"
    with _demo(worker="echo no camera; exit 7", web=f"exec {other}") as process:
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 7
    assert "worker | no camera" in output
    assert (
        output.splitlines()[-1] == "worker ended with code 7, so all were stopped; its last line: no camera"
    )
    assert not _is_running(other)


def test_run_stops_all_when_nobody_reads_its_output():
    talker = f"sleep 1000.{os.getpid()}4"
    with _demo(web=f"exec {talker}", worker="while true; do echo tracking; sleep 0.1; done") as process:
        _read_until(process, "tracking")
        assert process.stdout is not None
        process.stdout.close()
        process.wait(10)
    assert not _is_running(talker)


def test_port_check_names_a_taken_port_and_another_one():
    with socket.create_server((demo.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(demo.NotStartable, match=rf"port {port} cannot be used .*PORT={port + 1}"):
            demo.port_check(port)
    demo.port_check(port)


def test_socket_prepare_removes_a_dead_socket():
    with servers.short_folder("spoton-demo-") as folder:
        path = folder / "private" / "redis.sock"
        path.parent.mkdir()
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        demo.socket_prepare(path)
        assert list(path.parent.iterdir()) == []


def test_socket_prepare_refuses_a_data_folder_in_use(redis_url: str):
    with pytest.raises(demo.NotStartable, match=r"runs on .* already"):
        demo.socket_prepare(Path(urlsplit(redis_url).path))


def test_processes_wait_for_their_own_redis():
    commands = demo.processes(port=8123, redis_at=Path("/tmp/a b/redis.sock"))
    assert list(commands) == ["redis", "web", "worker", "celery", "beat"]
    assert "--unixsocket '/tmp/a b/redis.sock'" in commands["redis"]
    assert commands["web"].startswith("until [ -S '/tmp/a b/redis.sock' ]; do sleep 0.05; done; exec ")
    assert commands["web"].endswith(
        "spoton.web --verbosity 0 --bind 127.0.0.1 --port 8123 spoton.asgi:application"
    )


def test_processes_use_a_redis_that_runs_elsewhere():
    commands = demo.processes(port=8123, redis_at=None)
    assert list(commands) == ["web", "worker", "celery", "beat"]
    assert commands["worker"] == f"exec {shlex.quote(sys.executable)} manage.py run_worker"


def test_redis_socket_is_none_for_a_redis_elsewhere(settings):
    settings.REDIS_URL = "redis://cache.example.org:6379/0"
    assert demo.redis_socket() is None
    settings.REDIS_URL = "unix:///srv/spoton/redis.sock"
    assert demo.redis_socket() == Path("/srv/spoton/redis.sock")


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_run_demo_refuses_what_is_no_port(port: str):
    with pytest.raises(CommandError, match=f"'{port}' is no port: use a number from 1 to 65535"):
        call_command("run_demo", f"--port={port}", "--password=x")


def test_run_demo_says_that_the_port_is_taken():
    with socket.create_server((demo.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CommandError, match=f"port {port} cannot be used"):
            call_command("run_demo", port=port, password="x")
