"""Telling everybody who watches a place something from a thread that is no event loop's: a web request, a task."""

import asyncio
import logging

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from tracking import live

logger = logging.getLogger(__name__)

TIMEOUT_S = 1.0
AWAY = (RedisError, OSError, TimeoutError)


def announce(*, environment_id: int, text: str) -> bool:
    """Send a live message to everybody who watches a place; give False, and go on, where Redis is away."""
    try:
        async_to_sync(_send)(live.state_group(environment_id), text)
    except AWAY as error:
        logger.warning("Redis is away (%s): viewers are not told", error)
        return False
    return True


async def _send(group: str, text: str) -> None:
    layer = get_channel_layer()
    await asyncio.wait_for(layer.group_send(group, live.layer_text(text)), TIMEOUT_S)
