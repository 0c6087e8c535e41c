"""The live wire format: every message between worker, web and browser, and the names they travel under.

A frame is binary: 4-byte big-endian header length, UTF-8 JSON header, JPEG bytes; its boxes travel inside its
own header, so picture and boxes cannot drift apart. Everything else is JSON text.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

SUBPROTOCOL = "spoton.v1"
PACKED = (
    "spoton.packed"  # offered besides by clients that take several texts in one message, and deflated ones
)
POSITIONS_START = '{"type":"positions",'  # of every positions message
DEMAND_TTL_S = 5  # the worker encodes a tier for this long after somebody last asked for it
DEMAND_REFRESH_S = 2
NOW_TTL_S = 5
STILL_TTL_S = 3600  # for so long the last picture of a camera is kept for who comes when it is down

_LENGTH = struct.Struct(">I")


class CloseCode(IntEnum):
    """Why the server ends a connection."""

    MALFORMED = 4400
    UNAUTHENTICATED = 4401
    FORBIDDEN = 4403
    NOT_FOUND = 4404
    TOO_MANY = 4429
    UNAVAILABLE = 4503  # the server is short of something, Redis say: come back


@dataclass(frozen=True, slots=True)
class Tier:
    """One quality that frames are published in.

    Attributes:
        max_width: px; a wider picture is scaled down.
        jpeg_quality: 1 to 100.
        max_fps: frames a second and camera.
    """

    name: str
    max_width: int
    jpeg_quality: int
    max_fps: float


TIERS = {
    tier.name: tier
    for tier in (
        Tier("high", max_width=1280, jpeg_quality=80, max_fps=25.0),
        Tier("medium", max_width=640, jpeg_quality=75, max_fps=12.0),
        Tier("low", max_width=384, jpeg_quality=60, max_fps=5.0),
    )
}
TIER_ORDER = tuple(TIERS)  # best first
QUALITIES = ("auto", "high", "low")


def state_group(environment_id: int) -> str:
    """Name the group that gets an environment's positions, events and status."""
    return f"live.{environment_id}.state"


def frames_group(environment_id: int, camera: str, tier: str) -> str:
    """Name the group that gets one camera's frames in one tier."""
    return f"live.{environment_id}.frames.{camera}.{tier}"


def demand_key(environment_id: int, camera: str, tier: str) -> str:
    """Name the Redis key that exists while somebody watches a camera in a tier."""
    return f"spoton:demand:{environment_id}:{camera}:{tier}"


def still_key(environment_id: int, camera: str) -> str:
    """Name the Redis key that holds a camera's last picture, packed as a frame whose header says ``still``."""
    return f"spoton:still:{environment_id}:{camera}"


def now_key(environment_id: int) -> str:
    """Name the Redis key that says who is where now; it is gone ``NOW_TTL_S`` after the worker fell silent.

    Its value is JSON: ``{"at", "people": [as in positions], "cameras_up": number of cameras online}``.
    """
    return f"spoton:now:{environment_id}"


def status_key(environment_id: int) -> str:
    """Name the Redis key that holds the last status message of an environment; gone ``NOW_TTL_S`` after it."""
    return f"spoton:status:{environment_id}"


def connections_key(user_id: int) -> str:
    """Name the Redis set of a user's live connections, by when each was counted last (s since the epoch)."""
    return f"spoton:connections:{user_id}"


def layer_text(text: str) -> dict[str, Any]:
    """Wrap a JSON message for the channel layer; a consumer takes it in ``live_text``."""
    return {"type": "live.text", "text": text}


def layer_texts(texts: Sequence[str]) -> dict[str, Any]:
    """Wrap the JSON messages of one tick for the channel layer."""
    return {"type": "live.texts", "texts": list(texts)}


def layer_frame(data: bytes) -> dict[str, Any]:
    """Wrap a packed frame for the channel layer, its key beside it: no consumer has to read the header."""
    key = peek_frame(data)
    return {"type": "live.frame", "camera": key.camera, "seq": key.seq, "tier": key.tier, "data": data}


def isoformat(at: datetime) -> str:
    """Write an instant as every message does: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class WireError(ValueError):
    """A message that does not follow the format; the message says what is wrong."""


def pack_frame(header: Mapping[str, Any], jpeg: bytes) -> bytes:
    """Join a frame's header and picture."""
    head = dumps(header).encode()
    return _LENGTH.pack(len(head)) + head + jpeg


def unpack_frame(data: bytes) -> tuple[dict[str, Any], bytes]:
    """Split a frame into its header and picture.

    Raises:
        WireError: too short, or a header that is no JSON object.
    """
    if len(data) < _LENGTH.size:
        raise WireError(f"frame: expected at least {_LENGTH.size} bytes, got {len(data)}")
    (length,) = _LENGTH.unpack_from(data)
    end = _LENGTH.size + length
    if end > len(data):
        raise WireError(f"frame: header of {length} bytes does not fit into {len(data)}")
    try:
        header = json.loads(data[_LENGTH.size : end])
    except ValueError as error:
        raise WireError("frame: the header is not JSON") from error
    if not isinstance(header, dict):
        raise WireError("frame: the header is not an object")
    return header, data[end:]


def frame_header(
    *,
    camera: str,
    seq: int,
    captured_at: datetime,
    published_at: datetime,
    width: int,
    height: int,
    tier: str,
    boxes: Sequence[Mapping[str, Any]],
    still: bool = False,
) -> dict[str, Any]:
    """Describe a frame. ``width`` and ``height`` are px of the recorded picture, in which boxes are given.

    A box is ``{"xyxy": [x1, y1, x2, y2], "confidence": c, "track": id | None, "person": number | None}``.
    ``still`` is there, and true, in a picture that was kept: how old it is, ``captured_at`` tells.
    """
    header = {
        "type": "frame",
        "camera": camera,
        "seq": seq,
        "captured_at": isoformat(captured_at),
        "published_at": isoformat(published_at),
        "width": width,
        "height": height,
        "tier": tier,
        "boxes": list(boxes),
    }
    return header | {"still": True} if still else header


@dataclass(frozen=True, slots=True)
class FrameKey:
    """Which frame it is."""

    camera: str
    seq: int
    tier: str


def peek_frame(data: bytes) -> FrameKey:
    """Say which frame a packed frame is, without copying its picture.

    Raises:
        WireError: not a frame.
    """
    if len(data) < _LENGTH.size:
        raise WireError(f"frame: expected at least {_LENGTH.size} bytes, got {len(data)}")
    header, _ = unpack_frame(data[: _LENGTH.size + _LENGTH.unpack_from(data)[0]])
    try:
        return FrameKey(header["camera"], header["seq"], header["tier"])
    except KeyError as error:
        raise WireError(f"frame: the header has no {error}") from error


def hello(
    *,
    at: datetime,
    cameras: Sequence[Mapping[str, Any]],
    zones: Sequence[Mapping[str, Any]],
    floor_map: Mapping[str, Any] | None,
    present: Sequence[Mapping[str, Any]] = (),
    events: Sequence[Mapping[str, Any]] = (),
    crossings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Write the first message: the server's time, cameras, zones and the map of the environment.

    ``present`` says since when those are here who are (``{"person", "since"}``), and ``events`` what happened
    last, newest first and shaped as in :func:`event`, each with who has seen to it (``acknowledged``). ``crossings``
    counts who crossed each line since the place's day began (``{"zone", "direction", "count"}``).
    """
    return dumps(
        {
            "type": "hello",
            "at": isoformat(at),
            "cameras": list(cameras),
            "zones": list(zones),
            "map": floor_map,
            "present": list(present),
            "events": list(events),
            "crossings": list(crossings),
        }
    )


def positions(*, at: datetime, people: Sequence[Mapping[str, Any]]) -> str:
    """Write where everybody is; one message a tick.

    A person is ``{"person", "track", "x_m", "y_m", "vx_mps", "vy_mps", "std_m", "cov_m2", "cameras"}``; ``std_m`` is
    that of the worst direction, ``cov_m2`` the covariance of the position: xx, xy, yy.
    """
    return dumps({"type": "positions", "at": isoformat(at), "people": list(people)})


def event(
    *,
    event_id: str,
    at: datetime,
    kind: str,
    person: int | None,
    zone: str | None,
    camera: str | None,
    payload: Mapping[str, Any],
) -> str:
    """Write something that happened."""
    return dumps(
        {
            "type": "event",
            "id": event_id,
            "at": isoformat(at),
            "kind": kind,
            "person": person,
            "zone": zone,
            "camera": camera,
            "payload": dict(payload),
        }
    )


def acknowledgement(*, at: datetime, by: str, note: str) -> dict[str, str]:
    """Say, inside other messages, who has seen to something."""
    return {"at": isoformat(at), "by": by, "note": note}


def acknowledged(*, event_id: str, at: datetime, by: str, note: str) -> str:
    """Write that somebody has seen to an event of the feed."""
    return dumps({"type": "acknowledged", "event": event_id, **acknowledgement(at=at, by=by, note=note)})


def alert(
    *,
    alert_id: int,
    at: datetime,
    rule: str,
    severity: str,
    text: str,
    event: Mapping[str, Any],
    acknowledged: Mapping[str, str] | None,
) -> str:
    """Write that a rule raised an alert, or that somebody has seen to one: the newest word on an id counts.

    Args:
        alert_id: the same in REST.
        at: when it happened.
        rule: its name.
        severity: ``info``, ``warning`` or ``critical``.
        text: what happened, in words.
        event: what it was, ``{"event", "kind", "person", "zone", "camera"}``.
        acknowledged: as :func:`acknowledgement` gives it; None while nobody has.
    """
    return dumps(
        {
            "type": "alert",
            "id": alert_id,
            "at": isoformat(at),
            "rule": rule,
            "severity": severity,
            "text": text,
            **event,
            "acknowledged": acknowledged,
        }
    )


def now(*, at: datetime, people: Sequence[Mapping[str, Any]], cameras_up: int) -> str:
    """Write who is where now; people as in :func:`positions`."""
    return dumps({"at": isoformat(at), "people": list(people), "cameras_up": cameras_up})


def quality(
    *,
    at: datetime,
    cameras: Mapping[str, Mapping[str, Any]],
    limited: bool,
    delay_s: float | None,
) -> str:
    """Write what this client gets: the server's time, and of each camera its tier and frames since the last such message.

    Args:
        at: now.
        cameras: by id, each ``{"tier", "sent", "skipped"}``; skipped are those for which the client had no room.
        limited: whether a tier is lower than its picture could use, because line or screen do not keep up.
        delay_s: middle time from sending a frame to its ack, of late.
    """
    return dumps(
        {
            "type": "quality",
            "at": isoformat(at),
            "tiers": {camera: about["tier"] for camera, about in cameras.items()},
            "sent": sum(about["sent"] for about in cameras.values()),
            "skipped": sum(about["skipped"] for about in cameras.values()),
            "cameras": dict(cameras),
            "limited": limited,
            "delay_ms": None if delay_s is None else round(delay_s * 1e3),
        }
    )


def clock(*, sent: float, at: datetime) -> str:
    """Write the server's time for a client that asked at ``sent`` of its own."""
    return dumps({"type": "clock", "sent": sent, "at": isoformat(at)})


def person(*, number: int, card: Mapping[str, Any] | None) -> str:
    """Write what is known of the person whom this client follows; None for a number that nobody has.

    A card is ``{"first_seen_at", "last_seen_at", "since", "visits", "zone"}``.
    """
    return dumps({"type": "person", "person": number, "card": card})


def steered(*, at: datetime, by: str, action: str) -> str:
    """Write who has just done what to the session: ``start``, ``stop``, ``pause``, ``resume``, ``seek``, ``speed``."""
    return dumps({"type": "steered", "at": isoformat(at), "by": by, "action": action})


def error(*, code: str, message: str) -> str:
    """Write what was wrong with a client's message that does not end the connection."""
    return dumps({"type": "error", "code": code, "message": message})


def dumps(value: object) -> str:
    """Write JSON without spaces, and nothing that is not JSON, such as NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
