"""Events arrive, are judged and delivered once on SQLite, PostgreSQL and TimescaleDB, whoever is killed."""

import os
import random
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from environments.models import Environment
from tests.factories import EnvironmentFactory, RuleFactory, TrackEventFactory, WebhookFactory
from tests.test_packaging import ROOT
from tests.tracking.notifications import receivers
from tests.tracking.test_databases import (
    at_once,
    database_url,
    pytest_generate_tests,
    server,
)
from tracking.choices import EventKind
from tracking.models import TrackEvent
from tracking.notifications.delivering import deliveries_send
from tracking.notifications.judging import events_judge
from tracking.notifications.models import Alert, Arrival, Delivery

__all__ = ["database_url", "pytest_generate_tests", "server"]

JUDGE = """
import django; django.setup()
from django.utils import timezone
from tracking.notifications import delivering, judging
delivering.announce = lambda **_: True
judging.CHUNK = 5
print("ready", flush=True)
while True:
    for environment_id in judging.waiting_environments():
        judging.events_judge(environment_id=environment_id, now=timezone.now())
    delivering.deliveries_send(now=timezone.now())
"""


def event(place: Environment, at: datetime) -> TrackEvent:
    made: TrackEvent = TrackEventFactory.create(environment=place, time=at, kind=EventKind.ZONE_ENTER)
    return made


def test_event_arrives_once_however_often_it_is_written(server):
    place = EnvironmentFactory.create()
    now = datetime.now(UTC)
    stored = [event(place, now - timedelta(days=days)) for days in (0, 1, 20)]
    TrackEvent.objects.bulk_create(stored, ignore_conflicts=True)
    assert sorted(Arrival.objects.values_list("event_id", flat=True)) == sorted(row.pk for row in stored)


def test_judges_at_once_raise_each_alert_once(server, monkeypatch):
    monkeypatch.setattr("tracking.notifications.judging.CHUNK", 7)
    place = EnvironmentFactory.create()
    rule = RuleFactory.create(environment=place, kinds=["zone_enter"], cooldown_s=10, on_page=False)
    now = datetime.now(UTC)
    for second in range(60):
        event(place, now + timedelta(seconds=second - 60))

    def judge(_: int) -> int:
        rounds = 1
        while events_judge(environment_id=place.pk, now=now):
            rounds += 1
        return rounds

    at_once(4, judge)
    assert rule.alerts.count() == 6
    assert not Arrival.objects.exists()


def test_senders_at_once_deliver_each_once(server, settings):
    with receivers.web_server() as hooks:
        settings.SPOTON_WEBHOOK_NETWORKS = [receivers.HERE]
        place = EnvironmentFactory.create()
        rule = RuleFactory.create(environment=place, kinds=["zone_enter"], on_page=False)
        rule.webhooks.add(WebhookFactory.create(environment=place, url=hooks.url))
        now = datetime.now(UTC)
        for second in range(40):
            event(place, now - timedelta(seconds=second))
        events_judge(environment_id=place.pk, now=now)
        at_once(3, lambda _: deliveries_send(now=now))
        got = [received.headers["X-SpotOn-Delivery"] for received in hooks.received]
    assert len(got) == len(set(got)) == Delivery.objects.filter(state="delivered").count() == 40


@pytest.mark.slow
def test_judge_that_is_killed_again_and_again_misses_and_doubles_nothing(server, database_url):
    place = EnvironmentFactory.create()
    rule = RuleFactory.create(environment=place, kinds=["zone_enter"])
    chance, killed = random.Random(3), 0
    environment = os.environ | {
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "spoton.settings_test",
    }
    began = datetime.now(UTC)
    for round_ in range(3):
        judge = subprocess.Popen(
            [sys.executable, "-c", JUDGE], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        assert judge.stdout is not None
        assert judge.stdout.readline() == "ready\n"
        last = chance.randrange(5, 55)
        for n in range(60):
            event(place, began + timedelta(milliseconds=60 * round_ + n))
            if n == last:  # while it judges what came before, and at once after this one
                judge.send_signal(signal.SIGKILL)
                judge.wait()
                killed += Arrival.objects.exists()
        judge.stdout.close()
    while events_judge(environment_id=place.pk, now=datetime.now(UTC)):
        pass
    assert rule.alerts.count() == Alert.objects.values("event_id").distinct().count() == 180
    assert Delivery.objects.count() == 180
    assert killed  # at least one was killed while something waited
