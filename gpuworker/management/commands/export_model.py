"""``manage.py export_model``: convert weights, and say what that costs."""

import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from gpuworker.backends import BackendError
from gpuworker.export import FORMATS, Exported, ExportError, Wanted, export_models
from gpuworker.export_judges import Measured
from gpuworker.scenes import SceneError

WRONG_INPUT = 2  # exit status


class Command(BaseCommand):
    """Convert weights."""

    help = "Convert weights to other formats; prints size, time and accuracy before and after."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the weights, the formats and the scene."""
        parser.add_argument("path", type=Path, help=".pt of YOLO, or .onnx of a detector or an embedder")
        parser.add_argument("--format", required=True, help=f"comma separated: {', '.join(FORMATS)}")
        parser.add_argument("--half", action="store_true", help="compute in float16")
        parser.add_argument("--int8", action="store_true", help="convolutions in eight bits; needs --data")
        parser.add_argument(
            "--data", type=Path, metavar="SCENE", help="pictures to calibrate and to judge with"
        )
        parser.add_argument(
            "--max-loss",
            type=float,
            default=0.05,
            metavar="SHARE",
            help="of the accuracy; a model that lost more is not written (default 0.05)",
        )
        parser.add_argument("--size", type=int, default=0, metavar="PX", help="of the pictures, for .pt")
        parser.add_argument("--threads", type=int, help="of the CPU")

    def handle(self, *args: Any, **options: Any) -> None:
        """Convert and measure.

        Raises:
            CommandError: something does not go together or is missing, or a model lost too much.
        """
        # ended by SIGTERM, too, it leaves nothing half done behind
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        wanted = Wanted(
            source=options["path"],
            formats=[name.strip() for name in options["format"].split(",") if name.strip()],
            half=options["half"],
            int8=options["int8"],
            scene=options["data"],
            max_loss=options["max_loss"],
            size=options["size"],
            threads=options["threads"],
        )
        try:
            for exported in export_models(wanted):
                self._say(exported)
        except (ExportError, BackendError, SceneError) as error:
            raise CommandError(str(error), returncode=WRONG_INPUT) from error
        finally:
            signal.signal(signal.SIGTERM, before)

    def _say(self, exported: Exported) -> None:
        self.stdout.write(f"{exported.use} written")
        for when, measured in (("before", exported.before), ("after", exported.after)):
            self.stdout.write(f"  {when:7} {_figures(measured, exported.accuracy_of)}")
        if exported.before.accuracy is None:
            self.stdout.write("  accuracy was not measured: name a scene with --data")


def _figures(measured: Measured, accuracy_of: str) -> str:
    accuracy = "" if measured.accuracy is None else f", {accuracy_of} {measured.accuracy:.3f}"
    return f"{measured.megabytes:.2f} MB, {measured.ms:.1f} ms{accuracy}"
