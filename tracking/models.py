"""What was seen: sessions, persons, tracks, and the time series that they leave.

The three time series (TrackPoint, Detection, TrackEvent) are hypertables on TimescaleDB and plain tables
elsewhere. A hypertable has no primary key in the database, so nothing refers to it, and writes are made
idempotent by unique constraints that hold the time. Their references carry no database constraint: rows
arrive in batches and may outlive what they refer to until retention takes them.
"""

import uuid

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from timescale.db.models.fields import TimescaleDateTimeField

from environments.fields import EncryptedBinaryField
from environments.models import Calibration, Camera, Environment, Zone
from tracking.choices import ActualState, DesiredState, EventKind

SLOWEST, FASTEST = 0.25, 4.0  # of recordings


class TrackingSession(models.Model):
    """One run of tracking over an environment, asked for by people and carried out by a worker.

    A worker holds a session by a lease that it renews; ``epoch`` counts the claims, so that a worker that
    lost its lease can be told from the one that holds it.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="sessions")
    desired_state = models.CharField(
        _("asked for"), max_length=10, choices=DesiredState, default=DesiredState.RUNNING
    )
    actual_state = models.CharField(
        _("state"), max_length=10, choices=ActualState, default=ActualState.WAITING
    )
    message = models.CharField(_("state, in words"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    stopped_at = models.DateTimeField(_("stopped"), null=True, blank=True)
    worker = models.CharField(_("worker"), max_length=100, blank=True)
    epoch = models.PositiveIntegerField(_("claims"), default=0)
    lease_expires_at = models.DateTimeField(_("lease until"), null=True, blank=True)
    recordings_began_at = models.DateTimeField(
        _("recordings began"),
        null=True,
        blank=True,
        help_text=_(
            "When second 0 of its recordings was, or would have been; empty where nobody sought in them or paused."
        ),
    )
    recordings_speed = models.FloatField(
        _("speed of recordings"),
        default=1.0,
        db_default=1.0,
        validators=[MinValueValidator(SLOWEST), MaxValueValidator(FASTEST)],
        help_text=_("How many of their seconds pass in one (0.25 to 4)."),
    )

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["environment"],
                condition=~Q(desired_state=DesiredState.STOPPED),
                name="session_one_open",
            ),
            models.CheckConstraint(
                condition=Q(desired_state__in=DesiredState.values), name="session_desired_known"
            ),
            models.CheckConstraint(
                condition=Q(actual_state__in=ActualState.values), name="session_actual_known"
            ),
            models.CheckConstraint(
                condition=Q(recordings_speed__gte=SLOWEST, recordings_speed__lte=FASTEST),
                name="session_speed_range",
            ),
        ]
        indexes = [
            # services.session_claim: sessions that are wanted and that nobody holds
            models.Index(fields=["desired_state", "lease_expires_at"], name="session_claimable"),
        ]

    def __str__(self) -> str:
        return f"{self.environment} #{self.pk}"


class LateSpan(models.Model):
    """A stretch of time whose rows came late: whatever was counted over it is counted again."""

    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(ends_at__gte=models.F("begins_at")), name="late_span_in_order"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.begins_at} to {self.ends_at}"


class Remapping(models.Model):
    """A stretch of history whose points are moved from one calibration of a camera to another, once.

    Attributes:
        reached_at: up to where it has been done; with the points in one transaction, so that nothing moves twice.
    """

    before = models.ForeignKey(Calibration, models.CASCADE, related_name="+")
    after = models.ForeignKey(Calibration, models.CASCADE, related_name="+")
    begins_at = models.DateTimeField(_("from"))
    ends_at = models.DateTimeField(_("until"))
    reached_at = models.DateTimeField(_("done until"))

    class Meta:
        ordering = ["-begins_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=models.F("begins_at")), name="remapping_in_order"),
            models.CheckConstraint(
                condition=Q(reached_at__gte=models.F("begins_at"), reached_at__lte=models.F("ends_at")),
                name="remapping_reached_inside",
            ),
            models.CheckConstraint(condition=~Q(before=models.F("after")), name="remapping_between_two"),
        ]

    def __str__(self) -> str:
        return f"{self.before} to {self.after}, {self.begins_at} to {self.ends_at}"


class Counter(models.Model):
    """Gives out numbers that are never given twice, in blocks; see services.numbers_reserve."""

    name = models.CharField(max_length=64, primary_key=True)
    next_value = models.BigIntegerField(default=1)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(next_value__gte=1), name="counter_positive")]

    def __str__(self) -> str:
        return f"{self.name}: {self.next_value}"


class Person(models.Model):
    """Somebody, over absence, cameras and restarts."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="persons")
    number = models.BigIntegerField(_("number"))
    first_seen_at = models.DateTimeField(_("first seen"))
    last_seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        ordering = ["-last_seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "number"], name="person_number_once"),
            models.CheckConstraint(condition=Q(number__gte=1), name="person_number_positive"),
            models.CheckConstraint(
                condition=Q(last_seen_at__gte=models.F("first_seen_at")), name="person_seen_in_order"
            ),
        ]
        indexes = [
            # the persons of an environment, last seen first
            models.Index(fields=["environment", "-last_seen_at"], name="person_recent"),
        ]

    def __str__(self) -> str:
        return f"#{self.number}"


class GalleryEntry(models.Model):
    """What is remembered of a person's looks, and where the person was last: sealed, as looks are personal data."""

    person = models.OneToOneField(
        Person, models.CASCADE, related_name="gallery_entry", primary_key=True, db_constraint=False
    )
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="+")
    embedder = models.CharField(_("embedder"), max_length=200)
    seen_at = models.DateTimeField(_("last seen"))
    content = EncryptedBinaryField()

    class Meta:
        verbose_name_plural = "gallery entries"
        indexes = [
            # gallery.gallery_read: whom a worker that begins may recognise
            models.Index(fields=["environment", "embedder", "-seen_at"], name="gallery_recent"),
        ]

    def __str__(self) -> str:
        return f"looks of {self.person_id}"


class GalleryState(models.Model):
    """What looks mean in an environment, as its worker learned it; sealed."""

    environment = models.OneToOneField(Environment, models.CASCADE, related_name="+", primary_key=True)
    embedder = models.CharField(_("embedder"), max_length=200)
    at = models.DateTimeField(_("as of"))
    content = EncryptedBinaryField()

    def __str__(self) -> str:
        return f"gallery of {self.environment} at {self.at}"


class Track(models.Model):
    """One unbroken stay of a person on the floor; its id is the one that the worker published."""

    id = models.BigIntegerField(primary_key=True)
    session = models.ForeignKey(TrackingSession, models.CASCADE, related_name="tracks")
    person = models.ForeignKey(Person, models.CASCADE, related_name="tracks")
    started_at = models.DateTimeField(_("started"))
    ended_at = models.DateTimeField(_("last seen"))

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.CheckConstraint(condition=Q(ended_at__gte=models.F("started_at")), name="track_in_order"),
        ]
        indexes = [
            # the tracks of a session in order of time
            models.Index(fields=["session", "-started_at"], name="track_recent"),
        ]

    def __str__(self) -> str:
        return f"track {self.pk}"


class TrackPoint(models.Model):
    """Where a track was at one instant, with its uncertainty."""

    time = TimescaleDateTimeField(_("time"), interval="1 day")
    environment = models.ForeignKey(
        Environment, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    track = models.ForeignKey(
        Track, models.CASCADE, related_name="points", db_constraint=False, db_index=False
    )
    x_m = models.FloatField(_("x, m"))
    y_m = models.FloatField(_("y, m"))
    vx_mps = models.FloatField(_("vx, m/s"))
    vy_mps = models.FloatField(_("vy, m/s"))
    var_x_m2 = models.FloatField(_("variance of x, m²"))
    cov_xy_m2 = models.FloatField(_("covariance of x and y, m²"))
    var_y_m2 = models.FloatField(_("variance of y, m²"))
    cameras = models.CharField(_("cameras"), max_length=600, help_text=_("Keys, separated by spaces."))
    zones = models.CharField(
        _("areas"),
        max_length=600,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "Keys of the areas that it was in, as they were drawn then, in order, separated by spaces."
        ),
    )
    handover = models.CharField(
        _("handed over"),
        max_length=65,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "Where another camera took the person over: the keys of the one before and of this one, or of this one "
            "alone for the first of a stay."
        ),
    )

    class Meta:
        constraints = [
            # one track in order of time; makes replayed writes idempotent
            models.UniqueConstraint(fields=["track", "time"], name="track_point_once"),
        ]
        indexes = [
            # everybody in an environment within a time range
            models.Index(fields=["environment", "-time"], name="track_point_recent"),
        ]

    def __str__(self) -> str:
        return f"track {self.track_id} at ({self.x_m:.2f}, {self.y_m:.2f}) m"


class Detection(models.Model):
    """One box of one frame."""

    time = TimescaleDateTimeField(_("time"), interval="1 day")
    camera = models.ForeignKey(Camera, models.CASCADE, related_name="+", db_constraint=False, db_index=False)
    ordinal = models.PositiveSmallIntegerField(_("place in the frame"))
    track = models.ForeignKey(
        Track,
        models.CASCADE,
        related_name="detections",
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
    )
    left_px = models.FloatField(_("left, px"))
    top_px = models.FloatField(_("top, px"))
    right_px = models.FloatField(_("right, px"))
    bottom_px = models.FloatField(_("bottom, px"))
    confidence = models.FloatField(_("confidence"))

    class Meta:
        constraints = [
            # one camera in order of time; makes replayed writes idempotent
            models.UniqueConstraint(fields=["camera", "time", "ordinal"], name="detection_once"),
            models.CheckConstraint(
                condition=Q(confidence__gte=0, confidence__lte=1), name="detection_confidence"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera_id} at {self.time}"


class TrackEvent(models.Model):
    """Something that happened."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    time = TimescaleDateTimeField(_("time"), interval="7 days")
    environment = models.ForeignKey(
        Environment, models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    kind = models.CharField(_("kind"), max_length=20, choices=EventKind)
    person = models.ForeignKey(
        Person,
        models.CASCADE,
        related_name="events",
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
    )
    track = models.ForeignKey(
        Track,
        models.CASCADE,
        related_name="events",
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
    )
    zone = models.ForeignKey(
        Zone, models.CASCADE, related_name="+", db_constraint=False, db_index=False, null=True, blank=True
    )
    previous_zone = models.ForeignKey(
        Zone,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
        null=True,
        blank=True,
        verbose_name=_("area before"),
        help_text=_("Of an entry: the area that the person had entered before, in the same stay."),
    )
    camera = models.ForeignKey(
        Camera, models.CASCADE, related_name="+", db_constraint=False, db_index=False, null=True, blank=True
    )
    x_m = models.FloatField(_("x, m"), null=True, blank=True)
    y_m = models.FloatField(_("y, m"), null=True, blank=True)
    payload = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        constraints = [
            # makes replayed writes idempotent; the worker derives the id from what happened
            models.UniqueConstraint(fields=["id", "time"], name="track_event_once"),
        ]
        indexes = [
            # the feed of an environment, newest first
            models.Index(fields=["environment", "-time"], name="track_event_recent"),
            # what happened to one person
            models.Index(fields=["person", "-time"], name="track_event_of_person"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.time}"


class EventAcknowledgement(models.Model):
    """Says that somebody has seen to an event.

    Attributes:
        at: when it was acknowledged.
        event_at: when the event happened, so that it can go when the event goes.
    """

    event = models.OneToOneField(
        TrackEvent, models.DO_NOTHING, related_name="acknowledgement", db_constraint=False
    )
    environment = models.ForeignKey(Environment, models.CASCADE, related_name="+")
    event_at = models.DateTimeField(_("time of the event"))
    at = models.DateTimeField(_("acknowledged"))
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("by")
    )
    note = models.CharField(_("note"), max_length=500, blank=True)

    class Meta:
        indexes = [
            # services.history_expire
            models.Index(fields=["environment", "event_at"], name="event_acknowledged_age"),
        ]

    def __str__(self) -> str:
        return f"{self.by} at {self.at:%Y-%m-%d %H:%M}"
