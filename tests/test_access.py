"""Who may do what, everywhere: every address and method x every role, with and without a grant.

The addresses come from the URL configuration: one without a row here fails.
"""

import io
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone
from PIL import Image
from rest_framework.test import APIClient

from accounts.models import AuditAction, AuditEntry, Role
from accounts.services import api_key_create, audit_write
from tests.factories import (
    AlertFactory,
    CalibrationFactory,
    CameraFactory,
    CameraMoveFactory,
    DeliveryFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
    PersonFactory,
    ProposalFactory,
    RuleFactory,
    RunFactory,
    TrackEventFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
    UserFactory,
    WebhookFactory,
    ZoneFactory,
)
from tests.roles import client_of, roles_ensure
from tracking import camera_api
from tracking.snapshots import Snapshot, picture_note, probe_note

pytestmark = pytest.mark.usefixtures("unhurried")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
WHO = ["anonymous", "viewer", "operator", "admin"]

# what each policy answers: anonymous, then viewer, operator and admin with a grant, then without one
OK, IN, NO, NONE, LOGIN = "ok", 401, 403, 404, 302
POLICIES: dict[str, tuple[Any, list[Any], list[Any]]] = {
    "public": (OK, [OK, OK, OK], [OK, OK, OK]),
    "anybody": (IN, [OK, OK, OK], [OK, OK, OK]),  # one's own things, and lists of what one may see
    "look": (IN, [OK, OK, OK], [NONE, NONE, OK]),
    "operate": (IN, [NO, OK, OK], [NO, NONE, OK]),
    "ask": (IN, [NO, OK, OK], [NO, 400, OK]),  # names a place in the body: one that is not granted is none
    "oversee": (IN, [NO, OK, OK], [NO, OK, OK]),
    "set up": (IN, [NO, NO, OK], [NO, NO, OK]),
    "page": (LOGIN, [OK, OK, OK], [OK, OK, OK]),
    "overseer's page": (LOGIN, [NO, OK, OK], [NO, OK, OK]),
    "page of a place": (LOGIN, [OK, OK, OK], [NONE, NONE, OK]),
    "page to operate": (LOGIN, [NO, OK, OK], [NONE, NONE, OK]),
    "page to set up": (LOGIN, [NO, NO, OK], [NONE, NONE, OK]),
}

FORMS = ("page to operate", "page to set up")
PROBE = "0123456789abcdef" * 2
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def picture() -> io.BytesIO:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    file.seek(0)
    file.name = "plan.png"
    return file


def calibration_file() -> io.BytesIO:
    file = io.BytesIO(b"0,0,0,1\n100,0,1,1\n100,100,1,0\n0,100,0,0\n")
    file.name = "pairs.csv"
    return file


Body = Callable[[SimpleNamespace], dict[str, Any]]
CAMERA: Body = lambda s: {  # noqa: E731
    "environment": s.slug,
    "key": "new",
    "width": 640,
    "height": 480,
    "source_url": "sim://plaza/c1",
}
ZONE: Body = lambda s: {"environment": s.slug, "key": "new", "name": "New", "points_m": SQUARE}  # noqa: E731
PLACE: Body = lambda s: {"slug": "new", "name": "New"}  # noqa: E731
CALIBRATION: Body = lambda s: {"h_image_to_world": [[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]}  # noqa: E731
TRIAL: Body = lambda s: {  # noqa: E731
    "point_pairs": [{"u": 100 * x + 9, "v": 100 * y + 9, "x": x, "y": -y} for x, y in SQUARE]
}
PLAN: Body = lambda s: {"image": picture(), "metres_per_px": 1}  # noqa: E731
CALIBRATION_FILE: Body = lambda s: {"file": calibration_file()}  # noqa: E731
USER: Body = lambda s: {"username": "new", "password": "correct horse battery"}  # noqa: E731
RULE: Body = lambda s: {"environment": s.slug, "name": "New", "kinds": ["zone_enter"]}  # noqa: E731
WEBHOOK: Body = lambda s: {"environment": s.slug, "name": "New", "url": "https://example.com/"}  # noqa: E731
GRANT: Body = lambda s: {"user": s.other.username, "environment": s.slug}  # noqa: E731
NOTHING: Body = lambda s: {}  # noqa: E731

# method and name of the address: policy, then what is sent along
MATRIX: dict[str, tuple[str, Body]] = {
    "GET healthz": ("public", NOTHING),
    "GET readyz": ("public", NOTHING),
    "GET jwks": ("public", NOTHING),
    "GET schema": ("anybody", NOTHING),
    "GET docs": ("anybody", NOTHING),
    "GET login": ("public", NOTHING),
    "POST login": ("public", NOTHING),
    "POST logout": ("page", NOTHING),
    "GET landing": ("page", NOTHING),
    "GET floor-plan": ("page of a place", NOTHING),
    "GET live": ("page of a place", NOTHING),
    "GET replay": ("page of a place", NOTHING),
    "GET system-page": ("overseer's page", NOTHING),
    "GET api-root": ("anybody", NOTHING),
    "POST auth-login": ("public", lambda s: {"username": s.other.username, "password": "password"}),
    "POST auth-refresh": ("public", lambda s: {"refresh": client_of(s.other).pair.refresh}),
    "POST auth-logout": ("public", lambda s: {"refresh": client_of(s.other).pair.refresh}),
    "GET auth-me": ("anybody", NOTHING),
    "POST auth-password": (
        "anybody",
        lambda s: {"password": "password", "new_password": "correct horse battery"},
    ),
    "GET key-list": ("anybody", NOTHING),
    "POST key-list": ("anybody", lambda s: {"name": "door"}),
    "GET key-detail": ("anybody", NOTHING),
    "DELETE key-detail": ("anybody", NOTHING),
    "GET user-list": ("set up", NOTHING),
    "POST user-list": ("set up", USER),
    "GET user-detail": ("set up", NOTHING),
    "PUT user-detail": ("set up", USER),
    "PATCH user-detail": ("set up", lambda s: {"first_name": "New"}),
    "DELETE user-detail": ("set up", NOTHING),
    "GET audit-list": ("set up", NOTHING),
    "GET audit-detail": ("set up", NOTHING),
    "GET environment-list": ("anybody", NOTHING),
    "POST environment-list": ("set up", PLACE),
    "GET environment-detail": ("look", NOTHING),
    "PUT environment-detail": ("set up", PLACE),
    "PATCH environment-detail": ("set up", lambda s: {"name": "New"}),
    "DELETE environment-detail": ("set up", NOTHING),
    "GET environment-plan": ("look", NOTHING),
    "PUT environment-plan": ("set up", PLAN),
    "PATCH environment-plan": ("set up", lambda s: {"metres_per_px": 1}),
    "GET environment-picture": ("look", NOTHING),
    "GET environment-layout": ("look", NOTHING),
    "GET camera-list": ("anybody", NOTHING),
    "POST camera-list": ("set up", CAMERA),
    "GET camera-detail": ("look", NOTHING),
    "PUT camera-detail": ("set up", CAMERA),
    "PATCH camera-detail": ("set up", lambda s: {"name": "New"}),
    "DELETE camera-detail": ("set up", NOTHING),
    "GET camera-calibration": ("look", NOTHING),
    "PUT camera-calibration": ("set up", CALIBRATION),
    "POST camera-calibration-fit": ("set up", TRIAL),
    "GET camera-calibrations": ("look", NOTHING),
    "POST camera-calibration-use": ("set up", NOTHING),
    "POST camera-file-upload": ("set up", CALIBRATION_FILE),
    "GET environment-health": ("look", NOTHING),
    "GET environment-report": ("look", NOTHING),
    "GET report": ("page of a place", NOTHING),
    "GET report-layer": ("page of a place", NOTHING),
    "GET run-list": ("anybody", NOTHING),
    "POST run-list": (
        "set up",
        lambda s: {"environment": s.slug, "since": "2026-05-04T12:00:00Z", "until": "2026-05-04T12:10:00Z"},
    ),
    "GET run-detail": ("look", NOTHING),
    "GET proposal-list": ("anybody", NOTHING),
    "GET proposal-detail": ("look", NOTHING),
    "POST proposal-apply": ("set up", NOTHING),
    "GET move-list": ("anybody", NOTHING),
    "GET move-detail": ("look", NOTHING),
    "GET move-before": ("look", NOTHING),
    "GET move-after": ("look", NOTHING),
    "GET camera-look-snapshot": ("look", NOTHING),
    "GET camera-look-probe": ("look", NOTHING),
    "POST camera-look-probe": ("set up", NOTHING),
    "GET camera-look-probe-picture": ("look", NOTHING),
    "POST probe-list": ("set up", lambda s: {"source_url": "sim://plaza/c1"}),
    "GET probe-detail": ("set up", NOTHING),
    "GET probe-picture": ("set up", NOTHING),
    "GET zone-list": ("anybody", NOTHING),
    "POST zone-list": ("set up", ZONE),
    "GET zone-detail": ("look", NOTHING),
    "PUT zone-detail": ("set up", ZONE),
    "PATCH zone-detail": ("set up", lambda s: {"name": "New"}),
    "DELETE zone-detail": ("set up", NOTHING),
    "GET grant-list": ("set up", NOTHING),
    "POST grant-list": ("set up", GRANT),
    "GET grant-detail": ("set up", NOTHING),
    "DELETE grant-detail": ("set up", NOTHING),
    "GET session-list": ("anybody", NOTHING),
    "POST session-list": ("ask", lambda s: {"environment": s.slug}),
    "GET session-detail": ("look", NOTHING),
    "POST session-start": ("operate", NOTHING),
    "POST session-stop": ("operate", NOTHING),
    "POST session-pause": ("operate", NOTHING),
    "POST session-resume": ("operate", NOTHING),
    "POST session-speed": ("operate", lambda s: {"speed": 2}),
    "POST session-seek": ("operate", lambda s: {"position_s": 1.5}),
    "GET person-list": ("anybody", NOTHING),
    "GET person-detail": ("look", NOTHING),
    "GET person-journey": ("look", NOTHING),
    "GET track-list": ("anybody", NOTHING),
    "GET track-detail": ("look", NOTHING),
    "GET event-list": ("anybody", NOTHING),
    "GET event-detail": ("look", NOTHING),
    "POST event-acknowledge": ("operate", lambda s: {"note": "a cat"}),
    "GET rule-list": ("oversee", NOTHING),
    "POST rule-list": ("set up", RULE),
    "GET rule-detail": ("operate", NOTHING),
    "PUT rule-detail": ("set up", RULE),
    "PATCH rule-detail": ("set up", lambda s: {"name": "New"}),
    "DELETE rule-detail": ("set up", NOTHING),
    "GET rule-test": ("set up", NOTHING),
    "POST rule-test": ("set up", NOTHING),
    "GET webhook-list": ("set up", NOTHING),
    "POST webhook-list": ("set up", WEBHOOK),
    "GET webhook-detail": ("set up", NOTHING),
    "PUT webhook-detail": ("set up", WEBHOOK),
    "PATCH webhook-detail": ("set up", lambda s: {"name": "New"}),
    "DELETE webhook-detail": ("set up", NOTHING),
    "POST webhook-secret": ("set up", NOTHING),
    "GET alert-list": ("anybody", NOTHING),
    "GET alert-detail": ("look", NOTHING),
    "POST alert-acknowledge": ("operate", lambda s: {"note": "a cat"}),
    "GET delivery-list": ("set up", NOTHING),
    "GET delivery-detail": ("set up", NOTHING),
    "GET alerts": ("page of a place", NOTHING),
    "POST alerts-seen": ("page to operate", NOTHING),
    **{
        f"{method} alerts-{thing}": ("page to set up", NOTHING)
        for thing in ("rule-new", "rule", "webhook-new", "webhook")
        for method in ("GET", "POST")
    },
    **{
        f"POST alerts-{what}": ("page to set up", NOTHING)
        for what in ("rule-test", "rule-delete", "webhook-delete")
    },
    "GET position-list": ("anybody", NOTHING),
    "GET position-history": ("look", lambda s: {"environment": s.slug}),
    **{
        f"GET analytics-{kind}": ("look", lambda s: {"environment": s.slug})
        for kind in ("detections", "occupancy", "heatmap", "flows", "dwell")
    },
    "GET system": ("oversee", NOTHING),
}
WITH_SESSION = {
    "landing",
    "floor-plan",
    "live",
    "replay",
    "system-page",
    "report",
    "report-layer",
    "login",
    "logout",
    "docs",
    "schema",
    "alerts",
}


def addresses(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give every named address outside the admin pages with what answers it."""
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if pattern.app_name != "admin":
                yield from addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and "format" not in route:
            yield str(pattern.name), pattern.callback


def methods_of(view: Any) -> set[str]:
    """Give the methods that a view answers."""
    if hasattr(view, "actions"):
        return {method.upper() for method in view.actions} & set(METHODS)
    handler = getattr(view, "view_class", getattr(view, "cls", None))
    if handler is None:
        return {"GET"}
    return {method for method in METHODS if hasattr(handler, method.lower())}


ENDPOINTS = sorted({f"{method} {name}" for name, view in addresses() for method in methods_of(view)})
# Django's forms answer PUT like POST, and a GET of the logout page is refused by its decorator
LIKE_OTHERS = {"PUT login", "GET logout"}


def test_every_address_and_method_has_a_row():
    assert sorted(set(ENDPOINTS) - LIKE_OTHERS) == sorted(MATRIX)


@pytest.fixture
def scene(db, settings, tmp_path, redis_url, monkeypatch):
    """Make a place with a bit of everything, and users of each role with and without a grant."""
    roles_ensure()
    settings.MEDIA_ROOT = tmp_path
    settings.REDIS_URL = redis_url
    place = EnvironmentFactory.create()
    camera = CameraFactory.create(environment=place, source_url="images:///videos/hall")
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    picture_now = Snapshot(b"a picture", "2026-05-04T12:00:00.000Z")
    monkeypatch.setattr(camera_api, "snapshot_take", lambda **_: picture_now)
    for probe_id in (str(camera.pk), PROBE):
        probe_note(probe_id=probe_id, state="pending", at=timezone.now())
        picture_note(probe_id=probe_id, jpeg=b"a picture")
    calibration = CalibrationFactory.create(camera=camera)
    session = TrackingSessionFactory.create(environment=place, started_at=timezone.now())
    person = PersonFactory.create(environment=place)
    track = TrackFactory.create(session=session, person=person)
    TrackPointFactory.create(track=track)
    FloorPlanFactory.create(environment=place)
    other = UserFactory.create()
    rule = RuleFactory.create(environment=place)
    alert = AlertFactory.create(rule=rule)
    return SimpleNamespace(
        slug=place.slug,
        place=place,
        other=other,
        session=session,
        calibration=calibration,
        keys={
            "camera": camera.pk,
            "session": session.pk,
            "person": person.pk,
            "track": track.pk,
            "event": TrackEventFactory.create(environment=place).pk,
            "zone": ZoneFactory.create(environment=place).pk,
            "rule": rule.pk,
            "webhook": WebhookFactory.create(environment=place).pk,
            "alert": alert.pk,
            "delivery": DeliveryFactory.create(alert=alert).pk,
            "grant": GrantFactory.create(environment=place).pk,
            "user": other.pk,
            "probe": PROBE,
            "run": RunFactory.create(environment=place).pk,
            "proposal": ProposalFactory.create(camera=camera).pk,
            "move": CameraMoveFactory.create(camera=camera).pk,
        },
    )


def address_of(name: str, scene: SimpleNamespace, user: Any) -> str:
    """Give the address of a name in the scene, of one's own thing where that is meant."""
    kind = name.partition("-")[0]
    if name == "report-layer":
        return reverse(name, kwargs={"slug": scene.slug, "layer": "cameras"})
    if name in ("floor-plan", "live", "replay", "alerts", "report") or (
        kind == "environment" and name != "environment-list"
    ):
        return reverse(name, kwargs={"slug": scene.slug})
    if kind == "alerts" and name != "alerts":
        thing = {"seen": "alert"}.get(name.split("-")[1], name.split("-")[1])
        key = {} if name.endswith("-new") else {"pk": scene.keys[thing]}
        return reverse(name, kwargs={"slug": scene.slug, **key})
    if kind == "key" and name == "key-detail":
        owner = user or scene.other
        return reverse(name, args=[api_key_create(user=owner, name="door")[0].pk])
    if kind == "audit" and name == "audit-detail":
        audit_write(actor=None, action=AuditAction.VIEWED, kind="person", now=timezone.now())
        return reverse(name, args=[AuditEntry.objects.latest("pk").pk])
    if name == "camera-calibration-use":
        return reverse(name, args=[scene.keys["camera"], scene.calibration.pk])
    if kind in scene.keys and not name.endswith(("-list", "-history")):
        return reverse(name, args=[scene.keys[kind]])
    return reverse(name)


def status_of(endpoint: str, scene: SimpleNamespace, user: Any) -> int:
    """Ask as a user, or as nobody, and give the status."""
    method, name = endpoint.split()
    body = MATRIX[endpoint][1](scene)
    address = address_of(name, scene, user)
    if name in WITH_SESSION or name.startswith("alerts-"):
        page = Client()
        if user is not None:
            page.force_login(user)
        return int(page.generic(method, address).status_code)
    client: APIClient = client_of(user)
    is_file = (method, name) in {("PUT", "environment-plan"), ("POST", "camera-file-upload")}
    kind = "multipart" if is_file else "json"
    answer: Any = getattr(client, method.lower())(
        address, body, **({} if method == "GET" else {"format": kind})
    )
    return int(answer.status_code)


@pytest.mark.parametrize("granted", [True, False], ids=["granted", "not granted"])
@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("endpoint", sorted(MATRIX))
def test_answer_is_what_the_policy_says(endpoint, who, granted, scene):
    if endpoint in ("POST session-start", "POST session-list"):
        scene.session.desired_state = "stopped"
        scene.session.save()
    user = None
    if who != "anonymous":
        user = UserFactory.create(role=Role(who))
        if granted:
            GrantFactory.create(environment=scene.place, user=user)
    anonymous, with_grant, without = POLICIES[MATRIX[endpoint][0]]
    expected = anonymous if user is None else (with_grant if granted else without)[WHO.index(who) - 1]
    status = status_of(endpoint, scene, user)
    if expected == OK and user is not None and endpoint in ("GET login", "POST login", "POST logout"):
        assert status == 302  # who is in is led on, who goes is led out
    elif expected == OK and MATRIX[endpoint][0] in FORMS and endpoint.startswith("POST"):
        assert status in (302, 200)  # done, or something is missing
    elif expected == OK:
        assert 200 <= status < 300, status
    else:
        assert status == expected


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.OPERATOR])
def test_admin_pages_are_for_admins(role, scene):
    client = Client()
    if role is not None:
        client.force_login(UserFactory.create(role=role, is_staff=True))
    pages = [reverse("admin:index")]
    for model in admin.site._registry:
        options = model._meta
        pages.append(reverse(f"admin:{options.app_label}_{options.model_name}_changelist"))
    statuses = {page: client.get(page).status_code for page in pages}
    assert statuses == dict.fromkeys(pages, 302)
    assert len(pages) > 10
