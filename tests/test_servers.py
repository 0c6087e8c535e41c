"""The throw-away servers themselves: they answer, they forget nothing they should keep, and they leave nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import dj_database_url
import psycopg
import pytest
import redis

from tests import servers

CRASHING_SESSION = """
import os, sys
from pathlib import Path
from tests import servers
folder = Path(sys.argv[1])
with servers.run_redis(folder), servers.run_postgres(folder):
    print("ready", flush=True)
    os.kill(os.getpid(), 9)
"""


def test_redis_url_answers(redis_url: str):
    assert redis.from_url(redis_url).ping() is True


def test_run_redis_again_gives_the_same_url():
    with servers.short_folder("spoton-redis-") as folder:
        with servers.run_redis(folder) as first:
            pass
        with pytest.raises(redis.ConnectionError):
            redis.from_url(first).ping()
        with servers.run_redis(folder) as second:
            assert second == first
            assert redis.from_url(second).ping() is True


def test_postgres_url_is_an_empty_database_of_its_own(postgres_url: str):
    with psycopg.connect(postgres_url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert row == (0,)


def test_postgres_url_is_read_by_settings(postgres_url: str):
    config = dj_database_url.parse(postgres_url)
    assert config["ENGINE"] == "django.db.backends.postgresql"
    assert config["HOST"].startswith("/tmp/spoton-postgres-")


def test_timescale_url_makes_hypertables(timescale_url: str):
    with psycopg.connect(timescale_url.replace("timescale://", "postgres://")) as connection:
        connection.execute("CREATE TABLE sample (at timestamptz NOT NULL)")
        connection.execute("SELECT create_hypertable('sample', 'at')")
        row = connection.execute("SELECT hypertable_name FROM timescaledb_information.hypertables").fetchone()
    assert row == ("sample",)


@pytest.mark.redis
@pytest.mark.postgres
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's death")
def test_servers_die_with_a_killed_session():
    with servers.short_folder("spoton-crash-") as folder:
        crashed = subprocess.run(
            [sys.executable, "-c", CRASHING_SESSION, folder],
            cwd=Path(__file__).resolve().parents[1],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "spoton.settings_test"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (crashed.returncode, crashed.stdout) == (-signal.SIGKILL, "ready\n"), crashed.stderr
        servers.wait_for(lambda: not _processes_naming(folder))


def _processes_naming(folder: Path) -> list[str]:
    lines = subprocess.run(
        ["ps", "-eo", "pid,stat,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return [line for line in lines if str(folder) in line]
