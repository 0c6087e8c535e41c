"""Who gets into the admin pages."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class AdminOnlySite(AdminSite):
    """Lets Admins in: the pages show every environment, and know nothing of grants."""

    def has_permission(self, request: HttpRequest) -> bool:
        """Say whether the user is one."""
        return super().has_permission(request) and bool(getattr(request.user, "is_admin", False))
