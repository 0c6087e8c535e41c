"""What viewers say to the live view, read and checked."""

import json
from collections.abc import Callable, Mapping
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
    """I have shown these frames.

    Attributes:
        frames: pairs of camera and seq.
    """

    frames: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Clock:
    """What time is it? ``sent`` is the client's, and is said back."""

    sent: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """Nobody looks at me, or somebody does again: send no positions meanwhile."""

    hidden: bool


ClientMessage = Subscribe | Unsubscribe | Follow | Ack | Clock | Hidden


def parse_client_message(text: str) -> ClientMessage:
    """Read a client's message.

    Raises:
        WireError: too long, not JSON, an unknown type, or fields missing or of the wrong kind.
    """
    data = _client_object(text)
    kind = data.get("type")
    read = READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise WireError(f"type: expected one of {', '.join(READERS)}")
    return read(data)


def _subscribe(data: Mapping[str, Any]) -> Subscribe:
    quality = data.get("quality", "auto")
    if quality not in QUALITIES:
        raise WireError(f"quality: expected one of {', '.join(QUALITIES)}")
    max_width = data.get("max_width")
    if max_width is not None and not _is_count(max_width):
        raise WireError("max_width: expected a number of pixels or null")
    return Subscribe(_camera_list(data), quality, max_width)


def _unsubscribe(data: Mapping[str, Any]) -> Unsubscribe:
    return Unsubscribe(_camera_list(data))


def _follow(data: Mapping[str, Any]) -> Follow:
    person = data.get("person")
    if person is not None and not _is_count(person):
        raise WireError("person: expected a number or null")
    return Follow(person)


def _ack(data: Mapping[str, Any]) -> Ack:
    frames = data.get("frames")
    if frames is None and isinstance(data.get("camera"), str):
        frames = {data["camera"]: data.get("seq")}
    if (
        not isinstance(frames, dict)
        or len(frames) > MAX_CAMERAS_PER_MESSAGE
        or not all(_is_count(seq) for seq in frames.values())
    ):
        raise WireError("ack: expected a camera and a seq, or frames as an object of them")
    return Ack(tuple(frames.items()))


def _clock(data: Mapping[str, Any]) -> Clock:
    sent = data.get("sent")
    if isinstance(sent, bool) or not isinstance(sent, int | float) or not abs(sent) < 2**53:
        raise WireError("sent: expected a time as a number")
    return Clock(sent)


def _hidden(data: Mapping[str, Any]) -> Hidden:
    hidden = data.get("hidden")
    if not isinstance(hidden, bool):
        raise WireError("hidden: expected true or false")
    return Hidden(hidden)


READERS: dict[str, Callable[[Mapping[str, Any]], ClientMessage]] = {
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "follow": _follow,
    "ack": _ack,
    "clock": _clock,
    "hidden": _hidden,
}


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
