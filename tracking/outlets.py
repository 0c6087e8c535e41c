"""The ways out of the process to one client: nobody waits in them for a client that does not read."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from tracking.outgoing import Outgoing

LINE = "spoton.line"  # the ASGI extension by which a server offers its connection's line, see spoton/web.py
FULL_BYTES = (
    65_536  # so much waits in this process: a client that does not read, or not as fast as it is told
)


class Line(Protocol):
    """A client's connection, as a server that is one of ours offers it."""

    def write(self, wire: bytes) -> None:
        """Write ready-made bytes of a WebSocket; never waits, and does nothing once the connection is gone."""
        ...

    @property
    def waiting_bytes(self) -> int:
        """Give what the network has not taken yet."""
        ...


class Outlet(Protocol):
    """What takes messages to one client."""

    def put(self, message: Outgoing) -> None:
        """Send a message, or let it wait."""
        ...

    @property
    def is_full(self) -> bool:
        """Say whether so much waits that nothing should be added that grows stale."""
        ...

    async def run(self) -> None:
        """Do what is to be done as long as the connection lasts."""
        ...


class LineOutlet:
    """Writes to the connection itself: one call a message, and its bytes are shared by all who get it."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def put(self, message: Outgoing) -> None:
        """Write a message."""
        self._line.write(message.wire)

    @property
    def is_full(self) -> bool:
        """Say whether the client does not keep up reading."""
        return self._line.waiting_bytes > FULL_BYTES

    async def run(self) -> None:
        """Leave it to the server."""
        await asyncio.Event().wait()


class AsgiOutlet:
    """Sends as any ASGI server understands it, on a task of its own."""

    def __init__(self, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[Outgoing] = deque()
        self._waiting_bytes = 0
        self._wake = asyncio.Event()

    def put(self, message: Outgoing) -> None:
        """Let a message wait for its turn."""
        self._waiting.append(message)
        self._waiting_bytes += len(message.payload)
        self._wake.set()

    @property
    def is_full(self) -> bool:
        """Say whether the server takes less than there is to send."""
        return self._waiting_bytes > FULL_BYTES

    async def run(self) -> None:
        """Send what waits, in order."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                payload = self._waiting[0].payload
                kind = "text" if isinstance(payload, str) else "bytes"
                await self._send({"type": "websocket.send", kind: payload})
                self._waiting.popleft()
                self._waiting_bytes -= len(payload)


def outlet_of(scope: Mapping[str, Any], send: Callable[[dict[str, Any]], Awaitable[None]]) -> Outlet:
    """Give the shortest way out that the server offers."""
    line = scope.get("extensions", {}).get(LINE)
    return AsgiOutlet(send) if line is None else LineOutlet(line)
