"""Rules, webhooks, alerts and deliveries as the REST interface shows and reads them."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.rest.strict import wrong_kind
from environments.models import Environment
from environments.secrets import MASK
from environments.serializers import PartOfPlaceSerializer
from tracking.choices import EventKind
from tracking.notifications import services
from tracking.notifications.choices import Day, DeliveryState
from tracking.notifications.messages import acknowledgement_shown
from tracking.notifications.models import (
    MAX_COOLDOWN_S,
    MAX_COUNT,
    MAX_WINDOW_S,
    Alert,
    Delivery,
    Rule,
    Webhook,
)
from tracking.notifications.validators import MAX_EMAILS
from tracking.notifications.words import alert_words, rule_words
from tracking.serializers import AcknowledgementSerializer

MAX_PLACES = 200


class TextField(serializers.CharField):
    """Reads a text, and nothing that could be taken for one."""

    def to_internal_value(self, data: Any) -> str:
        """Read it."""
        if text := wrong_kind(self, data):
            raise serializers.ValidationError(text)
        return str(super().to_internal_value(data))


class NamesField(serializers.ListField):
    """Shows and reads rows by their keys or names, which are unique within an environment."""

    def __init__(self, attribute: str, **given: Any) -> None:
        self.attribute = attribute
        child = TextField(max_length=100)
        super().__init__(child=child, max_length=MAX_PLACES, required=False, **given)

    def to_representation(self, data: Any) -> list[str]:
        """Name the rows."""
        return [getattr(row, self.attribute) for row in data.all()]


class RuleSerializer(PartOfPlaceSerializer):
    """Shows and reads a rule."""

    kinds = serializers.ListField(
        child=serializers.ChoiceField(choices=EventKind.choices), min_length=1, help_text="each once"
    )
    days = serializers.ListField(
        child=serializers.ChoiceField(choices=Day.choices),
        min_length=1,
        required=False,
        help_text="each once; default: all",
    )
    zones = NamesField("key", help_text="keys of the only zones that count; none, and no cameras: anywhere")
    cameras = NamesField("key", help_text="keys of the only cameras that count, beside the zones")
    emails = serializers.ListField(
        child=TextField(max_length=254), max_length=MAX_EMAILS, required=False, help_text="each once"
    )
    webhooks = NamesField("name", help_text="names")
    words = serializers.SerializerMethodField(help_text="the rule in a sentence")

    class Meta:
        model = Rule
        fields = [
            "id",
            "environment",
            "name",
            "enabled",
            "severity",
            "kinds",
            "zones",
            "cameras",
            "days",
            "from_time",
            "until_time",
            "count",
            "window_s",
            "cooldown_s",
            "on_page",
            "emails",
            "webhooks",
            "words",
            "created_at",
        ]
        validators: list[Any] = []  # the service says at which field a name is taken
        read_only_fields = ["created_at"]
        extra_kwargs = {
            "count": {"min_value": 1, "max_value": MAX_COUNT},
            "window_s": {"min_value": 1, "max_value": MAX_WINDOW_S},
            "cooldown_s": {"min_value": 0, "max_value": MAX_COOLDOWN_S},
            "from_time": {"help_text": "by the clock of the place; after `until_time`: over midnight"},
        }

    def get_words(self, rule: Rule) -> str:
        """Say it."""
        return rule_words(rule)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Find the rows that are named."""
        place: Environment = attrs.get("environment") or self.instance.environment  # type: ignore[union-attr]
        rows: dict[str, Any] = {"zones": place.zones, "cameras": place.cameras, "webhooks": place.webhooks}
        wrong = {}
        for name in rows.keys() & attrs.keys():
            attribute, wanted = self.fields[name].attribute, attrs[name]
            found = list(rows[name].filter(**{f"{attribute}__in": wanted}))
            unknown = sorted(set(wanted) - {getattr(row, attribute) for row in found})
            if unknown:
                wrong[name] = [_("There is none called %(names)s.") % {"names": ", ".join(unknown)}]
            attrs[name] = found
        if wrong:
            raise serializers.ValidationError(wrong)
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Rule:
        """Make a rule."""
        return services.rule_save(rule=Rule(), **validated_data)

    def update(self, instance: Rule, validated_data: dict[str, Any]) -> Rule:
        """Change a rule."""
        services.rule_save(rule=instance, **validated_data)
        return Rule.objects.select_related("environment").get(pk=instance.pk)


class WebhookSerializer(PartOfPlaceSerializer):
    """Shows and reads a webhook; the secret is never shown, and of the address the host alone."""

    url = TextField(max_length=1000, help_text="Shown as its host with *** behind.")

    class Meta:
        model = Webhook
        fields = ["id", "environment", "name", "url", "created_at"]
        validators: list[Any] = []  # the service says at which field a name is taken
        read_only_fields = ["created_at"]

    def to_representation(self, instance: Webhook) -> dict[str, Any]:
        """Hide what is secret of the address."""
        shown: dict[str, Any] = super().to_representation(instance)
        return shown | {"url": instance.masked_url}

    def validate_url(self, url: str) -> str:
        """Keep the stored address where the masked one came back."""
        if self.instance is not None and url == self.instance.masked_url:
            return str(self.instance.url)
        if MASK in url:
            raise serializers.ValidationError(_("Give the whole address, or the address as it is shown."))
        return url

    def create(self, validated_data: dict[str, Any]) -> Webhook:
        """Make a webhook."""
        return services.webhook_save(webhook=Webhook(), **validated_data)

    def update(self, instance: Webhook, validated_data: dict[str, Any]) -> Webhook:
        """Change a webhook."""
        return services.webhook_save(webhook=instance, **validated_data)


class NewWebhookSerializer(WebhookSerializer):
    """Shows a webhook with its secret: this once."""

    secret = serializers.CharField(
        read_only=True, help_text="shown this once; what is sent is signed with it"
    )

    class Meta(WebhookSerializer.Meta):
        fields = [*WebhookSerializer.Meta.fields, "secret"]


class AlertSerializer(serializers.ModelSerializer):
    """Shows an alert."""

    environment = serializers.CharField(source="environment.slug", read_only=True)
    event = serializers.UUIDField(source="event_id", read_only=True)
    person = serializers.IntegerField(source="person.number", read_only=True, default=None, allow_null=True)
    zone = serializers.CharField(source="zone.key", read_only=True, default=None, allow_null=True)
    camera = serializers.CharField(source="camera.key", read_only=True, default=None, allow_null=True)
    payload = serializers.DictField(read_only=True)
    text = serializers.SerializerMethodField(help_text="what happened, in words")
    acknowledged = serializers.SerializerMethodField(help_text="null while nobody has seen to it")

    class Meta:
        model = Alert
        fields = [
            "id",
            "environment",
            "at",
            "raised_at",
            "rule",
            "rule_name",
            "severity",
            "text",
            "kind",
            "event",
            "count",
            "person",
            "zone",
            "camera",
            "payload",
            "is_late",
            "acknowledged",
        ]
        read_only_fields = fields

    def get_text(self, alert: Alert) -> str:
        """Say it."""
        return alert_words(alert)

    @extend_schema_field(AcknowledgementSerializer(allow_null=True))
    def get_acknowledged(self, alert: Alert) -> dict[str, str] | None:
        """Say who has seen to it."""
        return acknowledgement_shown(alert=alert)


class DeliverySerializer(serializers.ModelSerializer):
    """Shows an alert, or a test, on its way to one recipient."""

    environment = serializers.CharField(source="environment.slug", read_only=True)
    is_test = serializers.SerializerMethodField(help_text="sent to try a rule; it has no alert")
    next_attempt_at = serializers.SerializerMethodField(help_text="null where there will be none")

    class Meta:
        model = Delivery
        fields = [
            "id",
            "environment",
            "rule",
            "alert",
            "is_test",
            "channel",
            "recipient",
            "state",
            "attempts",
            "created_at",
            "next_attempt_at",
            "done_at",
            "outcome",
        ]
        read_only_fields = fields

    def get_is_test(self, delivery: Delivery) -> bool:
        """Say whether it is a test."""
        return delivery.alert_id is None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_next_attempt_at(self, delivery: Delivery) -> str | None:
        """Say when it is tried next."""
        if delivery.state != DeliveryState.WAITING:
            return None
        return str(serializers.DateTimeField().to_representation(delivery.next_attempt_at))
