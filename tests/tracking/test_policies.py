"""What TimescaleDB does by itself in the background: compress, count and forget."""

from datetime import timedelta

import pytest
from django.utils import timezone

from analytics.aggregates import KEPT_DAYS
from tests.factories import TrackPointFactory
from tests.servers import wait_for
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    fetch,
    on,
    pytest_generate_tests,
    server,
)

pytestmark = pytest.mark.usefixtures("server")
VIEW = "analytics_occupancyminute"
JOBS_S = 120.0  # all of them, on a machine that does other things too


def are_compressed() -> list[bool]:
    chunks = fetch(
        "SELECT is_compressed FROM timescaledb_information.chunks "
        "WHERE hypertable_name = 'tracking_trackpoint' ORDER BY range_start DESC"
    )
    return [bool(is_compressed) for (is_compressed,) in chunks]


def counted_ages_days() -> list[int]:
    """Give the ages of the minutes that are counted and kept, not those that are worked out when asked for."""
    ((table,),) = fetch(
        "SELECT format('%%I.%%I', materialization_hypertable_schema, materialization_hypertable_name) "
        "FROM timescaledb_information.continuous_aggregates WHERE view_name = %s",
        VIEW,
    )
    ages = fetch(f"SELECT extract(day FROM now() - bucket)::int FROM {table} ORDER BY bucket DESC")  # noqa: S608
    return [age for (age,) in ages]


@on("timescale")
def test_jobs_in_the_background_compress_count_and_forget():
    now = timezone.now()
    fetch(
        "SELECT alter_job(job_id, scheduled => false) FROM timescaledb_information.jobs WHERE job_id >= 1000"
    )
    newest = TrackPointFactory(time=now - timedelta(minutes=30))
    for age in (timedelta(days=10), timedelta(days=KEPT_DAYS + 30)):
        TrackPointFactory(time=now - age, track=newest.track)
    begin, end = now - timedelta(days=KEPT_DAYS + 31), now - timedelta(days=KEPT_DAYS)
    call = "CALL refresh_continuous_aggregate(%s::regclass, %s::timestamptz, %s::timestamptz)"
    fetch(call, VIEW, begin, end)
    assert (are_compressed(), counted_ages_days()) == ([False] * 3, [KEPT_DAYS + 30])
    fetch(
        "SELECT alter_job(job_id, scheduled => true, next_start => now()) "
        "FROM timescaledb_information.jobs WHERE job_id >= 1000"
    )
    wait_for(lambda: are_compressed() == [False, True, True], timeout_s=JOBS_S)
    wait_for(lambda: counted_ages_days() == [0], timeout_s=JOBS_S)
