"""From events to alerts: each event is judged once, whatever is killed in between."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from tests.factories import (
    T0,
    EnvironmentFactory,
    PersonFactory,
    RuleFactory,
    TrackEventFactory,
    WebhookFactory,
)
from tracking.choices import EventKind
from tracking.models import TrackEvent
from tracking.notifications import judging
from tracking.notifications.choices import DeliveryState
from tracking.notifications.delivering import deliveries_send
from tracking.notifications.models import Alert, Arrival, Delivery

pytestmark = pytest.mark.django_db


def event(place, at_s=0.0, kind=EventKind.ZONE_ENTER, **given):
    return TrackEventFactory.create(environment=place, time=T0 + timedelta(seconds=at_s), kind=kind, **given)


def judge(place, at_s=1.0):
    while judging.events_judge(environment_id=place.pk, now=T0 + timedelta(seconds=at_s)):
        pass


def alerts(rule):
    return [(a.at - T0).total_seconds() for a in rule.alerts.order_by("at")]


# --- arrivals ---


def test_event_that_is_stored_waits_to_be_judged(plaza):
    stored = event(plaza.place)
    arrival = Arrival.objects.get()
    assert (arrival.event_id, arrival.time, arrival.environment) == (stored.pk, stored.time, plaza.place)


def test_event_that_is_stored_again_does_not_arrive_again(plaza):
    stored = event(plaza.place)
    TrackEvent.objects.bulk_create([stored], ignore_conflicts=True)
    assert Arrival.objects.count() == 1


def test_event_of_a_transaction_that_fails_never_arrives(plaza):
    with transaction.atomic():
        event(plaza.place)
        transaction.set_rollback(True)
    assert not Arrival.objects.exists()


# --- what is raised ---


def test_alert_says_what_happened_and_goes_to_everybody_named(
    plaza, told, django_capture_on_commit_callbacks
):
    rule = RuleFactory.create(
        environment=plaza.place,
        kinds=["zone_enter"],
        severity="critical",
        emails=["guard@example.com"],
        name="Night",
    )
    hook = WebhookFactory.create(environment=plaza.place, name="Desk")
    rule.webhooks.add(hook)
    person = PersonFactory.create(environment=plaza.place, number=7)
    stored = event(plaza.place, zone=plaza.hall, person=person, payload={"evidence": 1})
    with django_capture_on_commit_callbacks(execute=True):
        judge(plaza.place)

    alert = Alert.objects.get()
    assert (alert.rule, alert.rule_name, alert.severity, alert.event_id) == (
        rule,
        "Night",
        "critical",
        stored.pk,
    )
    assert (alert.kind, alert.zone, alert.person, alert.camera) == ("zone_enter", plaza.hall, person, None)
    assert (alert.at, alert.raised_at, alert.is_late) == (T0, T0 + timedelta(seconds=1), False)
    found = {(d.channel, d.recipient, d.state) for d in alert.deliveries.all()}
    assert found == {
        ("page", "", DeliveryState.DELIVERED),
        ("email", "guard@example.com", DeliveryState.WAITING),
        ("webhook", "Desk", DeliveryState.WAITING),
    }
    ((environment_id, text),) = told
    assert environment_id == plaza.place.pk
    assert '"text":"Person 7 entered Hall"' in text
    assert not Arrival.objects.exists()


def test_rules_hear_of_their_own_kinds_places_and_environment(plaza, told):
    anywhere = RuleFactory.create(environment=plaza.place, kinds=["zone_enter", "camera_offline"])
    hall = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"])
    hall.zones.add(plaza.hall)
    elsewhere = RuleFactory.create(kinds=["zone_enter"])
    off = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"], enabled=False)
    event(plaza.place, 0, zone=plaza.hall)
    event(plaza.place, 1, zone=plaza.yard)
    event(plaza.place, 2, kind=EventKind.CAMERA_OFFLINE, camera=plaza.c1)
    event(plaza.place, 3, kind=EventKind.LINE_CROSS)
    judge(plaza.place)
    assert [alerts(rule) for rule in (anywhere, hall, elsewhere, off)] == [[0, 1, 2], [0], [], []]


def test_hours_are_those_of_the_place(plaza, told):
    # T0 is 14:00 in Vienna
    rule = RuleFactory.create(
        environment=plaza.place, kinds=["zone_enter"], from_time="14:00", until_time="14:01", days=["mon"]
    )
    rule.refresh_from_db()
    for at_s in (-1, 0, 59, 60):
        event(plaza.place, at_s)
    judge(plaza.place, 61)
    assert alerts(rule) == [0, 59]


def test_cooldown_is_each_zones_own_and_outlives_a_restart(plaza, told):
    rule = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"], cooldown_s=60)
    for at_s, zone in ((0, plaza.hall), (1, plaza.hall), (2, plaza.yard)):
        event(plaza.place, at_s, zone=zone)
        judge(plaza.place, at_s)
    event(plaza.place, 59, zone=plaza.hall)
    event(plaza.place, 60, zone=plaza.hall)
    judge(plaza.place, 60)
    assert alerts(rule) == [0, 2, 60]


def test_count_within_a_window_knows_what_was_judged_before(plaza, told):
    rule = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"], count=3, window_s=300)
    for at_s, zone in (
        (0, plaza.hall),
        (10, plaza.yard),
        (20, plaza.hall),
        (30, plaza.hall),
        (40, plaza.hall),
    ):
        event(plaza.place, at_s, zone=zone)
        judge(plaza.place, at_s)
    (alert,) = rule.alerts.all()
    assert (alert.at, alert.count, alert.zone) == (T0 + timedelta(seconds=30), 3, plaza.hall)


def test_count_of_events_that_come_at_once_raises_one_alert_at_the_last(plaza, told):
    rule = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"], count=3, window_s=300)
    last, *_ = [event(plaza.place, at_s) for at_s in (20, 0, 10)]
    judge(plaza.place, 20)
    assert [(a.at, a.event_id) for a in rule.alerts.all()] == [(last.time, last.pk)]


def test_event_raises_one_alert_of_a_rule_however_often_it_arrives(plaza, told):
    rule = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"])
    stored = event(plaza.place)
    for _ in range(3):
        judge(plaza.place)
        Arrival.objects.create(event_id=stored.pk, time=stored.time, environment=plaza.place)
    judge(plaza.place)
    assert (alerts(rule), Delivery.objects.count()) == ([0], 1)


def test_late_event_is_noted_and_nobody_is_told(plaza, told, settings, django_capture_on_commit_callbacks):
    settings.SPOTON_ALERT_MAX_AGE_S = 600
    rule = RuleFactory.create(environment=plaza.place, kinds=["zone_enter"])
    event(plaza.place, 0)
    event(plaza.place, 1)
    with django_capture_on_commit_callbacks(execute=True):
        judge(plaza.place, 601)
    assert [(a.at, a.is_late) for a in rule.alerts.order_by("at")] == [
        (T0, True),
        (T0 + timedelta(seconds=1), False),
    ]
    assert list(Delivery.objects.values_list("alert__is_late", flat=True)) == [False]
    assert len(told) == 1


def test_event_whose_environment_or_row_is_gone_waits_no_more(plaza, told):
    RuleFactory.create(environment=plaza.place, kinds=["zone_enter"])
    stored = event(plaza.place)
    TrackEvent.objects.filter(pk=stored.pk).delete()
    Arrival.objects.create(event_id=stored.pk, time=T0, environment_id=10**6)
    for environment_id in judging.waiting_environments():
        judging.events_judge(environment_id=environment_id, now=T0)
    assert not Arrival.objects.exists()
    assert not Alert.objects.exists()


def test_questions_do_not_grow_with_events(
    plaza, told, django_assert_num_queries, django_assert_max_num_queries
):
    rule = RuleFactory.create(
        environment=plaza.place, kinds=["zone_enter"], count=2, window_s=5, cooldown_s=60
    )
    rule.webhooks.add(WebhookFactory.create(environment=plaza.place))
    with django_assert_num_queries(1):
        judging.events_judge(environment_id=plaza.place.pk, now=T0)
    for at_s in range(200):
        event(plaza.place, at_s * 0.1, zone=plaza.hall)
    # is there something, lock, savepoint x 2, what waits, rules with zones, cameras and webhooks, events, alerts,
    # events around, one alert, deliveries, arrivals gone
    with django_assert_max_num_queries(15):
        judging.events_judge(environment_id=plaza.place.pk, now=T0 + timedelta(seconds=21))
    assert len(alerts(rule)) == 1


# --- killed in the middle, and two at once ---


class KilledError(BaseException):
    """As a signal would."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("where", ["alert.save", "deliveries", "after commit"])
def test_judge_that_is_killed_loses_nothing_and_doubles_nothing(where, monkeypatch, redis_url, settings):
    place = EnvironmentFactory.create()
    rule = RuleFactory.create(environment=place, kinds=["zone_enter"], count=2, window_s=60)
    for at_s in range(10):
        event(place, at_s)

    def kill(*_, **__):
        raise KilledError

    killing = {
        "alert.save": (Alert, "save"),
        "deliveries": (judging, "deliveries_of"),
        "after commit": (judging, "page_tell"),
    }
    with monkeypatch.context() as patched:
        patched.setattr(*killing[where], kill)
        with pytest.raises(KilledError):
            judge(place, 10)
    told = []

    def announce(*, environment_id, text):
        told.append(text)
        return True

    monkeypatch.setattr("tracking.notifications.delivering.announce", announce)
    judge(place, 10)
    deliveries_send(now=T0 + timedelta(seconds=11))
    assert alerts(rule) == [1, 3, 5, 7, 9]
    assert [d.state for d in Delivery.objects.all()] == [DeliveryState.DELIVERED] * 5
    assert len(told) == 5


@pytest.mark.django_db(transaction=True)
def test_judges_at_once_raise_each_alert_once(settings, redis_url):
    place = EnvironmentFactory.create()
    rule = RuleFactory.create(environment=place, kinds=["zone_enter"], cooldown_s=10, on_page=False)
    for at_s in range(60):
        event(place, at_s)
    go = threading.Barrier(4)

    def run():
        try:
            go.wait()
            judge(place, 60)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alerts(rule) == [0, 10, 20, 30, 40, 50]
    assert not Arrival.objects.exists()
