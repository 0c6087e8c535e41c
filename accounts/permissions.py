"""Who may do what over REST: the permission that each action of a view needs."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

VERBS = {
    "list": "view",
    "retrieve": "view",
    "metadata": "view",
    "create": "add",
    "update": "change",
    "partial_update": "change",
    "destroy": "delete",
}


class RolePermission(BasePermission):
    """Asks for the permission of the action: the view's ``needs`` by action, or the one of its model.

    An action without either is open to nobody but Admins, so that a forgotten one shows.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the user's role lets them do this."""
        if not request.user.is_authenticated:
            return False
        action = getattr(view, "action", None)
        if action is None:  # a method that the address does not have: the answer says so
            return True
        return bool(request.user.has_perm(permission_needed(view, action)))


class OnlyAdmin(BasePermission):
    """Lets Admins in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the user is one."""
        user = request.user
        return bool(user.is_authenticated and user.is_active and user.is_admin)


def permission_needed(view: Any, action: str) -> str:
    """Name the permission for an action of a view."""
    needs: dict[str, str] = getattr(view, "needs", {})
    if action in needs:
        return needs[action]
    if action not in VERBS:
        return "nobody"
    options = view.queryset.model._meta
    return f"{options.app_label}.{VERBS[action]}_{options.model_name}"
