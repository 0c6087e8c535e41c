"""Rows of REST as CSV, lines of JSON and Arrow."""

import csv
import io
import json
from datetime import datetime, timedelta

import polars
import pytest
from rest_framework.serializers import CharField

from accounts.rest.renderers import CSVRenderer
from tests.factories import (
    T0,
    TrackEventFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings")]
RANGE = {"since": "2026-05-04T11:00:00Z", "until": "2026-05-04T13:00:00Z"}


def test_history_as_csv_lines_and_arrow_says_the_same(viewer, track):
    address = "/api/v1/positions/history/"
    query = RANGE | {"environment": "plaza"}
    rows = viewer.get(address, query).json()["results"]

    table = viewer.get(address, query, HTTP_ACCEPT="text/csv")
    assert table["Content-Type"] == "text/csv; charset=utf-8"
    listed = list(csv.DictReader(io.StringIO(table.content.decode())))
    assert [(row["at"], float(row["x_m"]), json.loads(row["cameras"])) for row in listed] == [
        (row["at"], row["x_m"], row["cameras"]) for row in rows
    ]

    lines = viewer.get(address, query, HTTP_ACCEPT="application/x-ndjson")
    assert [json.loads(line) for line in lines.content.splitlines()] == rows

    arrow = viewer.get(address, query | {"format": "arrow"})
    assert arrow["Content-Type"] == "application/vnd.apache.arrow.stream"
    frame = polars.read_ipc_stream(io.BytesIO(arrow.content))
    assert frame["at"].to_list() == [datetime.fromisoformat(row["at"]) for row in rows]
    assert frame["x_m"].to_list() == [row["x_m"] for row in rows]
    assert frame["person"].to_list() == [7] * 10
    assert frame.columns == list(rows[0])


def test_events_as_arrow_keep_what_is_not_there(viewer, plaza):
    TrackEventFactory.create(environment=plaza, payload={"message": "=1+1"})
    arrow = viewer.get("/api/v1/events/", HTTP_ACCEPT="application/vnd.apache.arrow.stream")
    frame = polars.read_ipc_stream(io.BytesIO(arrow.content))
    assert (frame["person"].to_list(), frame["zone"].to_list(), frame["x_m"].to_list()) == (
        [None],
        [None],
        [None],
    )
    assert json.loads(frame["payload"][0]) == {"message": "=1+1"}


def test_files_without_rows_have_their_columns(viewer, plaza):
    table = viewer.get("/api/v1/events/", {"format": "csv"})
    assert table.content.decode().strip().split(",")[:3] == ["id", "at", "environment"]
    arrow = viewer.get("/api/v1/events/", {"format": "arrow"})
    assert polars.read_ipc_stream(io.BytesIO(arrow.content)).height == 0
    lines = viewer.get("/api/v1/events/", {"format": "ndjson"})
    assert lines.content == b""
    types = [response["Content-Type"] for response in (table, arrow, lines)]
    assert types == [
        "text/csv; charset=utf-8",
        "application/vnd.apache.arrow.stream",
        "application/x-ndjson",
    ]


def test_errors_are_json_whatever_was_asked(viewer):
    response = viewer.get("/api/v1/events/", {"format": "csv", "kind": "dance"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/json")
    assert list(response.json()["error"]["fields"]) == ["kind"]


@pytest.mark.parametrize("wanted", ["", "pdf", "CSV"])
def test_format_that_there_is_not_is_refused(viewer, wanted):
    response = viewer.get("/api/v1/events/", {"format": wanted}, HTTP_ACCEPT="text/csv")
    assert response["Content-Type"] == "application/json"
    assert (response.status_code, response.json()["error"]["fields"]) == (
        400,
        {"format": ["Give one of json, api, csv, ndjson, arrow."]},
    )


def test_files_name_the_next_page_in_a_header(viewer, plaza):
    for second in range(3):
        TrackEventFactory.create(environment=plaza, time=T0 + timedelta(seconds=second))
    response = viewer.get("/api/v1/events/", {"format": "ndjson", "page_size": 2})
    address = response["Link"].split(">")[0].removeprefix("<")
    assert len(response.content.splitlines()) == 2
    assert len(viewer.get(address).content.splitlines()) == 1


def test_formulas_in_names_are_no_formulas_in_a_spreadsheet():

    written = CSVRenderer().write(
        [{"name": "=HYPERLINK()"}, {"name": "-1"}, {"name": 1}], {"name": CharField()}
    )
    assert written == b"name\r\n'=HYPERLINK()\r\n'-1\r\n1\r\n"
