"""How calibrations come about and stay right."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CalibratingConfig(AppConfig):
    """Imports, proposals, health and reports of calibrations."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "environments.calibrating"
    verbose_name = _("calibrating")
