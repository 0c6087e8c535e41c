"""A camera's picture of this moment, asked of the worker as the live view asks for it; and what a probe of it found."""

import asyncio
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings

from accounts.rest.redis_pool import AWAY, redis_at
from environments.fields import key_ring
from environments.models import Camera
from tracking import live

WAIT_S = 4.0  # a camera in the lowest rate gives a picture every ten seconds, but those are rare
PROBE_TTL_S = 600
SEALED_FOR = "probe.address"
NOTHING_FOUND: dict[str, Any] = {
    "width": None,
    "height": None,
    "codec": "",
    "fps": None,
    "first_picture_s": None,
    "clock_offset_s": None,
    "has_picture": False,
    "message": "",
}


class NoPicture(Exception):  # noqa: N818 - a state of things, not a fault
    """The camera gives no picture now."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A picture as it was published."""

    jpeg: bytes
    captured_at: str


def snapshot_take(*, camera: Camera, wait_s: float = WAIT_S) -> Snapshot:
    """Give the next picture of a camera in the best quality.

    Raises:
        NoPicture: none came in time, or Redis is away.
    """
    try:
        return async_to_sync(_next_frame)(camera.environment_id, camera.key, wait_s)
    except (TimeoutError, *AWAY) as error:
        raise NoPicture(
            f"{camera} gives no picture now: is it online, and its environment tracked?"
        ) from error


async def _next_frame(environment_id: int, camera: str, wait_s: float) -> Snapshot:
    tier = live.TIER_ORDER[0]
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    group = live.frames_group(environment_id, camera, tier)
    await layer.group_add(group, channel)
    try:
        demand = live.demand_key(environment_id, camera, tier)
        redis_at(settings.REDIS_URL).set(demand, 1, ex=live.DEMAND_TTL_S)
        async with asyncio.timeout(wait_s):
            message = await layer.receive(channel)
    finally:
        await layer.group_discard(group, channel)
    header, jpeg = live.unpack_frame(message["data"])
    return Snapshot(jpeg, header["captured_at"])


def probe_key(probe_id: str) -> str:
    """Name the Redis key that holds what a probe found: the last one of a camera, or one of an address."""
    return f"spoton:probe:{probe_id}"


def probe_note(*, probe_id: str, state: str, at: datetime, **found: Any) -> dict[str, Any]:
    """Keep for a while how a probe is doing, and give it.

    Raises:
        RedisError, OSError: Redis is away.
    """
    noted = {"state": state, "at": at.isoformat()} | NOTHING_FOUND | found
    redis_at(settings.REDIS_URL).set(probe_key(probe_id), json.dumps(noted), ex=PROBE_TTL_S)
    return noted


def probe_read(*, probe_id: str) -> dict[str, Any] | None:
    """Give how a probe is doing; None where there was none lately.

    Raises:
        RedisError, OSError: Redis is away.
    """
    text = redis_at(settings.REDIS_URL).get(probe_key(probe_id))
    return None if text is None else json.loads(text)


def picture_note(*, probe_id: str, jpeg: bytes) -> None:
    """Keep for a while what a probe saw.

    Raises:
        RedisError, OSError: Redis is away.
    """
    redis_at(settings.REDIS_URL).set(f"{probe_key(probe_id)}:picture", jpeg, ex=PROBE_TTL_S)


def picture_read(*, probe_id: str) -> bytes | None:
    """Give what a probe saw; None where it saw nothing, or long ago.

    Raises:
        RedisError, OSError: Redis is away.
    """
    jpeg: bytes | None = redis_at(settings.REDIS_URL).get(f"{probe_key(probe_id)}:picture")
    return jpeg


def address_sealed(address: str) -> str:
    """Encrypt an address, which may hold a password, for its way to who opens it."""
    return key_ring().seal(address, context=SEALED_FOR)


def address_opened(sealed: str) -> str:
    """Decrypt an address."""
    return key_ring().open(sealed, context=SEALED_FOR)
