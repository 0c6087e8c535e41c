"""How alerts get to people and machines, and what happens while they cannot."""

import json
import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest
from celery import current_app
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import (
    T0,
    AlertFactory,
    DeliveryFactory,
    EnvironmentFactory,
    PersonFactory,
    RuleFactory,
    TrackEventFactory,
    WebhookFactory,
)
from tests.tracking.notifications.receivers import answer_with
from tracking.notifications import delivering
from tracking.notifications.choices import DeliveryState
from tracking.notifications.delivering import backoff_s, deliveries_send
from tracking.notifications.models import Delivery
from tracking.notifications.tasks import notifications_attend, notifications_expire

WAITING, DELIVERED, FAILED = DeliveryState.WAITING, DeliveryState.DELIVERED, DeliveryState.FAILED


@pytest.fixture
def alert(plaza):
    """Raise that person 7 entered the hall."""
    rule = RuleFactory.create(environment=plaza.place, name="Night", severity="critical")
    person = PersonFactory.create(environment=plaza.place, number=7)
    return AlertFactory.create(
        rule=rule, kind="zone_enter", zone=plaza.hall, person=person, at=T0, payload={"evidence": 1}
    )


@pytest.fixture
def to_hook(alert, hooks, plaza):
    """Give a maker of deliveries to the web server."""
    webhook = WebhookFactory.create(environment=plaza.place, url=hooks.url, name="Desk")

    def make(**given):
        alert_ = given.pop("alert", alert)
        return DeliveryFactory.create(
            alert=alert_,
            rule=alert.rule,
            environment=plaza.place,
            channel="webhook",
            webhook=webhook,
            recipient="Desk",
            **given,
        )

    return make


def send(at_s=0.0, jitter=0.0):
    return deliveries_send(now=T0 + timedelta(seconds=at_s), jitter=lambda: jitter)


def state(delivery):
    delivery.refresh_from_db()
    return delivery.state, delivery.attempts, (delivery.next_attempt_at - T0).total_seconds()


# --- how long to wait ---


def test_waits_are_doubled_up_to_an_hour():
    waits = [backoff_s(attempts=n, jitter=1.0) for n in (1, 2, 3, 10, 11, 1000)]
    assert waits == [5, 10, 20, 2560, 3600, 3600]
    assert backoff_s(attempts=3, jitter=0.0) == 10


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_wait_is_at_least_half_of_the_longest(attempts, jitter):
    longest = backoff_s(attempts=attempts, jitter=1.0)
    assert longest / 2 <= backoff_s(attempts=attempts, jitter=jitter) <= longest <= 3600


# --- webhooks ---


def test_webhook_is_told_what_happened(to_hook, hooks, alert, settings):
    settings.SPOTON_URL = "https://spoton.example.org"
    delivery = to_hook()
    assert send() == 1
    assert state(delivery)[:2] == (DELIVERED, 1)
    assert delivery.outcome.startswith("It answered 204 within ")
    (got,) = hooks.received
    assert got.headers["X-SpotOn-Delivery"] == str(delivery.pk)
    assert got.json == {
        "id": str(delivery.pk),
        "type": "alert",
        "created_at": "2026-05-04T12:00:00.000Z",
        "environment": {"slug": "plaza", "name": "Plaza"},
        "rule": "Night",
        "text": "Person 7 entered Hall",
        "link": "https://spoton.example.org/environments/plaza/live/",
        "alert": {
            "id": alert.pk,
            "at": "2026-05-04T12:00:00.000Z",
            "severity": "critical",
            "event": str(alert.event_id),
            "kind": "zone_enter",
            "person": 7,
            "zone": "hall",
            "camera": None,
            "count": 1,
            "payload": {"evidence": 1},
        },
    }
    assert send(3600) == 0


def test_webhook_that_fails_is_tried_ever_more_rarely_with_the_same_message(to_hook, hooks):
    hooks.answer = lambda handler: answer_with(handler, 500)
    delivery = to_hook()
    send(0)
    assert state(delivery) == (WAITING, 1, 2.5)
    assert delivery.outcome == "It answered 500 (Internal Server Error)."
    assert send(2.4) == 0
    send(2.5)
    assert state(delivery) == (WAITING, 2, 7.5)
    hooks.answer = lambda handler: answer_with(handler, 200)
    send(7.5)
    assert state(delivery)[:2] == (DELIVERED, 3)
    assert len({got.body for got in hooks.received}) == 1
    assert len({got.headers["X-SpotOn-Delivery"] for got in hooks.received}) == 1
    assert len({got.headers["X-SpotOn-Signature"] for got in hooks.received}) == 3  # each with its time


def test_webhook_that_asks_for_a_pause_gets_it(to_hook, hooks):
    hooks.answer = lambda handler: answer_with(handler, 429, Retry_After="90")
    delivery = to_hook()
    send(0)
    assert state(delivery) == (WAITING, 1, 90)


def test_webhook_that_refuses_is_not_asked_again(to_hook, hooks):
    hooks.answer = lambda handler: answer_with(handler, 403)
    delivery = to_hook()
    send(0)
    assert state(delivery)[:2] == (FAILED, 1)
    assert (delivery.outcome, delivery.done_at) == ("It answered 403 (Forbidden).", T0)


def test_webhook_that_never_answers_well_is_given_up_with_the_reason(to_hook, hooks, settings):
    settings.SPOTON_DELIVERY_HOURS = 1
    hooks.answer = lambda handler: answer_with(handler, 503)
    delivery, at_s, tried = to_hook(), 0.0, []
    while state(delivery)[0] == WAITING:
        at_s = state(delivery)[2]
        tried.append(at_s)
        send(at_s)
    assert tried == [0, 2.5, 7.5, 17.5, 37.5, 77.5, 157.5, 317.5, 637.5, 1277.5, 2557.5]
    assert state(delivery)[:2] == (FAILED, len(tried))
    assert delivery.outcome == "It answered 503 (Service Unavailable)."


def test_webhook_that_is_down_costs_one_attempt_a_round_and_others_none(to_hook, hooks, plaza, alert):
    down = WebhookFactory.create(environment=plaza.place, url="http://127.0.0.1:1/", name="Down")
    others = AlertFactory.create_batch(5, rule=alert.rule)
    to_down = [
        DeliveryFactory.create(
            alert=a, channel="webhook", webhook=down, recipient="Down", created_at=T0 + timedelta(seconds=n)
        )
        for n, a in enumerate(others)
    ]
    fine = [to_hook(alert=a) for a in others]
    assert send(10) == 10
    assert [state(d)[:2] for d in fine] == [(DELIVERED, 1)] * 5
    assert [state(d)[1] for d in to_down] == [1, 0, 0, 0, 0]
    assert len(hooks.received) == 5
    # all that is for it waits for the first, what nobody has looked at yet too
    fresh = DeliveryFactory.create(
        alert=AlertFactory.create(rule=alert.rule), channel="webhook", webhook=down, recipient="Down"
    )
    assert {state(d)[2] for d in to_down} == {12.5}
    assert send(10) == 1
    assert (state(fresh), {state(d)[2] for d in to_down}) == ((WAITING, 1, 12.5), {12.5})
    assert send(12.4) == 0
    assert send(12.5) == 6
    assert sorted(state(d)[1] for d in [*to_down, fresh]) == [0, 0, 0, 0, 1, 2]
    assert {state(d)[2] for d in [*to_down, fresh]} == {17.5}


def test_long_queue_for_somebody_who_is_away_keeps_nobody_else_waiting(
    to_hook, hooks, plaza, alert, monkeypatch
):
    monkeypatch.setattr(delivering, "AT_ONCE", 10)
    down = WebhookFactory.create(environment=plaza.place, url="http://127.0.0.1:1/", name="Down")
    for other in AlertFactory.create_batch(40, rule=alert.rule):
        DeliveryFactory.create(alert=other, channel="webhook", webhook=down, recipient="Down")
    fine = to_hook(next_attempt_at=T0 + timedelta(seconds=1))
    assert [send(1), send(1)] == [10, 1]
    assert state(fine)[0] == DELIVERED


def test_webhook_that_was_deleted_is_told_nothing(to_hook, hooks):
    delivery = to_hook()
    delivery.webhook.delete()
    send()
    assert state(delivery)[0] == FAILED
    assert delivery.outcome == "The webhook was deleted."


def test_slow_receiver_does_not_keep_the_others_waiting(to_hook, hooks, letters, alert, plaza, told):
    release = threading.Event()

    def slow(handler):
        release.wait(10)
        answer_with(handler, 204)

    hooks.answer = slow
    to_hook()
    DeliveryFactory.create(alert=alert, channel="email", recipient="guard@example.com")
    DeliveryFactory.create(alert=alert)

    def watch():
        if _until(lambda: letters.received and told):
            release.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert send() == 3
    watcher.join()
    assert release.is_set()
    assert set(Delivery.objects.values_list("state", flat=True)) == {DELIVERED}


def _until(condition):
    for _ in range(1000):
        if condition():
            return True
        threading.Event().wait(0.01)
    return False


# --- killed, and two at once ---


def test_delivery_in_somebodys_hands_is_let_alone_until_they_must_be_dead(to_hook, hooks):
    delivery = to_hook()
    claimed = delivering._claim(T0)  # and then killed
    assert [d.pk for d in claimed] == [delivery.pk]
    assert send(119) == 0
    assert send(120) == 1
    assert state(delivery)[:2] == (DELIVERED, 1)


@pytest.mark.django_db(transaction=True)
def test_senders_at_once_deliver_each_once(hooks, redis_url, settings):
    place = EnvironmentFactory.create()
    webhook = WebhookFactory.create(environment=place, url=hooks.url)
    rule = RuleFactory.create(environment=place)
    for alert in AlertFactory.create_batch(30, rule=rule):
        DeliveryFactory.create(alert=alert, channel="webhook", webhook=webhook, recipient="x")
    go = threading.Barrier(3)

    def run():
        try:
            go.wait()
            send()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({got.headers["X-SpotOn-Delivery"] for got in hooks.received}) == 30
    assert len(hooks.received) == 30


# --- e-mail ---


def test_mail_says_where_when_and_what_with_a_link(letters, alert, settings):
    settings.SPOTON_URL = "https://spoton.example.org"
    alert.zone.name = "Hall & Yard\r\nBcc: all@example.com"
    alert.zone.save()
    delivery = DeliveryFactory.create(alert=alert, channel="email", recipient="guard@example.com")
    send()
    assert state(delivery)[0] == DELIVERED
    (got,) = letters.received
    assert got["Subject"] == "Critical: Person 7 entered Hall & Yard Bcc: all@example.com (Plaza)"
    assert (got["To"], got["Bcc"]) == ("guard@example.com", None)
    assert got["Message-ID"] == f"<{delivery.pk}@spoton>"
    plain, page = (part.get_content() for part in got.iter_parts())
    assert "Person 7 entered Hall & Yard" in plain
    assert "2026-05-04 14:00:00 CEST" in plain
    assert "https://spoton.example.org/environments/plaza/live/" in plain
    assert "Hall &amp; Yard" in page
    assert 'href="https://spoton.example.org/environments/plaza/live/"' in page


def test_mail_to_one_bad_address_stops_no_other(letters, alert):
    letters.refuse["nobody@example.com"] = "550 no such user"
    bad, good = (
        DeliveryFactory.create(alert=alert, channel="email", recipient=f"{name}@example.com")
        for name in ("nobody", "guard")
    )
    send()
    assert (state(bad)[0], state(good)[0]) == (FAILED, DELIVERED)
    assert bad.outcome == "The mail server refused: 550 no such user"


# --- the page ---


@pytest.mark.django_db(transaction=True)
def test_page_that_cannot_be_told_is_told_when_redis_is_back(alert, settings, redis_url):
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer"}
    delivery = DeliveryFactory.create(alert=alert)
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": ["unix:///nowhere/redis.sock"]}}}
    delivering.page_tell(deliveries=[delivery], now=T0)
    assert state(delivery) == (WAITING, 0, 0)
    send(0)
    assert state(delivery) == (WAITING, 1, 2.5)
    assert delivery.outcome == "Redis is away: nobody who watches the page could be told."
    settings.CHANNEL_LAYERS = {"default": layer | {"CONFIG": {"hosts": [redis_url]}}}
    send(3)
    assert state(delivery)[:2] == (DELIVERED, 2)


# --- tests of rules ---


def test_test_is_tried_once_and_says_so(to_hook, hooks, letters, told, plaza, alert):
    hooks.answer = lambda handler: answer_with(handler, 500)
    hook = to_hook(alert=None)
    mail, page = (
        DeliveryFactory.create(
            alert=None, rule=alert.rule, environment=plaza.place, channel=channel, recipient=recipient
        )
        for channel, recipient in (("email", "guard@example.com"), ("page", ""))
    )
    send()
    assert [state(d)[:2] for d in (hook, mail, page)] == [(FAILED, 1), (DELIVERED, 1), (DELIVERED, 1)]
    assert (hooks.received[0].json["type"], "alert" in hooks.received[0].json) == ("test", False)
    assert letters.received[0]["Subject"].strip() == (
        "Test: Test of the rule “Night”: this is how its alerts arrive. (Plaza)"
    )
    said = json.loads(told[0][1])
    assert (said["type"], said["id"], said["event"]) == ("alert", 0, None)


# --- Celery ---


def test_tasks_go_to_a_queue_of_their_own():
    route = current_app.amqp.router.route({}, "tracking.notifications.tasks.notifications_attend")
    assert route["queue"].name == "notifications"


@pytest.mark.django_db
def test_task_judges_and_delivers(plaza, told, monkeypatch):
    monkeypatch.setattr("tracking.notifications.tasks.timezone", SimpleNamespace(now=lambda: T0))
    RuleFactory.create(environment=plaza.place)
    TrackEventFactory.create(environment=plaza.place, time=T0)
    assert notifications_attend() in (0, 1)  # the page is told on commit where there is one
    assert notifications_attend() == 0
    assert [d.state for d in Delivery.objects.all()] == [DELIVERED]


def test_log_and_alerts_go_when_their_time_is_over(alert, plaza):
    plaza.place.retention_days = 30
    plaza.place.save()
    DeliveryFactory.create(alert=alert)
    monkey = AlertFactory.create(rule=alert.rule, at=T0 + timedelta(days=3650 * 9))
    assert notifications_expire() == 2
    assert [a.pk for a in type(alert).objects.all()] == [monkey.pk]
