"""The lossless sink on SQLite, PostgreSQL and TimescaleDB, each a real server."""

import logging

import pytest
from django.db import connection

from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from tests.factories import CameraFactory, TrackingSessionFactory
from tests.gpuworker.made import at, result
from tests.servers import wait_for
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    on,
    pytest_generate_tests,
    server,
)
from tracking.models import TrackPoint

pytestmark = pytest.mark.usefixtures("server")


def make_sampler() -> Sampler:
    session = TrackingSessionFactory.create()
    camera = CameraFactory.create(environment=session.environment, key="c1")
    return Sampler(
        environment_id=session.environment_id,
        session_id=session.pk,
        cameras={"c1": camera.pk},
        zones={},
    )


@on("postgres", "timescale")
def test_rows_survive_a_connection_that_the_server_ends(monkeypatch, caplog, tmp_path):
    caplog.set_level(logging.INFO, "gpuworker.sinks.rows")
    monkeypatch.setattr("gpuworker.sinks.rows.WRITE_S", 0.02)
    monkeypatch.setattr("gpuworker.sinks.rows.RETRY_S", (0.02,))
    sink = RowsSink(make_sampler(), folder=tmp_path, max_bytes=10_000_000)
    sink.put(result(0, {7: 3}), [])
    wait_for(TrackPoint.objects.exists)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database()"
        )
    for t in range(1, 4):
        sink.put(result(t, {7: 3}), [])
    wait_for(lambda: TrackPoint.objects.count() == 4)
    sink.close()
    assert [point.time for point in TrackPoint.objects.order_by("time")] == [at(t) for t in range(4)]
    wait_for(lambda: len(caplog.records) == 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
