"""What may stand in a rule and in the address of a webhook."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from environments.addresses import AddressForbidden, webhook_host_check
from tracking.choices import EventKind
from tracking.notifications.choices import Day

MAX_EMAILS = 20


def validate_kinds(kinds: Any) -> None:
    """Check that a rule names kinds of events, each once.

    Raises:
        ValidationError: none, unknown ones, or one twice.
    """
    _validate_listed(kinds, EventKind.values, _("Choose at least one thing that can happen."))


def validate_days(days: Any) -> None:
    """Check that a rule names days of the week, each once.

    Raises:
        ValidationError: none, unknown ones, or one twice.
    """
    _validate_listed(days, Day.values, _("Choose at least one day."))


def _validate_listed(values: Any, known: Sequence[str], nothing: Any) -> None:
    if not isinstance(values, list) or not values:
        raise ValidationError(nothing)
    if any(value not in known for value in values) or len(set(values)) < len(values):
        raise ValidationError(
            _("Give each of these once at most: %(known)s."), params={"known": ", ".join(known)}
        )


def validate_emails(emails: Any) -> None:
    """Check a list of e-mail addresses.

    Raises:
        ValidationError: one that is none, one twice, or too many.
    """
    if not isinstance(emails, list) or not all(isinstance(email, str) for email in emails):
        raise ValidationError(_("Give a list of e-mail addresses."))
    if len(emails) > MAX_EMAILS:
        raise ValidationError(_("Give %(count)d addresses at most."), params={"count": MAX_EMAILS})
    for email in emails:
        try:
            validate_email(email)
        except ValidationError as error:
            raise ValidationError(
                _("“%(email)s” is no e-mail address."), params={"email": email[:100]}
            ) from error
    if len({email.lower() for email in emails}) < len(emails):
        raise ValidationError(_("Give each address once."))


def validate_webhook_url(url: str) -> None:
    """Check that an address can be a webhook: HTTP, a host, and none that nobody may make this machine talk to.

    Raises:
        ValidationError: it is none.
    """
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise ValidationError(_("This address cannot be read: check its brackets and port.")) from error
    if parts.scheme not in ("http", "https") or not host:
        raise ValidationError(_("Begin the address with https:// or http:// and a host."))
    if not url.isascii() or any(c <= " " or c == "\x7f" for c in url):
        raise ValidationError(_("Write the address without spaces, in ASCII (as browsers copy it)."))
    try:
        webhook_host_check(host, networks=settings.SPOTON_WEBHOOK_NETWORKS)
    except AddressForbidden as error:
        raise ValidationError(str(error)) from error
