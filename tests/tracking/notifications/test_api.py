"""Rules, webhooks, alerts and deliveries over REST."""

import json
from datetime import timedelta

import pytest
from celery import current_app
from django.db import connection

from accounts.models import AuditEntry
from tests.factories import (
    T0,
    AlertFactory,
    CameraFactory,
    DeliveryFactory,
    PersonFactory,
    RuleFactory,
    TrackEventFactory,
    WebhookFactory,
    ZoneFactory,
)
from tracking.notifications.models import Alert, Delivery, Rule, Webhook
from tracking.notifications.tasks import notifications_attend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings", "unhurried")]

RULES, HOOKS = "/api/v1/notifications/rules/", "/api/v1/notifications/webhooks/"
ALERTS, DELIVERIES = "/api/v1/notifications/alerts/", "/api/v1/notifications/deliveries/"


@pytest.fixture
def sent(monkeypatch):
    """Give the tasks that are asked for."""
    asked = []
    monkeypatch.setattr(current_app, "send_task", lambda name, *_, **__: asked.append(name))
    return asked


# --- rules ---


def test_rule_is_made_with_everything_and_said_in_words(admin, plaza):
    WebhookFactory.create(environment=plaza.place, name="Desk")
    said = {
        "environment": "plaza",
        "name": "Night",
        "enabled": True,
        "severity": "critical",
        "kinds": ["zone_enter", "line_cross"],
        "zones": ["hall", "yard"],
        "cameras": ["c1"],
        "days": ["mon", "tue", "wed", "sat"],
        "from_time": "22:00:00",
        "until_time": "06:00:00",
        "count": 3,
        "window_s": 300,
        "cooldown_s": 600,
        "on_page": False,
        "emails": ["guard@example.com"],
        "webhooks": ["Desk"],
    }
    made = admin.post(RULES, said)
    assert made.status_code == 201, made.json()
    body = made.json()
    assert {name: body[name] for name in said} == said
    assert body["words"] == (
        "When somebody enters a zone or somebody crosses a line (Hall, Yard, c1 only) "
        "on Mon\N{EN DASH}Wed, Sat from 22:00 to 06:00 3 times within 5 minutes; then quiet for 10 minutes."
    )
    assert admin.get(f"{RULES}{body['id']}/").json() == body


def test_rule_needs_little(admin, plaza):
    body = admin.post(RULES, {"environment": "plaza", "name": "Any", "kinds": ["camera_offline"]}).json()
    assert body["words"] == "When a camera goes down."
    shown = {name: body[name] for name in ("severity", "zones", "days", "count", "on_page", "emails")}
    assert shown == {
        "severity": "warning",
        "zones": [],
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "count": 1,
        "on_page": True,
        "emails": [],
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kinds": []}, "kinds"),
        ({"kinds": ["dance"]}, "kinds.0"),
        ({"kinds": ["zone_enter", "zone_enter"]}, "kinds"),
        ({"days": []}, "days"),
        ({"days": ["mon", "mon"]}, "days"),
        ({"zones": ["nowhere"]}, "zones"),
        ({"zones": ["elsewhere"]}, "zones"),
        ({"cameras": ["c9"]}, "cameras"),
        ({"cameras": [1]}, "cameras.0"),
        ({"webhooks": ["none"]}, "webhooks"),
        ({"from_time": "22:00"}, "until_time"),
        ({"until_time": "22:00"}, "from_time"),
        ({"from_time": "25:00", "until_time": "1:00"}, "from_time"),
        ({"count": 0}, "count"),
        ({"count": 1001}, "count"),
        ({"window_s": 0}, "window_s"),
        ({"cooldown_s": -1}, "cooldown_s"),
        ({"emails": ["nobody"]}, "emails"),
        ({"emails": ["a@example.com", "A@example.com"]}, "emails"),
        ({"emails": ["a@example.com"] * 21}, "emails"),
        ({"severity": "deadly"}, "severity"),
        ({"name": ""}, "name"),
        ({"name": "Taken"}, "name"),
        ({"environment": "nowhere"}, "environment"),
        ({"enabled": "yes"}, "enabled"),
    ],
)
def test_rule_that_does_not_fit_is_refused_whole(admin, plaza, change, field):
    ZoneFactory.create(key="elsewhere")
    CameraFactory.create(key="c9")
    RuleFactory.create(environment=plaza.place, name="Taken")
    said = {"environment": "plaza", "name": "New", "kinds": ["zone_enter"]} | change
    answer = admin.post(RULES, said)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field]), answer.json()
    assert Rule.objects.count() == 1
    rule = Rule.objects.get()
    change.pop("environment", None)
    if change != {"name": "Taken"} and change:
        before = admin.get(f"{RULES}{rule.pk}/").json()
        assert admin.patch(f"{RULES}{rule.pk}/", change).status_code == 400
        assert admin.get(f"{RULES}{rule.pk}/").json() == before


def test_rule_is_changed_in_part_and_deleted_and_its_alerts_stay(admin, plaza):
    rule = RuleFactory.create(environment=plaza.place, name="Night")
    rule.zones.add(plaza.hall)
    changed = admin.patch(f"{RULES}{rule.pk}/", {"enabled": False, "zones": []}).json()
    assert (changed["enabled"], changed["zones"], changed["name"]) == (False, [], "Night")
    other = {"environment": CameraFactory.create().environment.slug}
    assert admin.patch(f"{RULES}{rule.pk}/", other).status_code == 400
    alert = AlertFactory.create(rule=rule)
    assert admin.delete(f"{RULES}{rule.pk}/").status_code == 204
    alert.refresh_from_db()
    assert (alert.rule, alert.rule_name) == (None, "Night")
    written = AuditEntry.objects.filter(kind="rule").values_list("action", "environment")
    assert set(written) == {("changed", "plaza"), ("deleted", "plaza")}


def test_rules_are_asked_for_in_few_questions(operator, plaza, django_assert_max_num_queries):
    for _ in range(5):
        rule = RuleFactory.create(environment=plaza.place)
        rule.zones.add(plaza.hall)
        rule.cameras.add(plaza.c1)
        rule.webhooks.add(WebhookFactory.create(environment=plaza.place))
    RuleFactory.create()
    with django_assert_max_num_queries(9):  # user, permissions, place, count, rules, three of places
        answer = operator.get(RULES, {"environment": "plaza", "enabled": "true"}).json()
    assert answer["count"] == 5
    assert operator.get(RULES, {"severity": "info"}).json()["count"] == 0


# --- trying a rule ---


def test_test_is_sent_to_everybody_and_told_in_words(
    admin, plaza, hooks, letters, told, sent, django_capture_on_commit_callbacks
):
    rule = RuleFactory.create(environment=plaza.place, emails=["guard@example.com"])
    rule.webhooks.add(WebhookFactory.create(environment=plaza.place, url=hooks.url, name="Desk"))
    assert admin.get(f"{RULES}{rule.pk}/test/").json() == []
    with django_capture_on_commit_callbacks(execute=True):
        begun = admin.post(f"{RULES}{rule.pk}/test/")
    assert begun.status_code == 202
    assert {(d["channel"], d["recipient"], d["state"], d["is_test"]) for d in begun.json()} == {
        ("page", "", "waiting", True),
        ("email", "guard@example.com", "waiting", True),
        ("webhook", "Desk", "waiting", True),
    }
    assert sent == ["tracking.notifications.tasks.notifications_attend"]
    notifications_attend()
    outcomes = {
        d["channel"]: (d["state"], d["outcome"].partition(" within")[0])
        for d in admin.get(f"{RULES}{rule.pk}/test/").json()
    }
    assert outcomes == {
        "page": ("delivered", "Everybody who watches the page was told."),
        "email": ("delivered", "The mail server 127.0.0.1 took it."),
        "webhook": ("delivered", "It answered 204"),
    }
    assert len(hooks.received) == len(letters.received) == len(told) == 1


def test_test_of_a_rule_that_tells_nobody_is_refused(admin, plaza):
    rule = RuleFactory.create(environment=plaza.place, on_page=False)
    answer = admin.post(f"{RULES}{rule.pk}/test/")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "nobody_told")


def test_test_waits_for_redis(admin, plaza, monkeypatch, django_capture_on_commit_callbacks, settings):
    rule = RuleFactory.create(environment=plaza.place)
    monkeypatch.setattr(current_app.conf, "broker_url", "redis+socket:///nowhere/redis.sock")
    with django_capture_on_commit_callbacks(execute=True):
        assert admin.post(f"{RULES}{rule.pk}/test/").status_code == 202
    assert Delivery.objects.get().state == "waiting"


# --- webhooks ---


def test_webhook_shows_its_secret_once_and_its_address_never(admin, plaza):
    said = {
        "environment": "plaza",
        "name": "Desk",
        "url": "https://u:p@hooks.example.com/services/T0/B0?token=x",
    }
    made = admin.post(HOOKS, said)
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret.startswith("whsec_")
    assert len(secret) > 40
    shown = admin.get(f"{HOOKS}{made.json()['id']}/").json()
    assert shown == {
        "id": made.json()["id"],
        "environment": "plaza",
        "name": "Desk",
        "url": "https://hooks.example.com/***",
        "created_at": made.json()["created_at"],
    }
    stored = Webhook.objects.get()
    assert (stored.url, stored.secret) == (said["url"], secret)
    with connection.cursor() as cursor:
        cursor.execute("SELECT url, secret FROM notifications_webhook")
        assert [text[:3] for text in cursor.fetchone()] == ["v1.", "v1."]
    written = json.dumps(list(AuditEntry.objects.values("detail", "name")))
    assert secret not in written
    assert "token" not in written

    renamed = admin.patch(f"{HOOKS}{stored.pk}/", {"name": "Door", "url": shown["url"]}).json()
    assert (renamed["name"], "secret" in renamed) == ("Door", False)
    stored.refresh_from_db()
    assert (stored.url, stored.secret) == (said["url"], secret)
    renewed = admin.post(f"{HOOKS}{stored.pk}/secret/").json()["secret"]
    stored.refresh_from_db()
    assert renewed == stored.secret != secret


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "http://169.254.169.254/latest/"}, "url"),
        ({"url": "https://other.example.com/***"}, "url"),
        ({"url": 5}, "url"),
        ({"name": "Desk"}, "name"),
        ({"environment": "nowhere"}, "environment"),
    ],
)
def test_webhook_that_does_not_fit_is_refused(admin, plaza, change, field):
    WebhookFactory.create(environment=plaza.place, name="Desk")
    said = {"environment": "plaza", "name": "New", "url": "https://example.com/"} | change
    answer = admin.post(HOOKS, said)
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, [field]), answer.json()
    assert Webhook.objects.count() == 1


# --- alerts ---


@pytest.fixture
def alert(plaza):
    rule = RuleFactory.create(environment=plaza.place, name="Night", severity="critical")
    person = PersonFactory.create(environment=plaza.place, number=7)
    return AlertFactory.create(
        rule=rule, kind="zone_enter", zone=plaza.hall, person=person, at=T0, raised_at=T0
    )


def test_alert_is_shown_in_words_and_seen_to_by_the_first(
    viewer, operator, plaza, alert, told, django_capture_on_commit_callbacks
):
    address = f"{ALERTS}{alert.pk}/"
    shown = viewer.get(address).json()
    assert shown == {
        "id": alert.pk,
        "environment": "plaza",
        "at": "2026-05-04T12:00:00Z",
        "raised_at": "2026-05-04T12:00:00Z",
        "rule": alert.rule_id,
        "rule_name": "Night",
        "severity": "critical",
        "text": "Person 7 entered Hall",
        "kind": "zone_enter",
        "event": str(alert.event_id),
        "count": 1,
        "person": 7,
        "zone": "hall",
        "camera": None,
        "payload": {},
        "is_late": False,
        "acknowledged": None,
    }
    assert viewer.post(f"{address}acknowledge/").status_code == 403
    assert told == []
    with django_capture_on_commit_callbacks(execute=True):
        answer = operator.post(f"{address}acknowledge/", {"note": "a cat"})
    assert answer.status_code == 200
    seen = answer.json()["acknowledged"]
    assert (seen["by"], seen["note"]) == (operator.user.username, "a cat")
    assert viewer.get(address).json()["acknowledged"]["by"] == operator.user.username
    ((environment_id, text),) = told
    message = json.loads(text)
    assert (environment_id, message["type"], message["id"]) == (plaza.place.pk, "alert", alert.pk)
    assert message["acknowledged"] == seen
    again = operator.post(f"{address}acknowledge/", {"note": "no"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "acknowledged")
    assert operator.user.username in again.json()["error"]["message"]
    assert Alert.objects.get().acknowledged_note == "a cat"
    assert (
        AuditEntry.objects.filter(kind="alert", action="changed", actor=operator.user.username).count() == 1
    )


@pytest.mark.parametrize("note", [5, "x" * 501, "a\0b"])
def test_note_that_is_none_is_refused(operator, alert, note):
    answer = operator.post(f"{ALERTS}{alert.pk}/acknowledge/", {"note": note})
    assert (answer.status_code, list(answer.json()["error"]["fields"])) == (400, ["note"])
    assert Alert.objects.get().acknowledged_at is None


def test_alerts_are_narrowed_paged_and_asked_for_in_few_questions(
    viewer, plaza, alert, django_assert_max_num_queries
):
    for n in range(4):
        AlertFactory.create(rule=alert.rule, at=T0 - timedelta(minutes=n + 1), is_late=True, severity="info")
    AlertFactory.create()
    with django_assert_max_num_queries(6):
        first = viewer.get(ALERTS, {"page_size": 3}).json()
    assert (first["count"], len(first["results"])) == (5, 3)
    assert first["results"][0]["id"] == alert.pk
    assert len(viewer.get(first["next"]).json()["results"]) == 2

    def count(**query):
        return viewer.get(ALERTS, query).json()["count"]

    assert count(environment="plaza", rule=alert.rule_id) == 5
    assert count(acknowledged="false") == 5
    assert count(acknowledged="true") == 0
    assert count(is_late="false", severity="critical", kind="zone_enter", zone="hall", person=7) == 1
    assert count(since=T0.isoformat()) == 1
    assert count(until=T0.isoformat()) == 4
    assert viewer.get(ALERTS, {"severity": "deadly"}).status_code == 400


def test_alert_outlives_person_zone_and_camera(viewer, plaza, alert):
    alert.person.delete()
    plaza.hall.delete()
    shown = viewer.get(f"{ALERTS}{alert.pk}/").json()
    assert (shown["person"], shown["zone"], shown["text"]) == (None, None, "Somebody entered a zone")


# --- deliveries ---


def test_deliveries_are_shown_and_narrowed(admin, plaza, alert, django_assert_max_num_queries):
    page = DeliveryFactory.create(alert=alert)
    mail = DeliveryFactory.create(
        alert=alert,
        channel="email",
        recipient="guard@example.com",
        state="failed",
        outcome="No.",
        done_at=T0,
        attempts=2,
    )
    with django_assert_max_num_queries(5):
        assert admin.get(DELIVERIES).json()["count"] == 2
    shown = admin.get(f"{DELIVERIES}{mail.pk}/").json()
    assert shown == {
        "id": str(mail.pk),
        "environment": "plaza",
        "rule": alert.rule_id,
        "alert": alert.pk,
        "is_test": False,
        "channel": "email",
        "recipient": "guard@example.com",
        "state": "failed",
        "attempts": 2,
        "created_at": "2026-05-04T12:00:00Z",
        "next_attempt_at": None,
        "done_at": "2026-05-04T12:00:00Z",
        "outcome": "No.",
    }
    (waiting,) = admin.get(DELIVERIES, {"state": "waiting", "alert": alert.pk, "channel": "page"}).json()[
        "results"
    ]
    assert (waiting["id"], waiting["next_attempt_at"]) == (str(page.pk), "2026-05-04T12:00:00Z")
    assert admin.get(DELIVERIES, {"is_test": "true"}).json()["count"] == 0


# --- events of the feed ---


def test_event_is_seen_to_by_the_first(viewer, operator, plaza, told, django_capture_on_commit_callbacks):
    event = TrackEventFactory.create(environment=plaza.place)
    address = f"/api/v1/events/{event.pk}/"
    assert viewer.get(address).json()["acknowledged"] is None
    assert viewer.post(f"{address}acknowledge/", {}).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        seen = operator.post(f"{address}acknowledge/", {"note": "a cat"}).json()["acknowledged"]
    assert (seen["by"], seen["note"]) == (operator.user.username, "a cat")
    (listed,) = viewer.get("/api/v1/events/", {"acknowledged": "true"}).json()["results"]
    assert listed["acknowledged"]["note"] == "a cat"
    assert viewer.get("/api/v1/events/", {"acknowledged": "false"}).json()["count"] == 0
    ((environment_id, text),) = told
    message = json.loads(text)
    assert environment_id == plaza.place.pk
    assert message == {"type": "acknowledged", "event": str(event.pk), **seen} | {"at": message["at"]}
    again = operator.post(f"{address}acknowledge/", {})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "acknowledged")
    assert AuditEntry.objects.filter(kind="trackevent", action="changed").count() == 1


def test_events_and_who_has_seen_to_them_leave_as_files(viewer, operator, plaza, told):
    event = TrackEventFactory.create(environment=plaza.place)
    operator.post(f"/api/v1/events/{event.pk}/acknowledge/", {"note": "a cat"})
    text = viewer.get("/api/v1/events/", HTTP_ACCEPT="text/csv").content.decode()
    assert "acknowledged" in text.splitlines()[0]
    assert "a cat" in text.splitlines()[1]
    assert viewer.get("/api/v1/events/", {"format": "arrow"}).status_code == 200
