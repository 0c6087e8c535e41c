"""Which server e-mails go out by: read from one address, as the database's is."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

PORTS = {"smtp": 25, "smtp+tls": 587, "smtps": 465}
BACKENDS = "django.core.mail.backends"


@dataclass(frozen=True, slots=True)
class MailServer:
    """A server for e-mails.

    Attributes:
        backend: of Django; the one that drops everything where there is no server.
        starttls: the connection is encrypted once it stands.
        tls: it is encrypted from the beginning.
    """

    backend: str = f"{BACKENDS}.dummy.EmailBackend"
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    starttls: bool = False
    tls: bool = False


def mail_server(url: str) -> MailServer:
    """Read the address of a mail server: ``smtp+tls://user:password@host:port``; empty for none.

    Raises:
        ValueError: it is none; the message holds no password.
    """
    if not url:
        return MailServer()
    parts = urlsplit(url)
    if parts.scheme not in PORTS:
        raise ValueError(
            "use smtp+tls://USER:PASSWORD@HOST (STARTTLS, port 587), smtps://... (TLS, 465) or smtp://... (plain, 25)"
        )
    try:
        port = parts.port or PORTS[parts.scheme]
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise ValueError("name the host, and its port as a number: smtp+tls://USER:PASSWORD@HOST:587")
    return MailServer(
        backend=f"{BACKENDS}.smtp.EmailBackend",
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+tls",
        tls=parts.scheme == "smtps",
    )
