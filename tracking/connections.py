"""What the WebSocket connections of one process share: a Redis client, what comes from workers, limits by user."""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import DatabaseError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from accounts.models import User
from environments.models import Environment
from tracking import live
from tracking.fanout import Fanout
from tracking.pacing import MessageAllowance

# of all connections of one user together; the landing page opens one for every place
USER_MESSAGES_PER_S = 200.0
USER_MESSAGES_BURST = 400.0
USER_CONNECTIONS = 100
CONNECTION_TTL_S = 15  # one that nobody counted for so long is gone
REDIS_TIMEOUT_S = 3.0
OUTAGES = (RedisError, DatabaseError, OSError)


class Shared:
    """What the viewers of one event loop share: a Redis client, and what was just read of each environment."""

    def __init__(self) -> None:
        # no second tries: whoever asks says at once that Redis is away, and the browser comes back by itself
        self.redis = Redis.from_url(
            settings.REDIS_URL, retry=Retry(NoBackoff(), 0), socket_timeout=REDIS_TIMEOUT_S
        )
        self.fanout = Fanout()
        self._reads: dict[tuple[Callable, int], tuple[float, asyncio.Future]] = {}
        self._allowances: WeakValueDictionary[int, MessageAllowance] = WeakValueDictionary()

    def allowance_of(self, user: User) -> MessageAllowance:
        """Give what all connections of a user share."""
        allowance = self._allowances.get(user.pk) or MessageAllowance(
            per_s=USER_MESSAGES_PER_S, burst=USER_MESSAGES_BURST, now=time.monotonic()
        )
        self._allowances[user.pk] = allowance
        return allowance

    async def connection_count(self, user: User, channel: str) -> int:
        """Count a connection of a user, in all processes, and give the number of those that last."""
        key, now = live.connections_key(user.pk), time.time()
        async with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.zremrangebyscore(key, "-inf", now - CONNECTION_TTL_S)
            pipeline.zadd(key, {channel: now})
            pipeline.zcard(key)
            pipeline.expire(key, CONNECTION_TTL_S)
            counted = await pipeline.execute()
        return int(counted[2])

    async def connection_open(self, user: User, channel: str) -> bool:
        """Count a new connection of a user; give False, and do not count it, where they have too many."""
        if await self.connection_count(user, channel) <= USER_CONNECTIONS:
            return True
        await self.connection_forget(user, channel)
        return False

    async def connection_forget(self, user: User, channel: str) -> None:
        """Count a connection no more."""
        await self.redis.zrem(live.connections_key(user.pk), channel)

    async def read(
        self,
        select: Callable[..., dict[str, Any]],
        environment: Environment,
        *,
        max_age_s: float,
        **given: Any,
    ) -> dict[str, Any]:
        """Ask a selector about an environment, or give an answer that somebody else got a moment ago."""
        key, now = (select, environment.pk), time.monotonic()
        read_at, reading = self._reads.get(key, (0.0, None))
        if reading is None or now - read_at > max_age_s:
            asked = database_sync_to_async(select)(environment=environment, **given)
            reading = asyncio.ensure_future(asked)
            self._reads[key] = now, reading
        answer: dict[str, Any] = await asyncio.shield(reading)  # one viewer's end is not the others'
        return answer


_shared_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = WeakKeyDictionary()


def shared() -> Shared:
    """Give the event loop's own: connections cannot be shared between loops."""
    loop = asyncio.get_running_loop()
    if loop not in _shared_of_loop:
        _shared_of_loop[loop] = Shared()
    return _shared_of_loop[loop]
