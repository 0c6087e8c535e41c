"""The worker process: arguments and signals, nothing else."""

import os
import signal
import socket
from argparse import ArgumentParser
from functools import partial
from types import FrameType
from typing import Any

import cv2
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from environments.models import Environment
from gpuworker.backends import BackendError
from gpuworker.pipeline.seams import AcceleratorLostError
from gpuworker.worker import Parts, Worker, check_backends, make_pipeline


class Command(BaseCommand):
    """Carry out tracking sessions until SIGTERM or SIGINT."""

    help = "Carry out tracking sessions: read cameras, track people, publish and store."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--name", default=f"{socket.gethostname()}:{os.getpid()}", help="shown to people")
        parser.add_argument(
            "--environments", nargs="+", default=[], metavar="SLUG", help="the only ones to carry out"
        )
        parser.add_argument(
            "--device",
            default=settings.SPOTON_DEVICE,
            metavar="DEVICE",
            help="where its models run: auto, cpu, cuda or cuda:N; one worker for each GPU",
        )
        parser.add_argument("--once", action="store_true", help="end when all recordings have ended")

    def handle(self, **options: Any) -> None:
        """Run the worker.

        Raises:
            CommandError: a detector, an embedder, a device or an environment that does not exist, or an accelerator
                that failed.
        """
        known = Environment.objects.filter(slug__in=options["environments"]).values_list("slug", flat=True)
        unknown = sorted(set(options["environments"]) - set(known))
        if unknown:
            raise CommandError(f"no environment {', '.join(unknown)}", returncode=2)
        try:
            check_backends(options["device"])
        except BackendError as error:
            raise CommandError(str(error), returncode=2) from error
        # each camera has a thread of its own; OpenCV's would only fight over the cores
        cv2.setNumThreads(1)
        worker = Worker(
            name=options["name"],
            environment_slugs=options["environments"],
            once=options["once"],
            parts=Parts(make_pipeline=partial(make_pipeline, device=options["device"])),
        )

        def stop(number: int, frame: FrameType | None) -> None:
            worker.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        try:
            worker.run()
        except AcceleratorLostError as error:
            raise CommandError(str(error)) from error
