"""``manage.py record_sim``: write the simulated plaza as a scene folder."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gpuworker.sources.sim.record import RecordError, record_scene
from gpuworker.sources.sim.scene import FPS

WRONG_INPUT = 2  # exit status


class Command(BaseCommand):
    """Record the simulator."""

    help = "Write the simulated plaza as a scene folder: truth, calibration, detections, and videos."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder and what is to happen in it."""
        parser.add_argument("folder", type=Path, help="does not exist or is empty")
        parser.add_argument("--seconds", type=float, required=True, help="length of the scene")
        parser.add_argument("--people", type=int, default=10)
        parser.add_argument("--seed", type=int, default=7)
        parser.add_argument("--fps", type=float, default=FPS)
        pictures = parser.add_mutually_exclusive_group()
        pictures.add_argument("--video", dest="pictures", action="store_const", const="video")
        pictures.add_argument("--images", dest="pictures", action="store_const", const="images")
        parser.add_argument("--no-detections", dest="with_detections", action="store_false")

    def handle(self, *args: Any, **options: Any) -> None:
        """Record, and say what was recorded."""
        try:
            recorded = record_scene(
                options["folder"],
                seconds=options["seconds"],
                people=options["people"],
                seed=options["seed"],
                fps=options["fps"],
                pictures=options["pictures"] or "none",
                with_detections=options["with_detections"],
            )
        except RecordError as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        self.stdout.write(f"{options['folder']}: {recorded.frames} frames, {recorded.ids} people")
