"""This process's connections to Redis."""

from functools import cache

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

TIMEOUT_S = 1.0
AWAY = (RedisError, OSError)


@cache
def redis_at(url: str) -> "Redis[bytes]":
    """Give the pool of connections to a server, which is not waited for when it is away."""
    return Redis.from_url(
        url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
