"""Start the whole system on this machine: `manage.py run_demo`, which `make demo` calls."""

import os
import threading
import time
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from spoton import demo

ADMINISTRATOR = "admin"  # as create_demo calls it
PAGE_POLL_S = 0.1
PAGE_LATE_S = 60.0


class Command(BaseCommand):
    """Parse, prepare the data folder, hand over to the processes."""

    help = "Runs Redis, web, worker, Celery and beat together; Ctrl-C stops all."

    def add_arguments(self, parser: CommandParser) -> None:
        """Name the port, the scene and the password."""
        parser.add_argument("--port", type=_port, default=8000)
        parser.add_argument("--scene", help="a scene folder to show beside the simulated place")
        parser.add_argument(
            "--password",
            default=settings.DEMO_PASSWORD,
            required=not settings.DEMO_PASSWORD,
            help="of the administrator; default: DEMO_PASSWORD",
        )

    def handle(self, *, port: int, scene: str | None, password: str, **options: Any) -> None:
        """Check, migrate, make the demo environment, run."""
        started = time.monotonic()
        redis_at = demo.redis_socket()
        try:
            demo.port_check(port)
            if redis_at is not None:
                demo.socket_prepare(redis_at)
            call_command("migrate", verbosity=0, interactive=False)
            call_command("create_demo", password=password, scene=scene)
            # what is forked below must not share a connection
            connections.close_all()
            os.environ.setdefault("SPOTON_URL", f"http://{demo.HOST}:{port}")
            commands = demo.processes(port=port, redis_at=redis_at)
            facts = {"user": ADMINISTRATOR, "password": password, "running": ", ".join(commands)}
            announcer = threading.Thread(target=self._announce, args=(port, facts, started), daemon=True)
            demo.run(commands, on_started=announcer.start)
        except demo.NotStartable as error:
            raise CommandError(str(error)) from error
        except demo.ProcessEnded as error:
            raise CommandError(str(error), returncode=error.code) from error

    def _announce(self, port: int, facts: dict[str, str], started: float) -> None:
        url = f"http://{demo.HOST}:{port}/"
        is_late = False
        while not demo.page_answers(url):
            if not is_late and time.monotonic() - started > PAGE_LATE_S:
                is_late = True
                self.stdout.write(
                    f"No page after {PAGE_LATE_S:.0f} s: the lines of web above should say why."
                )
            time.sleep(PAGE_POLL_S)
        lines = [
            f"SpotOn is ready after {time.monotonic() - started:.0f} s",
            "",
            *(f"{name:10}{value}" for name, value in {"address": url, **facts}.items()),
            "",
            "Ctrl-C stops everything",
        ]
        width = max(map(len, lines))
        rule = f"+{'-' * (width + 2)}+"  # ASCII: the terminal may know nothing else
        box = [rule, *(f"| {line:{width}} |" for line in lines), rule]
        self.stdout.write("\n" + "\n".join(box) + "\n")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise ArgumentTypeError(f"'{text}' is no port: use a number from 1 to 65535")
    return int(text)
