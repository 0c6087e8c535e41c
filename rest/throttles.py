"""How often somebody may ask: counters in the cache, which may vanish without harm."""

import logging
import time
from typing import Any

from django.core.cache import cache
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

logger = logging.getLogger(__name__)

AWAY = (RedisError, OSError)


class WindowThrottle(BaseThrottle):
    """Counts requests in windows of fixed length: two short commands to the cache, however high the rate.

    Attributes:
        scope: the name of its rate in DEFAULT_THROTTLE_RATES, ``"60/min"`` say.
    """

    scope = ""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count a request and say whether it is one too many; while the cache is away, none is."""
        whom = self.whom(request)
        limit, window_s = rate_of(self.scope)
        if whom is None:
            return True
        now_s = time.time()
        key = f"throttle:{self.scope}:{whom}:{int(now_s // window_s)}"
        try:
            if cache.add(key, 1, timeout=window_s):
                return True
            count = cache.incr(key)
        except ValueError:  # it expired between the two
            return True
        except AWAY as error:
            logger.warning("The cache is away (%s): requests are not counted", type(error).__name__)
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


def rate_of(scope: str) -> tuple[int, int]:
    """Give how many requests are let through in how many seconds."""
    count, _, unit = str(api_settings.DEFAULT_THROTTLE_RATES[scope]).partition("/")
    return int(count), {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit[0]]
