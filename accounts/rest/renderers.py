"""Time series as files: CSV, one JSON object a line, and Arrow's stream format."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import nanoarrow
import numpy as np
from nanoarrow.ipc import StreamWriter
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

Row = Mapping[str, Any]
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out


def rows_of(data: Any) -> Sequence[Row]:
    """Give the rows of an answer: of a page, of a list, or the one that it is."""
    if isinstance(data, Mapping):
        rows = data.get("results", [data])
        return list(rows)
    return list(data or [])


def columns_of(context: Mapping[str, Any] | None) -> dict[str, serializers.Field]:
    """Give the fields of the view's rows in order, so that an answer without rows has its columns too."""
    view = (context or {}).get("view")
    serializer = view.get_serializer() if view is not None else None
    return (
        {} if serializer is None else {name: f for name, f in serializer.fields.items() if not f.write_only}
    )


class PageRenderer(BrowsableAPIRenderer):
    """Shows an answer as a page to browse, whose templates hold styles of their own text; scripts they do not."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> str:
        """Write the page, and let it have its styles."""
        renderer_context["response"]._csp_update = {"style-src": ["'unsafe-inline'"]}
        return super().render(data, accepted_media_type, renderer_context)


class RowsRenderer(BaseRenderer):
    """Renders rows as a file."""

    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        """Write an answer's rows."""
        written = self.write(rows_of(data), columns_of(renderer_context))
        if not written and renderer_context is not None:
            # the framework takes an answer of no bytes for one without a type
            response = renderer_context["response"]
            response.add_post_render_callback(self._keep_type)
        return written

    def _keep_type(self, response: Response) -> None:
        response["Content-Type"] = self.media_type

    def write(self, rows: Sequence[Row], columns: Mapping[str, serializers.Field]) -> bytes:
        """Write rows."""
        raise NotImplementedError


class CSVRenderer(RowsRenderer):
    """Writes rows as CSV with a line of names; lists and objects in a cell are JSON."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def write(self, rows: Sequence[Row], columns: Mapping[str, serializers.Field]) -> bytes:
        """Write rows."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
        return text.getvalue().encode()


class NDJSONRenderer(RowsRenderer):
    """Writes a JSON object a line."""

    media_type = "application/x-ndjson"
    format = "ndjson"
    charset = None

    def write(self, rows: Sequence[Row], columns: Mapping[str, serializers.Field]) -> bytes:
        """Write rows."""
        lines = (json.dumps(row, cls=JSONEncoder, separators=(",", ":"), allow_nan=False) for row in rows)
        return "".join(f"{line}\n" for line in lines).encode()


class ArrowRenderer(RowsRenderer):
    """Writes one record batch in Arrow's stream format; lists and objects are JSON texts."""

    media_type = "application/vnd.apache.arrow.stream"
    format = "arrow"
    charset = None

    def write(self, rows: Sequence[Row], columns: Mapping[str, serializers.Field]) -> bytes:
        """Write rows."""
        arrays = {name: _arrow_column(field, [r.get(name) for r in rows]) for name, field in columns.items()}
        schema = nanoarrow.struct({name: nanoarrow.Schema(array.schema) for name, array in arrays.items()})
        batch = nanoarrow.c_array_from_buffers(schema, len(rows), [None], children=list(arrays.values()))
        stream = io.BytesIO()
        with StreamWriter.from_writable(stream) as writer:
            writer.write_array(batch)
        return stream.getvalue()


AS_FILES: list[Any] = [JSONRenderer, PageRenderer, CSVRenderer, NDJSONRenderer, ArrowRenderer]


def _cell(value: Any) -> Any:
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, cls=JSONEncoder, separators=(",", ":"))
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _arrow_column(field: serializers.Field, values: list[Any]) -> Any:
    """Give a column as Arrow holds it, by the kind of its field."""
    if isinstance(field, serializers.DateTimeField):
        instants = [None if value is None else _microseconds(value) for value in values]
        kind = nanoarrow.timestamp("us", timezone="UTC")
        validity = np.packbits(np.array([at is not None for at in instants], bool), bitorder="little")
        filled = np.array([value or 0 for value in instants], np.int64)
        return nanoarrow.c_array_from_buffers(
            kind, len(values), [validity if None in instants else None, filled]
        )
    if isinstance(field, serializers.BooleanField):
        return nanoarrow.c_array(values, nanoarrow.bool_())
    if isinstance(field, serializers.IntegerField):
        return nanoarrow.c_array(values, nanoarrow.int64())
    if isinstance(field, serializers.FloatField):
        return nanoarrow.c_array(values, nanoarrow.float64())
    texts = [value if value is None or isinstance(value, str) else _json(value) for value in values]
    return nanoarrow.c_array(texts, nanoarrow.string())


def _microseconds(text: str) -> int:
    at = datetime.fromisoformat(text)
    return round(at.timestamp() * 1e6)


def _json(value: Any) -> str:
    return json.dumps(value, cls=JSONEncoder, separators=(",", ":"))
