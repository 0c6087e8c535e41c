"""Say whether this machine's worker is alive: `manage.py check_worker`, the health check of its container."""

import socket
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils import timezone

from tracking.models import TrackingSession


class Command(BaseCommand):
    """Look at the leases that a live worker keeps renewing."""

    help = "Fails when a session that this machine's worker holds has not been renewed in time."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the worker."""
        parser.add_argument(
            "--name",
            default=f"{socket.gethostname()}:",
            help="how the worker's name begins; default: this host",
        )

    def handle(self, *, name: str, **options: Any) -> None:
        """Look for an expired lease.

        Raises:
            CommandError: there is one.
        """
        silent = TrackingSession.objects.filter(worker__startswith=name, lease_expires_at__lt=timezone.now())
        try:
            sessions = [str(session) for session in silent.select_related("environment")]
        except OperationalError as error:
            # a worker tracks on while the database is away: no reason to call it dead
            self.stdout.write(f"The database is away ({error}): the worker cannot be judged.")
            return
        if sessions:
            raise CommandError(f"the worker went silent while it tracked {', '.join(sessions)}")
        self.stdout.write("The worker renews what it holds.")
