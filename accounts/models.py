"""Who uses SpotOn, how they get in, and what they did."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What somebody may do; where is said by the grants of each environment.

    The group of the same name holds the permissions of Operators and Viewers; Admins may everything.
    """

    ADMIN = "admin", _("Admin")
    OPERATOR = "operator", _("Operator")
    VIEWER = "viewer", _("Viewer")


class User(AbstractUser):
    """Somebody with a login."""

    role = models.CharField(
        _("role"),
        max_length=10,
        choices=Role,
        default=Role.VIEWER,
        help_text=_("Admins set up, Operators steer the tracking, Viewers look."),
    )

    class Meta(AbstractUser.Meta):
        constraints = [
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="user_role_known"),
        ]

    @property
    def is_admin(self) -> bool:
        """Say whether the user may do everything everywhere."""
        return self.is_superuser or self.role == Role.ADMIN

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Say whether the user may do something: Admins everything, others what their role's group holds."""
        return self.is_active and (self.is_admin or super().has_perm(perm, obj))

    def has_module_perms(self, app_label: str) -> bool:
        """Say whether the admin pages show an app to the user."""
        return self.is_active and self.is_admin


class Login(models.Model):
    """One client that got in by name and password, for as long as it renews its tokens.

    Every token names its login and dies with this row; a refresh token is good once.

    Attributes:
        refresh_id: of the one refresh token that is good now.
        password_stamp: tells whether the password is still the one that was given.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="logins")
    refresh_id = models.CharField(max_length=32)
    password_stamp = models.CharField(max_length=64)
    created_at = models.DateTimeField(_("signed in"), auto_now_add=True)
    expires_at = models.DateTimeField(_("until"))

    class Meta:
        indexes = [
            # services.logins_expire
            models.Index(fields=["expires_at"], name="login_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class ApiKey(models.Model):
    """Lets a machine in as a user, until it is taken back; only the hash of its secret is kept."""

    user = models.ForeignKey(User, models.CASCADE, related_name="api_keys", verbose_name=_("user"))
    name = models.CharField(_("name"), max_length=100, help_text=_("What uses it."))
    prefix = models.CharField(_("begins with"), max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("until"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("API key")

    def __str__(self) -> str:
        return self.name


class AuditAction(models.TextChoices):
    """What somebody can do that is written down."""

    VIEWED = "viewed", _("viewed")
    SEARCHED = "searched", _("searched")
    EXPORTED = "exported", _("exported")
    CREATED = "created", _("created")
    CHANGED = "changed", _("changed")
    DELETED = "deleted", _("deleted")
    ERASED = "erased", _("erased")
    SIGNED_IN = "signed_in", _("signed in")
    SIGNED_OUT = "signed_out", _("signed out")


class AuditEntry(models.Model):
    """Who did what to which person, camera or setting, when and from where.

    The database refuses to change or delete a row (see the migration), so that nothing refers to others: users and
    places may go, and what they did stays.

    Attributes:
        kind: of the thing, as its model is named: person, camera, zone, ...
        detail: what else there is to say, the names of changed fields say; never a secret.
    """

    at = models.DateTimeField(_("time"))
    actor_id = models.BigIntegerField(_("user's id"), null=True, blank=True)
    actor = models.CharField(_("user"), max_length=150, blank=True)
    address = models.CharField(_("address"), max_length=45, blank=True)
    action = models.CharField(_("action"), max_length=10, choices=AuditAction)
    kind = models.CharField(_("kind of thing"), max_length=30)
    object_id = models.CharField(_("thing's id"), max_length=64, blank=True)
    name = models.CharField(_("thing"), max_length=200, blank=True)
    environment = models.CharField(_("environment"), max_length=50, blank=True)
    detail = models.JSONField(_("details"), default=dict, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        verbose_name_plural = _("audit entries")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(action__in=AuditAction.values), name="audit_action_known"
            ),
        ]
        indexes = [
            # the log, newest first
            models.Index(fields=["-at"], name="audit_recent"),
            # what happened to one thing
            models.Index(fields=["kind", "object_id", "-at"], name="audit_of_thing"),
            # what one user did
            models.Index(fields=["actor", "-at"], name="audit_of_actor"),
        ]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.kind} {self.name}"
