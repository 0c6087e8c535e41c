"""``manage.py create_demo``: the simulated plaza and an administrator to look at it."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from accounts.selectors import user_find
from accounts.services import administrator_ensure
from gpuworker.site_setup import plaza_ensure

ADMINISTRATOR = "admin"


class Command(BaseCommand):
    """Make the demo's environment and administrator; again adds what is missing."""

    help = "Make the environment 'plaza' from the simulator, and the administrator 'admin'."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the password and a scene."""
        parser.add_argument(
            "--password", default=settings.DEMO_PASSWORD, help="of the administrator; default: DEMO_PASSWORD"
        )
        parser.add_argument("--scene", metavar="FOLDER", help="import this scene folder too, looped")

    def handle(self, *args: Any, password: str | None, scene: str | None, **options: Any) -> None:
        """Make what is missing and say what was done."""
        if scene:
            call_command("import_scene", scene, loop=True, stdout=self.stdout)
        for line in plaza_ensure().done:
            self.stdout.write(line)
        if not password and user_find(username=ADMINISTRATOR) is not None:
            self.stdout.write(f"user {ADMINISTRATOR}: its password is kept; DEMO_PASSWORD sets another one")
            return
        password = password or secrets.token_urlsafe(9)
        administrator_ensure(username=ADMINISTRATOR, password=password)
        self.stdout.write(f"user      {ADMINISTRATOR}")
        self.stdout.write(f"password  {password}")
