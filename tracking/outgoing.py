"""Messages on their way to many viewers: each is put into its final bytes once, however many get it."""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tracking.live import POSITIONS_START, FrameKey, pack_frame

DEFLATE_ABOVE_BYTES = 2000  # of text; less is not worth a browser's effort
DEFLATE_LEVEL = 4
RAW = -15  # window bits that say: no header, as browsers' "deflate-raw"
TEXT_OPCODE, BINARY_OPCODE = 0x81, 0x82  # the last of one piece. Source: RFC 6455, section 5.2


@dataclass(slots=True)
class Outgoing:
    """One message; ``payload`` is str for a text and bytes for a binary message."""

    payload: str | bytes
    _wire: bytes | None = field(default=None, repr=False)

    @property
    def wire(self) -> bytes:
        """Give the message as a server writes it to a WebSocket, the same for every client."""
        if self._wire is None:
            self._wire = websocket_bytes(self.payload)
        return self._wire


@dataclass(frozen=True, slots=True)
class FrameParcel:
    """A frame for all who watch its camera in its tier."""

    key: FrameKey
    message: Outgoing
    size: int


class TextParcel:
    """What is told to all viewers of a place at once; who needs no positions gets the rest."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        self._made: dict[tuple[bool, bool], list[Outgoing]] = {}

    def messages(self, *, positions: bool, packed: bool) -> list[Outgoing]:
        """Give the messages for one kind of viewer: with positions or without, one by one or packed."""
        kind = positions, packed
        if kind not in self._made:
            texts = [t for t in self._texts if positions or not t.startswith(POSITIONS_START)]
            payloads = [pack_texts(texts)] if packed and texts else texts
            self._made[kind] = [Outgoing(payload) for payload in payloads]
        return self._made[kind]


Parcel = FrameParcel | TextParcel


def parcel_of(message: Mapping[str, Any]) -> Parcel:
    """Read a message of the channel layer."""
    match message["type"]:
        case "live.frame":
            data = message["data"]
            key = FrameKey(message["camera"], message["seq"], message["tier"])
            return FrameParcel(key, Outgoing(data), len(data))
        case "live.texts":
            return TextParcel(message["texts"])
        case _:
            return TextParcel([message["text"]])


def pack_texts(texts: Sequence[str]) -> str | bytes:
    """Put JSON texts into one message: itself if it is one, else a JSON array; deflated where that is long."""
    joined = texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
    if len(joined) <= DEFLATE_ABOVE_BYTES:
        return joined
    deflate = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, RAW)
    body = deflate.compress(joined.encode()) + deflate.flush()
    return pack_frame({"type": "texts", "encoding": "deflate-raw"}, body)


def unpack_texts(payload: str | bytes) -> list[dict[str, Any]]:
    """Read what :func:`pack_texts` wrote."""
    if isinstance(payload, bytes):
        (length,) = struct.unpack_from(">I", payload)
        payload = zlib.decompress(payload[4 + length :], RAW).decode()
    messages = json.loads(payload)
    return messages if isinstance(messages, list) else [messages]


def websocket_bytes(payload: str | bytes) -> bytes:
    """Frame a message as servers do, in one piece and not masked.

    Source: RFC 6455, section 5.2.
    """
    opcode, data = (TEXT_OPCODE, payload.encode()) if isinstance(payload, str) else (BINARY_OPCODE, payload)
    length = len(data)
    if length < 126:
        return struct.pack(">BB", opcode, length) + data
    if length < 1 << 16:
        return struct.pack(">BBH", opcode, 126, length) + data
    return struct.pack(">BBQ", opcode, 127, length) + data
