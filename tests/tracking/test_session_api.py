"""What one operator does is heard by everybody who watches."""

import json

import pytest

from tests.factories import CameraFactory, TrackingSessionFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_surroundings", "unhurried")]


@pytest.fixture
def heard(monkeypatch):
    """Give what was said to those who watch, by environment."""
    said = []

    def announce(*, environment_id, text):
        said.append((environment_id, json.loads(text)))

    monkeypatch.setattr("tracking.session_api.announce", announce)
    return said


def test_everybody_hears_who_steers(operator, plaza, heard, django_capture_on_commit_callbacks):
    session = TrackingSessionFactory.create(environment=plaza)
    for verb in ("pause", "resume", "stop", "start"):
        with django_capture_on_commit_callbacks(execute=True):
            assert operator.post(f"/api/v1/sessions/{session.pk}/{verb}/").status_code == 200
    assert [environment for environment, _ in heard] == [plaza.pk] * 4
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
