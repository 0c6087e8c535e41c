"""Tells who watches a place what somebody has done to it."""

import asyncio
import logging
from datetime import datetime

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from accounts.rest.redis_pool import AWAY
from tracking import live

logger = logging.getLogger(__name__)

WAIT_S = 2.0


def steered_tell(*, environment_id: int, at: datetime, by: str, action: str) -> None:
    """Tell who steered the session, and how; without Redis nobody hears it, and the session does it all the same."""
    try:
        async_to_sync(_tell)(environment_id, live.steered(at=at, by=by, action=action))
    except (TimeoutError, *AWAY) as error:
        logger.warning("Nobody was told that %s asked to %s: %s", by, action, error)


async def _tell(environment_id: int, text: str) -> None:
    message = live.layer_text(text)
    async with asyncio.timeout(WAIT_S):
        await get_channel_layer().group_send(live.state_group(environment_id), message)
