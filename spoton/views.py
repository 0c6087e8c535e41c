"""Is it up, what can be asked over REST, and what to say when something goes wrong."""

import json
from collections.abc import Callable

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from redis import Redis, RedisError

from accounts.rest.errors import error_body

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


class SchemaView(SpectacularAPIView):
    """Describes the REST interface (OpenAPI 3)."""


class DocsView(SpectacularSwaggerSplitView):
    """Shows the description, and lets one try it; everything comes from here, and no script is in the page."""

    template_name = "rest/docs.html"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request that cannot be read."""
    return _said(request, 400, "bad_request", _("This request cannot be read.")) or defaults.bad_request(
        request, exception
    )


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for what one may not do."""
    return _said(request, 403, "permission_denied", _("You may not do this.")) or defaults.permission_denied(
        request, exception
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer a request for what is not there."""
    return _said(request, 404, "not_found", _("There is nothing here.")) or defaults.page_not_found(
        request, exception
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer when something went wrong here; what it was is in the log."""
    return _said(request, 500, "error", _("Something went wrong here.")) or defaults.server_error(request)


def _said(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse | None:
    """Give the error in the REST interface's own shape, where that was asked."""
    if not request.path.startswith("/api/"):
        return None
    return JsonResponse(error_body(code, message), status=status)
