"""``manage.py rotate_keys``: encrypts everything anew under the first key of FIELD_ENCRYPTION_KEYS."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.encryption import Undecryptable
from environments.services import secrets_reseal


class Command(BaseCommand):
    """Reseal all encrypted columns; afterwards the older keys can be taken out."""

    help = "Put a new key in front of FIELD_ENCRYPTION_KEYS, restart everything, run this, then take the old keys out."

    def handle(self, *args: Any, **options: Any) -> None:
        """Reseal and say how much."""
        try:
            count = secrets_reseal()
        except Undecryptable as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(f"{count} encrypted values are under the first key now")
