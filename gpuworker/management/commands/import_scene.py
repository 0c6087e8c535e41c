"""``manage.py import_scene``: make an environment from a scene folder."""

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.text import slugify

from gpuworker.scenes import SceneError, read_scene
from gpuworker.site_setup import scene_import

WRONG_INPUT = 2  # exit status
SLUG_LENGTH = 50


class Command(BaseCommand):
    """Make an environment whose cameras play a recorded scene."""

    help = "Make an environment with calibrated cameras from a scene folder; again brings it up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder."""
        parser.add_argument("scene", type=Path, metavar="SCENE", help="folder with a scene.json")
        parser.add_argument("--slug", help="short name of the environment; the scene's name without it")
        parser.add_argument("--loop", action="store_true", help="begin again when the recording is over")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and say what was done."""
        try:
            scene = read_scene(options["scene"])
            slug = options["slug"] or slugify(scene.name)[:SLUG_LENGTH]
            if not re.fullmatch(rf"[-a-zA-Z0-9_]{{1,{SLUG_LENGTH}}}", slug):
                raise SceneError(
                    f"'{slug}' is no short name: give one of letters, digits, - and _ with --slug"
                )
            found = scene_import(scene=scene, slug=slug, loop=options["loop"])
        except SceneError as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        for line in found.done:
            self.stdout.write(line)
        self.stdout.write(f"page: /environments/{found.slug}/live/")
