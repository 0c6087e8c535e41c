"""Where: the places that are watched, their floor plans, cameras, calibrations and zones."""

import math
from typing import TypedDict
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import (
    FileExtensionValidator,
    MaxValueValidator,
    MinValueValidator,
    RegexValidator,
)
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from environments.addresses import AddressForbidden, folder_check, host_check
from environments.fields import EncryptedTextField
from environments.secrets import mask_credentials

key_validator = RegexValidator(
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$",
    _("Use up to 32 letters, digits, '-' and '_', beginning with a letter or a digit."),
)

NETWORK_SCHEMES = ("rtsp", "rtsps", "http", "https")
FILE_SCHEMES = ("file", "images")
SOURCE_SCHEMES = (*NETWORK_SCHEMES, *FILE_SCHEMES, "sim")


class PointPair(TypedDict):
    """A place in the picture (u, v, px) and the same place on the floor (x, y, m)."""

    u: float
    v: float
    x: float
    y: float


def validate_source_url(url: str) -> None:
    """Check that an address can be a camera: a known scheme with what it needs.

    Raises:
        ValidationError: another scheme, no host, no absolute path.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises when it is no number
    except ValueError as error:
        raise ValidationError(_("This address cannot be read: check its brackets and port.")) from error
    schemes = [scheme for scheme in SOURCE_SCHEMES if scheme in settings.SPOTON_SOURCE_SCHEMES]
    if parts.scheme not in schemes or "://" not in url:
        raise ValidationError(
            _("Begin the address with one of %(schemes)s."),
            params={"schemes": ", ".join(f"{scheme}://" for scheme in schemes)},
        )
    if parts.scheme in NETWORK_SCHEMES and not parts.hostname:
        raise ValidationError(
            _("Name the camera's host: %(scheme)s://host/path."), params={"scheme": parts.scheme}
        )
    if parts.scheme in FILE_SCHEMES and (parts.netloc or not parts.path.strip("/")):
        raise ValidationError(
            _("Use three slashes and an absolute path: %(scheme)s:///folder/name."),
            params={"scheme": parts.scheme},
        )
    try:
        if parts.scheme in NETWORK_SCHEMES:
            host_check(str(parts.hostname), networks=settings.SPOTON_SOURCE_NETWORKS)
        if parts.scheme in FILE_SCHEMES:
            folder_check(unquote(parts.path), folders=settings.SPOTON_SOURCE_FOLDERS)
    except AddressForbidden as error:
        raise ValidationError(str(error)) from error
    if parts.scheme == "sim" and not (parts.netloc and parts.path.strip("/")):
        raise ValidationError(_("Name the simulated site and its camera: sim://plaza/c1."))


def validate_time_zone(name: str) -> None:
    """Check that a time zone exists.

    Raises:
        ValidationError: it does not.
    """
    if name not in available_timezones():
        raise ValidationError(_("Use a name of the tz database, for example Europe/Vienna."))


def validate_finite(value: float) -> None:
    """Check that a number is one: no bound refuses NaN.

    Raises:
        ValidationError: NaN or infinite.
    """
    if not math.isfinite(value):
        raise ValidationError(_("Give a number."))


class Environment(models.Model):
    """A place with one floor, watched by several cameras.

    Its floor is measured in metres, right-handed; the origin is the one of its floor plan.
    """

    slug = models.SlugField(_("short name"), unique=True, help_text=_("Part of the page addresses."))
    name = models.CharField(_("name"), max_length=100)
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        default="UTC",
        validators=[validate_time_zone],
        help_text=_("For example Europe/Vienna; pages show times of this place."),
    )
    retention_days = models.PositiveIntegerField(
        _("days of history kept"),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(3650)],
        help_text=_("Positions, detections and events older than this are deleted (1 to 3650)."),
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(retention_days__gte=1, retention_days__lte=3650),
                name="environment_retention_range",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Grant(models.Model):
    """Lets a user who is not an Admin see an environment; without one it is invisible to them."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="grants")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="grants")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "environment"], name="grant_once")]

    def __str__(self) -> str:
        return f"{self.user} → {self.environment}"


class FloorPlan(models.Model):
    """The picture under the map.

    A picture point (u, v) in px, v downwards, is the floor point
    x = (u - origin_x_px) * metres_per_px, y = (origin_y_px - v) * metres_per_px.
    """

    environment = models.OneToOneField(Environment, models.CASCADE, related_name="floor_plan")
    image = models.ImageField(
        _("picture"),
        upload_to="plans/",
        width_field="width_px",
        height_field="height_px",
        # what browsers show as a picture and nothing else: an SVG, say, could carry a script
        validators=[FileExtensionValidator(["png", "jpg", "jpeg", "webp"])],
    )
    width_px = models.PositiveIntegerField(_("width, px"), editable=False)
    height_px = models.PositiveIntegerField(_("height, px"), editable=False)
    metres_per_px = models.FloatField(
        _("metres per pixel"), validators=[MinValueValidator(1e-4), validate_finite]
    )
    origin_x_px = models.FloatField(_("origin from the left, px"), default=0.0, validators=[validate_finite])
    origin_y_px = models.FloatField(_("origin from the top, px"), default=0.0, validators=[validate_finite])

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(metres_per_px__gt=0), name="floor_plan_scale_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.environment}: {self.width_px}x{self.height_px} px"


class CameraState(models.TextChoices):
    """How a camera is doing, as the worker last said."""

    OFF = "off", _("off")
    CONNECTING = "connecting", _("connecting")
    ONLINE = "online", _("online")
    OFFLINE = "offline", _("offline")
    FAILED = "failed", _("failed")
    ENDED = "ended", _("ended")


class Camera(models.Model):
    """One camera of an environment and how it is doing."""

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="cameras")
    key = models.CharField(
        _("key"), max_length=32, validators=[key_validator], help_text=_("For example c1.")
    )
    name = models.CharField(_("name"), max_length=100, blank=True)
    source_url = EncryptedTextField(
        _("source"),
        max_length=1000,
        validators=[validate_source_url],
        help_text=_(
            "rtsp://, http(s)://, file:///, images:/// or sim://, with user name and password if needed."
        ),
    )
    width = models.PositiveIntegerField(_("width, px"), validators=[MinValueValidator(16)])
    height = models.PositiveIntegerField(_("height, px"), validators=[MinValueValidator(16)])
    fps = models.FloatField(
        _("frames per second"),
        default=10.0,
        validators=[MinValueValidator(0.1), MaxValueValidator(120), validate_finite],
        help_text=_("How many frames a second are looked at (0.1 to 120)."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)
    position = models.PositiveSmallIntegerField(_("place in the grid"), default=0)
    state = models.CharField(
        _("state"), max_length=12, choices=CameraState, default=CameraState.OFF, editable=False
    )
    state_message = models.CharField(_("state, in words"), max_length=300, blank=True, editable=False)
    state_at = models.DateTimeField(_("state since"), null=True, editable=False)

    class Meta:
        ordering = ["environment", "position", "key"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "key"], name="camera_key_once"),
            models.CheckConstraint(condition=Q(width__gt=0, height__gt=0), name="camera_size_positive"),
            models.CheckConstraint(condition=Q(fps__gt=0), name="camera_fps_positive"),
            models.CheckConstraint(condition=Q(state__in=CameraState.values), name="camera_state_known"),
        ]

    def __str__(self) -> str:
        return self.name or self.key

    @property
    def masked_source_url(self) -> str:
        """Give the source without user name and password, for lists and logs."""
        return mask_credentials(self.source_url)


class Calibration(models.Model):
    """How a camera's pixels map to the floor; versions are kept, one is active.

    Attributes:
        point_pairs: list of {"u", "v" (px), "x", "y" (m)} the homography was fitted to; may be empty.
        h_image_to_world: 3x3 list, undistorted pixel to floor in metres.
        camera_matrix, distortion, rotation, translation_m: optional lens and pose, OpenCV's convention.
    """

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="calibrations")
    is_active = models.BooleanField(_("in use"), default=True)
    point_pairs = models.JSONField(_("point pairs"), default=list, blank=True)
    h_image_to_world = models.JSONField(_("homography, picture to floor"))
    camera_matrix = models.JSONField(_("camera matrix"), null=True, blank=True)
    distortion = models.JSONField(_("distortion k1 k2 p1 p2 k3"), null=True, blank=True)
    rotation = models.JSONField(_("rotation"), null=True, blank=True)
    translation_m = models.JSONField(_("translation, m"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )

    class Meta:
        ordering = ["camera", "-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["camera"], condition=Q(is_active=True), name="calibration_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera} ({self.created_at:%Y-%m-%d %H:%M})"


class ZoneKind(models.TextChoices):
    """What a zone is on the floor."""

    POLYGON = "polygon", _("area")
    LINE = "line", _("directed line")


class Zone(models.Model):
    """An area or a directed line on the floor.

    Attributes:
        points_m: list of [x, y]; a ring of three or more for an area, two points for a line. Somebody who
            crosses a line from its left to its right (seen along it) crosses it forwards.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="zones")
    key = models.CharField(_("key"), max_length=32, validators=[key_validator])
    name = models.CharField(_("name"), max_length=100)
    kind = models.CharField(_("kind"), max_length=10, choices=ZoneKind, default=ZoneKind.POLYGON)
    points_m = models.JSONField(_("points, m"))
    capacity = models.PositiveIntegerField(_("capacity, people"), null=True, blank=True)

    class Meta:
        ordering = ["environment", "name"]
        constraints = [
            models.UniqueConstraint(fields=["environment", "key"], name="zone_key_once"),
            models.CheckConstraint(condition=Q(kind__in=ZoneKind.values), name="zone_kind_known"),
            models.CheckConstraint(
                condition=Q(kind=ZoneKind.POLYGON) | Q(capacity__isnull=True),
                name="zone_line_without_capacity",
            ),
        ]

    def __str__(self) -> str:
        return self.name
