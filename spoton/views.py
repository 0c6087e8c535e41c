"""Is it up: answers for balancers and orchestrators."""

import json
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis import Redis, RedisError

CHECK_TIMEOUT_S = 2.0


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that the process is up; asks nothing of anybody."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether what every page needs answers: one JSON line for each check, 503 when one fails."""
    checks = {"database": _database_answers, "redis": _redis_answers}
    results = {name: _outcome(check) for name, check in checks.items()}
    lines = [json.dumps({"check": name, **result}) + "\n" for name, result in results.items()]
    is_ready = all(result["ok"] for result in results.values())
    return HttpResponse("".join(lines), content_type="application/x-ndjson", status=200 if is_ready else 503)


def _outcome(check: Callable[[], object]) -> dict[str, object]:
    try:
        check()
    except (DatabaseError, RedisError, OSError) as error:
        # the kind of trouble alone: messages may hold addresses and user names
        return {"ok": False, "error": type(error).__name__}
    return {"ok": True}


def _database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _redis_answers() -> None:
    with Redis.from_url(
        settings.REDIS_URL, socket_timeout=CHECK_TIMEOUT_S, socket_connect_timeout=CHECK_TIMEOUT_S
    ) as client:
        client.ping()
