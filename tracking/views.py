"""The pages of a place, live and replayed, and of the system; what moves in them comes over the WebSocket or REST."""

from typing import cast

from django.contrib.auth.decorators import login_required, permission_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from accounts.models import User
from environments.selectors import environments_visible_to
from tracking.live import SUBPROTOCOL

STEERS = "tracking.change_trackingsession"


@login_required
@require_safe
def live_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an environment live."""
    return _page_of_a_place(request, slug, "tracking/live.html")


@login_required
@require_safe
def replay_view(request: HttpRequest, slug: str) -> HttpResponse:
    """Show an environment's map as it was at a date and time."""
    return _page_of_a_place(request, slug, "tracking/replay.html")


@login_required
@permission_required(STEERS, raise_exception=True)
@require_safe
def system_view(request: HttpRequest) -> HttpResponse:
    """Show an Operator how their environments are doing, and an Admin how all are."""
    return render(request, "tracking/system.html", {"subprotocol": SUBPROTOCOL})


def _page_of_a_place(request: HttpRequest, slug: str, template: str) -> HttpResponse:
    user = cast(User, request.user)
    environment = get_object_or_404(environments_visible_to(user=user), slug=slug)
    about = {"environment": environment, "subprotocol": SUBPROTOCOL, "can_steer": user.has_perm(STEERS)}
    return render(request, template, about)
