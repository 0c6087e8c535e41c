"""Messages on their way out of this machine: plain values in, an outcome in words out; nothing here asks the database.

A webhook gets a POST with a JSON body, signed: ``X-SpotOn-Signature: t=<unix time>,v1=<hex>``, where the hexadecimal
digits are HMAC-SHA256 of ``<unix time>.<body>`` under the webhook's secret. ``X-SpotOn-Delivery`` is the same whenever a
message is tried again.

Source: the scheme is that of https://docs.stripe.com/webhooks#verify-manually (timestamp and body signed together).
"""

import hmac
import http.client
import smtplib
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from importlib.metadata import version
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils.translation import gettext as _

from environments.addresses import AddressForbidden, webhook_addresses

WEBHOOK_TIMEOUT_S = 10.0  # for all of it, however slowly it trickles
TRY_AGAIN = (408, 425, 429)  # and all from 500


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt.

    Attributes:
        words: for people.
        is_delivered: it arrived.
        is_final: trying again would not help.
        wait_s: for how long the receiver asks to be left alone.
    """

    words: str
    is_delivered: bool = False
    is_final: bool = False
    wait_s: float = 0.0


def signature(*, secret: str, body: bytes, at_s: int) -> str:
    """Sign a body at a time, seconds since 1970."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def webhook_post(*, url: str, secret: str, body: bytes, delivery_id: str, now: datetime) -> Outcome:
    """Send a body to a webhook, once; redirects are not followed."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"SpotOn/{version('spoton')}",
        "X-SpotOn-Delivery": delivery_id,
        "X-SpotOn-Signature": signature(secret=secret, body=body, at_s=int(now.timestamp())),
        "Connection": "close",
    }
    parts = urlsplit(url)
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(credentials).decode()}"
    began_s = time.monotonic()
    try:
        status, wait_s = _exchange(url, headers, body, now)
    except AddressForbidden as error:
        return Outcome(str(error), is_final=True)
    except TimeoutError:
        return Outcome(_("No answer within %(seconds)d s.") % {"seconds": WEBHOOK_TIMEOUT_S})
    except (OSError, http.client.HTTPException, ValueError) as error:
        if time.monotonic() - began_s >= WEBHOOK_TIMEOUT_S:  # its connection was ended
            return Outcome(_("No answer within %(seconds)d s.") % {"seconds": WEBHOOK_TIMEOUT_S})
        return Outcome(_("It cannot be reached: %(error)s.") % {"error": _reason(error)})
    return _judged(status, wait_s, took_ms=(time.monotonic() - began_s) * 1e3)


def _judged(status: int, wait_s: float, *, took_ms: float) -> Outcome:
    if 200 <= status < 300:
        words = _("It answered %(status)d within %(ms)d ms.") % {"status": status, "ms": took_ms}
        return Outcome(words, is_delivered=True)
    if 300 <= status < 400:
        words = _("It answered %(status)d, a redirect, which is not followed: give the final address.")
        return Outcome(words % {"status": status}, is_final=True)
    words = _("It answered %(status)d (%(reason)s).") % {
        "status": status,
        "reason": http.client.responses.get(status, "?"),
    }
    return Outcome(words, is_final=status < 500 and status not in TRY_AGAIN, wait_s=wait_s)


def _exchange(url: str, headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[int, float]:
    """Connect to a checked address and to no other, ask, and give status and wish for a pause."""
    parts = urlsplit(url)
    host = str(parts.hostname)
    addresses = webhook_addresses(host, networks=settings.SPOTON_WEBHOOK_NETWORKS)
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    with _Deadline(WEBHOOK_TIMEOUT_S) as deadline:
        connection = http.client.HTTPConnection(host, port)
        connection.sock = _connect(addresses, port, host if is_tls else None, deadline)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Host": parts.netloc.rpartition("@")[2], **headers})
        with connection.getresponse() as response:  # nobody looks at its body, however long it is
            if deadline.is_over:
                raise TimeoutError  # what was read may be half of it
            return response.status, _wait_s(response.getheader("Retry-After"), now)


class _Deadline:
    """Ends a conversation at a time, however its other side dawdles: sockets know the time of one answer alone."""

    def __init__(self, seconds: float) -> None:
        self.until_s = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    @property
    def is_over(self) -> bool:
        """Say whether time is up."""
        return time.monotonic() >= self.until_s

    def left_s(self) -> float:
        """Give the time that is left, and a bit."""
        return max(self.until_s - time.monotonic(), 0.01)

    def watch(self, connected: socket.socket) -> socket.socket:
        """End this connection when time is up."""
        self._socket = connected
        return connected

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended by itself
                return


def _connect(addresses: Sequence[str], port: int, tls_name: str | None, deadline: _Deadline) -> socket.socket:
    """Connect to the first address that answers.

    Raises:
        OSError: none does.
    """
    error: OSError = OSError("no address")
    for address in addresses:
        try:
            connected = socket.create_connection((address, port), timeout=deadline.left_s())
            break
        except OSError as caught:
            error = caught
    else:
        raise error
    connected.settimeout(deadline.left_s())
    deadline.watch(connected)
    if tls_name is None:
        return connected
    return deadline.watch(ssl.create_default_context().wrap_socket(connected, server_hostname=tls_name))


def _wait_s(text: str | None, now: datetime) -> float:
    """Read Retry-After: seconds, or a date.

    Source: RFC 9110, section 10.2.3.
    """
    if not text:
        return 0.0
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max((parsedate_to_datetime(text) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return 0.0


def mail_send(message: EmailMultiAlternatives) -> Outcome:
    """Send an e-mail by the server of the settings, once."""
    if not settings.EMAIL_HOST:
        return Outcome(_("There is no mail server: set EMAIL_URL."), is_final=True)
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        code, text = next(iter(error.recipients.values()))
        return _refused(code, text)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code, error.smtp_error)
    except (smtplib.SMTPException, OSError) as error:
        words = _("The mail server %(host)s cannot be reached: %(error)s.")
        return Outcome(words % {"host": settings.EMAIL_HOST, "error": _reason(error)})
    return Outcome(_("The mail server %(host)s took it.") % {"host": settings.EMAIL_HOST}, is_delivered=True)


def _refused(code: int, text: bytes | str) -> Outcome:
    """Judge a mail server's refusal: 5xx is for good, but for wrong credentials, which somebody may mend."""
    said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    words = _("The mail server refused: %(code)d %(text)s") % {"code": code, "text": " ".join(said.split())}
    return Outcome(words, is_final=500 <= code < 600 and code not in (530, 534, 535))


def _reason(error: Exception) -> str:
    """Say what went wrong, without what was sent."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())[:200]
