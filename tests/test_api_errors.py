"""Bad input to every address of the REST interface: 4xx, in the one shape, and never a 500."""

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Role
from tests.factories import UserFactory
from tests.roles import client_of, client_with
from tests.test_access import ENDPOINTS, address_of, scene

pytestmark = pytest.mark.usefixtures("unhurried")
USED = (scene,)  # the place that is asked about is the one of the tests of access

API = [endpoint for endpoint in ENDPOINTS if "-" in endpoint or endpoint == "GET system"]
PAGES = (" floor-plan", " alerts-")
API = [endpoint for endpoint in API if not any(page in endpoint for page in PAGES)]
BODIES: dict[str, tuple[bytes, str]] = {
    "cut off": (b'{"name": "x"', "application/json"),
    "empty": (b"", "application/json"),
    "a list": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "a text": (b'"x"', "application/json"),
    "no number": (b'{"width": NaN, "fps": Infinity}', "application/json"),
    "no text": (b"\xff\xfe\x00", "application/json"),
    "deep": (b'{"points_m":' + b"[" * 100_000, "application/json"),
    "wide numbers": (b'{"width": 1e400, "id": ' + b"9" * 4000 + b"}", "application/json"),
    "nul": (
        b'{"name": "a\\u0000b", "slug": "a\\u0000b", "username": "\\u0000", "key": "\\u0000"}',
        "application/json",
    ),
    "lone surrogate": (b'{"name": "\\ud800", "username": "\\ud800", "key": "\\ud800"}', "application/json"),
    "objects everywhere": (
        b'{"name": {}, "environment": {}, "points_m": {}, "refresh": {}, "username": []}',
        "application/json",
    ),
    "xml": (b"<x/>", "application/xml"),
    "a form": (b"name=x", "application/x-www-form-urlencoded"),
    "broken multipart": (b"--x\r\n", "multipart/form-data; boundary=x"),
    "no boundary": (b"x", "multipart/form-data"),
    "a strange type": (b"{}", "\x01/;;="),
}
VALUES = [
    "' OR 1=1 --",
    "\0",
    "\ud7ff\ufffd",
    "../../etc/passwd",
    "-1",
    "9" * 400,
    "1e999",
    "{{7*7}}",
    "%00",
    "a" * 5000,
]
PARAMETERS = [
    "environment",
    "page",
    "page_size",
    "cursor",
    "ordering",
    "search",
    "kind",
    "person",
    "since",
    "until",
]
PARAMETERS += ["max_points", "format", "number", "id", "person_id", "state", "enabled", "user", "role"]
PARAMETERS += ["step", "zone", "between"]
PATHS = ["' OR '1'='1", "..%2f..%2fetc%2fpasswd", "%00", "1;drop table x", "9" * 100, "\u0663", "a" * 3000]


def check(response: Any) -> None:
    """Check that an answer is no fault of ours, and that a refusal has the one shape."""
    assert response.status_code < 500, response.content[:300]
    if response.status_code < 400:
        return
    body = json.loads(response.content)
    assert list(body) == ["error"]
    assert {"code", "message"} <= set(body["error"]) <= {"code", "message", "fields"}
    assert all(isinstance(text, str) for text in (body["error"]["code"], body["error"]["message"]))
    for texts in body["error"].get("fields", {}).values():
        assert texts
        assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize("endpoint", [e for e in API if not e.startswith("GET")])
def test_bad_bodies_are_refused(endpoint, scene):
    method, name = endpoint.split()
    for what, (body, kind) in BODIES.items():
        admin = client_with(Role.ADMIN)
        address = address_of(name, scene, admin.user)
        response = admin.generic(method, address, body, content_type=kind)
        check(response)
        if what in ("cut off", "no text", "deep", "no number") and kind == "application/json":
            assert response.status_code in (204, 400, 401, 404, 409, 415) or _reads_no_body(name), what


def _reads_no_body(name: str) -> bool:
    """Say whether an address starts something without reading what is sent along."""
    if name in ("camera-calibration-use", "proposal-apply", "rule-test", "webhook-secret"):
        return True
    return name.startswith(("session-", "camera-look")) and not name.endswith("-list")


@pytest.mark.parametrize("endpoint", [e for e in API if e.startswith("GET")])
def test_bad_queries_are_refused(endpoint, scene):
    _, name = endpoint.split()
    admin = client_with(Role.ADMIN)
    address = address_of(name, scene, admin.user)
    for parameter in PARAMETERS:
        for value in VALUES:
            check(admin.get(address, {parameter: value}))


@pytest.mark.parametrize(
    "kind",
    [
        "environments",
        "cameras",
        "zones",
        "grants",
        "sessions",
        "persons",
        "tracks",
        "events",
        "users",
        "audit",
    ],
)
def test_bad_paths_lead_nowhere(kind, scene):
    admin = client_with(Role.ADMIN)
    for path in PATHS:
        for method in ("get", "patch", "delete"):
            response = getattr(admin, method)(f"/api/v1/{kind}/{path}/")
            check(response)
            assert response.status_code in (404, 405), path


def test_refusals_of_every_kind_have_the_one_shape(scene):
    admin, nobody = client_with(Role.ADMIN), APIClient()
    viewer = client_of(UserFactory.create())
    refusals = {
        400: admin.get("/api/v1/events/", {"kind": "x"}),
        401: nobody.get("/api/v1/events/"),
        403: viewer.get("/api/v1/users/"),
        404: admin.get("/api/v1/nothing/here/"),
        405: admin.delete("/api/v1/events/"),
        406: admin.get("/api/v1/cameras/", HTTP_ACCEPT="image/png"),
        409: admin.delete(f"/api/v1/users/{admin.user.pk}/"),
        413: admin.generic(
            "POST", "/api/v1/zones/", b"{" + b" " * 6_000_000, content_type="application/json"
        ),
        415: admin.generic("POST", "/api/v1/zones/", b"<x/>", content_type="application/xml"),
    }
    assert {status: response.status_code for status, response in refusals.items()} == {s: s for s in refusals}
    for response in refusals.values():
        check(response)
        assert response["Content-Type"].startswith("application/json")
    codes = {status: json.loads(response.content)["error"]["code"] for status, response in refusals.items()}
    assert codes == {
        400: "invalid",
        401: "not_authenticated",
        403: "permission_denied",
        404: "not_found",
        405: "method_not_allowed",
        406: "not_acceptable",
        409: "conflict",
        413: "too_large",
        415: "unsupported_media_type",
    }


def test_fault_of_ours_tells_nothing(scene, monkeypatch):
    def fail(**_: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("tracking.api.presences", fail)
    admin = client_with(Role.ADMIN)
    admin.raise_request_exception = False
    response = admin.get("/api/v1/positions/")
    assert response.status_code == 500
    assert response.json() == {"error": {"code": "error", "message": "Something went wrong here."}}
