"""A database server to write rows to, and the worker that writes them: both to be killed."""

import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path

import psycopg
from django.core.management import call_command

from tests import servers
from tests.gpuworker.sinks import feeding
from tests.gpuworker.sinks.feeding import Feed, Fingerprint
from tests.servers import run_postgres, wait_for
from tests.tracking.test_databases import default_database

TICKS = 500
BOUND_S = 900.0


class Place:
    """A server whose database takes the rows, and a data folder."""

    def __init__(self, kind: str, folder: Path, server_folder: Path, **settings: str) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._server_folder = server_folder
        self._kind = kind
        self._settings = settings
        self.begun: list[int] = []  # the first ticks of the workers
        self.published: list[int] = []  # the ticks after the last ones that those who ended published
        self.start_database()
        self.url = self._make_database()

    def start_database(self) -> None:
        """Start the server, with what it held before."""
        self._stack.enter_context(run_postgres(self._server_folder, **self._settings))

    def stop_database(self) -> None:
        """Stop the server at once, as a crash would."""
        self._stack.close()

    def _make_database(self) -> str:
        """Make a database, migrated, with the place that rows refer to."""
        url = servers.postgres_database_url(self._server_folder, "rows")
        server = servers.postgres_database_url(self._server_folder, "postgres")
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("CREATE DATABASE rows TEMPLATE template0")
        if self._kind == "timescale":
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION timescaledb")
            url = url.replace("postgres://", "timescale://", 1)
        with default_database(url):
            call_command("migrate", verbosity=0)
            feeding.prepare()
        return url

    def feed(self, *, last: int = TICKS, **options) -> "subprocess.Popen[bytes]":
        """Start a worker after the last tick that another one has begun."""
        first = feeding.progress(self.folder).begun
        self.begun.append(first)
        return feeding.start(Feed(str(self.folder), first=first, last=last, **options), self.url)

    def kill(self, worker: "subprocess.Popen[bytes]") -> None:
        """Kill a worker, and note what it has published."""
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
        self.published.append(feeding.progress(self.folder).published)

    def finish(self, *, last: int = TICKS, **options) -> tuple[Fingerprint, Fingerprint]:
        """Let a worker that nobody kills go on to the end; give what is there, and what quiet runs leave.

        Those take the same ticks between the same ends, and stop in order. A tick that a worker was killed in is stored
        as a whole or not at all; each one that was published is.
        """
        if not self.begun or len(self.published) == len(self.begun):
            assert self.feed(last=last, **options).wait(BOUND_S) == 0, self.log()
        self.published.append(last)
        assert list((self.folder / "spool").iterdir()) == []
        found = feeding.fingerprint(self.url)
        ends = [feeding.last_stored(self.url, first) for first in self.begun]
        for published, end in zip(self.published, ends, strict=True):
            assert published <= end <= published + 1
        feeding.empty(self.url)
        quiet = self.folder / "quiet"
        quiet.mkdir()
        for first, end in zip(self.begun, ends, strict=True):
            feed = Feed(str(quiet), first=first, last=end, **options)
            assert feeding.start(feed, self.url).wait(BOUND_S) == 0
        return found, feeding.fingerprint(self.url)

    def log(self) -> str:
        """Give what the workers said."""
        return (self.folder / "feeding.log").read_text()

    def wait_for_ticks(self, count: int) -> None:
        """Wait until so many more ticks are published."""
        wanted = feeding.progress(self.folder).published + count
        wait_for(
            lambda: feeding.progress(self.folder).published >= min(wanted, TICKS),
            timeout_s=BOUND_S,
        )

    def close(self) -> None:
        """Stop the server."""
        self._stack.close()
