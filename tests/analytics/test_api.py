"""What was counted, over REST: the same on every database."""

import csv
import io
import json
from datetime import timedelta

import polars
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEntry
from analytics.services import aggregates_refresh
from tests.analytics.test_counts import no_counts_from_before  # noqa: F401 - a fixture
from tests.factories import (
    CameraFactory,
    DetectionFactory,
    GrantFactory,
    TrackEventFactory,
    TrackFactory,
    TrackPointFactory,
    ZoneFactory,
)
from tests.roles import client_of, roles_ensure
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    pytest_generate_tests,
    server,
)
from tracking.choices import EventKind
from tracking.models import LateSpan

from tests.analytics.test_selectors import NOON, at, stay  # isort: skip

pytestmark = pytest.mark.usefixtures("server", "unhurried")
HOUR = {"since": "2026-05-04T12:00:00Z", "until": "2026-05-04T13:00:00Z"}
KINDS = ["detections", "occupancy", "heatmap", "flows", "dwell"]


@pytest.fixture
def place(server):  # noqa: F811
    """Make an hour in a place: one person for a minute, from one camera and area to another."""
    roles_ensure()
    camera = CameraFactory.create(key="c1")
    place = camera.environment
    place.slug = "plaza"
    place.save()
    track = TrackFactory.create(session__environment=place, ended_at=at(60))
    area = ZoneFactory.create(environment=place, key="a")
    stay(track, since_s=0, seconds=60, zones="a")
    TrackPointFactory.create(track=track, time=at(60), zones="", handover="c1 c2")
    DetectionFactory.create(camera=camera, time=at(1), track=track, confidence=0.5)
    about = {"environment": place, "zone": area, "track": track, "person": track.person}
    TrackEventFactory.create(kind=EventKind.ZONE_ENTER, time=at(0), **about)
    TrackEventFactory.create(kind=EventKind.ZONE_LEAVE, time=at(60), payload={"dwell_s": 60.0}, **about)
    LateSpan.objects.create(begins_at=NOON - timedelta(days=1), ends_at=NOON + timedelta(days=1))
    aggregates_refresh(now=NOON + timedelta(days=1))
    return place


@pytest.fixture
def viewer(place):
    return client_of(GrantFactory.create(environment=place).user)


def ask(viewer, kind: str, **query):
    response = viewer.get(f"/api/v1/analytics/{kind}/", {"environment": "plaza", **HOUR, **query})
    assert response.status_code == 200, response.content
    return response.json()


def test_each_kind_tells_what_was_counted(viewer):
    within = {"environment": "plaza", **HOUR}
    assert ask(viewer, "detections") == within | {
        "results": [
            {
                "at": HOUR["since"],
                "camera": "c1",
                "frames": 1,
                "detections": 1,
                "tracked": 1,
                "confidence": 0.5,
            }
        ]
    }
    hour = {"at": HOUR["since"], "mean": 61 / 3600, "peak": 1.0}
    assert ask(viewer, "occupancy") == within | {"results": [hour]}
    assert ask(viewer, "occupancy", zone="a")["results"] == [hour | {"mean": 60 / 3600}]
    cell = {"x_m": 1.0, "y_m": 2.0, "points": 61, "share": 1.0}
    assert ask(viewer, "heatmap") == within | {"cell_m": 0.5, "results": [cell]}
    assert ask(viewer, "flows")["results"] == [{"origin": None, "destination": "a", "count": 1}]
    assert ask(viewer, "flows", between="cameras")["results"] == [
        {"origin": "c1", "destination": "c2", "count": 1}
    ]
    (dwell,) = ask(viewer, "dwell")["results"]
    assert (dwell["zone"], dwell["open"], dwell["ended"], dwell["median_s"]) == ("a", 0, 1, 60.0)
    assert [b for b in dwell["histogram"] if b["ended"]] == [
        {"from_s": 60.0, "to_s": 120.0, "open": 0, "ended": 1}
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_time_in_which_nothing_was_seen_is_empty(viewer, kind):
    quiet = {"since": "2026-05-03T03:00:00Z", "until": "2026-05-03T04:00:00Z"}
    rows = ask(viewer, kind, **quiet)["results"]
    assert [row["ended"] + row["open"] for row in rows] == [0] if kind == "dwell" else rows == []


def test_range_of_whole_hours_is_told_as_it_is_answered(viewer):
    answer = ask(viewer, "heatmap", since="2026-05-04T12:30:00Z")
    assert (answer["since"], len(answer["results"])) == (HOUR["since"], 1)


def test_range_ends_now_at_the_latest(viewer):
    answer = ask(viewer, "occupancy", since=HOUR["since"], until="2026-05-05T00:00:00Z", step="day")
    assert answer["until"] == "2026-05-05T00:00:00Z"
    latest = viewer.get(
        "/api/v1/analytics/occupancy/", {"environment": "plaza", "until": "2199-01-01T00:00:00Z"}
    )
    assert (latest.status_code, latest.json()["results"]) == (200, [])
    assert latest.json()["until"] < "2199"


@pytest.mark.parametrize(
    ("kind", "query", "field"),
    [
        ("occupancy", {"step": "week"}, "step"),
        ("occupancy", {"since": "2026-05-01T12:00:00Z", "step": "minute"}, "since"),
        ("occupancy", {"since": "2026-01-04T12:00:00Z"}, "since"),
        ("detections", {"since": "2025-01-04T12:00:00Z", "step": "day"}, "since"),
        ("heatmap", {"since": "2025-01-04T12:00:00Z"}, "since"),
        ("flows", {"between": "floors"}, "between"),
        ("dwell", {"since": "2026-03-04T12:00:00Z"}, "since"),
        ("dwell", {"since": "2026-05-04T14:00:00Z"}, "since"),
        ("dwell", {"since": "0001-01-01T00:00:00Z"}, "since"),
        ("heatmap", {"until": "9999-12-31T23:59:59Z"}, "until"),
        ("occupancy", {"zone": "nowhere"}, "zone"),
        ("dwell", {"zone": "nowhere"}, "zone"),
        ("dwell", {"zone": "a b"}, "zone"),
        ("flows", {"environment": ""}, "environment"),
    ],
)
def test_nonsense_is_refused_by_field(viewer, kind, query, field):
    response = viewer.get(f"/api/v1/analytics/{kind}/", {"environment": "plaza", **HOUR, **query})
    assert (response.status_code, list(response.json()["error"]["fields"])) == (400, [field])


@pytest.mark.parametrize("kind", KINDS)
def test_place_that_is_not_granted_is_none(viewer, kind):
    other = CameraFactory.create().environment
    response = viewer.get(f"/api/v1/analytics/{kind}/", {"environment": other.slug, **HOUR})
    assert response.status_code == 404


@pytest.mark.parametrize("kind", KINDS)
def test_files_say_the_same(viewer, kind):
    rows = ask(viewer, kind)["results"]
    query = {"environment": "plaza", **HOUR}
    address = f"/api/v1/analytics/{kind}/"
    lines = viewer.get(address, query, HTTP_ACCEPT="application/x-ndjson")
    assert [json.loads(line) for line in lines.content.splitlines()] == rows
    table = list(csv.DictReader(io.StringIO(viewer.get(address, query | {"format": "csv"}).content.decode())))
    assert [list(row) for row in table] == [list(rows[0])]
    arrow = polars.read_ipc_stream(io.BytesIO(viewer.get(address, query | {"format": "arrow"}).content))
    assert (arrow.columns, arrow.height) == (list(rows[0]), len(rows))
    assert AuditEntry.objects.filter(action="exported", kind="analytics").count() == 3


@pytest.mark.parametrize("kind", KINDS)
def test_answer_is_sent_once_and_takes_few_queries_however_much_there_is(viewer, place, kind):
    for key in ("b", "c", "d"):
        CameraFactory.create(environment=place, key=key)
        ZoneFactory.create(environment=place, key=key)
    query = {"environment": "plaza", **HOUR}
    with CaptureQueriesContext(connection) as captured:
        response = viewer.get(f"/api/v1/analytics/{kind}/", query)
    assert len(captured) <= 6  # who asks, what they may, which place, and the answer's own two
    etag = response["ETag"]
    again = viewer.get(f"/api/v1/analytics/{kind}/", query, HTTP_IF_NONE_MATCH=etag)
    assert (again.status_code, again.content) == (304, b"")
