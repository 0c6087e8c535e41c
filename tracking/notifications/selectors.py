"""What pages and the REST interface ask of rules and alerts."""

from django.db.models import QuerySet

from environments.models import Environment
from tracking.notifications.models import Alert, Delivery, Rule


def rules_with_places(*, rules: QuerySet[Rule]) -> QuerySet[Rule]:
    """Fetch along what it takes to say what rules wait for and whom they tell."""
    return rules.select_related("environment").prefetch_related("zones", "cameras", "webhooks")


def alerts_shown(*, alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    """Fetch along what it takes to say what happened."""
    return alerts.select_related("environment", "person", "zone", "camera", "acknowledged_by")


def alerts_of(*, environment: Environment, is_open: bool) -> QuerySet[Alert]:
    """Give the alerts of an environment, newest first; with ``is_open`` those alone that nobody has seen to."""
    alerts = alerts_shown(alerts=Alert.objects.filter(environment=environment)).order_by("-at", "-pk")
    return alerts.filter(acknowledged_at__isnull=True, is_late=False) if is_open else alerts


def last_test(*, rule: Rule) -> list[Delivery]:
    """Give what was sent to try a rule, the last time; nothing where nobody has."""
    tests = Delivery.objects.filter(rule=rule, alert__isnull=True).select_related("environment")
    newest = tests.order_by("-created_at").values_list("created_at", flat=True).first()
    return [] if newest is None else list(tests.filter(created_at=newest).order_by("channel", "recipient"))
