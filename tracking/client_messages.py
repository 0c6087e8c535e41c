"""What viewers say to the live view, read and checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from tracking.live import QUALITIES, WireError

MAX_CLIENT_MESSAGE_BYTES = 16_384
MAX_CAMERAS_PER_MESSAGE = 64


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Send me frames of these cameras.

    Attributes:
        quality: ``high`` and ``low`` fix the tier, ``auto`` follows what the client acks.
        max_width: px in which the client shows the pictures: ``auto`` never sends more than that needs.
    """

    cameras: tuple[str, ...]
    quality: str
    max_width: int | None = None


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """Send me no more frames of these cameras."""

    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Follow:
    """I follow this person, or nobody."""

    person: int | None


@dataclass(frozen=True, slots=True)
class Ack:
    """I have shown this frame."""

    camera: str
    seq: int


ClientMessage = Subscribe | Unsubscribe | Follow | Ack


def parse_client_message(text: str) -> ClientMessage:
    """Read a client's message.

    Raises:
        WireError: too long, not JSON, an unknown type, or fields missing or of the wrong kind.
    """
    data = _client_object(text)
    match data.get("type"):
        case "subscribe":
            quality = data.get("quality", "auto")
            if quality not in QUALITIES:
                raise WireError(f"quality: expected one of {', '.join(QUALITIES)}")
            max_width = data.get("max_width")
            if max_width is not None and not _is_count(max_width):
                raise WireError("max_width: expected a number of pixels or null")
            return Subscribe(_camera_list(data), quality, max_width)
        case "unsubscribe":
            return Unsubscribe(_camera_list(data))
        case "follow":
            person = data.get("person")
            if person is not None and not _is_count(person):
                raise WireError("person: expected a number or null")
            return Follow(person)
        case "ack":
            camera, seq = data.get("camera"), data.get("seq")
            if not isinstance(camera, str) or not _is_count(seq):
                raise WireError("ack: expected a camera and a seq")
            return Ack(camera, seq)
        case _:
            raise WireError("type: expected subscribe, unsubscribe, follow or ack")


def _client_object(text: str) -> dict[str, Any]:
    if len(text) > MAX_CLIENT_MESSAGE_BYTES:
        raise WireError(f"message longer than {MAX_CLIENT_MESSAGE_BYTES} bytes")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise WireError("message is not JSON") from err
    if not isinstance(data, dict):
        raise WireError("message is not an object")
    return data


def _camera_list(data: Mapping[str, Any]) -> tuple[str, ...]:
    cameras = data.get("cameras")
    if (
        not isinstance(cameras, list)
        or len(cameras) > MAX_CAMERAS_PER_MESSAGE
        or not all(isinstance(camera, str) for camera in cameras)
    ):
        raise WireError(f"cameras: expected a list of up to {MAX_CAMERAS_PER_MESSAGE} camera ids")
    return tuple(cameras)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
