"""What changes rules, webhooks and alerts at somebody's wish."""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from celery import current_app
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from kombu.exceptions import OperationalError

from accounts.models import User
from environments.models import Environment
from tracking.announcing import announce
from tracking.notifications.judging import deliveries_of
from tracking.notifications.messages import live_text
from tracking.notifications.models import Alert, Delivery, Rule, Webhook, new_secret

logger = logging.getLogger(__name__)

EXPIRE_ROWS = 1_000  # deleted in one transaction
TO_MANY = ("zones", "cameras", "webhooks")


class Acknowledged(Exception):  # noqa: N818 - a state of things, not a fault
    """Somebody else has acknowledged an alert already."""


class NobodyTold(Exception):  # noqa: N818 - a state of things, not a fault
    """A rule has no recipients."""


def rule_save(*, rule: Rule, **changes: Any) -> Rule:
    """Make a rule, or change what is given of one; all of it or nothing.

    Raises:
        ValidationError: by field, what does not fit: a zone of another environment, half of a time, ...
    """
    chosen = {name: list(changes.pop(name)) for name in TO_MANY if name in changes}
    for name, value in changes.items():
        setattr(rule, name, value)
    foreign = foreign_places(environment_id=rule.environment_id, chosen=chosen)
    if foreign:
        raise ValidationError(foreign)
    rule.full_clean()
    with transaction.atomic():
        rule.save()
        for name, rows in chosen.items():
            getattr(rule, name).set(rows)
    return rule


def foreign_places(*, environment_id: int, chosen: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
    """Say, by field, where rows of another environment were chosen for a rule."""
    return {
        name: [_("Choose what belongs to the same environment.")]
        for name, rows in chosen.items()
        if any(row.environment_id != environment_id for row in rows)
    }


def rule_test(*, rule: Rule, now: datetime) -> list[Delivery]:
    """Send a test to everybody whom a rule tells, by the same way as its alerts, once.

    Raises:
        NobodyTold: there is nobody.
    """
    deliveries = deliveries_of(alert=None, rule=rule, now=now)
    if not deliveries:
        raise NobodyTold(_("This rule tells nobody: choose the page, an e-mail address or a webhook first."))
    Delivery.objects.bulk_create(deliveries)
    transaction.on_commit(_hurry)
    return deliveries


def _hurry() -> None:
    """Have what is due tried at once; without Redis it is when that is back."""
    try:
        current_app.send_task("tracking.notifications.tasks.notifications_attend", retry=False)
    except (OperationalError, OSError) as error:
        logger.warning("Redis is away (%s): a test waits", error)


def webhook_save(*, webhook: Webhook, **changes: Any) -> Webhook:
    """Make a webhook, or change what is given of one.

    Raises:
        ValidationError: by field: an address that is none or where none may be, a name that is taken.
    """
    for name, value in changes.items():
        setattr(webhook, name, value)
    webhook.full_clean()
    webhook.save()
    return webhook


def webhook_secret_renew(*, webhook: Webhook) -> str:
    """Give a webhook a new secret; the old one signs nothing more."""
    webhook.secret = new_secret()
    webhook.save(update_fields=["secret"])
    return str(webhook.secret)


def alert_acknowledge(*, alert: Alert, by: User, note: str, now: datetime) -> None:
    """Note that somebody has seen to an alert, and tell everybody who watches.

    Raises:
        Acknowledged: somebody has already.
    """
    open_ = Alert.objects.filter(pk=alert.pk, acknowledged_at__isnull=True)
    if not open_.update(acknowledged_at=now, acknowledged_by=by, acknowledged_note=note):
        alert.refresh_from_db(fields=["acknowledged_at", "acknowledged_by", "acknowledged_note"])
        raise Acknowledged(
            f"{alert.acknowledged_by or 'somebody'} has acknowledged it at "
            f"{alert.acknowledged_at:%Y-%m-%d %H:%M} UTC"
        )
    alert.acknowledged_at, alert.acknowledged_by, alert.acknowledged_note = now, by, note
    text = live_text(alert=alert)
    transaction.on_commit(lambda: announce(environment_id=alert.environment_id, text=text))


def notifications_expire(*, now: datetime) -> int:
    """Delete alerts and deliveries that are older than each environment keeps; give the number of rows."""
    deleted = 0
    for environment in Environment.objects.all():
        cutoff = now - timedelta(days=environment.retention_days)
        deleted += _expire(Delivery.objects.filter(environment=environment, created_at__lt=cutoff))
        deleted += _expire(Alert.objects.filter(environment=environment, at__lt=cutoff))
    return deleted


def _expire(old: QuerySet[Any]) -> int:
    """Delete rows in short transactions."""
    deleted = 0
    while keys := list(old.order_by("pk").values_list("pk", flat=True)[:EXPIRE_ROWS]):
        deleted += old.filter(pk__in=keys).delete()[0]
    return deleted
