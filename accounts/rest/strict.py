"""Reading JSON as it is described: a text is a text, a number a number."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

KINDS: tuple[tuple[type[serializers.Field], tuple[type, ...], Any], ...] = (
    (serializers.BooleanField, (bool,), _("Give true or false.")),
    (serializers.IntegerField, (int,), _("Give a whole number.")),
    (serializers.FloatField, (int, float), _("Give a number.")),
    (serializers.CharField, (str,), _("Give a text.")),
    (serializers.ChoiceField, (str,), _("Give a text.")),
    (serializers.DateTimeField, (str,), _("Give a time as text, ISO 8601.")),
    (serializers.SlugRelatedField, (str,), _("Give a text.")),
)


UNSTORABLE = _("Give a text of whole characters, without NUL.")


class StrictTypes:
    """Refuses, in a serializer, what the frameworks would take for something else: 1 for "1", "yes" for true."""

    fields: Any  # by name, as serializers have them

    def to_internal_value(self, data: Any) -> Any:
        """Check the kinds of values before they are read."""
        if isinstance(data, Mapping):
            wrong = {
                name: [text]
                for name, field in self.fields.items()
                if not field.read_only and name in data and (text := wrong_kind(field, data[name]))
            }
            if wrong:
                raise serializers.ValidationError(wrong)
        return super().to_internal_value(data)  # type: ignore[misc]


def is_unstorable(value: Any) -> bool:
    """Say whether a text holds NUL or halves of characters, which JSON can spell and no database is sure to store."""
    return isinstance(value, str) and any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value)


def wrong_kind(field: serializers.Field, value: Any) -> str:
    """Say what a value should be where it is something else; nothing where it fits, or is null."""
    if value is None:
        return ""
    for kind, types, text in KINDS:
        if isinstance(field, kind):
            is_bool = isinstance(value, bool)
            fits = is_bool if bool in types else isinstance(value, types) and not is_bool
            if fits:
                return str(UNSTORABLE) if is_unstorable(value) else ""
            return str(text)
    return ""


@extend_schema_field({"type": "string", "enum": ["true", "false"]})
class YesNoFilter(filters.TypedChoiceFilter):
    """Narrows by true or false."""

    def __init__(self, **given: Any) -> None:
        choices = [("true", "true"), ("false", "false")]
        super().__init__(choices=choices, coerce=lambda text: text == "true", **given)
