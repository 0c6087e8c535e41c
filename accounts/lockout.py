"""What happens to whoever guesses passwords: after some failures nobody gets in for a while, right or wrong."""

from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.rest.errors import error_body

NAME_LIMIT = 100  # failures for one name from all addresses together, in the time that a lockout lasts


class LockoutHandler(AxesDatabaseHandler):
    """Locks a name at an address after a few failures, and a name everywhere after many.

    Counting by address alone would let many machines guess together; by name alone, anybody could lock anybody
    out with a few tries.
    """

    def is_locked(self, request: Any, credentials: dict[str, Any] | None = None) -> bool:
        """Say whether to let nobody in with these credentials."""
        if super().is_locked(request, credentials):
            return True
        username = (credentials or {}).get("username")
        since = timezone.now() - cool_off()
        tries = AccessAttempt.objects.filter(username=username, attempt_time__gte=since)
        failures = tries.aggregate(sum=Sum("failures_since_start"))["sum"] or 0
        return bool(failures >= NAME_LIMIT)


def cool_off() -> timedelta:
    """Give how long a lockout lasts."""
    lasting: timedelta = settings.AXES_COOLOFF_TIME
    return lasting


def answer(
    request: HttpRequest, original: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """Say that there were too many failures, and when to come back."""
    if request.path.startswith("/api/"):
        body = error_body("locked_out", _("Too many wrong passwords: try again later."))
        response: HttpResponse = JsonResponse(body, status=429)
    else:
        response = render(request, "429.html", status=429)
    response["Retry-After"] = str(int(cool_off().total_seconds()))
    return response
