"""``manage.py import_calibration``: calibrate cameras from other tools' files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from environments.calibrating.files import UNITS_M, CalibrationFileError
from environments.calibrating.services import calibration_import, calibrations_import
from environments.geometry import GeometryError
from environments.models import Camera, Environment

WRONG_INPUT = 2  # exit status


class Command(BaseCommand):
    """Calibrate from a file."""

    help = (
        "Calibrate from OpenCV's YAML or XML (camera matrix, distortion, rvec and tvec or R and T), JSON of the "
        "scene format, or CSV of point pairs (u, v, x, y). The new version is in use, earlier ones are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take place, file, camera and unit."""
        parser.add_argument("environment", metavar="ENVIRONMENT", help="short name of the environment")
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--camera", help="key of the camera; without it, the file must name cameras")
        parser.add_argument("--unit", choices=list(UNITS_M), default="m", help="of the file's lengths")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and say what was done."""
        path: Path = options["file"]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise CommandError(
                f"{path} cannot be read: {error.strerror or error}", returncode=WRONG_INPUT
            ) from error
        given = {"content": content, "name": path.name, "unit": options["unit"]}
        try:
            environment = Environment.objects.get(slug=options["environment"])
            if options["camera"]:
                made = [calibration_import(camera=environment.cameras.get(key=options["camera"]), **given)]
            else:
                made = calibrations_import(environment=environment, **given)
        except Environment.DoesNotExist as error:
            raise CommandError(
                f"there is no environment {options['environment']!r}", returncode=WRONG_INPUT
            ) from error
        except Camera.DoesNotExist as error:
            raise CommandError(
                f"{environment} has no camera {options['camera']!r}", returncode=WRONG_INPUT
            ) from error
        except (CalibrationFileError, GeometryError) as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        for calibration in made:
            self.stdout.write(f"{calibration.camera.key}: calibrated, in use")
