"""Narrowing lists of users, and the audit log."""

from django_filters import rest_framework as filters

from accounts.models import AuditAction, AuditEntry, User
from accounts.rest.filtering import Since, Until
from accounts.rest.strict import YesNoFilter


class UserFilter(filters.FilterSet):
    """Narrows users by role and whether their account is open."""

    is_active = YesNoFilter(field_name="is_active")

    class Meta:
        model = User
        fields = ["role"]


class AuditFilter(filters.FilterSet):
    """Narrows the audit log."""

    actor = filters.CharFilter(field_name="actor")
    action = filters.MultipleChoiceFilter(choices=AuditAction.choices)
    kind = filters.CharFilter(field_name="kind")
    object_id = filters.CharFilter(field_name="object_id")
    environment = filters.CharFilter(field_name="environment")
    since = Since("at")
    until = Until("at")

    class Meta:
        model = AuditEntry
        fields: list[str] = []
