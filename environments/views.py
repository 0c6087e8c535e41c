"""The landing page and the pictures of floor plans."""

from hashlib import sha256
from pathlib import Path
from typing import cast

from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from accounts.models import User
from environments.models import CameraState, FloorPlan
from environments.selectors import environments_visible_to

# what browsers show as a picture and nothing else: an SVG, say, could carry a script
PLAN_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp"}


@login_required
@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Show the environments that the user may see."""
    enabled = Q(cameras__enabled=True)
    environments = environments_visible_to(user=cast(User, request.user)).annotate(
        cameras_enabled=Count("cameras", filter=enabled),
        cameras_online=Count("cameras", filter=enabled & Q(cameras__state=CameraState.ONLINE)),
    )
    return render(request, "environments/landing.html", {"environments": environments})


@login_required
@require_safe
def floor_plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Give the picture of a floor plan to those who may see its environment."""
    visible = environments_visible_to(user=cast(User, request.user))
    plan = get_object_or_404(FloorPlan, environment__slug=slug, environment__in=visible)
    try:
        with plan.image.open() as file:
            content = file.read()
    except FileNotFoundError as error:
        raise Http404 from error
    content_type = PLAN_TYPES.get(Path(str(plan.image.name)).suffix.lower(), "application/octet-stream")
    etag = quote_etag(sha256(content).hexdigest()[:32])
    response = HttpResponse(content, content_type=content_type)
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"  # kept by the browser, checked again each time
    answer = get_conditional_response(request, etag=etag, response=response)
    return cast(HttpResponse, answer)
