"""Narrowing lists by query parameters, each with a value."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request


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
