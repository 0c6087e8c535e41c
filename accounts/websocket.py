"""Who opens a WebSocket: by an access token among the subprotocols, or by the session cookie of a page of ours.

Both give the scope a ``whoami``, which looks up afresh who that is: logins, accounts and grants end while connections
last. A token is no cookie: no other site's page can make a browser send one, so that its Origin says nothing.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module
from typing import Any

from channels.auth import get_user
from channels.db import database_sync_to_async
from channels.security.websocket import AllowedHostsOriginValidator
from channels.sessions import SessionMiddlewareStack
from django.conf import settings
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError

from accounts.models import User
from accounts.selectors import login_user
from accounts.tokens import AccessToken, token_read

TOKEN_START = "jwt."  # noqa: S105 - what comes before one

Application = Callable[[Any, Any, Any], Awaitable[None]]
WhoAmI = Callable[[], Awaitable[User | None]]


class AccessMiddleware:
    """Tells a consumer who it serves; turns away pages of other sites that come with a cookie."""

    def __init__(self, inner: Application) -> None:
        self._inner = inner
        self._by_session = AllowedHostsOriginValidator(SessionMiddlewareStack(self._with_session))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a connection."""
        token = next((name for name in scope["subprotocols"] if name.startswith(TOKEN_START)), None)
        if token is None:
            await self._by_session(scope, receive, send)
            return
        whoami = partial(token_user, token.removeprefix(TOKEN_START))
        await self._inner(scope | {"whoami": whoami}, receive, send)

    async def _with_session(self, scope: Any, receive: Any, send: Any) -> None:
        whoami = partial(session_user, scope["session"].session_key)
        await self._inner(scope | {"whoami": whoami}, receive, send)


async def session_user(session_key: str | None) -> User | None:
    """Give whose session it is; None for nobody's."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    user = await get_user({"session": store(session_key)})
    return user if isinstance(user, User) else None


@database_sync_to_async
def token_user(text: str) -> User | None:
    """Give whose access token it is; None when it is forged, or it or its login has ended."""
    try:
        token = token_read(AccessToken, text)
    except TokenError:
        return None
    return login_user(login_id=token.login_id, now=timezone.now())
