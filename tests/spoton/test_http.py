"""HTTP from a pool of threads: whole answers, streamed ones, long bodies, clients that go."""

import threading
from typing import Any

import pytest
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, StreamingHttpResponse

from spoton import http
from spoton.http import ThreadedHttp

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/x/\u00fc",
    "query_string": b"a=1",
    "headers": [(b"host", b"localhost"), (b"x-twice", b"1"), (b"x-twice", b"2")],
    "client": ("10.0.0.1", 4321),
    "server": ("localhost", 80),
}


async def ask(application, *parts, scope=SCOPE, gone=False):
    """Give the messages that an application sends for a request with a body in parts."""
    sent = []
    messages = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ] or [{"type": "http.request"}]
    if gone:
        messages[-1] = {"type": "http.disconnect"}
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    async def send(message):
        sent.append(message)

    await ThreadedHttp(application, threads=1)(scope, receive, send)
    return sent


def django_like(response):
    def application(environ, start_response):
        start_response(f"{response.status_code} X", list(response.items()))
        return response

    return application


async def test_request_arrives_whole_in_a_lasting_thread():
    seen = []

    def application(environ, start_response):
        seen.append((environ, environ["wsgi.input"].read(), threading.current_thread()))
        start_response("201 Created", [("Content-Type", "text/plain"), ("X-One", "1")])
        return HttpResponse(b"done")

    start, body = await ask(application, b"ab", b"cd")
    assert start == {
        "type": "http.response.start",
        "status": 201,
        "headers": [(b"content-type", b"text/plain"), (b"x-one", b"1")],
    }
    assert body == {"type": "http.response.body", "body": b"done", "more_body": False}
    ((environ, read, thread),) = seen
    assert read == b"abcd"
    assert (environ["REQUEST_METHOD"], environ["QUERY_STRING"], environ["REMOTE_ADDR"]) == (
        "POST",
        "a=1",
        "10.0.0.1",
    )
    assert environ["HTTP_X_TWICE"] == "1,2"
    assert environ["PATH_INFO"].encode("latin1").decode() == "/x/\u00fc"
    assert thread is not threading.main_thread()


async def test_stream_is_sent_part_by_part_and_closed():
    closed = []
    response: Any = StreamingHttpResponse(iter([b"a", b"b", b"c"]))
    response._resource_closers.append(lambda: closed.append(True))
    _start, *bodies = await ask(django_like(response))
    assert [(b["body"], b.get("more_body", False)) for b in bodies] == [
        (b"a", True),
        (b"b", True),
        (b"c", True),
        (b"", False),
    ]
    assert closed == [True]


async def test_empty_stream_ends():
    _, *bodies = await ask(django_like(StreamingHttpResponse(iter([]))))
    assert b"".join(body["body"] for body in bodies) == b""
    assert bodies[-1].get("more_body", False) is False


async def test_body_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(http, "LONGEST_BODY_BYTES", 3)
    start, body = await ask(django_like(HttpResponse()), b"ab", b"cd")
    assert (start["status"], body["body"]) == (413, b"The request is too large.\n")


async def test_client_that_goes_is_not_answered():
    assert await ask(django_like(HttpResponse()), b"ab", b"cd", gone=True) == []


async def test_too_many_headers_of_a_name_are_refused():
    scope = SCOPE | {"headers": [(b"x", b"1")] * 200}
    start, _ = await ask(django_like(HttpResponse()), scope=scope)
    assert start["status"] == 400


@pytest.mark.django_db(transaction=True)
async def test_pages_are_served():
    scope = SCOPE | {"method": "GET", "path": "/healthz"}
    start, body = await ask(get_wsgi_application(), scope=scope)
    assert (start["status"], body["body"]) == (200, b"ok\n")
