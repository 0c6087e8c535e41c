"""The connection of who oversees the system: how everything is doing, as it changes."""

import asyncio
import logging
from secrets import token_hex
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.models import User
from environments.selectors import environments_visible_to
from tracking import live, selectors, status_messages
from tracking.connections import OUTAGES, shared
from tracking.live import CloseCode

logger = logging.getLogger(__name__)

NEEDED = "tracking.change_trackingsession"


class SystemConsumer(AsyncWebsocketConsumer):
    """Tells an Operator how their environments are doing, and an Admin how all are."""

    tick_s = 1.0
    ticks_per_check = 3  # access that was withdrawn ends within five seconds
    ticks_at_most = 4  # without a message

    is_over = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the connection; when Redis or the database is away, say so by a close code."""
        self.scope, self.base_send = scope, send
        self.name = token_hex(8)
        await receive()  # the first event is that somebody connects
        subprotocol = live.SUBPROTOCOL if live.SUBPROTOCOL in scope["subprotocols"] else None
        # accepted before anything is checked, so that a browser learns the close code
        await self.accept(subprotocol)
        try:
            admitted = await _admit(await scope["whoami"]()) if subprotocol else CloseCode.MALFORMED
            if isinstance(admitted, CloseCode):
                await self._end(admitted)
            else:
                await self._serve(receive, admitted)
        except* OUTAGES as errors:
            logger.warning("system view ended: %s", errors.exceptions)
            await self._end(CloseCode.UNAVAILABLE)

    async def _serve(self, receive: Any, user: User) -> None:
        """Tell and listen side by side until the client is gone or one of them fails."""
        if not await shared().connection_open(user, self.name):
            await self._end(CloseCode.TOO_MANY)
            return
        try:
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell(user))
                while (await receive())["type"] != "websocket.disconnect":
                    await self._end(CloseCode.MALFORMED)  # there is nothing that a client could say
                telling.cancel()
        finally:
            await shared().connection_forget(user, self.name)

    async def _tell(self, user: User) -> None:
        """Tell what changed at once, figures every few seconds, until access ends."""
        known, silent, ticks = None, 0, 0
        while not self.is_over:
            report = await _report(user)
            states = [report["sessions"], [(c["id"], c["state"], c["message"]) for c in report["cameras"]]]
            silent += 1
            if states != known or silent >= self.ticks_at_most:
                await self.send(status_messages.system_status(at=timezone.now(), **report))
                known, silent = states, 0
            await asyncio.sleep(self.tick_s)
            ticks += 1
            if ticks % self.ticks_per_check == 0:
                await self._check(user)

    async def _check(self, user: User) -> None:
        """Look up whether access holds; count this connection again."""
        admitted = await _admit(await self.scope["whoami"]())
        if isinstance(admitted, CloseCode):
            await self._end(admitted)
        else:
            await shared().connection_count(user, self.name)

    async def _end(self, code: CloseCode) -> None:
        if not self.is_over:
            self.is_over = True
            await self.close(code.value)  # daphne takes plain integers only


@database_sync_to_async
def _admit(user: User | None) -> User | CloseCode:
    """Give the user, or why they may not oversee anything."""
    if user is None or not user.is_active:
        return CloseCode.UNAUTHENTICATED
    return user if user.has_perm(NEEDED) else CloseCode.FORBIDDEN


@database_sync_to_async
def _report(user: User) -> dict[str, Any]:
    visible = environments_visible_to(user=user).order_by("name", "pk")
    return selectors.system_report(environments=visible, now=timezone.now())
