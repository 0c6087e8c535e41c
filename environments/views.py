"""The landing page and the pictures of floor plans."""

from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from accounts.models import User
from environments.models import FloorPlan
from environments.selectors import environments_visible_to, environments_with_camera_counts, plan_picture


@login_required
@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    """Show the environments that the user may see."""
    visible = environments_visible_to(user=cast(User, request.user))
    environments = environments_with_camera_counts(environments=visible)
    return render(request, "environments/landing.html", {"environments": environments})


@login_required
@require_safe
def floor_plan(request: HttpRequest, slug: str) -> HttpResponse:
    """Give the picture of a floor plan to those who may see its environment."""
    visible = environments_visible_to(user=cast(User, request.user))
    plan = get_object_or_404(FloorPlan, environment__slug=slug, environment__in=visible)
    picture = plan_picture(plan=plan)
    if picture is None:
        raise Http404
    response = HttpResponse(picture.content, content_type=picture.content_type)
    response["ETag"] = picture.etag
    response["Cache-Control"] = "private, no-cache"  # kept by the browser, checked again each time
    answer = get_conditional_response(request, etag=picture.etag, response=response)
    return cast(HttpResponse, answer)
