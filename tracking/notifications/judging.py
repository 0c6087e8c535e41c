"""From events to alerts: each event is judged once, by every rule of its environment.

What waits is noted by the database with every event (see Arrival). Judging takes it away in the transaction that stores
what it raises, under the lock of the environment's row: a judge that is killed leaves everything as it was, and two never
judge at once. So it may be called by anybody at any time; the worker does so after each write, Celery as the net.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from environments.models import Environment
from tracking.models import TrackEvent
from tracking.notifications.choices import Channel, Day
from tracking.notifications.delivering import page_tell
from tracking.notifications.matching import Happening, Hours, Pattern, PlaceTally
from tracking.notifications.models import Alert, Arrival, Delivery, Rule

CHUNK = 500  # events in one transaction


def events_judge(*, environment_id: int, now: datetime) -> bool:
    """Judge the oldest events that wait in an environment; say whether some may be left.

    What is for the page is sent at once; everything else when ``delivering.deliveries_send`` comes by.
    """
    if not Arrival.objects.filter(environment_id=environment_id).exists():
        return False
    with transaction.atomic():
        # the lock; taken before reading what waits, so that nobody else has judged it meanwhile
        environment = Environment.objects.select_for_update(no_key=True).filter(pk=environment_id).first()
        waiting = Arrival.objects.filter(environment_id=environment_id).order_by("time", "pk")
        arrivals = list(waiting[:CHUNK])
        raised = [] if environment is None else _alerts_raise(environment, arrivals, now)
        waiting.filter(pk__in=[arrival.pk for arrival in arrivals]).delete()
        for_page = [delivery for delivery in raised if delivery.channel == Channel.PAGE]
        if for_page:
            transaction.on_commit(lambda: page_tell(deliveries=for_page, now=now))
    return len(arrivals) == CHUNK


def pattern_of(*, rule: Rule, time_zone: str) -> Pattern:
    """Give what a rule waits for."""
    days = list(Day.values)
    return Pattern(
        kinds=frozenset(rule.kinds),
        zones=frozenset(zone.pk for zone in rule.zones.all()),
        cameras=frozenset(camera.pk for camera in rule.cameras.all()),
        hours=Hours(
            frozenset(days.index(day) for day in rule.days),
            rule.from_time,
            rule.until_time,
            ZoneInfo(time_zone),
        ),
        count=rule.count,
        window=timedelta(seconds=rule.window_s),
        cooldown=timedelta(seconds=rule.cooldown_s),
    )


def _alerts_raise(environment: Environment, arrivals: Sequence[Arrival], now: datetime) -> list[Delivery]:
    """Store the alerts that events raise, and give what is to be delivered."""
    enabled = environment.rules.filter(enabled=True).order_by("pk")
    rules = list(enabled.prefetch_related("zones", "cameras", "webhooks"))
    if not rules or not arrivals:
        return []
    events = {row.pk: row for row in _events(environment, arrivals)}
    happenings = [_happening(events[a.event_id]) for a in arrivals if a.event_id in events]
    deliveries: list[Delivery] = []
    for rule in rules:
        pattern = pattern_of(rule=rule, time_zone=environment.time_zone)
        fitting = [happening for happening in happenings if pattern.fits(happening)]
        for happening in _Judge(environment, rule, pattern, fitting).raised() if fitting else []:
            event = events.get(happening.event_id) or _event(environment, happening)
            alert = _alert(environment, rule, event, now)
            alert.save(force_insert=True)
            if not alert.is_late:
                deliveries += deliveries_of(alert=alert, rule=rule, now=now)
    Delivery.objects.bulk_create(deliveries)
    return deliveries


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges the events that fit one rule, with what it raised and what happened around them."""

    environment: Environment
    rule: Rule
    pattern: Pattern
    fitting: Sequence[Happening]

    def raised(self) -> list[Happening]:
        """Give the events that raise alerts."""
        since = min(self.fitting).at - self.pattern.reach
        until = max(self.fitting).at + self.pattern.reach
        alerts = list(
            self.rule.alerts.filter(at__gte=since, at__lte=until).values_list(
                "at", "zone_id", "camera_id", "event_id"
            )
        )
        known = {event_id for *_, event_id in alerts}
        around = self._around(since, until) if self.pattern.count > 1 else []
        tallies: dict[tuple[int | None, int | None], PlaceTally] = {}
        found = []
        for happening in self.fitting:
            place = happening.place
            if place not in tallies:
                tallies[place] = PlaceTally(
                    self.pattern,
                    happenings=[h for h in around if h.place == place],
                    alerts=[at for at, *where, _ in alerts if tuple(where) == place],
                )
            completing = tallies[place].judge(happening)
            if completing is not None and completing.event_id not in known:
                found.append(completing)
        return found

    def _around(self, since: datetime, until: datetime) -> list[Happening]:
        pattern = self.pattern
        rows = TrackEvent.objects.filter(
            environment=self.environment, time__gte=since, time__lte=until, kind__in=pattern.kinds
        )
        if pattern.zones or pattern.cameras:
            rows = rows.filter(Q(zone_id__in=pattern.zones) | Q(camera_id__in=pattern.cameras))
        values = rows.values_list("time", "id", "kind", "zone_id", "camera_id")
        return [happening for happening in (Happening(*row) for row in values) if pattern.fits(happening)]


def deliveries_of(*, alert: Alert | None, rule: Rule, now: datetime) -> list[Delivery]:
    """Give, unsaved, what a rule's recipients are to get: an alert, or without one a test."""
    common: dict[str, Any] = {
        "rule": rule,
        "environment_id": rule.environment_id,
        "alert": alert,
        "created_at": now,
        "next_attempt_at": now,
    }
    made = [Delivery(channel=Channel.PAGE, **common)] if rule.on_page else []
    made += [Delivery(channel=Channel.EMAIL, recipient=email, **common) for email in rule.emails]
    made += [
        Delivery(channel=Channel.WEBHOOK, recipient=webhook.name, webhook=webhook, **common)
        for webhook in rule.webhooks.all()
    ]
    return made


def _alert(environment: Environment, rule: Rule, event: TrackEvent, now: datetime) -> Alert:
    return Alert(
        environment=environment,
        rule=rule,
        rule_name=rule.name,
        severity=rule.severity,
        event_id=event.pk,
        kind=event.kind,
        at=event.time,
        raised_at=now,
        is_late=now - event.time > timedelta(seconds=settings.SPOTON_ALERT_MAX_AGE_S),
        count=rule.count,
        person=event.person,
        zone=event.zone,
        camera=event.camera,
        payload=event.payload,
    )


def _events(environment: Environment, arrivals: Sequence[Arrival]) -> QuerySet[TrackEvent]:
    times = [arrival.time for arrival in arrivals]
    rows = TrackEvent.objects.filter(
        environment=environment,
        time__gte=min(times),
        time__lte=max(times),
        pk__in=[arrival.event_id for arrival in arrivals],
    )
    return rows.select_related("person", "zone", "camera")


def _event(environment: Environment, happening: Happening) -> TrackEvent:
    rows = TrackEvent.objects.select_related("person", "zone", "camera")
    return rows.get(environment=environment, time=happening.at, pk=happening.event_id)


def _happening(event: TrackEvent) -> Happening:
    return Happening(event.time, event.pk, event.kind, event.zone_id, event.camera_id)


def waiting_environments() -> list[int]:
    """Name the environments in which events wait to be judged."""
    return list(Arrival.objects.order_by().values_list("environment_id", flat=True).distinct())
