"""The web process: daphne, which also offers each WebSocket's own line. ``python -m spoton.web`` takes daphne's arguments.

Sending by ASGI takes a dozen calls a message, each time for each viewer, most of them to put the same bytes together
anew. Whoever sends one message to many may write bytes that are ready (see ``tracking/outlets.py``), and asks how many
of them the network has not taken yet.
"""

import logging
import resource
import socket
from typing import Any

from autobahn.websocket.protocol import WebSocketProtocol as Autobahn
from daphne.cli import CommandLineInterface
from daphne.server import Server
from daphne.ws_protocol import WebSocketProtocol

from tracking.outlets import LINE

logger = logging.getLogger(__name__)

# what the kernel may hold that it has not sent: without a bound it holds megabytes, and nobody learns that a line is slow
UNSENT_BYTES = 32_768


class DaphneLine:
    """A WebSocket's connection."""

    def __init__(self, protocol: WebSocketProtocol) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        protocol.failByDrop = False  # who sends too much, or no WebSocket at all, is told so by a close code
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            handle = self._transport.getHandle()
            if handle.family in (socket.AF_INET, socket.AF_INET6):
                handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def write(self, wire: bytes) -> None:
        """Write bytes of whole WebSocket messages; nothing once the connection is ending."""
        if self._protocol.state == Autobahn.STATE_OPEN:
            self._transport.write(wire)

    @property
    def waiting_bytes(self) -> int:
        """Give what the kernel has not taken yet."""
        transport = self._transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)


class WebServer(Server):
    """Daphne's server, whose WebSockets have lines."""

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """Serve a connection; a WebSocket's scope holds its line."""
        if scope["type"] == "websocket" and hasattr(protocol.transport, "_tempDataLen"):
            scope["extensions"] = {LINE: DaphneLine(protocol)}
        return super().create_application(protocol, scope)


class CommandLine(CommandLineInterface):
    """Daphne's command line."""

    server_class = WebServer


def files_allow() -> None:
    """Allow this process as many open files, and so connections, as it may have; often it begins with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # macOS refuses "unlimited"
        logger.info("the limit of open files stays: %s", error)


if __name__ == "__main__":
    files_allow()
    CommandLine.entrypoint()
