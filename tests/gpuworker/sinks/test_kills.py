"""Worker, database and disk fail while rows are written: what is there in the end is what a quiet run leaves."""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command

from tests import servers
from tests.gpuworker.sinks import feeding
from tests.gpuworker.sinks.feeding import Feed
from tests.servers import run_postgres, short_folder, wait_for
from tests.tracking.test_databases import default_database

TICKS = 500
BOUND_S = 120.0


class Place:
    """A server whose database takes the rows, and a data folder."""

    def __init__(self, kind: str, folder: Path, server_folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._server_folder = server_folder
        self._kind = kind
        self.start_database()
        self.url = self._make_database()

    def start_database(self) -> None:
        """Start the server, with what it held before."""
        self._stack.enter_context(run_postgres(self._server_folder))

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

    def feed(self, **options) -> "subprocess.Popen[bytes]":
        """Start a worker where the last one is known to have come to."""
        first = feeding.durable(self.folder)
        return feeding.start(Feed(str(self.folder), first=first, last=TICKS, **options), self.url)

    def finish(self) -> None:
        """Let a worker that nobody kills go on to the end, and compare what is there with a quiet run."""
        last = self.feed()
        assert last.wait(BOUND_S) == 0, self.log()
        found = feeding.fingerprint(self.url)
        feeding.empty(self.url)
        quiet = self.folder / "quiet"
        quiet.mkdir()
        assert feeding.start(Feed(str(quiet), first=0, last=TICKS), self.url).wait(BOUND_S) == 0
        expected = feeding.fingerprint(self.url)
        assert expected["tracking_trackpoint"][0] == TICKS * 10
        assert found == expected
        assert list((self.folder / "spool").iterdir()) == []

    def log(self) -> str:
        """Give what the workers said."""
        return (self.folder / "feeding.log").read_text()

    def wait_for_ticks(self, count: int) -> None:
        """Wait until so many more ticks are durable."""
        begun = feeding.durable(self.folder)
        wait_for(lambda: feeding.durable(self.folder) >= min(begun + count, TICKS), timeout_s=BOUND_S)

    def close(self) -> None:
        """Stop the server."""
        self._stack.close()


@pytest.fixture(
    params=[pytest.param(kind, marks=getattr(pytest.mark, kind)) for kind in ("postgres", "timescale")]
)
def place(request, tmp_path, django_db_blocker) -> Iterator[Place]:
    with short_folder("spoton-kills-") as folder, django_db_blocker.unblock():
        made = Place(request.param, tmp_path, folder)
        yield made
        made.close()


pytestmark = [pytest.mark.slow]


def test_a_worker_is_killed_again_and_again(place):
    chance = random.Random(1)
    for _ in range(4):
        worker = place.feed()
        place.wait_for_ticks(chance.randint(5, 80))
        worker.kill()
        assert worker.wait() == -signal.SIGKILL
    place.finish()


def test_the_database_stops_under_load(place):
    worker = place.feed()
    place.wait_for_ticks(50)
    place.stop_database()
    place.wait_for_ticks(200)
    place.start_database()
    assert worker.wait(BOUND_S) == 0, place.log()
    assert "The database is away" in place.log()
    place.finish()


def test_the_disk_is_full_while_the_database_is_away(place):
    worker = place.feed(file_bytes=20_000)
    place.wait_for_ticks(20)
    place.stop_database()
    wait_for(lambda: "takes no more rows ([Errno 27] File too large)" in place.log(), timeout_s=BOUND_S)
    place.start_database()
    assert worker.wait(BOUND_S) == 0, place.log()
    place.finish()


def test_worker_database_and_disk_fail_together(place):
    chance = random.Random(2)
    for is_disk_full in (False, True, False):
        worker = place.feed(file_bytes=20_000 if is_disk_full else None)
        place.wait_for_ticks(chance.randint(5, 50))
        place.stop_database()
        if is_disk_full:
            wait_for(lambda: "takes no more rows" in place.log(), timeout_s=BOUND_S)
        else:
            place.wait_for_ticks(50)
        worker.kill()
        worker.wait()
        place.start_database()
    place.finish()
