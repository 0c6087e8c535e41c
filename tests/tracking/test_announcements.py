"""What one operator does is heard by everybody who watches."""

import json
import logging

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from channels.layers import get_channel_layer

from tests.factories import T0, CameraFactory, TrackingSessionFactory
from tracking import live
from tracking.announcements import steered_tell

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings", "unhurried")]


@pytest.fixture
def heard(plaza, settings, monkeypatch):
    """Give what was sent to those who watch the plaza."""
    said = []

    class Layer:
        async def group_send(self, group, message):
            said.append((group, json.loads(message["text"])))

    monkeypatch.setattr("tracking.announcements.get_channel_layer", Layer)
    return said


def test_everybody_hears_who_steers(operator, plaza, heard, django_capture_on_commit_callbacks):
    session = TrackingSessionFactory.create(environment=plaza)
    for verb in ("pause", "resume", "stop", "start"):
        with django_capture_on_commit_callbacks(execute=True):
            assert operator.post(f"/api/v1/sessions/{session.pk}/{verb}/").status_code == 200
    assert [group for group, _ in heard] == [live.state_group(plaza.pk)] * 4
    assert [said["action"] for _, said in heard] == ["pause", "resume", "stop", "start"]
    assert {said["by"] for _, said in heard} == {operator.get("/api/v1/auth/me/").json()["username"]}


def test_a_place_in_recordings_is_announced(operator, plaza, heard, django_capture_on_commit_callbacks):
    CameraFactory.create(environment=plaza, source_url="images:///videos/hall")
    session = TrackingSessionFactory.create(environment=plaza)
    with django_capture_on_commit_callbacks(execute=True):
        operator.post(f"/api/v1/sessions/{session.pk}/seek/", {"position_s": 3}, format="json")
    assert [said["action"] for _, said in heard] == ["seek"]


def test_what_is_refused_is_not_announced(viewer, plaza, heard, django_capture_on_commit_callbacks):
    session = TrackingSessionFactory.create(environment=plaza)
    with django_capture_on_commit_callbacks(execute=True):
        assert viewer.post(f"/api/v1/sessions/{session.pk}/stop/").status_code == 403
    assert heard == []


def test_it_arrives_over_redis(plaza, settings, redis_url):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url]},
        }
    }

    async def listen_and_tell():
        layer = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(live.state_group(plaza.pk), channel)
        await sync_to_async(steered_tell)(environment_id=plaza.pk, at=T0, by="anna", action="pause")
        return await layer.receive(channel)

    message = async_to_sync(listen_and_tell)()
    said = json.loads(message["text"])
    assert (said["type"], said["by"], said["action"]) == ("steered", "anna", "pause")


def test_without_redis_the_session_does_it_all_the_same(
    operator, plaza, settings, caplog, django_capture_on_commit_callbacks
):
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["unix:///nowhere/redis.sock"]},
        }
    }
    session = TrackingSessionFactory.create(environment=plaza)
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        assert operator.post(f"/api/v1/sessions/{session.pk}/pause/").status_code == 200
    session.refresh_from_db()
    assert session.desired_state == "paused"
    assert "asked to pause" in caplog.text
