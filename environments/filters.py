"""Narrowing lists by place."""

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework.request import Request

from accounts.rest.strict import YesNoFilter
from environments.models import Camera, Environment, Grant, Zone
from environments.selectors import environments_visible_to


def visible(request: Request | None) -> QuerySet[Environment]:
    """Give the environments that a list can be narrowed to."""
    if request is None or not request.user.is_authenticated:
        return Environment.objects.none()
    return environments_visible_to(user=request.user)


class PlaceFilter(filters.ModelChoiceFilter):
    """Narrows by the short name of an environment; one that is not granted is as if it were not there."""

    def __init__(self, field_name: str = "environment") -> None:
        super().__init__(
            field_name=field_name,
            to_field_name="slug",
            queryset=visible,
            label="short name of an environment",
        )


class CameraFilter(filters.FilterSet):
    """Narrows cameras."""

    environment = PlaceFilter()
    enabled = YesNoFilter(field_name="enabled")

    class Meta:
        model = Camera
        fields = ["key", "state"]


class ZoneFilter(filters.FilterSet):
    """Narrows zones."""

    environment = PlaceFilter()

    class Meta:
        model = Zone
        fields = ["key", "kind"]


class GrantFilter(filters.FilterSet):
    """Narrows grants."""

    environment = PlaceFilter()
    user = filters.CharFilter(field_name="user__username")

    class Meta:
        model = Grant
        fields: list[str] = []
