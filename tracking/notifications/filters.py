"""Narrowing lists of rules, webhooks, alerts and deliveries."""

from django_filters import rest_framework as filters

from accounts.rest.filtering import Since, Until
from accounts.rest.strict import YesNoFilter
from environments.filters import PlaceFilter
from tracking.choices import EventKind
from tracking.filters import NumberFilter
from tracking.notifications.choices import Channel, DeliveryState, Severity
from tracking.notifications.models import Alert, Delivery, Rule, Webhook


class RuleFilter(filters.FilterSet):
    """Narrows rules."""

    environment = PlaceFilter()
    enabled = YesNoFilter(field_name="enabled")

    class Meta:
        model = Rule
        fields = ["severity"]


class WebhookFilter(filters.FilterSet):
    """Narrows webhooks."""

    environment = PlaceFilter()

    class Meta:
        model = Webhook
        fields: list[str] = []


class AlertFilter(filters.FilterSet):
    """Narrows alerts; ``since`` and ``until`` bound when it happened."""

    environment = PlaceFilter()
    rule = NumberFilter("rule_id")
    severity = filters.MultipleChoiceFilter(choices=Severity.choices)
    kind = filters.MultipleChoiceFilter(choices=EventKind.choices)
    zone = filters.CharFilter(field_name="zone__key")
    camera = filters.CharFilter(field_name="camera__key")
    person = NumberFilter("person__number")
    acknowledged = YesNoFilter(field_name="acknowledged_at", lookup_expr="isnull", exclude=True)
    is_late = YesNoFilter(field_name="is_late")
    since = Since("at")
    until = Until("at")

    class Meta:
        model = Alert
        fields: list[str] = []


class DeliveryFilter(filters.FilterSet):
    """Narrows deliveries; ``since`` and ``until`` bound when they began."""

    environment = PlaceFilter()
    rule = NumberFilter("rule_id")
    alert = NumberFilter("alert_id")
    channel = filters.MultipleChoiceFilter(choices=Channel.choices)
    state = filters.MultipleChoiceFilter(choices=DeliveryState.choices)
    is_test = YesNoFilter(field_name="alert", lookup_expr="isnull")
    since = Since("created_at")
    until = Until("created_at")

    class Meta:
        model = Delivery
        fields: list[str] = []
