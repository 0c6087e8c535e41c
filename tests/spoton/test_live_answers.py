"""Live positions asked again and again: given as Django would give them, and only to who may see them."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.wsgi import get_wsgi_application
from redis import Redis

from accounts.models import Login, Role
from spoton.http import ThreadedHttp
from spoton.live_answers import LEASE_S, LiveAnswers
from tests.factories import EnvironmentFactory, GrantFactory, UserFactory
from tests.roles import client_of, roles_ensure
from tracking import live

pytestmark = pytest.mark.django_db(transaction=True)
SOMEBODY = {"person": 7, "track": 70, "x_m": 1.5, "y_m": 2.5}


class Web:
    """The web process's application, with a clock that stands still."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.passed_on: list[str] = []
        self._django = ThreadedHttp(get_wsgi_application(), threads=1)
        self.direct = self._django
        self.answers = LiveAnswers(self._pass_on, clock=lambda: self.now_s)

    async def _pass_on(self, scope: Any, receive: Any, send: Any) -> None:
        self.passed_on.append(scope["path"])
        await self._django(scope, receive, send)

    async def ask(
        self, token: str, application: Any = None, query: str = "environment=plaza", **headers: str
    ):
        """Give status, headers and body of an answer."""
        named = {"host": "localhost", "authorization": f"Bearer {token}"} | headers
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/v1/positions/",
            "query_string": query.encode(),
            "headers": [(n.replace("_", "-").encode(), v.encode()) for n, v in named.items()],
            "client": ("10.0.0.1", 4321),
            "server": ("localhost", 80),
        }
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            sent.append(message)

        await (application or self.answers)(scope, receive, send)
        start, *bodies = sent
        content = b"".join(body["body"] for body in bodies)
        return SimpleNamespace(status=start["status"], headers=dict(start["headers"]), content=content)


@pytest.fixture
def place(redis_url, settings):
    roles_ensure()
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url) as client:
        client.flushall()
    environment = EnvironmentFactory.create(slug="plaza")
    user = UserFactory.create(role=Role.VIEWER)
    grant = GrantFactory.create(environment=environment, user=user)
    made = SimpleNamespace(environment=environment, user=user, grant=grant, redis=Redis.from_url(redis_url))
    made.token = client_of(user).pair.access
    say(made, [SOMEBODY])
    yield made
    made.redis.close()


@pytest.fixture
def web():
    return Web()


def say(place, people):
    text = live.now(at=datetime(2026, 5, 4, 12, tzinfo=UTC), people=people, cameras_up=1)
    place.redis.set(live.now_key(place.environment.pk), text)


async def test_repeated_answers_are_those_of_django(place, web):
    direct = await web.ask(place.token, web.direct)
    for _ in range(3):
        again = await web.ask(place.token)
        assert (again.status, again.headers, again.content) == (200, direct.headers, direct.content)
    assert len(web.passed_on) == 1
    assert json.loads(direct.content)["results"][0]["people"] == [SOMEBODY]
    assert direct.headers[b"content-type"] == b"application/json"


async def test_unchanged_answer_is_not_sent_again(place, web):
    etag = (await web.ask(place.token)).headers[b"etag"].decode()
    direct = await web.ask(place.token, web.direct, if_none_match=etag)
    again = await web.ask(place.token, if_none_match=etag)
    assert (again.status, again.content) == (304, b"")
    length = {b"content-length": b"0"}
    assert again.headers | length == direct.headers | length
    assert (await web.ask(place.token, if_none_match='"other"')).status == 200
    assert len(web.passed_on) == 1


async def test_repeated_answers_follow_the_people(place, web):
    await web.ask(place.token)
    await sync_to_async(say)(place, [])
    assert json.loads((await web.ask(place.token)).content)["results"][0]["people"] == []
    await sync_to_async(say)(place, [SOMEBODY])
    web.now_s += 0.06  # for so long one answer serves all
    assert json.loads((await web.ask(place.token)).content)["results"][0]["people"] == [SOMEBODY]
    assert len(web.passed_on) == 1


async def test_silence_is_answered_by_what_is_stored(place, web):
    await web.ask(place.token)
    await sync_to_async(place.redis.flushall)()
    (answer,) = json.loads((await web.ask(place.token)).content)["results"]
    assert answer["is_stale"] is True
    assert len(web.passed_on) == 2


@pytest.mark.parametrize("what", ["logout", "closed account", "grant taken back", "place gone", "role"])
async def test_what_ends_access_ends_it_within_a_lease(place, web, what):
    assert (await web.ask(place.token)).status == 200

    def end() -> int:
        if what == "logout":
            Login.objects.all().delete()
            return 401
        if what == "closed account":
            type(place.user).objects.update(is_active=False)
            return 401
        if what == "role":
            type(place.user).objects.update(role=Role.ADMIN)
            place.grant.delete()
            return 200
        (place.grant if what == "grant taken back" else place.environment).delete()
        return 404

    expected = await sync_to_async(end)()
    web.now_s += LEASE_S
    assert LEASE_S <= 5
    assert (await web.ask(place.token)).status == expected
    assert (await web.ask(place.token)).status == expected


@pytest.mark.parametrize(
    "change",
    [
        {"query": "environment=plaza&x=1"},
        {"accept": "application/json; indent=4"},
        {"accept": "text/html"},
        {"origin": "https://elsewhere.example"},
        {"cookie": "sessionid=1"},
        {"accept_language": "de"},
        {"host": "elsewhere.example"},
    ],
)
async def test_other_requests_are_asked_anew(place, web, change):
    await web.ask(place.token)
    direct = await web.ask(place.token, web.direct, **change)
    other = await web.ask(place.token, **change)
    assert len(web.passed_on) == 2
    assert other.status == direct.status
    assert other.headers.get(b"content-type") == direct.headers.get(b"content-type")
    if change != {"accept": "text/html"}:  # pages hold random values
        assert other.content == direct.content


async def test_nobody_gets_what_another_may_see(place, web):
    await web.ask(place.token)
    stranger = await sync_to_async(lambda: client_of(UserFactory.create(role=Role.VIEWER)).pair.access)()
    assert (await web.ask(stranger)).status == 404
    assert (await web.ask("")).status == 401
    assert (await web.ask(place.token + "x")).status == 401


async def test_repeats_count_against_the_limit(place, web, monkeypatch):
    monkeypatch.setattr("accounts.rest.throttles.rate_of", lambda scope: (5, 86_400))
    for _ in range(5):
        assert (await web.ask(place.token)).status == 200
    web.now_s += LEASE_S
    assert (await web.ask(place.token)).status == 429
