"""Rules, webhooks, alerts and deliveries in the admin pages."""

import html

import pytest
from celery import current_app
from django.urls import reverse

from accounts.models import AuditEntry, Role
from tests.factories import (
    AlertFactory,
    DeliveryFactory,
    EnvironmentFactory,
    RuleFactory,
    UserFactory,
    WebhookFactory,
    ZoneFactory,
)
from tests.tracking.notifications.test_views import FILLED
from tracking.notifications.models import Rule, Webhook
from tracking.notifications.tasks import notifications_attend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings")]


@pytest.fixture
def office(client, plaza):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    return client


def said(response):
    return html.unescape(response.content.decode())


def test_rule_is_made_and_listed_in_words(office, plaza, django_assert_max_num_queries):
    form = FILLED | {"environment": plaza.place.pk, "zones": [plaza.hall.pk]}
    response = office.post(reverse("admin:notifications_rule_add"), form)
    assert response.status_code == 302, said(response)
    rule = Rule.objects.get()
    assert (rule.window_s, [*rule.zones.all()]) == (300, [plaza.hall])
    for _ in range(5):
        RuleFactory.create(environment=plaza.place).zones.add(plaza.yard)
    with django_assert_max_num_queries(12):
        page = said(office.get(reverse("admin:notifications_rule_changelist")))
    assert "When somebody enters a zone or a camera goes down (Hall only) on Mon, Tue" in page
    assert AuditEntry.objects.filter(kind="rule", action="created", environment="plaza").count() == 1


def test_rule_takes_nothing_of_another_place(office, plaza):
    foreign = ZoneFactory.create()
    form = FILLED | {"environment": plaza.place.pk, "zones": [foreign.pk]}
    response = office.post(reverse("admin:notifications_rule_add"), form)
    assert "Choose what belongs to the same environment." in said(response)
    assert not Rule.objects.exists()
    name_taken = RuleFactory.create(environment=plaza.place, name="Night")
    response = office.post(reverse("admin:notifications_rule_add"), FILLED | {"environment": plaza.place.pk})
    assert "There is a rule of this name already." in said(response)
    assert [*Rule.objects.all()] == [name_taken]


def test_test_says_how_each_answered(
    office, plaza, hooks, letters, told, monkeypatch, django_capture_on_commit_callbacks
):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: notifications_attend())
    monkeypatch.setattr("tracking.notifications.services.transaction.on_commit", lambda call: call())
    letters.refuse["guard@example.com"] = "550 no such user"
    rule = RuleFactory.create(environment=plaza.place, name="Night", emails=["guard@example.com"])
    rule.webhooks.add(WebhookFactory.create(environment=plaza.place, url=hooks.url, name="Desk"))
    nobody = RuleFactory.create(environment=plaza.place, name="Nobody", on_page=False)
    response = office.post(
        reverse("admin:notifications_rule_changelist"),
        {"action": "test", "_selected_action": [rule.pk, nobody.pk]},
        follow=True,
    )
    page = said(response)
    assert "Night, page: Everybody who watches the page was told." in page
    assert "Night, e-mail guard@example.com: The mail server refused: 550 no such user" in page
    assert "Night, webhook Desk: It answered 204" in page
    assert "Nobody: This rule tells nobody" in page


def test_test_that_nobody_sends_says_where_to_look(office, plaza, monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    monkeypatch.setattr("tracking.notifications.admin.TEST_WAIT_S", 0.3)
    rule = RuleFactory.create(environment=plaza.place, name="Night")
    address = reverse("admin:notifications_rule_changelist")
    response = office.post(address, {"action": "test", "_selected_action": [rule.pk]}, follow=True)
    assert "still on its way: is Celery running, with the queue “notifications”?" in said(response)


def test_webhook_shows_its_secret_when_it_is_made_or_renewed(office, plaza):
    form = {"environment": plaza.place.pk, "name": "Desk", "url": "https://hooks.example.com/T0?x=1"}
    page = said(office.post(reverse("admin:notifications_webhook_add"), form, follow=True))
    webhook = Webhook.objects.get()
    assert webhook.secret in page
    first = webhook.secret
    list_page = reverse("admin:notifications_webhook_changelist")
    assert first not in said(office.get(list_page))
    page = said(office.post(list_page, {"action": "renew", "_selected_action": [webhook.pk]}, follow=True))
    webhook.refresh_from_db()
    assert webhook.secret != first
    assert webhook.secret in page
    change = reverse("admin:notifications_webhook_change", args=[webhook.pk])
    assert "T0?x=1" not in said(office.get(change))
    office.post(change, form | {"name": "Door", "url": "https://hooks.example.com/***"})
    webhook.refresh_from_db()
    assert (webhook.name, webhook.url) == ("Door", "https://hooks.example.com/T0?x=1")


def test_alerts_and_deliveries_are_listed_and_let_be(office, plaza, django_assert_max_num_queries):
    rule = RuleFactory.create(environment=plaza.place)
    for alert in AlertFactory.create_batch(5, rule=rule, kind="zone_enter", zone=plaza.hall):
        DeliveryFactory.create(alert=alert)
    other = DeliveryFactory.create(alert=AlertFactory.create(rule__environment=EnvironmentFactory.create()))
    for name in ("alert", "delivery", "arrival"):
        with django_assert_max_num_queries(10):
            response = office.get(reverse(f"admin:notifications_{name}_changelist"))
        assert response.status_code == 200
        assert office.get(reverse(f"admin:notifications_{name}_add")).status_code == 403
    assert "Somebody entered Hall" in said(office.get(reverse("admin:notifications_alert_changelist")))
    address = reverse("admin:notifications_delivery_changelist")
    narrowed = said(office.get(address, {"alert__id__exact": other.alert_id}))
    assert "1 delivery" in narrowed
