"""The address of the mail server."""

import pytest

from spoton.mail_server import MailServer, mail_server

SMTP = "django.core.mail.backends.smtp.EmailBackend"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", MailServer()),
        ("smtp://mail", MailServer(SMTP, "mail", 25)),
        ("smtp+tls://u%40x:p%2F@mail", MailServer(SMTP, "mail", 587, "u@x", "p/", starttls=True)),
        ("smtps://u:p@[::1]:4650", MailServer(SMTP, "::1", 4650, "u", "p", tls=True)),
    ],
)
def test_address_names_server_user_and_encryption(url, expected):
    assert mail_server(url) == expected


@pytest.mark.parametrize(
    "url",
    ["mail.example.org", "http://mail", "smtp://", "smtp+tls://user:secret@", "smtps://user:secret@host:0x1"],
)
def test_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match=r"smtp\+tls://USER:PASSWORD@HOST") as caught:
        mail_server(url)
    assert "secret" not in str(caught.value)
