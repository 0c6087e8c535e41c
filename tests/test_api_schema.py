"""The REST interface does what its description says, whatever is sent to it.

``SPOTON_API_EXAMPLES`` is the number of cases that are made up for each operation in each phase, 5 where nothing is said;
``DATABASE_URL`` names another database than SQLite. How many cases there were is said at the end::

    SPOTON_API_EXAMPLES=60 python -m pytest -q tests/test_api_schema.py
    DATABASE_URL=postgres://user@host/name SPOTON_API_EXAMPLES=60 python -m pytest -q tests/test_api_schema.py

With 25 on SQLite that were 5,338 cases, none of them unexpected; with 60 on PostgreSQL 7,746, of which two operations were:
offsets of instants that it does not know. Lists and changes of what is seen and set up answered 2,483 cases there as described since.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
import schemathesis
from celery import current_app
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from accounts.models import Role
from tests.factories import (
    AlertFactory,
    CalibrationFactory,
    CameraFactory,
    DeliveryFactory,
    EnvironmentFactory,
    GrantFactory,
    RuleFactory,
    TrackEventFactory,
    TrackFactory,
    TrackPointFactory,
    WebhookFactory,
    ZoneFactory,
)
from tests.roles import client_with, roles_ensure
from tracking import snapshots

EXAMPLES = int(os.environ.get("SPOTON_API_EXAMPLES", "5"))  # of each operation
pytestmark = pytest.mark.slow
ENTRANCES = r"/api/v1/auth/(login|refresh|logout|password)/"

# which environments, cameras and time zones there are, and which points make an area, no description can say
BEYOND_A_DESCRIPTION = [positive_data_acceptance]

description = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
description.app = get_wsgi_application()


def test_files_are_described_as_files():
    operation = description.raw_schema["paths"]["/api/v1/events/"]["get"]
    answer = operation["responses"]["200"]["content"]
    assert {kind: described["schema"].get("type") for kind, described in answer.items()} == {
        "application/json": None,  # refers to the page of events
        "text/csv": "string",
        "application/x-ndjson": "string",
        "application/vnd.apache.arrow.stream": "string",
    }


@pytest.fixture
def _one_connection():
    """Keep requests from closing the connection that holds the test's transaction, as Django's client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(scope="module")
def answers(request) -> Iterator[Counter]:
    """Count the answers by status, and say how many there were."""
    counted: Counter = Counter()
    yield counted
    plugins = request.config.pluginmanager
    by_status = ", ".join(f"{status}: {count}" for status, count in sorted(counted.items()))
    with plugins.get_plugin("capturemanager").global_and_fixture_disabled():
        plugins.get_plugin("terminalreporter").write_line(f" {counted.total()} cases ({by_status})")


@pytest.fixture
def headers(db, _one_connection, settings, tmp_path, redis_url, monkeypatch):
    """Give the headers of an Admin, in a system with a bit of everything."""
    roles_ensure()
    settings.MEDIA_ROOT = tmp_path
    settings.REDIS_URL = redis_url
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    monkeypatch.setattr(snapshots.snapshot_take, "__kwdefaults__", {"wait_s": 0.01})
    monkeypatch.setattr(current_app, "send_task", lambda *_, **__: None)
    settings.ALLOWED_HOSTS = ["*"]
    rates = {"user": "1000000/min", "login": "1000000/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}
    place = EnvironmentFactory.create(slug="plaza")
    CalibrationFactory.create(camera=CameraFactory.create(environment=place))
    ZoneFactory.create(environment=place)
    GrantFactory.create(environment=place)
    track = TrackFactory.create(session__environment=place)
    TrackPointFactory.create(track=track)
    TrackEventFactory.create(environment=place, person=track.person, track=track)
    rule = RuleFactory.create(environment=place)
    rule.webhooks.add(WebhookFactory.create(environment=place))
    DeliveryFactory.create(alert=AlertFactory.create(rule=rule, person=track.person))
    return {"Authorization": f"Bearer {client_with(Role.ADMIN).pair.access}"}


@description.exclude(path_regex=ENTRANCES).parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_answers_as_described(case, headers, answers):
    response = case.call_and_validate(headers=headers, excluded_checks=BEYOND_A_DESCRIPTION)
    answers[response.status_code] += 1


@description.include(path_regex=ENTRANCES).parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_entrance_answers_as_described(case, headers, answers):
    response = case.call_and_validate(excluded_checks=BEYOND_A_DESCRIPTION)
    answers[response.status_code] += 1
