"""Django's admin pages, for Admins only."""

from django.contrib.admin.apps import AdminConfig


class AdminOnlyConfig(AdminConfig):
    """Puts our own site in place of Django's."""

    default = False
    default_site = "accounts.admin_site.AdminOnlySite"
