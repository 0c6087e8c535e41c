"""The audit log: who did what to which thing; whole, without secrets, and never changed."""

import csv
import io
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import auditing
from accounts.models import AuditAction, AuditEntry, Role
from accounts.services import audit_write
from environments.models import Camera, Environment
from tests.factories import (
    CameraFactory,
    EnvironmentFactory,
    GrantFactory,
    PersonFactory,
    TrackingSessionFactory,
    UserFactory,
)
from tests.roles import client_of, client_with, roles_ensure

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _surroundings(settings):
    roles_ensure()
    settings.REDIS_URL = "unix:///nowhere/redis.sock"


@pytest.fixture
def plaza():
    return EnvironmentFactory.create(slug="plaza")


@pytest.fixture
def viewer(plaza):
    return client_of(GrantFactory.create(environment=plaza).user)


@pytest.fixture
def admin():
    return client_with(Role.ADMIN)


def written(**narrowed):
    """Give what was written down, oldest first: action, kind, id, environment."""
    entries = AuditEntry.objects.filter(**narrowed).order_by("pk")
    return [(e.action, e.kind, e.object_id, e.environment) for e in entries]


# --- looking ---


def test_looks_at_persons_are_written_down(viewer, plaza):
    person = PersonFactory.create(environment=plaza, number=7)
    viewer.get(f"/api/v1/persons/{person.pk}/")
    viewer.get(f"/api/v1/persons/{person.pk}/journey/")
    viewer.get("/api/v1/persons/", {"number": 7, "environment": "plaza"})
    viewer.get("/api/v1/events/", {"person": 7})
    viewer.get("/api/v1/positions/history/", {"environment": "plaza"})
    viewer.get("/api/v1/events/", {"environment": "plaza", "format": "csv"})
    assert written() == [
        ("viewed", "person", str(person.pk), "plaza"),
        ("viewed", "person", str(person.pk), "plaza"),
        ("searched", "person", "", "plaza"),
        ("searched", "trackevent", "", ""),
        ("viewed", "positions", "", "plaza"),
        ("exported", "trackevent", "", "plaza"),
    ]
    entry = AuditEntry.objects.order_by("pk")[2]
    assert (entry.actor, entry.actor_id, entry.address) == (viewer.user.username, viewer.user.pk, "127.0.0.1")
    assert entry.detail == {"action": "list", "query": {"number": "7", "environment": "plaza"}}
    assert AuditEntry.objects.order_by("pk")[0].name == "#7"


def test_refused_looks_are_not_looks(viewer):
    hidden = PersonFactory.create()
    assert viewer.get(f"/api/v1/persons/{hidden.pk}/").status_code == 404
    assert viewer.get("/api/v1/audit/").status_code == 403
    assert written() == []


# --- changing ---


def test_changes_are_written_down_with_their_fields_and_without_secrets(admin, plaza):
    camera = admin.post(
        "/api/v1/cameras/",
        {
            "environment": "plaza",
            "key": "c1",
            "width": 640,
            "height": 480,
            "source_url": "rtsp://u:s3cret@h/s",
        },
    ).json()
    admin.patch(f"/api/v1/cameras/{camera['id']}/", {"source_url": "rtsp://u:s3cret2@h/s"})
    admin.delete(f"/api/v1/cameras/{camera['id']}/")
    session = TrackingSessionFactory.create(environment=plaza)
    admin.post(f"/api/v1/sessions/{session.pk}/stop/")
    admin.delete("/api/v1/environments/plaza/")
    assert written() == [
        ("created", "camera", str(camera["id"]), "plaza"),
        ("changed", "camera", str(camera["id"]), "plaza"),
        ("deleted", "camera", str(camera["id"]), "plaza"),
        ("changed", "trackingsession", str(session.pk), "plaza"),
        ("deleted", "environment", str(plaza.pk), "plaza"),
    ]
    details = [entry.detail for entry in AuditEntry.objects.order_by("pk")]
    assert details[1] == {"action": "partial_update", "fields": ["source_url"]}
    assert details[3] == {"action": "stop"}
    assert "s3cret" not in str(list(AuditEntry.objects.values()))


def test_users_keys_and_logins_are_written_down_without_secrets(admin):
    made = admin.post(
        "/api/v1/users/", {"username": "olga", "password": "correct horse battery", "role": "viewer"}
    ).json()
    pair = (
        APIClient()
        .post("/api/v1/auth/login/", {"username": "olga", "password": "correct horse battery"})
        .json()
    )
    olga = APIClient()
    olga.credentials(HTTP_AUTHORIZATION=f"Bearer {pair['access']}")
    key = olga.post("/api/v1/auth/keys/", {"name": "door"}).json()
    olga.post("/api/v1/auth/logout/", {})
    assert written() == [
        ("created", "user", str(made["id"]), ""),
        ("signed_in", "user", str(made["id"]), ""),
        ("created", "apikey", str(key["id"]), ""),
        ("signed_out", "user", str(made["id"]), ""),
    ]
    everything = str(list(AuditEntry.objects.values()))
    for secret in ("correct horse", key["key"], pair["access"], pair["refresh"]):
        assert secret not in everything


def test_change_that_cannot_be_written_down_is_not_made(admin, plaza, monkeypatch):
    def fail(**_):
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(auditing, "audit_write", fail)
    with pytest.raises(DatabaseError):
        admin.patch("/api/v1/environments/plaza/", {"name": "Changed"})
    assert Environment.objects.get().name == plaza.name


def test_login_page_is_written_down(client):
    user = UserFactory.create()
    client.post("/accounts/login/", {"username": user.username, "password": "password"})
    assert written() == [("signed_in", "user", str(user.pk), "")]


def test_admin_pages_are_written_down(client, plaza):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    camera = CameraFactory.create(environment=plaza, key="c1")
    fields = {name: getattr(camera, name) for name in ("key", "width", "height", "fps", "position")}
    fields |= {
        "environment": plaza.pk,
        "source_url": camera.masked_source_url,
        "name": "Door",
        "enabled": "on",
    }
    response = client.post(reverse("admin:environments_camera_change", args=[camera.pk]), fields)
    assert response.status_code == 302
    client.post(reverse("admin:environments_camera_delete", args=[camera.pk]), {"post": "yes"})
    assert not Camera.objects.exists()
    assert written() == [
        ("changed", "camera", str(camera.pk), "plaza"),
        ("deleted", "camera", str(camera.pk), "plaza"),
    ]


# --- the log itself ---


def write(actor=None, *, minutes=0, **given):
    given = {"action": AuditAction.VIEWED, "kind": "person"} | given
    audit_write(actor=actor, now=timezone.now() - timedelta(minutes=minutes), **given)


def test_log_is_narrowed_and_leaves_as_a_file(admin):
    vera = UserFactory.create(username="vera")
    write(vera, minutes=3, object_id="7", environment="plaza", name="=cmd()")
    write(vera, minutes=2, action=AuditAction.CHANGED, kind="camera")
    write(None, minutes=1)
    address = "/api/v1/audit/"

    def ids(**query):
        return [e["object_id"] for e in admin.get(address, query).json()["results"]]

    assert len(ids()) == 3
    assert ids(actor="vera", kind="person") == ["7"]
    assert ids(action="viewed", environment="plaza") == ["7"]
    assert ids(until=(timezone.now() - timedelta(minutes=2.5)).isoformat()) == ["7"]
    exported = admin.get(address, {"format": "csv", "object_id": "7"})
    (row,) = csv.DictReader(io.StringIO(exported.content.decode()))
    assert (row["actor"], row["name"]) == ("vera", "'=cmd()")
    assert written(kind="audit") == [("exported", "audit", "", "")]
    assert {admin.put(address, {}).status_code, admin.delete(address).status_code} == {405}


def test_log_takes_few_queries_however_long_it_is(admin, django_assert_max_num_queries):
    for _ in range(20):
        write()
    with django_assert_max_num_queries(3):
        assert admin.get("/api/v1/audit/").json()["count"] == 20


def test_entries_outlive_user_and_place(admin, viewer, plaza):
    person = PersonFactory.create(environment=plaza)
    viewer.get(f"/api/v1/persons/{person.pk}/")
    name = viewer.user.username
    viewer.user.delete()
    plaza.delete()
    assert AuditEntry.objects.get(kind="person").actor == name
