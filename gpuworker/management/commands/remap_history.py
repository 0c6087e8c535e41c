"""``manage.py remap_history``: move stored points to a camera's new calibration."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from environments.models import Calibration, Camera
from gpuworker.remapping import RemappingError, remapping_create
from gpuworker.tasks import history_remap

WRONG_INPUT = 2


class Command(BaseCommand):
    """Move what was recorded with a camera's calibration before to the one in use."""

    help = (
        "Move stored points from a camera's calibration before to the one in use, for as long as the one before was "
        "in use. Counts follow; events and the areas of then stay."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the camera and the time."""
        parser.add_argument("environment", metavar="PLACE", help="its short name")
        parser.add_argument("camera", metavar="CAMERA", help="its key")
        parser.add_argument("--since", type=_instant, help="ISO 8601; else when the calibration before began")
        parser.add_argument("--until", type=_instant, help="ISO 8601; else when the one in use began")
        parser.add_argument(
            "--here", action="store_true", help="do it now, instead of by the queue of the workers"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Plan the move, and do it or hand it over.

        Raises:
            CommandError: no such camera, no two calibrations, or a move that cannot be.
        """
        camera = Camera.objects.filter(
            environment__slug=options["environment"], key=options["camera"]
        ).first()
        if camera is None:
            raise CommandError(
                f"no camera {options['camera']} in {options['environment']}", returncode=WRONG_INPUT
            )
        after = Calibration.objects.filter(camera=camera, is_active=True).first()
        earlier = (
            Calibration.objects.filter(camera=camera, created_at__lt=after.created_at) if after else None
        )
        before = None if earlier is None else earlier.order_by("-created_at").first()
        if after is None or before is None:
            raise CommandError(f"{camera} has no calibration before the one in use", returncode=WRONG_INPUT)
        try:
            remapping = remapping_create(
                before=before,
                after=after,
                begins_at=options["since"] or before.created_at,
                ends_at=options["until"] or after.created_at,
            )
        except RemappingError as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        if options["here"]:
            self.stdout.write(f"{history_remap(remapping.pk)} points moved")
        else:
            transaction.on_commit(lambda: history_remap.delay(remapping.pk))
            self.stdout.write("handed over to the queue 'models'")


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)
