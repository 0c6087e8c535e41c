"""The words that tracking stores."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class DesiredState(TextChoices):
    """What a session is asked to do."""

    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    STOPPED = "stopped", _("stopped")


class ActualState(TextChoices):
    """What a session does, as its worker last said."""

    WAITING = "waiting", _("waiting for a worker")
    STARTING = "starting", _("starting")
    RUNNING = "running", _("running")
    PAUSED = "paused", _("paused")
    STOPPED = "stopped", _("stopped")
    FAILED = "failed", _("failed")


class EventKind(TextChoices):
    """What can happen on the floor and to the cameras."""

    PERSON_APPEARED = "person_appeared", _("appeared")
    PERSON_LEFT = "person_left", _("left")
    REIDENTIFIED = "reidentified", _("recognised again")
    IDENTITY_MERGED = "identity_merged", _("turned out to be a known person")
    IDENTITY_REVISED = "identity_revised", _("got the number that is theirs")
    ZONE_ENTER = "zone_enter", _("entered a zone")
    ZONE_LEAVE = "zone_leave", _("left a zone")
    LINE_CROSS = "line_cross", _("crossed a line")
    HANDOVER = "handover", _("went over to another camera")
    CAPACITY_EXCEEDED = "capacity_exceeded", _("too many people in an area")
    CAPACITY_RESTORED = "capacity_restored", _("no longer too many people in an area")
    CAMERA_ONLINE = "camera_online", _("camera online")
    CAMERA_OFFLINE = "camera_offline", _("camera offline")
    CAMERA_MOVED = "camera_moved", _("camera moved")
