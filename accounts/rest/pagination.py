"""Lists in pages: numbered ones, and for time series pages that begin where the last one ended."""

from datetime import timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination, PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response

PAGE_SIZE = 100
MAX_PAGE_SIZE = 1000
COUNTED_ROWS = 10_000  # counting a day of points takes seconds: a longer list gives no count


def page_size_of(request: Request, *, name: str) -> int:
    """Read how many rows a page is to have.

    Raises:
        ValidationError: not a whole number from 1 to MAX_PAGE_SIZE.
    """
    text = request.query_params.get(name)
    if text is None:
        return PAGE_SIZE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE_SIZE):
        raise ValidationError({name: [f"Give a whole number from 1 to {MAX_PAGE_SIZE}."]})
    return int(text)


def with_link(response: Response) -> Response:
    """Name the neighbouring pages in a header too, for answers that are rows and nothing else."""
    links = [
        f'<{response.data[name]}>; rel="{relation}"'
        for name, relation in (("next", "next"), ("previous", "prev"))
        if response.data[name]
    ]
    if links:
        response["Link"] = ", ".join(links)
    return response


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"type": "integer", "minimum": 1}


class Pages(PageNumberPagination):
    """Numbered pages, with the number of rows in all."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE

    def get_page_size(self, request: Request) -> int:
        """Give the page's size, and refuse what is none."""
        return page_size_of(request, name="page_size")

    def get_page_number(self, request: Request, paginator: Any) -> Any:
        """Give the number of the page; one that is empty is none."""
        given = request.query_params.get(self.page_query_param)
        return given if given == "" else super().get_page_number(request, paginator)

    def get_paginated_response(self, data: Any) -> Response:
        """Give the page and links to its neighbours."""
        return with_link(super().get_paginated_response(data))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the query parameters with their bounds."""
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"] = _bounded(parameter["schema"])
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"]["maximum"] = MAX_PAGE_SIZE
        return parameters


class TimePages(CursorPagination):
    """Pages of a time series, newest first; ``count`` is null where counting would take long."""

    page_size = PAGE_SIZE
    page_size_query_param = "page_size"
    max_page_size = MAX_PAGE_SIZE
    ordering = "-time"

    def get_page_size(self, request: Request) -> int:
        """Give the page's size, and refuse what is none."""
        return page_size_of(request, name="page_size")

    def decode_cursor(self, request: Request) -> Any:
        """Read where the page begins; an instant as we write it, not any that could be written.

        Raises:
            NotFound: it is no cursor of ours.
        """
        cursor = super().decode_cursor(request)
        try:
            instant = None if cursor is None else parse_datetime(str(cursor.position or ""))
        except ValueError as error:
            raise NotFound(self.invalid_cursor_message) from error
        if instant is not None and instant.utcoffset() != timedelta(0):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """Cut a page out, and count as far as counting is cheap."""
        counted = queryset.order_by()[: COUNTED_ROWS + 1].count()
        self.count = None if counted > COUNTED_ROWS else counted
        return super().paginate_queryset(queryset, request, view)

    def get_paginated_response(self, data: Any) -> Response:
        """Give the page and links to its neighbours."""
        links = {"next": self.get_next_link(), "previous": self.get_previous_link()}
        return with_link(Response({"count": self.count, **links, "results": data}))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Describe the page."""
        described: dict[str, Any] = super().get_paginated_response_schema(schema)
        count = {
            "type": "integer",
            "nullable": True,
            "description": f"null for more than {COUNTED_ROWS}",
            "example": 123,
        }
        described["properties"] = {"count": count, **described["properties"]}
        described["required"] = ["count", "results"]
        return described

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Describe the query parameters with their bounds."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] = _bounded(parameter["schema"]) | {"maximum": MAX_PAGE_SIZE}
        return parameters
