"""Who uses SpotOn."""

from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What somebody may do; where is said by the grants of each environment."""

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

    @property
    def may_operate(self) -> bool:
        """Say whether the user may start, stop and steer tracking where granted."""
        return self.is_admin or self.role == Role.OPERATOR

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        """Say whether the admin pages let the user do something: Admins everything, others nothing."""
        return self.is_active and self.is_admin

    def has_module_perms(self, app_label: str) -> bool:
        """Say whether the admin pages show an app to the user."""
        return self.is_active and self.is_admin
