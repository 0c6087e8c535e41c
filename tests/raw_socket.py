"""A WebSocket client that knows no more than it takes: cheap enough for hundreds, and blunt enough to misbehave."""

import base64
import json
import os
import socket
import struct
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.cookiejar import CookieJar
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
READ_BYTES = 1 << 20
SUBPROTOCOL = "spoton.v1"


class RawSocket:
    """One connection; after the handshake it does not block.

    Attributes:
        code: by which the server closed it; None while it is open, 0 where it just ended.
        received_bytes: all that came.
    """

    def __init__(
        self, port: int, path: str, *, cookie: str = "", subprotocols: Sequence[str] = (SUBPROTOCOL,)
    ) -> None:
        """Connect.

        Raises:
            ConnectionError: it was refused.
        """
        self.code: int | None = None
        self.received_bytes = 0
        self._buffer = bytearray()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1:{port}\r\n"
                f"Sec-WebSocket-Protocol: {', '.join(subprotocols)}\r\nCookie: {cookie}\r\n\r\n"
            ).encode()
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError(f"the handshake ended: {head!r}")
            head += byte
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(f"no WebSocket: {head!r}")
        self.socket.setblocking(False)

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message as JSON text."""
        self.send(TEXT, json.dumps(message, separators=(",", ":")).encode())

    def send(self, opcode: int, payload: bytes) -> None:
        """Send a message of one piece."""
        # the mask is zero, which leaves the payload as it is: a client must mask, and need not be clever about it
        length = len(payload)
        if length < 126:
            head = struct.pack(">BB", 128 | opcode, 128 | length)
        elif length < 1 << 16:
            head = struct.pack(">BBH", 128 | opcode, 254, length)
        else:
            head = struct.pack(">BBQ", 128 | opcode, 255, length)
        self.socket.sendall(head + b"\0\0\0\0" + payload)

    def read(self, most: int = READ_BYTES) -> Iterator[tuple[int, bytes]]:
        """Take in what has come; give whole messages as opcode and payload, and answer pings."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.code = self.code or 0
            return
        self.received_bytes += len(data)
        self._buffer += data
        while (bounds := self._bounds()) is not None:
            opcode, payload = self._buffer[0] & 15, bytes(self._buffer[bounds[0] : bounds[1]])
            del self._buffer[: bounds[1]]
            if opcode == PING:
                self.send(PONG, payload)
            elif opcode == CLOSE:
                self.code = int.from_bytes(payload[:2], "big")
            else:
                yield opcode, payload

    def _bounds(self) -> tuple[int, int] | None:
        """Say where the payload of the first message begins and ends; None while it is not all there."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        length, begin = buffer[1] & 127, 2
        if length == 126 and len(buffer) >= 4:
            (length,), begin = struct.unpack_from(">H", buffer, 2), 4
        elif length == 127 and len(buffer) >= 10:
            (length,), begin = struct.unpack_from(">Q", buffer, 2), 10
        elif length > 125:
            return None
        return (begin, begin + length) if len(buffer) >= begin + length else None


def cookie_of_login(url: str, *, name: str, password: str) -> str:
    """Log in as a page does; give the cookies as a header."""
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    page = f"{url}/accounts/login/"
    opener.open(page).close()
    token = next(cookie.value for cookie in jar if cookie.name == "csrftoken")
    form = {"username": name, "password": password, "csrfmiddlewaretoken": token}
    opener.open(page, urllib.parse.urlencode(form).encode()).close()
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in jar)
