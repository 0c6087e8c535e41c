"""Serves HTTP from a pool of threads that last, each with its database connection.

Django's own ASGI handler changes threads for every middleware, and gives each request a new thread, so that each also
opens a new database connection; nothing here is asynchronous but the WebSocket. One change of threads a request costs a
third of that.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

from asgiref.wsgi import WsgiToAsgiInstance

THREADS = 16  # more requests than this wait; most of them wait for the database
IN_MEMORY_BYTES = 65_536  # a longer request body goes to a file
LONGEST_BODY_BYTES = 32 * 1024 * 1024
ENDED: Any = object()

WsgiApplication = Callable[[dict[str, Any], Callable], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the application said.

    Attributes:
        body: all of it, or the first part where ``rest`` gives more.
        rest: further parts of an answer that is streamed.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    rest: Iterator[bytes] | None = None


class BodyTooLong(Exception):  # noqa: N818 - named for what is wrong
    """A request's body is longer than is read."""


class ThreadedHttp:
    """Answers HTTP requests by a WSGI application."""

    def __init__(self, application: WsgiApplication, *, threads: int = THREADS) -> None:
        self._application = application
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="http")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        run = asyncio.get_running_loop().run_in_executor
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as body:
            try:
                if not await _read(receive, body):
                    return
                answer = await run(self._pool, self._answer, scope, body)
            except BodyTooLong:
                answer = Answer(413, [(b"content-type", b"text/plain")], b"The request is too large.\n")
            await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
            await send(
                {"type": "http.response.body", "body": answer.body, "more_body": answer.rest is not None}
            )
            if answer.rest is None:
                return
            while (part := await run(self._pool, next, answer.rest, ENDED)) is not ENDED:
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    def _answer(self, scope: Any, body: Any) -> Answer:
        wrapped: Any = WsgiToAsgiInstance(self._application)  # type: ignore[no-untyped-call]
        wrapped.scope = scope
        said: list[Any] = []
        try:
            environ = wrapped.build_environ(scope, body)
        except ValueError:
            return Answer(400, [(b"content-type", b"text/plain")], b"This request cannot be read.\n")
        environ["spoton.repeats"] = scope.get("spoton.repeats", 0)
        result: Any = self._application(environ, lambda status, headers, *_: said.append((status, headers)))
        scope["spoton.live"] = getattr(result, "live", None)  # see spoton/live_answers.py
        ((status, headers),) = said
        plain = [(name.lower().encode("latin1"), value.encode("latin1")) for name, value in headers]
        code = int(status.partition(" ")[0])
        if getattr(result, "streaming", False):
            parts = _closing(result)
            return Answer(code, plain, next(parts, b""), parts)
        try:
            return Answer(code, plain, b"".join(result))
        finally:
            result.close()


async def _read(receive: Any, body: Any) -> bool:
    """Read a request's body; False when the client is gone.

    Raises:
        BodyTooLong: it is longer than anything that is read here.
    """
    length = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        part = message.get("body", b"")
        length += len(part)
        if length > LONGEST_BODY_BYTES:
            raise BodyTooLong
        body.write(part)
        if not message.get("more_body"):
            body.seek(0, os.SEEK_SET)
            return True


def _closing(result: Any) -> Iterator[bytes]:
    try:
        yield from result
    finally:
        result.close()
