"""What leaves this machine, and what is made of the answers: real servers, good ones and bad ones."""

import hmac
import json
import socket
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_network

import pytest
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives

from tests.tracking.notifications.receivers import answer_with
from tracking.notifications import sending
from tracking.notifications.sending import Outcome, mail_send, signature, webhook_post
from tracking.notifications.validators import validate_webhook_url

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
BODY = b'{"text": "Person 7 entered Hall"}'


def post(url, body=BODY):
    return webhook_post(url=url, secret="whsec_1", body=body, delivery_id="d1", now=NOW)


def is_genuine(secret, header, body, now_s, tolerance_s=300):
    """Verify a signature as the documentation tells receivers to."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret.encode(), fields["t"].encode() + b"." + body, "sha256").hexdigest()
    is_fresh = abs(now_s - int(fields["t"])) <= tolerance_s
    return is_fresh and hmac.compare_digest(expected, fields["v1"])


# --- webhooks ---


def test_webhook_gets_the_body_signed(hooks):
    outcome = post(hooks.url)
    assert outcome.is_delivered, outcome
    assert outcome.words.startswith("It answered 204 within ")
    (got,) = hooks.received
    assert (got.path, got.body) == ("/alarm?key=1", BODY)
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["X-SpotOn-Delivery"] == "d1"
    assert got.headers["Host"] == f"127.0.0.1:{hooks.port}"
    header = got.headers["X-SpotOn-Signature"]
    assert is_genuine("whsec_1", header, got.body, NOW.timestamp())
    assert not is_genuine("whsec_2", header, got.body, NOW.timestamp())
    assert not is_genuine("whsec_1", header, got.body + b" ", NOW.timestamp())
    assert not is_genuine("whsec_1", header, got.body, NOW.timestamp() + 301)


def test_signature_is_what_openssl_makes():
    # printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec_1
    expected = "c8cf6ed9fd9120874a1792902ffdf5b69559118b76d10974da8a20cf21f94bc5"
    assert signature(secret="whsec_1", body=b"{}", at_s=1_700_000_000) == f"t=1700000000,v1={expected}"


def test_user_and_password_of_an_address_are_sent_as_such(hooks):
    post(hooks.url.replace("127.0.0.1", "user:p%40ss@127.0.0.1"))
    (got,) = hooks.received
    assert got.headers["Authorization"] == "Basic dXNlcjpwQHNz"
    assert got.headers["Host"] == f"127.0.0.1:{hooks.port}"


@pytest.mark.parametrize(
    ("status", "is_final"),
    [(500, False), (503, False), (429, False), (408, False), (400, True), (404, True), (410, True)],
)
def test_refusal_is_for_good_or_for_now(hooks, status, is_final):
    hooks.answer = lambda handler: answer_with(handler, status)
    outcome = post(hooks.url)
    assert (outcome.is_delivered, outcome.is_final, outcome.wait_s) == (False, is_final, 0.0)
    assert f"It answered {status} (" in outcome.words


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("7", 7.0),
        ("Mon, 04 May 2026 12:02:00 GMT", 120.0),
        ("Mon, 04 May 2026 11:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
    ],
)
def test_wish_for_a_pause_is_heard(hooks, text, wait_s):
    hooks.answer = lambda handler: answer_with(handler, 429, Retry_After=text)
    assert post(hooks.url).wait_s == wait_s


def test_redirect_is_not_followed(hooks):
    hooks.answer = lambda handler: answer_with(handler, 302, Location=hooks.url)
    outcome = post(hooks.url)
    assert (outcome.is_delivered, outcome.is_final) == (False, True)
    assert "302, a redirect, which is not followed" in outcome.words
    assert len(hooks.received) == 1


def test_huge_answer_is_not_read(hooks):
    sent = []

    def pour(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(10**12))
        handler.end_headers()
        for _ in range(100_000):
            handler.wfile.write(b"x" * 65_536)
            sent.append(65_536)

    hooks.answer = pour
    began = time.monotonic()
    assert post(hooks.url).is_delivered
    assert time.monotonic() - began < 5
    assert sum(sent) < 100_000 * 65_536


@contextmanager
def raw_server(answer):
    """Run a server that does what it is told with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        is_over = threading.Event()

        def serve():
            while not is_over.is_set():
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(5)
                    try:
                        answer(connection, is_over)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            is_over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def _silent(connection, is_over):
    is_over.wait(20)


def _drip(connection, is_over):
    connection.sendall(b"HTTP/1.1 200 O")
    while not is_over.wait(0.05):
        connection.sendall(b"x")


def _nonsense(connection, is_over):
    connection.sendall(b"220 mail.example.com ESMTP\r\n")


def _hang_up(connection, is_over):
    connection.recv(1)


def _endless_headers(connection, is_over):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not is_over.is_set():
        connection.sendall(b"X-More: 1\r\n" * 100)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_silent, "answer within"),
        (_drip, "answer within"),
        (_nonsense, "It cannot be reached"),
        (_hang_up, "It cannot be reached"),
        (_endless_headers, "It cannot be reached"),
    ],
)
def test_server_that_dawdles_or_babbles_is_left_in_time(settings, monkeypatch, answer, words):
    settings.SPOTON_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    monkeypatch.setattr(sending, "WEBHOOK_TIMEOUT_S", 1.0)
    with raw_server(answer) as url:
        began = time.monotonic()
        outcome = post(url)
        assert time.monotonic() - began < 4
    assert words in outcome.words
    assert (outcome.is_delivered, outcome.is_final) == (False, False)


def test_nobody_at_home_is_tried_again(settings):
    settings.SPOTON_WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    outcome = post(f"http://127.0.0.1:{port}/")
    assert outcome == Outcome("It cannot be reached: Connection refused.")
    unknown = post("http://no-such-host.invalid/")
    assert unknown.words.startswith("It cannot be reached: ")
    assert not unknown.is_final


def test_server_without_a_certificate_that_is_good_is_not_told(hooks):
    outcome = post(hooks.url.replace("http://", "https://"))
    assert outcome.words.startswith("It cannot be reached: ")
    assert hooks.received == []


# --- where webhooks may be ---

NOWHERE = [
    "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://100.100.100.200/",
    "http://0.0.0.0/",
    "http://127.0.0.1:6379/",
    "http://0x7f000001/",
    "http://[::1]/",
]


@pytest.mark.parametrize("url", NOWHERE)
def test_addresses_that_nobody_should_ask_are_refused_when_typed_and_when_called(url):
    with pytest.raises(ValidationError, match="SPOTON_WEBHOOK_NETWORKS"):
        validate_webhook_url(url)
    outcome = post(url)
    assert (outcome.is_delivered, outcome.is_final) == (False, True)
    assert "is not where webhooks may be (SPOTON_WEBHOOK_NETWORKS)" in outcome.words


def test_name_that_leads_to_this_machine_is_refused_when_called(hooks, settings):
    settings.SPOTON_WEBHOOK_NETWORKS = []
    url = f"http://localhost:{hooks.port}/"
    validate_webhook_url(url)  # nobody knows yet where it leads
    assert post(url).is_final
    settings.SPOTON_WEBHOOK_NETWORKS = [ip_network("10.0.0.0/8")]
    assert post(url).is_final
    assert hooks.received == []


def test_name_is_looked_up_once_and_what_was_checked_is_called(hooks, monkeypatch):
    asked, look_up = [], socket.getaddrinfo

    def getaddrinfo(host, *rest, **options):
        if host[0].isdigit():
            return look_up(host, *rest, **options)
        asked.append(host)
        # a moment later the name leads elsewhere
        return look_up("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert post(f"http://rebinding.example:{hooks.port}/").is_delivered
    assert asked == ["rebinding.example"]
    assert hooks.received[0].headers["Host"] == f"rebinding.example:{hooks.port}"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "https://",
        "example.com/hook",
        "http://exa mple.com/",
        "http://[::1",
        "http://h:port/",
        "http://ex\u00e4mple.com/",
        "https://example.com/a\nb",
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused(url):
    with pytest.raises(ValidationError):
        validate_webhook_url(url)


# --- e-mail ---


def letter(to="guard@example.com"):
    message = EmailMultiAlternatives("Warning: Person 7 entered Hall", "plain", "spoton@example.com", [to])
    message.attach_alternative("<p>page</p>", "text/html")
    return message


def test_mail_is_taken_by_the_server(letters):
    outcome = mail_send(letter())
    assert outcome == Outcome("The mail server 127.0.0.1 took it.", is_delivered=True)
    (got,) = letters.received
    assert (got["To"], got["Subject"]) == ("guard@example.com", "Warning: Person 7 entered Hall")
    assert {part.get_content_type() for part in got.iter_parts()} == {"text/plain", "text/html"}


@pytest.mark.parametrize(
    ("answer", "is_final"),
    [("550 no such user here", True), ("451 come back later", False), ("452 full", False)],
)
def test_mail_that_is_refused_is_given_up_or_tried_again(letters, answer, is_final):
    letters.refuse["guard@example.com"] = answer
    outcome = mail_send(letter())
    assert outcome == Outcome(f"The mail server refused: {answer}", is_final=is_final)
    assert mail_send(letter("other@example.com")).is_delivered


def test_mail_without_a_server_is_given_up_and_says_so(settings):
    settings.EMAIL_HOST = ""
    assert mail_send(letter()) == Outcome("There is no mail server: set EMAIL_URL.", is_final=True)


def test_mail_server_that_is_away_is_tried_again(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", closed.getsockname()[1]
    outcome = mail_send(letter())
    assert outcome == Outcome("The mail server 127.0.0.1 cannot be reached: Connection refused.")


def test_body_is_what_a_receiver_reads(hooks):
    post(hooks.url, json.dumps({"text": "Größe"}, ensure_ascii=False).encode())
    assert hooks.received[0].json == {"text": "Größe"}
