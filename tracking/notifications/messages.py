"""What is sent of an alert: to the page, in an e-mail, to a webhook."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from tracking import live
from tracking.notifications.choices import Severity
from tracking.notifications.models import Alert, Delivery
from tracking.notifications.words import alert_words


def live_text(*, alert: Alert) -> str:
    """Write an alert as its live message."""
    return live.alert(
        alert_id=alert.pk,
        at=alert.at,
        rule=alert.rule_name,
        severity=alert.severity,
        text=alert_words(alert),
        event={
            "event": str(alert.event_id),
            "kind": alert.kind,
            "person": alert.person.number if alert.person else None,
            "zone": alert.zone.key if alert.zone else None,
            "camera": alert.camera.key if alert.camera else None,
        },
        acknowledged=acknowledgement_shown(alert=alert),
    )


def live_test(*, delivery: Delivery, now: datetime) -> str:
    """Write a live message that tests a rule; its id 0 is no alert's."""
    return live.alert(
        alert_id=0,
        at=now,
        rule=_rule_name(delivery),
        severity=Severity.INFO,
        text=test_words(delivery),
        event=dict.fromkeys(("event", "kind", "person", "zone", "camera")),
        acknowledged=None,
    )


def acknowledgement_shown(*, alert: Alert) -> dict[str, str] | None:
    """Say who has seen to an alert; None for nobody."""
    if alert.acknowledged_at is None:
        return None
    by = alert.acknowledged_by.username if alert.acknowledged_by else ""
    return live.acknowledgement(at=alert.acknowledged_at, by=by, note=alert.acknowledged_note)


def webhook_body(*, delivery: Delivery) -> bytes:
    """Write what a webhook gets, the same each time it is tried."""
    alert = delivery.alert
    said: dict[str, Any] = {
        "id": str(delivery.pk),
        "type": "test" if alert is None else "alert",
        "created_at": live.isoformat(delivery.created_at),
        "environment": {"slug": delivery.environment.slug, "name": delivery.environment.name},
        "rule": _rule_name(delivery),
        "text": test_words(delivery) if alert is None else alert_words(alert),
        "link": live_link(delivery),
    }
    if alert is not None:
        shown = json.loads(live_text(alert=alert))
        said["alert"] = {
            name: shown[name] for name in shown if name not in ("type", "rule", "text", "acknowledged")
        }
        said["alert"]["count"] = alert.count
        said["alert"]["payload"] = alert.payload
    return json.dumps(said, ensure_ascii=False, allow_nan=False).encode()


def mail_message(*, delivery: Delivery) -> EmailMultiAlternatives:
    """Write an e-mail, plain and as a page."""
    alert = delivery.alert
    happened = test_words(delivery) if alert is None else alert_words(alert)
    level = _("Test") if alert is None else alert.get_severity_display().capitalize()
    at = delivery.created_at if alert is None else alert.at
    subject = f"{level}: {happened} ({delivery.environment.name})"
    context = {
        "happened": happened,
        "level": level,
        "severity": "test" if alert is None else alert.severity,
        "rule": _rule_name(delivery),
        "environment": delivery.environment,
        "at": f"{at.astimezone(ZoneInfo(delivery.environment.time_zone)):%Y-%m-%d %H:%M:%S %Z}",
        "link": live_link(delivery),
        "alerts_link": settings.SPOTON_URL + reverse("alerts", args=[delivery.environment.slug]),
    }
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split())[:200],
        body=render_to_string("notifications/mail.txt", context),
        to=[delivery.recipient],
        headers={
            "Message-ID": f"<{delivery.pk}@spoton>",  # the same each time it is tried
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(render_to_string("notifications/mail.html", context), "text/html")
    return message


def live_link(delivery: Delivery) -> str:
    """Give the address of the live view."""
    return settings.SPOTON_URL + reverse("live", args=[delivery.environment.slug])


def test_words(delivery: Delivery) -> str:
    """Say that this is a test."""
    return _("Test of the rule “%(rule)s”: this is how its alerts arrive.") % {"rule": _rule_name(delivery)}


def _rule_name(delivery: Delivery) -> str:
    if delivery.alert is not None:
        return str(delivery.alert.rule_name)
    return delivery.rule.name if delivery.rule else ""
