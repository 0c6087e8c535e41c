"""Columns whose texts or bytes are encrypted in the database and plain everywhere else."""

from functools import cache
from typing import Any

from django.conf import settings
from django.core.validators import MaxLengthValidator
from django.db import models

from environments.encryption import KeyRing


@cache
def _ring(keys: tuple[bytes, ...]) -> KeyRing:
    return KeyRing(keys)


def key_ring() -> KeyRing:
    """Give the ring of the settings."""
    return _ring(tuple(settings.FIELD_ENCRYPTION_KEYS))


class EncryptedTextField(models.TextField):
    """Stores a sealed text; it can be neither searched for nor sorted by."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        if self.max_length is not None:
            self.validators.append(MaxLengthValidator(self.max_length))

    @property
    def context(self) -> str:
        """Name the column that texts are sealed for."""
        return f"{self.model._meta.label_lower}.{self.name}"

    def get_prep_value(self, value: Any) -> Any:
        """Seal a text on its way to the database."""
        text = super().get_prep_value(value)
        return None if text is None else key_ring().seal(text, context=self.context)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Open a text on its way from the database."""
        return None if value is None else key_ring().open(value, context=self.context)

    def get_lookup(self, lookup_name: str) -> Any:
        """Refuse to compare: the same text is sealed differently each time."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None


class EncryptedBinaryField(models.BinaryField):
    """Stores sealed bytes."""

    @property
    def context(self) -> str:
        """Name the column that bytes are sealed for."""
        return f"{self.model._meta.label_lower}.{self.name}"

    def get_prep_value(self, value: Any) -> Any:
        """Seal bytes on their way to the database."""
        return None if value is None else key_ring().seal_bytes(bytes(value), context=self.context)

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        """Open bytes on their way from the database."""
        return None if value is None else key_ring().open_bytes(bytes(value), context=self.context)

    def get_lookup(self, lookup_name: str) -> Any:
        """Refuse to compare: the same bytes are sealed differently each time."""
        return super().get_lookup(lookup_name) if lookup_name == "isnull" else None
