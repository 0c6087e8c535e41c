"""The page of alerts and rules, as people use it."""

import re

import pytest
from celery import current_app

from accounts.models import AuditEntry, Role
from tests.factories import (
    T0,
    AlertFactory,
    DeliveryFactory,
    GrantFactory,
    PersonFactory,
    RuleFactory,
    UserFactory,
    WebhookFactory,
)
from tracking.choices import EventKind
from tracking.notifications.forms import GROUPS
from tracking.notifications.models import Alert, Rule, Webhook

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings")]
HERE = "/environments/plaza/alerts/"


@pytest.fixture
def alert(plaza):
    rule = RuleFactory.create(environment=plaza.place, name="Night <b>", severity="critical")
    person = PersonFactory.create(environment=plaza.place, number=7)
    return AlertFactory.create(
        rule=rule, kind="zone_enter", zone=plaza.hall, person=person, at=T0, raised_at=T0
    )


@pytest.fixture
def browse(client, plaza):
    """Give a maker of clients of a role with a grant."""

    def browse(role):
        user = UserFactory.create(role=role)
        GrantFactory.create(environment=plaza.place, user=user)
        client.force_login(user)
        client.user = user
        return client

    return browse


def text_of(response):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


FILLED = {
    "name": "Night",
    "severity": "critical",
    "enabled": "on",
    "kinds": ["zone_enter", "camera_offline"],
    "days": ["mon", "tue"],
    "from_time": "22:00",
    "until_time": "06:00",
    "count": "3",
    "window_s_0": "5",
    "window_s_1": "min",
    "cooldown_s_0": "2",
    "cooldown_s_1": "h",
    "on_page": "on",
    "emails": "guard@example.com, desk@example.com\n",
}


def test_viewer_sees_alerts_and_neither_rules_nor_buttons(browse, alert, django_assert_max_num_queries):
    viewer = browse(Role.VIEWER)
    with django_assert_max_num_queries(8):
        response = viewer.get(HERE)
    text = text_of(response)
    assert "Person 7 entered Hall" in text
    assert "Mon 4 May, 14:00:00" in text  # by the clock of the place
    assert "Rules" not in text
    assert "Acknowledge" not in text
    assert b"Night <b>" not in response.content


def test_operator_sees_rules_and_acknowledges(browse, plaza, alert, told, django_capture_on_commit_callbacks):
    operator = browse(Role.OPERATOR)
    text = text_of(operator.get(HERE))
    assert "When somebody appears." in text
    assert "Tells the page." in text
    assert "New rule" not in text
    assert "Webhooks" not in text
    with django_capture_on_commit_callbacks(execute=True):
        response = operator.post(f"{HERE}{alert.pk}/seen/", {"note": "a cat"})
    assert response["Location"] == HERE
    text = text_of(operator.get(HERE))
    assert "Nothing open" in text
    text = text_of(operator.get(HERE, {"show": "all"}))
    assert f"Seen to by {operator.user.username}" in text
    assert "a cat" in text
    assert len(told) == 1
    operator.post(f"{HERE}{alert.pk}/seen/", {"note": "no"})
    assert "has acknowledged it at" in text_of(operator.get(HERE))
    assert Alert.objects.get().acknowledged_note == "a cat"
    assert AuditEntry.objects.filter(kind="alert", action="changed", environment="plaza").count() == 1


def test_admin_makes_changes_and_deletes_a_rule(browse, plaza):
    admin = browse(Role.ADMIN)
    hook = WebhookFactory.create(environment=plaza.place, name="Desk")
    form = FILLED | {"zones": [plaza.hall.pk], "webhooks": [hook.pk]}
    assert admin.post(f"{HERE}rules/new/", form)["Location"] == HERE
    rule = Rule.objects.get()
    assert (rule.environment, rule.severity, rule.kinds) == (
        plaza.place,
        "critical",
        ["zone_enter", "camera_offline"],
    )
    assert (rule.count, rule.window_s, rule.cooldown_s) == (3, 300, 7200)
    assert rule.emails == ["guard@example.com", "desk@example.com"]
    assert ([*rule.zones.all()], [*rule.cameras.all()], [*rule.webhooks.all()]) == ([plaza.hall], [], [hook])
    text = text_of(admin.get(HERE))
    assert (
        "When somebody enters a zone or a camera goes down (Hall only) on Mon, Tue from 22:00 to 06:00 "
        "3 times within 5 minutes; then quiet for 2 hours." in text
    )
    assert "Tells the page, guard@example.com, desk@example.com, “Desk”." in text
    page = admin.get(f"{HERE}rules/{rule.pk}/").content.decode()
    assert 'value="22:00"' in page
    assert "guard@example.com\ndesk@example.com" in page

    changed = FILLED | {"name": "Day", "count": "1", "emails": ""}
    changed.pop("enabled")
    admin.post(f"{HERE}rules/{rule.pk}/", changed)
    rule.refresh_from_db()
    assert (rule.name, rule.enabled, rule.emails, rule.zones.count()) == ("Day", False, [], 0)
    admin.post(f"{HERE}rules/{rule.pk}/delete/")
    assert not Rule.objects.exists()
    written = AuditEntry.objects.filter(kind="rule").order_by("pk").values_list("action", flat=True)
    assert list(written) == ["created", "changed", "deleted"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "Taken"}, "There is a rule of this name already."),
        ({"kinds": []}, "Choose at least one thing that can happen."),
        ({"days": []}, "This field is required."),
        ({"until_time": ""}, "Give both times, or neither for the whole day."),
        ({"from_time": "half past"}, "Enter a valid time."),
        ({"count": "0"}, "greater than or equal to 1"),
        ({"window_s_0": "25", "window_s_1": "h"}, "Give 1 to 86400 seconds."),
        ({"window_s_0": "x"}, "Enter a whole number."),
        ({"emails": "nobody"}, "“nobody” is no e-mail address."),
        ({"zones": ["999999"]}, "is not one of the available choices."),
    ],
)
def test_rule_that_does_not_fit_is_asked_for_again_and_nothing_saved(browse, plaza, change, text):
    RuleFactory.create(environment=plaza.place, name="Taken")
    response = browse(Role.ADMIN).post(f"{HERE}rules/new/", FILLED | change)
    assert response.status_code == 200
    assert text in text_of(response)
    assert "Something is missing or does not fit" in text_of(response)
    assert Rule.objects.count() == 1


def test_rules_and_webhooks_of_other_places_are_not_there(browse, plaza):
    other, hook = RuleFactory.create(), WebhookFactory.create()
    admin = browse(Role.ADMIN)
    for address in (f"rules/{other.pk}/", f"webhooks/{hook.pk}/"):
        assert admin.get(f"{HERE}{address}").status_code == 404
    for address in (f"rules/{other.pk}/delete/", f"rules/{other.pk}/test/", f"webhooks/{hook.pk}/delete/"):
        assert admin.post(f"{HERE}{address}").status_code == 404


def test_test_is_shown_with_what_became_of_it(browse, plaza, monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    admin = browse(Role.ADMIN)
    rule = RuleFactory.create(environment=plaza.place, emails=["guard@example.com"])
    response = admin.post(f"{HERE}rules/{rule.pk}/test/")
    assert response["Location"] == f"{HERE}?tested={rule.pk}#rule-{rule.pk}"
    text = text_of(admin.get(HERE, {"tested": rule.pk}))
    assert "e-mail guard@example.com on its way …" in text
    rule.deliveries.filter(channel="email").update(
        state="failed", outcome="There is no mail server: set EMAIL_URL."
    )
    assert "There is no mail server: set EMAIL_URL." in text_of(admin.get(HERE, {"tested": rule.pk}))
    nobody = RuleFactory.create(environment=plaza.place, on_page=False)
    admin.post(f"{HERE}rules/{nobody.pk}/test/")
    assert "This rule tells nobody" in text_of(admin.get(HERE))


def test_webhook_is_made_and_its_secret_shown_once(browse, plaza):
    admin = browse(Role.ADMIN)
    made = admin.post(f"{HERE}webhooks/new/", {"name": "Desk", "url": "https://hooks.example.com/T0?x=1"})
    webhook = Webhook.objects.get()
    assert webhook.secret in made.content.decode()
    for address in ("", f"webhooks/{webhook.pk}/"):
        page = admin.get(f"{HERE}{address}").content.decode()
        assert "https://hooks.example.com/***" in page
        assert webhook.secret not in page
        assert "T0" not in page.replace("T0:00", "")
    kept = admin.post(
        f"{HERE}webhooks/{webhook.pk}/", {"name": "Door", "url": "https://hooks.example.com/***"}
    )
    assert kept["Location"] == HERE
    webhook.refresh_from_db()
    assert (webhook.name, webhook.url) == ("Door", "https://hooks.example.com/T0?x=1")
    bad = admin.post(f"{HERE}webhooks/new/", {"name": "Bad", "url": "http://169.254.169.254/"})
    assert (bad.status_code, "SPOTON_WEBHOOK_NETWORKS" in bad.content.decode()) == (200, True)
    admin.post(f"{HERE}webhooks/{webhook.pk}/delete/")
    assert not Webhook.objects.exists()


def test_page_has_no_script_or_style_of_its_own(browse, plaza, alert):
    admin = browse(Role.ADMIN)
    for address in ("", "rules/new/", "webhooks/new/"):
        content = admin.get(f"{HERE}{address}").content
        for inline in (b"<style", b"style=", b"<script>", b"onclick", b"https://unpkg"):
            assert inline not in content


def test_many_alerts_come_in_pages(browse, plaza):
    rule = RuleFactory.create(environment=plaza.place)
    AlertFactory.create_batch(31, rule=rule)
    AlertFactory.create(rule=rule, is_late=True)
    viewer = browse(Role.VIEWER)
    assert viewer.get(HERE).content.decode().count('class="raised"') == 30
    assert viewer.get(HERE, {"page": 2}).content.decode().count('class="raised"') == 1
    everything = viewer.get(HERE, {"show": "all", "page": 2}).content.decode()
    assert everything.count('class="raised"') == 2
    assert viewer.get(HERE, {"page": "nonsense"}).status_code == 200


def test_alert_that_came_late_says_so(browse, plaza):
    AlertFactory.create(rule=RuleFactory.create(environment=plaza.place), is_late=True)
    viewer = browse(Role.VIEWER)
    assert "Nothing open" in text_of(viewer.get(HERE))
    assert "came late, nobody was told" in text_of(viewer.get(HERE, {"show": "all"}))
    DeliveryFactory.create()


def test_form_offers_every_kind_of_event_once():
    offered = [kind for kinds in GROUPS.values() for kind in kinds]
    assert sorted(offered) == sorted(EventKind.values)
