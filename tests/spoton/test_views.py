import json

import pytest
from django.db import DatabaseError

from spoton import views


@pytest.fixture
def _redis(settings, redis_url):
    settings.REDIS_URL = redis_url


def lines(response):
    return {line["check"]: line for line in map(json.loads, response.content.splitlines())}


def test_healthz_answers_without_login_and_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok\n")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.usefixtures("_redis")
def test_readyz_is_ready_when_all_answer(client):
    response = client.get("/readyz")
    assert response.status_code == 200
    assert lines(response) == {
        "database": {"check": "database", "ok": True},
        "redis": {"check": "redis", "ok": True},
    }


@pytest.mark.django_db
def test_readyz_is_not_ready_without_redis(client, settings):
    settings.REDIS_URL = "unix:///nowhere/redis.sock"
    response = client.get("/readyz")
    assert response.status_code == 503
    assert lines(response) == {
        "database": {"check": "database", "ok": True},
        "redis": {"check": "redis", "ok": False, "error": "ConnectionError"},
    }


@pytest.mark.usefixtures("_redis")
def test_readyz_is_not_ready_without_the_database_and_says_no_more(client, monkeypatch):
    class Broken:
        def cursor(self):
            raise DatabaseError("password authentication failed for user spoton at 10.0.0.1")

    monkeypatch.setattr(views, "connection", Broken())
    response = client.get("/readyz")
    assert response.status_code == 503
    assert lines(response)["database"] == {"check": "database", "ok": False, "error": "DatabaseError"}
    assert b"10.0.0.1" not in response.content


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_takes_no_post(client, path):
    assert client.post(path).status_code == 405


@pytest.mark.django_db
def test_unknown_page_is_friendly(admin_client):
    response = admin_client.get("/no/such/page/")
    assert response.status_code == 404
    assert b"There is nothing here" in response.content
    assert b"All environments" in response.content


@pytest.mark.django_db
def test_failing_page_is_friendly(admin_client, monkeypatch):
    def fail(**_):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("environments.views.environments_visible_to", fail)
    admin_client.raise_request_exception = False
    response = admin_client.get("/")
    assert response.status_code == 500
    assert b"Something broke on our side" in response.content
    assert b"secret detail" not in response.content
