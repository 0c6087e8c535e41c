"""A running worker steered over REST: started, paused, resumed, sent to other places of its recordings, stopped."""

import threading
import time
from datetime import UTC, datetime

import cv2
import numpy as np
import pytest

from accounts.models import Role
from gpuworker.pipeline.values import Frame
from gpuworker.worker import Parts, Worker
from tests.factories import CalibrationFactory, CameraFactory, EnvironmentFactory, GrantFactory, UserFactory
from tests.gpuworker.made import points, result
from tests.roles import client_of, roles_ensure
from tests.servers import wait_for
from tracking.models import TrackingSession

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("unhurried")]
FPS = 10
PICTURES = 200  # of 20 s
LATE = 12  # pictures that may pass between a wish and its fulfilment


class Watcher:
    """A pipeline that tracks nobody and notes which pictures it was shown, by their numbers."""

    embedder = ""

    def __init__(self):
        self.shown: list[tuple[datetime, dict[str, int]]] = []

    def step(self, frames: list[Frame]):
        numbers = {frame.camera_id: round(float(frame.image.mean())) for frame in frames}
        self.shown.append((frames[0].captured_at, numbers))
        return result(0.0)

    def ease(self, effort):
        pass

    def unsettled(self):
        return points(0.0)

    def finish(self):
        return points(0.0)

    def is_quiet(self) -> bool:
        """Say whether nothing was shown for the time of three pictures."""
        before = len(self.shown)
        time.sleep(3 / FPS)
        return len(self.shown) == before

    def numbers(self, since: int = 0) -> list[int]:
        return [number for _, numbers in self.shown[since:] for number in numbers.values()]


@pytest.fixture
def watcher():
    return Watcher()


@pytest.fixture
def operator(tmp_path):
    """Give an Operator of a place whose two cameras are recordings; picture n is as grey as n."""
    roles_ensure()
    place = EnvironmentFactory.create(slug="plaza")
    for key in ("c1", "c2"):
        folder = tmp_path / key
        folder.mkdir()
        for number in range(1, PICTURES + 1):
            cv2.imwrite(str(folder / f"{number:06d}.png"), np.full((16, 16, 3), number, np.uint8))
        camera = CameraFactory.create(
            environment=place,
            key=key,
            width=16,
            height=16,
            fps=FPS,
            source_url=f"images://{folder}?fps={FPS}",
        )
        CalibrationFactory.create(camera=camera)
    user = UserFactory.create(role=Role.OPERATOR)
    GrantFactory.create(environment=place, user=user)
    return client_of(user)


@pytest.fixture
def worker(watcher, operator, settings, tmp_path):
    """Run a worker until the test is over."""
    settings.SPOTON_SPOOL = tmp_path / "spool"
    worker = Worker(name="tester", parts=Parts(make_pipeline=lambda *_: watcher))
    thread = threading.Thread(target=worker.run)
    thread.start()
    yield worker
    worker.stop()
    thread.join(timeout=20)
    assert not thread.is_alive()


def ask(operator, verb: str, body=None) -> None:
    address = "/api/v1/sessions/"
    if verb != "create":
        address += f"{TrackingSession.objects.latest('pk').pk}/{verb}/"
    response = operator.post(address, body)
    assert response.status_code < 300, response.content


def wait_for_state(operator, state: str) -> None:
    pk = TrackingSession.objects.latest("pk").pk
    wait_for(lambda: operator.get(f"/api/v1/sessions/{pk}/").json()["actual_state"] == state, timeout_s=15)


def test_worker_does_what_is_asked_of_it(worker, watcher, operator):
    ask(operator, "create", {"environment": "plaza"})
    wait_for_state(operator, "running")
    wait_for(lambda: len(watcher.shown) >= 5)
    assert max(watcher.numbers()) < 60

    asked = len(watcher.shown)
    ask(operator, "seek", {"position_s": 10.0})
    wait_for(lambda: max(watcher.numbers()) > 100)
    # nothing between the place that was left and the one that was sought, and both cameras are there
    assert [n for n in watcher.numbers(asked) if 70 < n <= 100] == []
    wait_for(lambda: {key for _, n in watcher.shown[-4:] for key in n if n[key] > 100} == {"c1", "c2"})
    assert max(watcher.numbers()) <= 101 + 3 * LATE

    ask(operator, "pause")
    wait_for_state(operator, "paused")
    wait_for(watcher.is_quiet)
    left, asked = watcher.numbers()[-1], len(watcher.shown)
    time.sleep(1.5)
    assert len(watcher.shown) == asked
    ask(operator, "resume")
    wait_for_state(operator, "running")
    wait_for(lambda: len(watcher.shown) > asked)
    # goes on where it was, as if there had been no pause of fifteen pictures and more
    assert 0 < watcher.numbers(asked)[0] - left <= 6
    # and so would another worker that takes over
    began_at = TrackingSession.objects.get().recordings_began_at
    assert began_at is not None
    place_s = (datetime.now(UTC) - began_at).total_seconds()
    assert abs(place_s * FPS - watcher.numbers()[-1]) < LATE

    ask(operator, "pause")
    wait_for_state(operator, "paused")
    ask(operator, "seek", {"position_s": 2.0})
    time.sleep(0.8)  # the place that is sought waits for the end of the pause
    asked = len(watcher.shown)
    ask(operator, "resume")
    wait_for(lambda: len(watcher.shown) > asked)
    assert 20 < watcher.numbers(asked)[0] <= 21 + LATE

    left, asked = watcher.numbers()[-1], len(watcher.shown)
    ask(operator, "speed", {"speed": 4.0})
    wait_for(lambda: watcher.numbers()[-1] > left + 60, timeout_s=10)  # of 15 s at most
    # nothing is skipped but what comes too fast to be shown, and nothing comes twice
    faster = watcher.numbers(asked)
    assert faster[0] - left <= 4 * LATE
    assert (watcher.shown[-1][0] - watcher.shown[asked][0]).total_seconds() < 5.0

    times = [at for at, _ in watcher.shown]
    assert times == sorted(times)  # whatever is shown is shown now

    ask(operator, "stop")
    wait_for_state(operator, "stopped")
    asked = len(watcher.shown)
    ask(operator, "start")
    wait_for_state(operator, "running")
    wait_for(lambda: len(watcher.shown) > asked)
    assert watcher.numbers(asked)[0] < LATE


def test_recording_that_ended_on_one_camera_goes_on_when_sought(worker, watcher, operator, tmp_path):
    for number in range(21, PICTURES + 1):
        (tmp_path / "c2" / f"{number:06d}.png").unlink()
    ask(operator, "create", {"environment": "plaza"})
    wait_for(lambda: _states() == {"c1": "online", "c2": "ended"}, timeout_s=15)
    asked = len(watcher.shown)
    ask(operator, "seek", {"position_s": 0.0})
    wait_for(lambda: any("c2" in numbers for _, numbers in watcher.shown[asked:]))
    ask(operator, "seek", {"position_s": 19.5})
    wait_for_state(operator, "stopped")
    assert TrackingSession.objects.get().message == "all recordings have ended"


def _states() -> dict[str, str]:
    session = TrackingSession.objects.get()
    return dict(session.environment.cameras.values_list("key", "state"))
