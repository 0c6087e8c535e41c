"""How often somebody may ask: counters in Redis, which may vanish without harm."""

import logging
import time
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from accounts.rest.redis_pool import AWAY, redis_at

logger = logging.getLogger(__name__)


class WindowThrottle(BaseThrottle):
    """Counts requests in windows of fixed length: one short command each, however high the rate.

    Attributes:
        scope: the name of its rate in DEFAULT_THROTTLE_RATES, ``"60/min"`` say.
    """

    scope = ""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count a request and say whether it is one too many; while Redis is away, none is."""
        whom = self.whom(request)
        limit, window_s = rate_of(self.scope)
        if whom is None:
            return True
        now_s = time.time()
        key = f"spoton:throttle:{self.scope}:{whom}:{int(now_s // window_s)}"
        try:
            # with those that were answered without asking here: see spoton/live_answers.py
            count = counted(key, window_s, 1 + request.META.get("spoton.repeats", 0))
        except AWAY as error:
            logger.warning("Redis is away (%s): requests are not counted", type(error).__name__)
            return True
        self._wait_s = window_s - now_s % window_s
        return count <= limit

    def wait(self) -> float:
        """Give the seconds until it counts from zero again."""
        return self._wait_s

    def whom(self, request: Request) -> str | None:
        """Name who is counted; None for nobody."""
        raise NotImplementedError


class UserThrottle(WindowThrottle):
    """Counts the requests of each user."""

    scope = "user"

    def whom(self, request: Request) -> str | None:
        """Name the user."""
        return str(request.user.pk) if request.user.is_authenticated else None


class AddressThrottle(WindowThrottle):
    """Counts attempts to get in from each address."""

    scope = "login"

    def whom(self, request: Request) -> str | None:
        """Name the address."""
        return self.get_ident(request)


def counted(key: str, lasting_s: int, by: int = 1) -> int:
    """Count so many more under a key, which lasts that long."""
    redis = redis_at(settings.REDIS_URL)
    count = int(redis.incr(key, by))
    if count == by:
        redis.expire(key, lasting_s)
    return count


def rate_of(scope: str) -> tuple[int, int]:
    """Give how many requests are let through in how many seconds."""
    count, _, unit = str(api_settings.DEFAULT_THROTTLE_RATES[scope]).partition("/")
    return int(count), {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit[0]]
