"""What changes users, logins and keys."""

import secrets
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db.models import Q
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import ApiKey, AuditAction, AuditEntry, Login, Role, User
from accounts.selectors import KEY_START, api_key_digest, login_user, password_stamp
from accounts.tokens import LOGIN_CLAIM, AccessToken, RefreshToken, SpotOnToken, TokenPair, token_read

USE_NOTED_EVERY = timedelta(minutes=1)


class LoginOver(Exception):  # noqa: N818 - a state of things, not a fault
    """A refresh token that gives nothing any more."""


def user_create(
    *,
    username: str,
    password: str,
    role: Role = Role.VIEWER,
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    is_active: bool = True,
) -> User:
    """Make a user; an Admin may use the admin pages.

    Raises:
        ValidationError: by field, the name is taken or malformed; or the password is too weak.
    """
    user = User(
        username=username,
        role=role,
        email=email,
        first_name=first_name,
        last_name=last_name,
        is_active=is_active,
        is_staff=role == Role.ADMIN,
    )
    user.set_password(password)
    user.full_clean()
    _password_check(password, user)
    user.save()
    return user


def user_update(*, user: User, password: str | None = None, **changes: Any) -> User:
    """Change what is given of a user; a new password ends the logins.

    Raises:
        ValidationError: as for user_create.
    """
    for name, value in changes.items():
        setattr(user, name, value)
    user.is_staff = user.is_superuser or user.role == Role.ADMIN
    if password is not None:
        _password_check(password, user)
        user.set_password(password)
    user.full_clean()
    user.save()
    if password is not None or not user.is_active:
        user.logins.all().delete()
    return user


def administrator_ensure(*, username: str, password: str) -> bool:
    """Make an Admin of this name with this password, or make the one that is there so; True for news.

    The password is not judged: whoever runs commands on the machine may choose any.
    """
    user = User.objects.filter(username=username).first() or User(username=username)
    if user.is_admin and user.is_staff and user.is_active and user.check_password(password):
        return False  # setting it again would end the user's logins
    user.role, user.is_staff, user.is_active = Role.ADMIN, True, True
    user.set_password(password)
    user.save()
    return True


def login_open(*, user: User, now: datetime) -> TokenPair:
    """Let a client in: give its first pair of tokens."""
    login = Login(user=user, password_stamp=password_stamp(user=user))
    pair = _pair(login, now)
    user.last_login = now
    user.save(update_fields=["last_login"])
    login.save(force_insert=True)
    return pair


def login_renew(*, refresh: str, now: datetime) -> TokenPair:
    """Give the next pair of tokens; the refresh token is worth nothing afterwards.

    One that comes a second time was stolen from its client or by it, so that the login ends.

    Raises:
        LoginOver: forged, expired, used already, or the login, account or password has ended.
    """
    try:
        token = token_read(RefreshToken, refresh)
    except TokenError as error:
        raise LoginOver(str(error)) from error
    user = login_user(login_id=token.login_id, now=now)
    if user is None:
        raise LoginOver("The login of this token has ended")
    login = Login(id=uuid.UUID(token.login_id), user=user)
    pair = _pair(login, now)
    # compare and set: of two that come with the same token one gets the next pair
    mine = Login.objects.filter(pk=login.pk, refresh_id=token["jti"])
    if not mine.update(refresh_id=login.refresh_id, expires_at=login.expires_at):
        login_end(login_id=token.login_id)
        raise LoginOver("This token was used before: the login has ended")
    return pair


def login_end(*, login_id: str) -> None:
    """End a login: its tokens are worth nothing from now on."""
    Login.objects.filter(pk=login_id).delete()


def refresh_end(*, refresh: str) -> bool:
    """End the login that a refresh token belongs to; False where the token is none."""
    try:
        token = token_read(RefreshToken, refresh)
    except TokenError:
        return False
    login_end(login_id=token.login_id)
    return True


def logins_expire(*, now: datetime) -> int:
    """Delete the logins that nobody renewed; give their number."""
    return Login.objects.filter(expires_at__lte=now).delete()[0]


def api_key_create(*, user: User, name: str, expires_at: datetime | None = None) -> tuple[ApiKey, str]:
    """Make a key for a machine; give it and its text, which cannot be read again."""
    prefix = secrets.token_hex(4)
    text = f"{KEY_START}{prefix}_{secrets.token_urlsafe(32)}"
    key = ApiKey(user=user, name=name, prefix=prefix, digest=api_key_digest(text), expires_at=expires_at)
    key.full_clean()
    key.save()
    return key, text


def api_key_use(*, key: ApiKey, now: datetime) -> None:
    """Note that a key was used, a minute's precision being enough."""
    unnoted = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    if key.last_used_at is None or key.last_used_at < now - USE_NOTED_EVERY:
        ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


def audit_write(
    *,
    actor: User | None,
    action: AuditAction,
    kind: str,
    now: datetime,
    object_id: str = "",
    name: str = "",
    environment: str = "",
    address: str = "",
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down who did what; longer names are cut."""
    AuditEntry.objects.create(
        at=now,
        actor_id=None if actor is None else actor.pk,
        actor="" if actor is None else actor.get_username(),
        action=action,
        kind=kind,
        object_id=_storable(object_id[:64]),
        name=_storable(name[:200]),
        environment=_storable(environment[:50]),
        address=_storable(address[:45]),
        detail=_storable(dict(detail or {})),
    )


def _storable(value: Any) -> Any:
    """Give texts that every database takes, for what strangers sent: without NUL and halves of characters."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_storable(key): _storable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_storable(entry) for entry in value]
    return value


def _password_check(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise ValidationError({"password": error.messages}) from error


def _pair(login: Login, now: datetime) -> TokenPair:
    """Sign a pair for a login, and note in it the refresh token and how long it lasts."""
    refresh, access = RefreshToken(), AccessToken()
    for token in (refresh, access):
        _name(token, login)
    login.refresh_id = refresh["jti"]
    login.expires_at = now + RefreshToken.lifetime
    return TokenPair(access=str(access), refresh=str(refresh))


def _name(token: SpotOnToken, login: Login) -> None:
    token["sub"] = str(login.user.pk)
    token[LOGIN_CLAIM] = str(login.pk)
