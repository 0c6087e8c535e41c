"""Answers who asks again and again who is where, without asking everything again.

Clients poll live positions. Django decides who may see what; for the seconds of a lease, what it decided for a request
holds for every further one that is the same in all its headers, and only the body is made anew, once for all who ask at
that moment. So a login that ends, or a grant that is taken back, is honoured within a lease.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Any

from django.utils.http import parse_etags

from environments.models import Environment
from tracking.positions import live_answer

PATH = "/api/v1/positions/"
LEASE_S = 4.8  # for so long what was decided holds at most
RENEW_S = 4.0  # then one request asks again, and the others go on meanwhile
FRESH_S = 0.05  # an answer is given to all who ask; workers say four times a second who is where
MAX_LEASES = 5000
# tell one request from another and change no answer
APART = frozenset({b"if-none-match", b"x-request-id", b"traceparent", b"tracestate"})
# of an answer that nothing has changed. Source: RFC 9110, 15.4.5, and what Django's SecurityMiddleware adds to every answer
OF_UNCHANGED = frozenset(
    {b"cache-control", b"content-location", b"etag", b"expires", b"vary"}
    | {
        b"x-content-type-options",
        b"referrer-policy",
        b"cross-origin-opener-policy",
        b"strict-transport-security",
    }
)

Headers = list[tuple[bytes, bytes]]
Key = tuple[bytes, str, tuple[tuple[bytes, bytes], ...]]


@dataclass(slots=True)
class _Lease:
    """What was decided: the place and the headers of its answers; ``repeats`` were given since."""

    environment: Environment
    headers: Headers  # but for length and tag
    renew_s: float
    until_s: float
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class _Body:
    """An answer's body and tag; both are empty where nothing is heard of the place."""

    content: bytes
    etag: bytes
    made_s: float


class LiveAnswers:
    """Stands before the application that answers HTTP, and spares it repeated requests for live positions."""

    def __init__(
        self,
        http: Any,
        *,
        answer: Callable[..., bytes | None] = live_answer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing decided.

        Args:
            http: the ASGI application that decides; it leaves in the scope the place that an answer is about.
            answer: gives the body for a place; None where nothing is heard of it.
            clock: seconds.
        """
        self._http = http
        self._answer = answer
        self._clock = clock
        self._leases: dict[Key, _Lease] = {}
        self._bodies: dict[int, _Body] = {}
        self._making: dict[int, asyncio.Task[_Body]] = {}
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="live answers")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["path"] != PATH or scope["method"] != "GET":
            await self._http(scope, receive, send)
            return
        headers = tuple((name, value) for name, value in scope["headers"] if name not in APART)
        key = (scope["query_string"], scope.get("scheme", "http"), headers)
        lease = self._leases.get(key)
        now_s = self._clock()
        if lease is not None and now_s < lease.renew_s:
            body = await self._body(lease.environment)
            if body.content:
                lease.repeats += 1
                await _repeat(lease, body, _asked_etags(scope), send)
                return
        if lease is not None:
            lease.renew_s = lease.until_s
        await self._decide(key, lease, scope, receive, send)

    async def _decide(self, key: Key, lease: _Lease | None, scope: Any, receive: Any, send: Any) -> None:
        """Let the application answer, and keep what it decides."""
        started: list[Any] = []

        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
            await send(message)

        own = {**scope, "spoton.repeats": 0 if lease is None else lease.repeats}
        asked_s = self._clock()
        try:
            await self._http(own, receive, note)
        finally:
            self._leases.pop(key, None)
        environment = own.get("spoton.live")
        if environment is None or not started or started[0]["status"] != 200:
            return
        headers = [
            (name, value) for name, value in started[0]["headers"] if name not in (b"content-length", b"etag")
        ]
        if any(name == b"set-cookie" for name, _ in headers):
            return
        if len(self._leases) >= MAX_LEASES:
            self._leases = {k: kept for k, kept in self._leases.items() if asked_s < kept.until_s}
        if len(self._leases) < MAX_LEASES:
            early = 1.0 - 0.25 * (hash(key) % 1000) / 1000  # who begins together does not renew together
            self._leases[key] = _Lease(environment, headers, asked_s + RENEW_S * early, asked_s + LEASE_S)

    async def _body(self, environment: Environment) -> _Body:
        body = self._bodies.get(environment.pk)
        if body is not None and self._clock() - body.made_s < FRESH_S:
            return body
        task = self._making.get(environment.pk)
        if task is None:
            task = self._making[environment.pk] = asyncio.create_task(self._make(environment))
        return await asyncio.shield(task)  # one client that goes takes nobody's answer away

    async def _make(self, environment: Environment) -> _Body:
        try:
            made_s = self._clock()
            run = asyncio.get_running_loop().run_in_executor
            content = await run(self._pool, lambda: self._answer(environment=environment))
            body = _Body(b"", b"", made_s)
            if content is not None:
                tag = md5(content, usedforsecurity=False).hexdigest()
                body = replace(body, content=content, etag=f'"{tag}"'.encode())
            self._bodies[environment.pk] = body
            return body
        finally:
            del self._making[environment.pk]


async def _repeat(lease: _Lease, body: _Body, known_etags: list[str], send: Any) -> None:
    """Answer with what was decided and a fresh body."""
    status, content = 200, body.content
    headers = [*lease.headers, (b"etag", body.etag)]
    if "*" in known_etags or body.etag.decode() in (etag.removeprefix("W/") for etag in known_etags):
        status, content = 304, b""
        headers = [(name, value) for name, value in headers if name in OF_UNCHANGED]
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _asked_etags(scope: Any) -> list[str]:
    for name, value in scope["headers"]:
        if name == b"if-none-match":
            return parse_etags(value.decode("latin1"))
    return []
