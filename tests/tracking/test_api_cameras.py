"""What a camera sees, over REST: its next picture, and whether its address can be opened."""

import asyncio
import io
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import current_app
from channels.layers import get_channel_layer
from django.conf import settings as django_settings
from PIL import Image
from redis import Redis

from gpuworker.tasks import address_probe, camera_probe
from tests.factories import (
    T0,
    CameraFactory,
)
from tracking import live, snapshots
from tracking.snapshots import address_sealed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings")]


@pytest.fixture
def camera(plaza):
    return CameraFactory.create(
        environment=plaza, key="c1", source_url="sim://plaza/c1", width=960, height=540
    )


@pytest.fixture
def publishing(settings, redis_url, plaza):
    """Publish frames of camera c1, as a worker does, to whoever asks for them."""
    layer = {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [redis_url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    over = threading.Event()

    async def publish():
        head: dict[str, Any] = {"camera": "c1", "width": 4, "height": 3, "tier": "high", "boxes": []}
        at = datetime.now(UTC)
        while not over.is_set():
            header = live.frame_header(seq=1, captured_at=T0, published_at=at, **head)
            frame = live.layer_frame(live.pack_frame(header, b"\xff\xd8 a picture"))
            await get_channel_layer().group_send(live.frames_group(plaza.pk, "c1", "high"), frame)
            await asyncio.sleep(0.05)

    thread = threading.Thread(target=lambda: asyncio.run(publish()))
    thread.start()
    yield
    over.set()
    thread.join()


def test_snapshot_is_the_next_picture(viewer, plaza, camera, publishing):
    response = viewer.get(f"/api/v1/cameras/{camera.pk}/snapshot/")
    assert (response.status_code, response.content) == (200, b"\xff\xd8 a picture")
    assert (response["Content-Type"], response["X-Captured-At"]) == ("image/jpeg", "2026-05-04T12:00:00.000Z")
    with Redis.from_url(django_settings.REDIS_URL) as client:
        assert client.exists(live.demand_key(plaza.pk, "c1", "high"))


@pytest.mark.parametrize("url", ["", "unix:///nowhere/redis.sock"], ids=["nobody publishes", "Redis is away"])
def test_camera_without_a_picture_says_so(viewer, camera, settings, redis_url, monkeypatch, url):
    monkeypatch.setattr(snapshots.snapshot_take, "__kwdefaults__", {"wait_s": 0.2})
    layer = {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [url or redis_url]},
    }
    settings.CHANNEL_LAYERS = {"default": layer}
    settings.REDIS_URL = url or redis_url
    response = viewer.get(f"/api/v1/cameras/{camera.pk}/snapshot/")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "no_picture")


def test_probe_opens_the_address_and_tells_what_it_gives(
    admin, viewer, camera, settings, django_capture_on_commit_callbacks, monkeypatch
):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: sent.append((name, *args)))
    address = f"/api/v1/cameras/{camera.pk}/probe/"
    assert viewer.get(address).status_code == 404
    with django_capture_on_commit_callbacks(execute=True):
        started = admin.post(address)
    assert (started.status_code, started.json()["state"]) == (202, "pending")
    assert sent == [("gpuworker.tasks.camera_probe", camera.pk)]
    assert camera_probe.name == sent[0][0]

    camera_probe(camera.pk)
    found = viewer.get(address).json()
    assert (found["state"], found["width"], found["height"]) == ("done", 640, 360)
    assert found["message"] == "its pictures are 640x360 px, not 960x540"
    assert found["fps"] == pytest.approx(10, abs=0.5)
    assert found["has_picture"]
    picture = viewer.get(f"{address}picture/")
    assert (picture["Content-Type"], picture["Cache-Control"]) == ("image/jpeg", "no-store")
    assert Image.open(io.BytesIO(picture.content)).size == (640, 360)


def test_probe_of_a_bad_address_says_what_is_wrong_without_its_secrets(admin, camera):
    type(camera).objects.filter(pk=camera.pk).update(source_url="rtsp://u:s3cret@127.0.0.1:1/s")
    camera_probe(camera.pk)
    found = admin.get(f"/api/v1/cameras/{camera.pk}/probe/").json()
    assert found["state"] == "failed"
    assert "127.0.0.1" in found["message"]
    assert "s3cret" not in found["message"]
    assert admin.get(f"/api/v1/cameras/{camera.pk}/probe/picture/").status_code == 204
    camera_probe(camera.pk + 1)  # gone meanwhile


def test_address_is_tried_before_it_is_a_camera(
    admin, settings, django_capture_on_commit_callbacks, monkeypatch
):
    sent = []
    monkeypatch.setattr(current_app, "send_task", lambda name, args: sent.append((name, *args)))
    with django_capture_on_commit_callbacks(execute=True):
        started = admin.post("/api/v1/probes/", {"source_url": "sim://plaza/c2"})
    assert (started.status_code, started.json()["state"]) == (202, "pending")
    [(name, probe_id, sealed)] = sent
    assert (name, probe_id) == (address_probe.name, started.json()["id"])
    assert "plaza" not in sealed

    address_probe(probe_id, sealed)
    found = admin.get(f"/api/v1/probes/{probe_id}/").json()
    assert (found["state"], found["width"], found["height"], found["message"]) == ("done", 640, 360, "")
    assert Image.open(io.BytesIO(admin.get(f"/api/v1/probes/{probe_id}/picture/").content)).size == (640, 360)
    assert admin.get(f"/api/v1/probes/{'0' * 32}/").status_code == 404


def test_address_that_cannot_be_a_camera_is_refused_before_it_is_tried(admin, monkeypatch):
    monkeypatch.setattr(current_app, "send_task", lambda *_: pytest.fail("sent"))
    answer = admin.post("/api/v1/probes/", {"source_url": "ftp://10.0.0.1/x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["fields"]["source_url"][0].startswith("Begin the address with one of")


def test_unreachable_address_says_what_to_check_without_its_secrets(admin):
    address_probe("f" * 32, address_sealed("rtsp://u:s3cret@127.0.0.1:1/s"))
    found = admin.get(f"/api/v1/probes/{'f' * 32}/").json()
    assert (found["state"], found["has_picture"]) == ("failed", False)
    assert found["message"] == (
        "rtsp://***@127.0.0.1:1/s refused the connection: check host and port, and that it is switched on"
    )
