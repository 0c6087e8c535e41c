"""Narrowing lists of users."""

from django_filters import rest_framework as filters

from accounts.models import User


class UserFilter(filters.FilterSet):
    """Narrows users by role and whether their account is open."""

    class Meta:
        model = User
        fields = ["role", "is_active"]
