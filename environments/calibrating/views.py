"""The report on a place's calibrations."""

from datetime import timedelta
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.models import User
from environments.calibrating.layers import layer_png, layers_of
from environments.calibrating.selectors import Report, health_summary, report_of
from environments.models import Environment, FloorPlan
from environments.selectors import environments_visible_to

HEALTH_HOURS = 6


def _place(request: HttpRequest, slug: str) -> Environment:
    return get_object_or_404(environments_visible_to(user=cast(User, request.user)), slug=slug)


@login_required
@require_safe
def report(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what cameras cover, how exactly, how they agree, and what to do."""
    place, now = _place(request, slug), timezone.now()
    found = report_of(environment=place, now=now)
    health = health_summary(environment=place, since=now - timedelta(hours=HEALTH_HOURS))
    return render(request, "environments/report.html", _context(place, found) | {"health": health})


@login_required
@require_safe
def report_layer(request: HttpRequest, slug: str, layer: str) -> HttpResponse:
    """Give one picture of the report."""
    found = report_of(environment=_place(request, slug), now=timezone.now())
    layers = layers_of(found.coverage) if found.coverage else {}
    if found.coverage is None or layer not in layers:
        raise Http404
    response = HttpResponse(layer_png(layers[layer], found.coverage), content_type="image/png")
    response["Cache-Control"] = "private, max-age=30"
    return response


def _context(place: Environment, found: Report) -> dict[str, Any]:
    coverage = found.coverage
    context: dict[str, Any] = {
        "environment": place,
        "report": found,
        "plan": FloorPlan.objects.filter(environment=place).first(),
    }
    if coverage is None:
        return context
    step = coverage.grid.step_m**2
    rows = []
    for key, sight in sorted(coverage.sights.items()):
        seen = sight.sees
        errors = sight.error_m[seen]
        rows.append(
            {
                "key": key,
                "covers_m2": float(seen.sum()) * step,
                "error_m": float(sorted(errors)[len(errors) // 2]) if len(errors) else None,
            }
        )
    return context | {
        "layers": list(layers_of(coverage).values()),
        "cameras": rows,
        "covered": 100 * (1 - coverage.blind),
        "overlap": 100 * coverage.overlap,
    }
