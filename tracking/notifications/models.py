"""Who is told when something happens: rules, the alerts that they raise, and how these get to people and machines."""

import uuid
from secrets import token_urlsafe
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from environments.fields import EncryptedTextField
from environments.models import Camera, Environment, Zone
from environments.secrets import MASK
from tracking.choices import EventKind
from tracking.models import Person
from tracking.notifications.choices import Channel, Day, DeliveryState, Severity
from tracking.notifications.validators import (
    validate_days,
    validate_emails,
    validate_kinds,
    validate_webhook_url,
)

MAX_COUNT = 1000
MAX_WINDOW_S = 86_400
MAX_COOLDOWN_S = 7 * 86_400


def new_secret() -> str:
    """Give a secret that nobody can guess."""
    return "whsec_" + token_urlsafe(32)


def every_day() -> list[str]:
    """Give the days of the week."""
    return list(Day.values)


class Arrival(models.Model):
    """An event that is stored and that no rule has judged yet.

    A trigger of the database adds one with every event that is really new, in the same transaction (see the
    migration), and judging takes it away with what it raises: nothing is missed, nothing judged twice.
    """

    event_id = models.UUIDField()
    time = models.DateTimeField()
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="+", db_constraint=False)

    class Meta:
        indexes = [
            # judging.events_judge: what waits in an environment, oldest first
            models.Index(fields=["environment", "time"], name="arrival_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} at {self.time}"


class Webhook(models.Model):
    """An address of another system that is told of alerts; what is sent is signed with its secret."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="webhooks")
    name = models.CharField(_("name"), max_length=100)
    url = EncryptedTextField(
        _("address"),
        max_length=1000,
        validators=[validate_webhook_url],
        help_text=_("https:// or http://; redirects are not followed."),
    )
    secret = EncryptedTextField(_("secret"), default=new_secret, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["environment", "name"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="webhook_name_once"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check what no column can see by itself.

        Raises:
            ValidationError: a name that is taken.
        """
        others = Webhook.objects.filter(environment=self.environment_id, name=self.name)
        if others.exclude(pk=self.pk).exists():
            raise ValidationError({"name": _("There is a webhook of this name already.")})

    @property
    def masked_url(self) -> str:
        """Give the address without what may be secret of it, its path included, for lists and logs."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/{MASK}"


class Rule(models.Model):
    """What is to happen, where, when and how often, for whom to be told.

    Attributes:
        kinds: of events, see EventKind.
        zones, cameras: the only ones that count, together; none for any place.
        days, from_time, until_time: when it counts, by the clock of the place; a time that ends before it begins goes
            over midnight and belongs to the day on which it begins.
        count, window_s: so many within so long, in each zone and at each camera by itself; an event that was part of
            an alert counts no more.
        cooldown_s: after an alert of a zone or camera, none follows of the same one for so long.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="rules")
    name = models.CharField(_("name"), max_length=100)
    enabled = models.BooleanField(_("enabled"), default=True)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity, default=Severity.WARNING)
    kinds = models.JSONField(_("what happens"), validators=[validate_kinds])
    zones = models.ManyToManyField(Zone, related_name="+", blank=True, verbose_name=_("zones"))
    cameras = models.ManyToManyField(Camera, related_name="+", blank=True, verbose_name=_("cameras"))
    days = models.JSONField(_("days"), default=every_day, validators=[validate_days])
    from_time = models.TimeField(_("from"), null=True, blank=True)
    until_time = models.TimeField(_("until"), null=True, blank=True)
    count = models.PositiveIntegerField(
        _("how often"), default=1, validators=[MinValueValidator(1), MaxValueValidator(MAX_COUNT)]
    )
    window_s = models.PositiveIntegerField(
        _("within, s"), default=300, validators=[MinValueValidator(1), MaxValueValidator(MAX_WINDOW_S)]
    )
    cooldown_s = models.PositiveIntegerField(
        _("then quiet for, s"), default=0, validators=[MaxValueValidator(MAX_COOLDOWN_S)]
    )
    on_page = models.BooleanField(_("tell the page"), default=True)
    emails = models.JSONField(_("e-mail addresses"), default=list, blank=True, validators=[validate_emails])
    webhooks = models.ManyToManyField(Webhook, related_name="rules", blank=True, verbose_name=_("webhooks"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["environment", "name"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "name"], name="rule_name_once"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="rule_severity_known"),
            models.CheckConstraint(
                condition=Q(count__gte=1, count__lte=MAX_COUNT, window_s__gte=1, window_s__lte=MAX_WINDOW_S),
                name="rule_count_range",
            ),
            models.CheckConstraint(condition=Q(cooldown_s__lte=MAX_COOLDOWN_S), name="rule_cooldown_range"),
            models.CheckConstraint(
                condition=Q(from_time__isnull=True, until_time__isnull=True)
                | Q(from_time__isnull=False, until_time__isnull=False),
                name="rule_times_together",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Check what no column can see by itself.

        Raises:
            ValidationError: half of a time, or a name that is taken.
        """
        if (self.from_time is None) != (self.until_time is None):
            missing = "until_time" if self.until_time is None else "from_time"
            raise ValidationError({missing: _("Give both times, or neither for the whole day.")})
        others = Rule.objects.filter(environment=self.environment_id, name=self.name).exclude(pk=self.pk)
        if others.exists():
            raise ValidationError({"name": _("There is a rule of this name already.")})


class Alert(models.Model):
    """What a rule raised; it outlives the rule, the zone and the person for as long as history is kept.

    Attributes:
        at: when what completed it happened.
        is_late: the event came too long after it had happened: nobody was told.
        count: how many events led to it.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="alerts")
    rule = models.ForeignKey(Rule, models.SET_NULL, null=True, related_name="alerts", verbose_name=_("rule"))
    rule_name = models.CharField(_("rule's name"), max_length=100)
    severity = models.CharField(_("severity"), max_length=10, choices=Severity)
    event_id = models.UUIDField(_("event"))
    kind = models.CharField(_("what happened"), max_length=20, choices=EventKind)
    at = models.DateTimeField(_("time"))
    raised_at = models.DateTimeField(_("raised"))
    is_late = models.BooleanField(_("too late to tell anybody"), default=False)
    count = models.PositiveIntegerField(_("events"), default=1)
    person = models.ForeignKey(
        Person, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    zone = models.ForeignKey(
        Zone, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("zone")
    )
    camera = models.ForeignKey(
        Camera, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("camera")
    )
    payload = models.JSONField(_("details"), default=dict, blank=True)
    acknowledged_at = models.DateTimeField(_("acknowledged"), null=True, blank=True)
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("acknowledged by"),
    )
    acknowledged_note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [
            # an event raises one alert of a rule, however often it is judged
            models.UniqueConstraint(fields=["rule", "event_id"], name="alert_once"),
            models.CheckConstraint(condition=Q(severity__in=Severity.values), name="alert_severity_known"),
        ]
        indexes = [
            # the alerts of an environment, newest first
            models.Index(fields=["environment", "-at"], name="alert_recent"),
            # judging.events_judge: what a rule raised about a time
            models.Index(fields=["rule", "at"], name="alert_of_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name} at {self.at:%Y-%m-%d %H:%M}"


class Delivery(models.Model):
    """An alert on its way to one recipient, or the test of a rule where there is no alert.

    Attributes:
        recipient: an e-mail address, or the name of a webhook.
        next_attempt_at: when it is tried next; whoever tries puts it off first, so that others leave it alone.
        outcome: of the last attempt, in words.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    rule = models.ForeignKey(
        Rule, models.SET_NULL, null=True, related_name="deliveries", verbose_name=_("rule")
    )
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="+")
    alert = models.ForeignKey(
        Alert, models.CASCADE, null=True, related_name="deliveries", verbose_name=_("alert")
    )
    channel = models.CharField(_("by"), max_length=10, choices=Channel)
    webhook = models.ForeignKey(Webhook, models.SET_NULL, null=True, blank=True, related_name="+")
    recipient = models.CharField(_("to"), max_length=254, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=DeliveryState, default=DeliveryState.WAITING)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    created_at = models.DateTimeField(_("created"))
    next_attempt_at = models.DateTimeField(_("next attempt"))
    done_at = models.DateTimeField(_("done"), null=True, blank=True)
    outcome = models.CharField(_("last outcome"), max_length=300, blank=True)

    class Meta:
        ordering = ["-created_at", "pk"]
        constraints = [
            models.CheckConstraint(condition=Q(channel__in=Channel.values), name="delivery_channel_known"),
            models.CheckConstraint(condition=Q(state__in=DeliveryState.values), name="delivery_state_known"),
            # an alert goes to each recipient once
            models.UniqueConstraint(fields=["alert", "channel", "recipient"], name="delivery_once"),
        ]
        indexes = [
            # delivering.deliveries_send: what is due
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(state=DeliveryState.WAITING),
                name="delivery_due",
            ),
            # the log of an environment, newest first
            models.Index(fields=["environment", "-created_at"], name="delivery_recent"),
        ]
        verbose_name_plural = _("deliveries")

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.recipient}".strip()
