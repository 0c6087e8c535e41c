"""The worker as a process: its arguments, its signals, its exit."""

import os
import signal
import subprocess
import sys
import time
from typing import Any

import cv2
import numpy as np
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from environments.models import Camera
from gpuworker.management.commands import run_worker
from tests.factories import CalibrationFactory, CameraFactory, TrackingSessionFactory
from tests.servers import wait_for
from tracking.models import TrackEvent, TrackingSession

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def session(tmp_path) -> TrackingSession:
    """Open a session over one calibrated camera that shows a folder of pictures for ever."""
    for i in range(1, 11):
        cv2.imwrite(str(tmp_path / f"{i:06d}.jpg"), np.full((120, 160, 3), 10 * i, np.uint8))
    session: TrackingSession = TrackingSessionFactory.create(environment__slug="plaza")
    camera = CameraFactory.create(
        environment=session.environment,
        key="c1",
        width=160,
        height=120,
        source_url=f"images://{tmp_path}?fps=10&loop=1",
    )
    CalibrationFactory.create(camera=camera)
    return session


def start(*arguments: str, tmp_path, redis_url: str, **environment: str) -> "subprocess.Popen[str]":
    if connection.vendor != "sqlite":
        pytest.skip("the process is given the tests' SQLite file")
    return subprocess.Popen(
        [sys.executable, "manage.py", "run_worker", "--name", "tester", *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "spoton.settings",
            "SECRET_KEY": settings.SECRET_KEY,
            "SPOTON_DATA": str(tmp_path / "data"),
            "DATABASE_URL": f"sqlite:///{connection.settings_dict['NAME']}",
            "REDIS_URL": redis_url,
        }
        | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def is_online() -> bool:
    return (
        Camera.objects.filter(state="online").exists()
        and TrackingSession.objects.filter(actual_state="running", worker="tester").exists()
    )


def test_sigterm_ends_the_worker_cleanly_within_five_seconds(session, tmp_path, redis_url):
    process = start(tmp_path=tmp_path, redis_url=redis_url)
    try:
        wait_for(lambda: process.poll() is not None or is_online(), timeout_s=40)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    finally:
        process.kill()
    assert time.monotonic() - started < 5
    assert process.returncode == 0, output
    session.refresh_from_db()
    assert (session.actual_state, session.desired_state) == ("waiting", "running")
    assert (session.worker, session.lease_expires_at) == ("", None)
    assert [(c.key, c.state) for c in Camera.objects.all()] == [("c1", "off")]
    assert TrackEvent.objects.filter(kind="camera_online").count() == 1
    assert "Traceback" not in output


def test_unknown_detector_ends_with_two_and_one_line_before_anything_is_claimed(session, tmp_path, redis_url):
    process = start(tmp_path=tmp_path, redis_url=redis_url, SPOTON_DETECTOR="magic")
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 2
    assert "magic" in output
    assert len(output.strip().splitlines()) == 1
    session.refresh_from_db()
    assert (session.actual_state, session.epoch) == ("waiting", 0)


def test_missing_weights_end_with_two(session, settings):
    settings.SPOTON_DETECTOR = "onnx:/nowhere/model.onnx"
    with pytest.raises(CommandError, match="no file at /nowhere/model") as ended:
        call_command("run_worker")
    assert ended.value.returncode == 2


def test_unknown_embedder_ends_with_two(session, settings):
    settings.SPOTON_EMBEDDER = "magic"
    with pytest.raises(CommandError, match="magic") as ended:
        call_command("run_worker")
    assert ended.value.returncode == 2


def test_unknown_environment_ends_with_two(session):
    with pytest.raises(CommandError, match="no environment yard") as ended:
        call_command("run_worker", environments=["plaza", "yard"])
    assert ended.value.returncode == 2


def test_arguments_reach_the_worker(session, monkeypatch):
    made: list[Any] = []

    class Worker:
        def __init__(self, **options):
            made.append(options)

        def run(self):
            made.append("ran")

    monkeypatch.setattr(run_worker, "Worker", Worker)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    call_command("run_worker", "--name", "w1", "--environments", "plaza", "--once", "--device", "cpu")
    parts = made[0].pop("parts")
    assert parts.make_pipeline.keywords == {"device": "cpu"}
    assert made == [{"name": "w1", "environment_slugs": ["plaza"], "once": True}, "ran"]
