"""The same migrations, rows and claims on SQLite, PostgreSQL and TimescaleDB, each a real server."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, transaction
from django.db.migrations.recorder import MigrationRecorder

from accounts.models import AuditAction, AuditEntry, Role, User
from accounts.services import audit_write
from environments.models import Camera, Environment
from environments.services import calibration_set
from tests.conftest import _database
from tests.factories import (
    H_IMAGE_TO_WORLD,
    T0,
    CameraFactory,
    DetectionFactory,
    EnvironmentFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
)
from tests.roles import client_with, roles_ensure
from tracking.models import Detection, TrackEvent, TrackingSession, TrackPoint
from tracking.positions import Stretch, points_thinned
from tracking.services import history_expire, numbers_reserve, session_claim

OURS = ("analytics", "notifications", "tracking", "environments", "accounts")
SERIES = {
    "tracking_trackpoint": timedelta(days=1),
    "tracking_detection": timedelta(days=1),
    "tracking_trackevent": timedelta(days=7),
}
SERVERS: dict[str, list[pytest.MarkDecorator]] = {
    "sqlite": [],
    "postgres": [pytest.mark.postgres],
    "timescale": [pytest.mark.timescale],
}


@contextmanager
def empty_database(folder: Path, *, has_timescale: bool) -> Iterator[str]:
    """Make a database of the throw-away server in a folder, with the extension or without."""
    for url in _database(folder):
        if has_timescale:
            with psycopg.connect(url, autocommit=True) as server:
                server.execute("CREATE EXTENSION timescaledb")
        yield url.replace("postgres:", "timescale:", 1) if has_timescale else url


@contextmanager
def default_database(url: str) -> Iterator[None]:
    """Let the default connection, in every thread, be the database at a URL."""
    config = dict(dj_database_url.parse(url))
    if url.startswith("sqlite"):
        config["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    else:
        config["OPTIONS"] = settings.POSTGRES_OPTIONS
    before, config_before = connections[DEFAULT_DB_ALIAS], connections.settings[DEFAULT_DB_ALIAS]
    complete = connections.configure_settings({DEFAULT_DB_ALIAS: config})[DEFAULT_DB_ALIAS]
    connections.settings[DEFAULT_DB_ALIAS] = complete
    connections[DEFAULT_DB_ALIAS] = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS].close()
        connections.settings[DEFAULT_DB_ALIAS] = config_before
        connections[DEFAULT_DB_ALIAS] = before


@pytest.fixture(scope="module")
def database_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker
) -> Iterator[str]:
    """Make a migrated database on the kind of server that the test is run for; one for all tests."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url = f"sqlite:///{tmp_path_factory.mktemp('databases') / 'db.sqlite3'}"
        else:
            folder = request.getfixturevalue("_postgres_folder")
            url = stack.enter_context(empty_database(folder, has_timescale=request.param == "timescale"))
        with django_db_blocker.unblock(), default_database(url):
            call_command("migrate", verbosity=0)
        yield url


@pytest.fixture
def server(database_url: str, django_db_blocker) -> Iterator[None]:
    """Let a test use the database, and empty it afterwards."""
    with django_db_blocker.unblock(), default_database(database_url):
        yield
        flush()


def flush() -> None:
    """Empty the database, which refuses to lose what was written down as long as nobody insists."""
    no_delete = import_module("accounts.migrations.0004_audit_append_only").SQLITE[1]
    insist, back = {
        "sqlite": ("DROP TRIGGER audit_no_delete", no_delete),
        "postgresql": tuple(
            f"ALTER TABLE accounts_auditentry {verb} TRIGGER audit_no_truncate"
            for verb in ("DISABLE", "ENABLE")
        ),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(insist)
        call_command("flush", interactive=False, inhibit_post_migrate=True, verbosity=0)
        cursor.execute(back)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test on every kind of server, unless it names some itself."""
    if "database_url" in metafunc.fixturenames:
        wanted = getattr(metafunc.function, "servers", SERVERS)
        params = [pytest.param(kind, marks=SERVERS[kind], id=kind) for kind in wanted]
        metafunc.parametrize("database_url", params, indirect=True)


def on(*servers: str) -> Callable:
    """Run a test on some servers only."""

    def mark(function: Callable) -> Callable:
        function.servers = servers  # type: ignore[attr-defined]
        return function

    return mark


def at_once(count: int, call: Callable[[int], object]) -> list[object]:
    """Call from as many threads as asked, at the same moment, each with its own connection."""
    barrier, answers = threading.Barrier(count), [None] * count

    def run(index: int) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(timeout=20)
            answers[index] = call(index)  # type: ignore[call-overload]
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    return list(answers)


def fetch(query: str, *params: Any) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return list(cursor.fetchall()) if cursor.description else []


def our_tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith(OURS)}


def test_migrations_go_backward_and_forward_again(server):
    tables = our_tables()
    assert set(SERIES) <= tables
    for app in OURS:
        call_command("migrate", app, "zero", verbosity=0)
        assert not any(key[0] == app for key in MigrationRecorder(connection).applied_migrations())
    assert our_tables() == set()
    call_command("migrate", verbosity=0)
    assert our_tables() == tables
    TrackPointFactory()
    assert TrackPoint.objects.count() == 1


@on("postgres", "timescale")
def test_commands_reach_the_server_through_the_settings(server, database_url, tmp_path):
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "SPOTON_DATA": str(tmp_path),
        "DEMO_PASSWORD": "x",
    }
    command = [sys.executable, "manage.py", "create_demo", "--settings", "spoton.settings_test"]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert Environment.objects.get().slug == "plaza"
    assert Camera.objects.count() == 4
    assert User.objects.get().username == "admin"


@on("timescale")
def test_time_series_are_hypertables(server):
    found = fetch(
        "SELECT hypertable_name, column_name, time_interval FROM timescaledb_information.dimensions "
        "WHERE hypertable_name LIKE 'tracking%%'"
    )
    assert {(name, column): interval for name, column, interval in found} == {
        (name, "time"): interval for name, interval in SERIES.items()
    }


@on("timescale")
def test_rows_of_different_days_lie_in_different_chunks(server):
    point = TrackPointFactory(time=T0)
    TrackPointFactory(time=T0 + timedelta(days=1), track=point.track)
    TrackPointFactory(time=T0 + timedelta(days=1, minutes=1), track=point.track)
    chunks = fetch(
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = %s",
        "tracking_trackpoint",
    )
    assert chunks == [(2,)]


@on("timescale")
def test_chunks_that_nobody_keeps_are_dropped(server):
    point, kept_longer = TrackPointFactory(time=T0), TrackPointFactory(time=T0 + timedelta(hours=1))
    Environment.objects.filter(pk=kept_longer.environment_id).update(retention_days=90)
    TrackPointFactory(time=T0 + timedelta(days=40), track=point.track)
    query = (
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_name = 'tracking_trackpoint'"
    )
    history_expire(now=T0 + timedelta(days=35))
    assert (fetch(query), TrackPoint.objects.count()) == ([(2,)], 2)
    # of a chunk that somebody may keep, what is too old is deleted row by row
    history_expire(now=T0 + timedelta(days=100))
    assert (fetch(query), TrackPoint.objects.count()) == ([(1,)], 0)
    history_expire(now=T0 + timedelta(days=135))
    assert fetch(query) == [(0,)]


@on("timescale")
def test_old_chunks_are_compressed_and_still_take_and_lose_rows(server):
    points = [TrackPointFactory(time=T0), TrackPointFactory(time=T0 + timedelta(seconds=1))]
    assert fetch("SELECT count(compress_chunk(c)) FROM show_chunks('tracking_trackpoint') c") == [(1,)]
    TrackPoint.objects.bulk_create(points, ignore_conflicts=True)
    late = TrackPointFactory(time=T0 + timedelta(seconds=2), track=points[0].track)
    assert TrackPoint.objects.count() == 3
    points[0].environment.delete()
    assert list(TrackPoint.objects.values_list("time", flat=True)) == [points[1].time]
    assert late.track_id == points[0].track_id


@on("postgres")
def test_time_series_are_plain_tables_without_timescale(server):
    assert fetch("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == [(0,)]
    kinds = fetch("SELECT relname, relkind FROM pg_class WHERE relname = ANY(%s)", list(SERIES))
    assert dict(kinds) == dict.fromkeys(SERIES, "r")


def test_rows_are_read_as_they_were_written(server):
    point = TrackPointFactory(x_m=1.25, cameras="c1 c2")
    box = DetectionFactory(confidence=0.5)
    event = TrackEventFactory(payload={"speed_mps": 1.5}, environment=point.environment)
    assert TrackPoint.objects.values_list("time", "track_id", "x_m", "cameras").get() == (
        point.time,
        point.track_id,
        1.25,
        "c1 c2",
    )
    assert Detection.objects.values_list("time", "camera_id", "confidence").get() == (
        box.time,
        box.camera_id,
        0.5,
    )
    assert TrackEvent.objects.values_list("id", "time", "payload").get() == (
        event.id,
        event.time,
        {"speed_mps": 1.5},
    )


def test_times_of_points_are_shown_in_order_as_they_were_written(server):
    track = TrackFactory()
    after_s = (1.000001, 0.25, 1.0, 0.0, 0.1, 86_400.5, 2.0)
    for seconds in after_s:
        TrackPointFactory(track=track, time=T0 + timedelta(seconds=seconds))
    everything = Stretch("track_id", (track.pk,), T0, T0 + timedelta(days=9))
    shown = points_thinned(stretches=[everything], max_points=100)
    expected = [T0 + timedelta(seconds=seconds) for seconds in sorted(after_s)]
    assert [point["at"] for point in shown.points] == [
        at.isoformat().replace("+00:00", "Z") for at in expected
    ]


def test_rows_written_again_are_there_once(server):
    track, camera = TrackFactory(), CameraFactory()
    points = TrackPointFactory.build_batch(50, track=track, environment=track.session.environment)
    boxes = DetectionFactory.build_batch(50, camera=camera)
    events = TrackEventFactory.build_batch(50, environment=track.session.environment)
    for _ in range(2):
        TrackPoint.objects.bulk_create(points, ignore_conflicts=True)
        Detection.objects.bulk_create(boxes, ignore_conflicts=True)
        TrackEvent.objects.bulk_create(events, ignore_conflicts=True)
    counts = [model.objects.count() for model in (TrackPoint, Detection, TrackEvent)]
    assert counts == [50, 50, 50]


def test_constraints_hold_in_the_database(server):
    point = TrackPointFactory()
    for make in (
        lambda: TrackPointFactory(track=point.track, time=point.time),
        lambda: DetectionFactory(confidence=1.5),
        lambda: TrackingSessionFactory(environment=point.environment),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            make()


def test_time_series_go_with_their_environment(server):
    kept, point = TrackPointFactory(), TrackPointFactory()
    box = DetectionFactory(camera=CameraFactory(environment=point.environment))
    TrackEventFactory(environment=point.environment, camera=box.camera)
    point.environment.delete()
    assert list(TrackPoint.objects.values_list("track_id", flat=True)) == [kept.track_id]
    assert (Detection.objects.count(), TrackEvent.objects.count()) == (0, 0)


def test_one_of_many_workers_claims_a_session(server):
    session = TrackingSessionFactory()
    claimed = at_once(6, lambda index: session_claim(worker=f"w{index}", now=T0))
    winners = [index for index, won in enumerate(claimed) if won is not None]
    assert len(winners) == 1
    session.refresh_from_db()
    assert (session.worker, session.epoch) == (f"w{winners[0]}", 1)


def test_many_workers_share_the_sessions(server):
    sessions = TrackingSessionFactory.create_batch(4)
    claimed = at_once(4, lambda index: [session_claim(worker=f"w{index}", now=T0) for _ in range(4)])
    won = [session for mine in claimed for session in mine if session]  # type: ignore[attr-defined]
    assert sorted(session.pk for session in won) == sorted(session.pk for session in sessions)
    assert set(TrackingSession.objects.values_list("epoch", flat=True)) == {1}


def test_numbers_are_never_given_twice(server):
    ranges = at_once(6, lambda index: [numbers_reserve(name="person", count=7) for _ in range(5)])
    numbers = [number for mine in ranges for taken in mine for number in taken]  # type: ignore[attr-defined]
    assert sorted(numbers) == list(range(1, 6 * 5 * 7 + 1))


def test_one_calibration_is_in_use_after_two_at_once(server):
    camera = CameraFactory(environment=EnvironmentFactory())
    at_once(4, lambda index: calibration_set(camera=camera, h_image_to_world=H_IMAGE_TO_WORLD))
    assert camera.calibrations.count() == 4
    assert camera.calibrations.filter(is_active=True).count() == 1


def test_audit_log_is_append_only(server):
    with transaction.atomic():
        audit_write(actor=None, action=AuditAction.VIEWED, kind="person", now=T0)
        for change in (lambda rows: rows.update(kind="camera"), lambda rows: rows.delete()):
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                change(AuditEntry.objects.all())
        if connection.vendor == "postgresql":
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                fetch("TRUNCATE accounts_auditentry CASCADE")
        assert AuditEntry.objects.get().kind == "person"
        transaction.set_rollback(True)


def test_names_that_no_database_stores_are_written_down_all_the_same(server, settings, redis_url):
    roles_ensure()
    settings.REDIS_URL = redis_url
    admin, place = client_with(Role.ADMIN), EnvironmentFactory()
    body = b'{"name": "New", "a\\u0000b": 1, "\\ud800": 2}'
    changed = admin.generic(
        "PATCH", f"/api/v1/environments/{place.slug}/", body, content_type="application/json"
    )
    asked = admin.get("/api/v1/persons/", {"number": "1", "x\0": "\0"})
    assert (changed.status_code, asked.status_code) == (200, 200)
    details = [entry.detail for entry in AuditEntry.objects.order_by("pk")]
    assert [detail.get("fields") or detail["query"] for detail in details] == [
        ["a\ufffdb", "name", "\ufffd"],
        {"number": "1", "x\ufffd": "\ufffd"},
    ]
    assert admin.get("/api/v1/events/", {"since": "2026-05-04T12:00:00+21:25"}).status_code == 200
    refused = admin.get("/api/v1/events/", {"zone": "\0", "environment": "\0"})
    assert refused.status_code == 400
