"""From the floor to whoever is to be told: somebody walks into an area; page, mailbox and webhook hear of it."""

import asyncio
import json
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from channels.layers import get_channel_layer

from gpuworker.pipeline.settings import EventSettings
from gpuworker.pipeline.values import Zone
from gpuworker.pipeline.zones import FloorEvents
from gpuworker.sinks.rows import RowsSink
from gpuworker.sinks.sampler import Sampler
from tests.factories import (
    CameraFactory,
    EnvironmentFactory,
    RuleFactory,
    TrackingSessionFactory,
    WebhookFactory,
    ZoneFactory,
)
from tests.gpuworker.made import people, redis_in_use, result
from tests.servers import wait_for
from tests.tracking.notifications import receivers
from tests.tracking.notifications.test_sending import is_genuine
from tracking import live
from tracking.notifications.models import Alert, Arrival, Delivery
from tracking.notifications.tasks import notifications_attend

pytestmark = pytest.mark.django_db(transaction=True)

RING = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]


class Viewer:
    """Hears what an environment's viewers hear, on a thread of its own, and when."""

    def __init__(self, environment_id: int) -> None:
        self.heard: list[tuple[float, dict]] = []
        self._group = live.state_group(environment_id)
        self._is_listening = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()))
        self._thread.start()
        assert self._is_listening.wait(30)

    async def _listen(self) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(self._group, channel)
        self._is_listening.set()
        while not self._over.is_set():
            try:
                message = await asyncio.wait_for(layer.receive(channel), 0.1)
            except TimeoutError:
                continue
            self.heard.append((time.monotonic(), json.loads(message["text"])))

    def close(self) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def place(settings, redis_url, tmp_path):
    settings.SPOTON_WEBHOOK_NETWORKS = [receivers.HERE]
    with redis_in_use(settings, redis_url):
        yield EnvironmentFactory.create(slug="plaza", name="Plaza")


def walk_in(place, sink, floor, *, began_at):
    """Let person 3 walk from outside to inside, ten steps a second, and give when the last row was handed over."""
    for step in range(12):
        x_m = -1.0 + 0.3 * step
        here = replace(people(0.0, {7: 3}, x_m=x_m), at=began_at + timedelta(seconds=step / 10))
        tick = replace(result(0.0, {7: 3}), at=here.at, people=here, events=floor.step(here))
        sink.put(tick, [])
    return time.monotonic()


def test_somebody_enters_an_area_and_everybody_named_is_told_once(place, tmp_path, settings):
    hall = ZoneFactory.create(environment=place, key="hall", name="Hall", points_m=RING)
    session = TrackingSessionFactory.create(environment=place)
    cameras = {key: CameraFactory.create(environment=place, key=key).pk for key in ("c1", "c2")}
    viewer = Viewer(place.pk)
    with receivers.web_server() as hooks, receivers.mail_server() as letters:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        rule = RuleFactory.create(
            environment=place, name="Night", kinds=["zone_enter"], emails=["guard@example.com"]
        )
        rule.zones.add(hall)
        webhook = WebhookFactory.create(environment=place, name="Desk", url=hooks.url)
        rule.webhooks.add(webhook)
        zones = {"hall": hall.pk}
        sampler = Sampler(environment_id=place.pk, session_id=session.pk, cameras=cameras, zones=zones)
        sink = RowsSink(sampler, folder=tmp_path, max_bytes=10**7)
        floor = FloorEvents((Zone("hall", "polygon", np.array(RING)),), EventSettings())

        handed_over_s = walk_in(place, sink, floor, began_at=datetime.now(UTC) - timedelta(seconds=1))
        wait_for(lambda: viewer.heard, timeout_s=30)
        heard_s, message = viewer.heard[0]
        assert (message["type"], message["rule"], message["text"]) == (
            "alert",
            "Night",
            "Person 3 entered Hall",
        )
        assert (message["person"], message["zone"], message["kind"]) == (3, "hall", "zone_enter")
        assert heard_s - handed_over_s < 5.0  # about half a second where the machine is not busy
        sink.close(timeout_s=30)

        wait_for(lambda: Delivery.objects.filter(channel="page", state="delivered").exists())
        assert notifications_attend() == 2
        assert notifications_attend() == 0
        (got,) = hooks.received
        assert is_genuine(webhook.secret, got.headers["X-SpotOn-Signature"], got.body, time.time())
        assert (got.json["text"], got.json["alert"]["id"]) == ("Person 3 entered Hall", message["id"])
        (letter,) = letters.received
        assert letter["Subject"] == "Warning: Person 3 entered Hall (Plaza)"

        # the same rows again, from a spool that was left, raise nothing
        again = RowsSink(
            Sampler(environment_id=place.pk, session_id=session.pk, cameras=cameras, zones=zones),
            folder=tmp_path,
            max_bytes=10**7,
        )
        floor = FloorEvents((Zone("hall", "polygon", np.array(RING)),), EventSettings())
        walk_in(place, again, floor, began_at=Alert.objects.get().at - _entered_after())
        again.close(timeout_s=30)
        assert notifications_attend() == 0
    viewer.close()
    assert Alert.objects.count() == 1
    assert len(viewer.heard) == len(hooks.received) == len(letters.received) == 1
    assert not Arrival.objects.exists()


def _entered_after() -> timedelta:
    """Say how long after it begins the walk enters."""
    began_at = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    floor = FloorEvents((Zone("hall", "polygon", np.array(RING)),), EventSettings())
    for step in range(12):
        here = replace(people(0.0, {7: 3}, x_m=-1.0 + 0.3 * step), at=began_at + timedelta(seconds=step / 10))
        for event in floor.step(here):
            if event.kind == "zone_enter":
                return event.at - began_at
    raise AssertionError("nobody entered")


def test_rows_go_on_when_judging_fails(place, tmp_path, monkeypatch, caplog):
    session = TrackingSessionFactory.create(environment=place)
    RuleFactory.create(environment=place, kinds=["zone_enter"])
    hall = ZoneFactory.create(environment=place, key="hall", points_m=RING)

    def fail(**_):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr("gpuworker.sinks.judging.events_judge", fail)
    sampler = Sampler(environment_id=place.pk, session_id=session.pk, cameras={}, zones={"hall": hall.pk})
    sink = RowsSink(sampler, folder=tmp_path, max_bytes=10**7)
    floor = FloorEvents((Zone("hall", "polygon", np.array(RING)),), EventSettings())
    walk_in(place, sink, floor, began_at=datetime.now(UTC))
    sink.close(timeout_s=30)
    assert sink.waiting().rows == 0
    assert "are judged later" in caplog.text
    assert Arrival.objects.count() == 2  # appeared and entered
    notifications_attend()
    assert Alert.objects.count() == 1
