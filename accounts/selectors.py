"""What others ask of users, logins and keys."""

import uuid
from datetime import datetime
from hashlib import sha256
from secrets import compare_digest
from typing import Any, cast

from django.db import connection
from django.db.models import Q
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.models import ApiKey, Login, User

KEY_START = "spoton_"
PREFIX_LENGTH = 8


def user_find(*, username: str) -> User | None:
    """Give the user of a name, or None."""
    return User.objects.filter(username=username).first()


def password_stamp(*, user: User) -> str:
    """Give what changes with the user's password, and tells nothing of it."""
    return salted_hmac("accounts.password_stamp", user.password, algorithm="sha256").hexdigest()


def login_user(*, login_id: str, now: datetime) -> User | None:
    """Give whose login it is; None where it, the account or the password that opened it has ended."""
    try:
        key = uuid.UUID(login_id)
    except ValueError:
        return None
    # written out, since every request with a token asks it: building the query takes a millisecond, asking it .2
    of_login = (
        f"SELECT u.*, l.password_stamp AS login_stamp FROM {Login._meta.db_table} l "  # noqa: S608 - names of ours
        f"JOIN {User._meta.db_table} u ON u.id = l.user_id WHERE l.id = %s AND l.expires_at > %s AND u.is_active"
    )
    values = [
        Login._meta.get_field("id").get_db_prep_value(key, connection),
        connection.ops.adapt_datetimefield_value(now),
    ]
    found: list[Any] = list(User.objects.raw(of_login, values))
    if not found or not constant_time_compare(found[0].login_stamp, password_stamp(user=found[0])):
        return None
    return cast(User, found[0])


def api_key_find(*, text: str, now: datetime) -> ApiKey | None:
    """Give the key that a machine shows; None where it is wrong, over, or its user's account is closed."""
    prefix, _, _secret = text.removeprefix(KEY_START).partition("_")
    if not text.startswith(KEY_START) or len(prefix) != PREFIX_LENGTH or "\0" in prefix:
        return None
    lasting = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    key = ApiKey.objects.select_related("user").filter(lasting, prefix=prefix, user__is_active=True).first()
    if key is None or not compare_digest(key.digest, api_key_digest(text)):
        return None
    return key


def api_key_digest(text: str) -> str:
    """Hash a key: 256 random bits need no slow hash."""
    return sha256(text.encode()).hexdigest()
