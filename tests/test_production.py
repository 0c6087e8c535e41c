"""What compose.yaml starts, by hand: its very commands with TimescaleDB and Redis, behind a TLS proxy."""

import base64
import os
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests import servers
from tests.test_deploy import OWN, ROOT, command_of

HOST = "spoton.example.org"
BOUND_S = 120.0

pytestmark = [pytest.mark.timescale, pytest.mark.redis, pytest.mark.slow]


class Stack:
    """Runs services of compose.yaml as processes of one environment."""

    def __init__(self, data: Path, database_url: str, redis_url: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.data = data
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DATABASE_URL": database_url,
            "REDIS_URL": redis_url,
            "ALLOWED_HOSTS": f"{HOST},127.0.0.1",
            "BEHIND_TLS": "true",
            "SPOTON_DATA": str(data),
        }

    def run(self, *words: str) -> str:
        """Run a command to its end and give what it said."""
        done = subprocess.run(
            self._words(words), cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, service: str) -> Iterator[None]:
        """Run a service until the block ends."""
        log = self.data / f"{service}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._words(command_of(OWN[service])),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield
            process.terminate()
            assert process.wait(30) == 0, log.read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def answers(self, path: str, **headers: str) -> bool:
        """Say whether the web service gives a page."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as page:
                return bool(page.status == 200)
        except OSError:
            return False

    def _words(self, words: tuple[str, ...] | list[str]) -> list[str]:
        ours = {"python": sys.executable, "8000": str(self.port), "0.0.0.0": "127.0.0.1"}  # noqa: S104
        return [ours.get(word, word) for word in words]


def test_composecommand_ofs_serve_and_track_on_timescaledb(timescale_url: str, redis_url: str):
    with servers.short_folder("spoton-production-") as data:
        stack = Stack(data, timescale_url, redis_url)
        stack.run(*command_of(OWN["migrate"]))
        stack.run("python", "manage.py", "create_demo", "--password", "password")
        with stack.running("web"), stack.running("worker"), stack.running("celery"), stack.running("beat"):
            servers.wait_for(lambda: stack.answers("/readyz"), timeout_s=BOUND_S)
            assert stack.answers("/healthz")  # as the container's health check asks
            assert stack.answers("/accounts/login/", **{"Host": HOST, "X-Forwarded-Proto": "https"})
            servers.wait_for(lambda: _stored_points(timescale_url) > 0, timeout_s=BOUND_S)
            assert stack.run("python", "manage.py", "check_worker") == "The worker renews what it holds.\n"
            assert "pong" in stack.run(
                "python", "-m", "celery", "-A", "spoton", "inspect", "ping", "--timeout", "20"
            )
            servers.wait_for(lambda: list(data.glob("celerybeat-schedule*")), timeout_s=BOUND_S)


def _stored_points(url: str) -> int:
    with psycopg.connect(url.replace("timescale://", "postgres://", 1)) as connection:
        row = connection.execute("SELECT count(*) FROM tracking_trackpoint").fetchone()
    return int(row[0]) if row else 0
