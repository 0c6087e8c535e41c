"""Pages of the admin on which a place is set up by clicks: calibration, floor plan, zones."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_safe

from environments.models import Camera, CameraState, Environment, FloorPlan
from environments.selectors import setup_state

SUBPROTOCOL = "spoton.v1"


@require_safe
def calibrate(request: HttpRequest, camera_id: int) -> HttpResponse:
    """Show the page on which a camera is calibrated."""
    cameras = Camera.objects.select_related("environment", "environment__floor_plan")
    camera = get_object_or_404(cameras, pk=camera_id)
    place = camera.environment
    address = f"/api/v1/cameras/{camera.pk}/"
    setup = {
        "camera": {
            "key": camera.key,
            "width": camera.width,
            "height": camera.height,
            "is_online": camera.state == CameraState.ONLINE,
        },
        "plan": _plan(place),
        "live": {
            "path": f"/ws/environments/{place.slug}/live/",
            "subprotocol": SUBPROTOCOL,
            "camera": camera.key,
        },
        "urls": {
            "calibration": f"{address}calibration/",
            "fit": f"{address}calibration/fit/",
            "versions": f"{address}calibrations/",
            "snapshot": f"{address}snapshot/",
            "probe": f"{address}probe/",
        },
        "elsewhere": {
            "environment": place.slug,
            "key": camera.key,
            "file": f"{address}calibration/file/",
            "runs": "/api/v1/calibration-runs/",
            "allProposals": "/api/v1/calibration-proposals/",
            "proposals": f"/api/v1/calibration-proposals/?camera={camera.pk}",
        },
    }
    others = Camera.objects.filter(environment=place).exclude(pk=camera.pk)
    return _page(request, "calibrate", place, setup, camera=camera, others=others)


@require_safe
def plan(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Show the page on which a floor plan is put to scale."""
    place = get_object_or_404(Environment.objects.select_related("floor_plan"), pk=environment_id)
    setup = {
        "plan": _plan(place),
        "placed": {
            "cameras": place.cameras.filter(calibrations__is_active=True).count(),
            "zones": place.zones.count(),
        },
        "urls": {"plan": f"/api/v1/environments/{place.slug}/plan/"},
    }
    return _page(request, "plan", place, setup)


@require_safe
def zones(request: HttpRequest, environment_id: int) -> HttpResponse:
    """Show the page on which areas and lines are drawn."""
    place = get_object_or_404(Environment.objects.select_related("floor_plan"), pk=environment_id)
    setup = {
        "environment": place.slug,
        "plan": _plan(place),
        "urls": {
            "zones": "/api/v1/zones/",
            "layout": f"/api/v1/environments/{place.slug}/layout/",
        },
    }
    return _page(request, "zones", place, setup)


def progress_of(place: Environment) -> list[dict[str, Any]]:
    """Give the steps of a place's set-up as they are shown: title, address, state in words, whether it is done."""
    state = setup_state(environment=place)
    camera_list = f"{reverse('admin:environments_camera_changelist')}?environment__id__exact={place.pk}"
    calibration = camera_list
    if state.uncalibrated is not None:
        calibration = reverse("admin:environments_camera_calibrate", args=[state.uncalibrated.pk])
    add_camera = f"{reverse('admin:environments_camera_add')}?environment={place.pk}"
    cameras = ngettext("%(count)d camera", "%(count)d cameras", state.cameras) % {"count": state.cameras}
    calibrated = gettext("%(count)d of %(all)d") % {"count": state.calibrated, "all": state.cameras}
    zones = ngettext("%(count)d drawn", "%(count)d drawn", state.zones) % {"count": state.zones}
    return [
        _step(
            gettext("Floor plan"),
            reverse("admin:environments_environment_plan", args=[place.pk]),
            gettext("there") if state.has_plan else gettext("put one in"),
            is_done=state.has_plan,
        ),
        _step(
            gettext("Cameras"),
            camera_list if state.cameras else add_camera,
            cameras if state.cameras else gettext("add the first one"),
            is_done=state.cameras > 0,
        ),
        _step(
            gettext("Calibration"),
            calibration,
            calibrated,
            is_done=state.cameras > 0 and state.uncalibrated is None,
        ),
        _step(
            gettext("Zones and lines"),
            reverse("admin:environments_environment_zones", args=[place.pk]),
            zones if state.zones else gettext("draw some, or none"),
            is_done=state.zones > 0,
        ),
        _step(
            gettext("Tracking"),
            reverse("live", args=[place.slug]),
            gettext("running") if state.online else gettext("start it in the live view"),
            is_done=state.online > 0,
        ),
    ]


def _step(title: str, address: str, state: str, *, is_done: bool) -> dict[str, Any]:
    return {"title": title, "address": address, "state": state, "is_done": is_done}


def _page(
    request: HttpRequest, name: str, place: Environment, setup: dict[str, Any], **more: Any
) -> HttpResponse:
    context = admin.site.each_context(request) | {
        "place": place,
        "setup": setup,
        "step": name,
        "is_nav_sidebar_enabled": False,  # the room is for the pictures
        **more,
    }
    return render(request, f"admin/environments/{name}.html", context)


def _plan(place: Environment) -> dict[str, Any] | None:
    """Give a place's floor plan as the pages take it."""
    floor_plan: FloorPlan | None = getattr(place, "floor_plan", None)
    if floor_plan is None:
        return None
    names = ("width_px", "height_px", "metres_per_px", "origin_x_px", "origin_y_px")
    return {name: getattr(floor_plan, name) for name in names} | {
        "url": f"{reverse('floor-plan', args=[place.slug])}?{floor_plan.image.name}"
    }
