"""The live view's page; what moves in it comes over the WebSocket."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.models import User
from environments.selectors import environments_visible_to
from tracking.live import SUBPROTOCOL


@login_required
@require_safe
def live_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an environment live."""
    environment = get_object_or_404(environments_visible_to(user=cast(User, request.user)), slug=slug)
    return render(request, "tracking/live.html", {"environment": environment, "subprotocol": SUBPROTOCOL})
