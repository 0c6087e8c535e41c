"""Narrowing lists by query parameters, each with a value."""

from datetime import UTC, datetime
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework import DjangoFilterBackend, filters
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


class InstantField(IsoDateTimeField):
    """Reads an instant as UTC: databases know fewer time zones than there are offsets that can be written."""

    def to_python(self, value: Any) -> datetime | None:
        """Read it.

        Raises:
            ValidationError: it is none, or before the year 1 or after 9999 in UTC.
        """
        instant: datetime | None = super().to_python(value)
        try:
            return None if instant is None else instant.astimezone(UTC)
        except OverflowError as error:
            raise DjangoValidationError(_("It is out of range.")) from error


class Since(filters.IsoDateTimeFilter):
    """Narrows to what is not before an instant."""

    field_class = InstantField

    def __init__(self, field_name: str) -> None:
        super().__init__(field_name=field_name, lookup_expr="gte", label="ISO 8601")


class Until(filters.IsoDateTimeFilter):
    """Narrows to what is before an instant."""

    field_class = InstantField

    def __init__(self, field_name: str) -> None:
        super().__init__(field_name=field_name, lookup_expr="lt", label="ISO 8601")


class FilterBackend(DjangoFilterBackend):
    """Narrows as a view's filter set says, and refuses parameters without a value."""

    def filter_queryset(self, request: Request, queryset: QuerySet, view: Any) -> QuerySet:
        """Narrow rows."""
        filterset_class = self.get_filterset_class(view, queryset)
        # the browsable interface's form sends along what was left empty
        if filterset_class is not None and request.accepted_renderer.format != "api":
            empty = [name for name in filterset_class.base_filters if request.query_params.get(name) == ""]
            if empty:
                raise ValidationError({name: [_("Give a value, or leave it out.")] for name in empty})
        narrowed: QuerySet = super().filter_queryset(request, queryset, view)
        return narrowed
