"""Rules, webhooks, alerts and deliveries in the admin pages; what was raised and sent is for reading only."""

import time
from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.auditing import AuditedAdmin
from tracking.admin import ReadOnlyAdmin
from tracking.notifications import services
from tracking.notifications.choices import DeliveryState
from tracking.notifications.forms import RuleForm, WebhookForm
from tracking.notifications.models import Alert, Arrival, Delivery, Rule, Webhook
from tracking.notifications.selectors import alerts_shown, last_test, rules_with_places
from tracking.notifications.words import alert_words, recipients_words, rule_words

TEST_WAIT_S = 8.0
TEST_POLL_S = 0.1


@admin.register(Rule)
class RuleAdmin(AuditedAdmin, admin.ModelAdmin):
    """Edits rules, and sends a test to those whom they tell."""

    form = RuleForm
    list_display = ["name", "environment", "severity", "enabled", "words", "told"]
    list_filter = ["environment", "severity", "enabled"]
    search_fields = ["name"]
    actions = ["test"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rule]:
        """Fetch along what it takes to say what they wait for."""
        return rules_with_places(rules=super().get_queryset(request))

    @admin.display(description=_("in words"))
    def words(self, rule: Rule) -> str:
        """Say what it waits for."""
        return rule_words(rule)

    @admin.display(description=_("tells"))
    def told(self, rule: Rule) -> str:
        """Say whom it tells."""
        return recipients_words(rule)

    @admin.action(description=_("Send a test"), permissions=["change"])
    def test(self, request: HttpRequest, queryset: QuerySet[Rule]) -> None:
        """Send a test to everybody whom the rules tell, and say how each answered."""
        rules = list(queryset)
        for rule in rules:
            try:
                services.rule_test(rule=rule, now=timezone.now())
            except services.NobodyTold as error:
                self.message_user(request, f"{rule}: {error}", messages.ERROR)
            else:
                self.log_change(request, rule, gettext("Sent a test."))
        until_s = time.monotonic() + TEST_WAIT_S
        for rule in rules:
            for delivery in _outcomes(rule, until_s):
                self._tell(request, rule, delivery)

    def _tell(self, request: HttpRequest, rule: Rule, delivery: Delivery) -> None:
        if delivery.state == DeliveryState.WAITING:
            words = gettext("still on its way: is Celery running, with the queue “notifications”?")
            self.message_user(request, f"{rule}, {delivery}: {words}", messages.WARNING)
            return
        level = messages.SUCCESS if delivery.state == DeliveryState.DELIVERED else messages.ERROR
        self.message_user(request, f"{rule}, {delivery}: {delivery.outcome}", level)


@admin.register(Webhook)
class WebhookAdmin(AuditedAdmin, admin.ModelAdmin):
    """Edits webhooks; the secret of a new one is shown once."""

    form = WebhookForm
    list_display = ["name", "environment", "masked_url", "created_at"]
    list_filter = ["environment"]
    list_select_related = ["environment"]
    search_fields = ["name"]
    actions = ["renew"]

    def save_model(self, request: HttpRequest, obj: Webhook, form: ModelForm, change: bool) -> None:
        """Save it, and show the secret of a new one."""
        super().save_model(request, obj, form, change)
        if not change:
            self._show(request, obj)

    @admin.action(description=_("Give a new secret"), permissions=["change"])
    def renew(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Give new secrets, and show them."""
        for webhook in queryset:
            services.webhook_secret_renew(webhook=webhook)
            self.log_change(request, webhook, [{"changed": {"fields": ["secret"]}}])
            self._show(request, webhook)

    def _show(self, request: HttpRequest, webhook: Webhook) -> None:
        text = gettext("The secret of %(webhook)s, shown this once: %(secret)s")
        messages.warning(request, text % {"webhook": webhook, "secret": webhook.secret})


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Lists what rules raised."""

    list_display = [
        "at",
        "environment",
        "severity",
        "words",
        "rule_name",
        "is_late",
        "seen_by",
        "deliveries_link",
    ]
    list_filter = ["environment", "severity", "is_late", "kind"]
    ordering = ["-at"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alert]:
        """Fetch along what it takes to say what happened."""
        return alerts_shown(alerts=super().get_queryset(request))

    @admin.display(description=_("what happened"))
    def words(self, alert: Alert) -> str:
        """Say it."""
        return alert_words(alert)

    @admin.display(description=_("seen to by"))
    def seen_by(self, alert: Alert) -> str:
        """Say who has seen to it, and what they noted."""
        if alert.acknowledged_at is None:
            return "-"
        return f"{alert.acknowledged_by or gettext('somebody')} {alert.acknowledged_note}".strip()

    @admin.display(description=_("deliveries"))
    def deliveries_link(self, alert: Alert) -> str:
        """Lead to what was sent."""
        address = reverse("admin:notifications_delivery_changelist") + f"?alert__id__exact={alert.pk}"
        return format_html('<a href="{}">{}</a>', address, gettext("show"))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """Lists what was sent to whom, and how that went."""

    list_display = [
        "created_at",
        "environment",
        "channel",
        "recipient",
        "rule",
        "alert_id",
        "state",
        "attempts",
        "next_attempt",
        "outcome",
    ]
    list_filter = ["environment", "state", "channel"]
    list_select_related = ["environment", "rule"]
    search_fields = ["recipient", "=alert__id"]
    ordering = ["-created_at"]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Let an alert's link narrow the list."""
        return lookup == "alert__id__exact" or super().lookup_allowed(lookup, value, cast(Any, request))

    @admin.display(description=_("next attempt"), ordering="next_attempt_at")
    def next_attempt(self, delivery: Delivery) -> Any:
        """Say when it is tried next."""
        return delivery.next_attempt_at if delivery.state == DeliveryState.WAITING else "-"


@admin.register(Arrival)
class ArrivalAdmin(ReadOnlyAdmin):
    """Lists events that no rule has judged yet: nothing, as a rule."""

    list_display = ["time", "environment", "event_id"]
    list_filter = ["environment"]
    list_select_related = ["environment"]
    ordering = ["-time"]


def _outcomes(rule: Rule, until_s: float) -> list[Delivery]:
    """Give what became of a rule's last test, waiting for a while for it."""
    while True:
        deliveries = last_test(rule=rule)
        is_waiting = any(delivery.state == DeliveryState.WAITING for delivery in deliveries)
        if not is_waiting or time.monotonic() >= until_s:
            return deliveries
        time.sleep(TEST_POLL_S)
