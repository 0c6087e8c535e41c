from types import SimpleNamespace

import pytest
from redis import Redis

from accounts.models import Role
from tests.factories import CameraFactory, EnvironmentFactory, GrantFactory, UserFactory, ZoneFactory
from tests.roles import client_of, client_with, roles_ensure
from tests.tracking.notifications import receivers


@pytest.fixture
def hooks(settings):
    """Run a web server that webhooks may call."""
    settings.SPOTON_WEBHOOK_NETWORKS = [receivers.HERE]
    with receivers.web_server() as hooks:
        yield hooks


@pytest.fixture
def letters(settings):
    """Run a mail server and use it."""
    with receivers.mail_server() as letters:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", letters.port
        yield letters


@pytest.fixture
def told(monkeypatch):
    """Give what viewers are told, instead of telling them."""
    heard = []

    def announce(*, environment_id, text):
        heard.append((environment_id, text))
        return True

    for module in (
        "tracking.notifications.delivering",
        "tracking.notifications.services",
        "tracking.services",
    ):
        monkeypatch.setattr(f"{module}.announce", announce)
    return heard


@pytest.fixture
def plaza(db):
    """Make a place with two zones and two cameras."""
    place = EnvironmentFactory.create(slug="plaza", name="Plaza", time_zone="Europe/Vienna")
    return SimpleNamespace(
        place=place,
        hall=ZoneFactory.create(environment=place, key="hall", name="Hall"),
        yard=ZoneFactory.create(environment=place, key="yard", name="Yard"),
        c1=CameraFactory.create(environment=place, key="c1"),
        c2=CameraFactory.create(environment=place, key="c2"),
    )


@pytest.fixture
def _surroundings(settings, redis_url):
    roles_ensure()
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url) as client:
        client.flushall()


@pytest.fixture
def admin():
    return client_with(Role.ADMIN)


@pytest.fixture
def viewer(plaza):
    return client_of(GrantFactory.create(environment=plaza.place).user)


@pytest.fixture
def operator(plaza):
    user = UserFactory.create(role=Role.OPERATOR)
    GrantFactory.create(environment=plaza.place, user=user)
    return client_of(user)
