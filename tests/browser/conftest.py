"""The whole system as real processes on a free port, and a browser that looks at it."""

import base64
import os
import secrets
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests import servers

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 20.0
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Stack:
    """Redis, web and worker over SQLite in one folder."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.password = secrets.token_urlsafe(9)
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")},
            "DJANGO_SETTINGS_MODULE": "spoton.settings",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "FIELD_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "SPOTON_DATA": str(folder),
            "REDIS_URL": f"unix://{folder / 'redis.sock'}",
            "PYTHONUNBUFFERED": "1",
        }
        self.processes: dict[str, subprocess.Popen] = {}
        self._redis = ExitStack()
        self._feed_options: dict[str, int] = {}

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end."""
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def start_redis(self) -> None:
        """Start Redis."""
        self._redis.enter_context(servers.run_redis(self.folder))

    def stop_redis(self) -> None:
        """Stop Redis; what it held is gone."""
        self._redis.close()

    def start_web(self) -> None:
        """Start daphne and wait until it answers."""
        command = [
            "-m",
            "spoton.web",
            "-v",
            "0",
            "-b",
            "127.0.0.1",
            "-p",
            str(self.port),
            "spoton.asgi:application",
        ]
        self._start("web", command)
        servers.wait_for(self.answers, timeout_s=START_TIMEOUT_S)

    def start_worker(self) -> None:
        """Start the worker, unless it runs."""
        if "worker" not in self.processes:
            self._start("worker", ["manage.py", "run_worker"])

    def start_celery(self) -> None:
        """Start what opens cameras' addresses, sends e-mails and calls webhooks."""
        words = ["-m", "celery", "-q", "-A", "spoton", "worker", "-Q", "celery,notifications"]
        self._start("celery", [*words, "--pool", "threads", "--concurrency", "2"])

    def answers(self) -> bool:
        """Say whether the web process is up."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self, name: str) -> None:
        """Kill a process: it gets to do nothing more."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> None:
        """Stop a process and wait for its end."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self) -> None:
        """Stop whatever runs."""
        for name in list(self.processes):
            self.stop(name)
        self.stop_redis()

    def start_feed(self, **options: int) -> None:
        """Start what stands in for the worker of the hall, unless it runs so already; see tests/browser/feed.py."""
        if "feed" in self.processes and options == self._feed_options:
            return
        if "feed" in self.processes:
            self.stop("feed")
        self._feed_options = options
        self._start(
            "feed", ["manage.py", "shell", "-c", f"from tests.browser import feed; feed.run(**{options})"]
        )

    def _start(self, name: str, arguments: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Run the demo's place, and the hall of tests/browser/feed.py; a test starts the worker of either."""
    with ExitStack() as cleanup:
        folder = cleanup.enter_context(servers.short_folder("spoton-browser-"))
        stack = Stack(folder)
        cleanup.callback(stack.stop_all)
        stack.start_redis()
        stack.manage("migrate", "--verbosity", "0")
        stack.manage("create_demo", f"--password={stack.password}")
        stack.manage("shell", "-c", f"from tests.browser import feed; feed.make({stack.password!r})")
        stack.start_web()
        yield stack


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """Run Chromium for the tests of one file: Playwright's loop must not meet other tests' loops."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, stack: Stack) -> Iterator[BrowserContext]:
    """Give a browser without history."""
    context = browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900}, locale="en-GB")
    context.set_default_timeout(60_000)
    yield context
    context.close()


@pytest.fixture
def complaints() -> list[str]:
    """Collect what pages complain of; a test that expects complaints empties it."""
    return []


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Iterator[Page]:
    """Give a page that must not complain of anything."""
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
    yield page
    assert complaints == []


@pytest.fixture
def sign_in(stack: Stack) -> Callable[..., None]:
    """Give a function that signs a page in, as the administrator or as one of those that the feed makes."""

    def sign_in(page: Page, username: str = "admin") -> None:
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill(username)
        page.get_by_label("Password").fill(stack.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("/")

    return sign_in
