"""``manage.py fetch_models``: download weights from their official sources."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from gpuworker.downloads import DownloadError, fetch, is_good
from gpuworker.model_catalogue import CATALOGUE, CatalogueEntry

WRONG_INPUT = 2  # exit status
MB = 1e6


class Command(BaseCommand):
    """Download weights."""

    help = "Download weights from their official sources into the folder of models, and check them."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the names."""
        parser.add_argument("names", nargs="*", metavar="NAME", help="as --list gives them")
        parser.add_argument(
            "--list", action="store_true", help="what there is, with licences (also without names)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Download what is named, or list what there is.

        Raises:
            CommandError: a name that is not in the list, or files that could not be had.
        """
        known = {entry.name: entry for entry in CATALOGUE}
        unknown = [name for name in options["names"] if name not in known]
        if unknown:
            raise CommandError(
                f"no weights {', '.join(unknown)}: choose from {', '.join(known)}", returncode=WRONG_INPUT
            )
        folder = Path(settings.SPOTON_MODELS)
        if options["list"] or not options["names"]:
            self._list(folder)
            return
        failed = [text for name in options["names"] if (text := self._fetch(known[name], folder))]
        if failed:
            raise CommandError("\n".join(failed), returncode=WRONG_INPUT)

    def _list(self, folder: Path) -> None:
        self.stdout.write(f"Weights for {folder}; manage.py fetch_models NAME ... downloads them.")
        for entry in CATALOGUE:
            there = "there" if is_good(folder / entry.file_name, entry.sha256) else "-"
            self.stdout.write(f"{entry.name:24} {there:6} {entry.use:66} {entry.licence}")

    def _fetch(self, entry: CatalogueEntry, folder: Path) -> str:
        """Download one file; give what went wrong, empty for nothing."""
        self.stdout.write(f"{entry.name}: {entry.url}, licence {entry.licence}")
        shown = -1

        def progress(had: int, whole: int | None) -> None:
            nonlocal shown
            step = had * 10 // whole if whole else had // int(10 * MB)
            if step != shown:
                shown = step
                of = f" of {whole / MB:.1f}" if whole else ""
                self.stdout.write(f"  {had / MB:.1f}{of} MB")

        try:
            is_new = fetch(entry, folder, progress=progress)
        except DownloadError as error:
            return str(error)
        said = "downloaded and checked" if is_new else "is there already"
        self.stdout.write(f"{folder / entry.file_name} {said}; use it as {entry.use}")
        return ""
