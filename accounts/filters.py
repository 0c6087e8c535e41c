"""Narrowing lists of users."""

from django_filters import rest_framework as filters

from accounts.models import User
from rest.strict import YesNoFilter


class UserFilter(filters.FilterSet):
    """Narrows users by role and whether their account is open."""

    is_active = YesNoFilter(field_name="is_active")

    class Meta:
        model = User
        fields = ["role"]
