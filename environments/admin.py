"""Places, cameras, calibrations and zones in the admin pages."""

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import Count, Field, ImageField, Prefetch, Q, QuerySet
from django.forms import FileInput, ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.admin import UserAdmin
from accounts.auditing import AuditedAdmin
from accounts.models import User
from environments import pages, services
from environments.forms import CalibrationForm, CameraForm, FloorPlanForm, ZoneForm
from environments.geometry import GeometryError
from environments.models import Calibration, Camera, CameraState, Environment, FloorPlan, Grant, Zone
from environments.selectors import calibration_errors, calibration_model

PLAIN_SAVE = "_save"  # the button that asks for nothing else
# the stored picture is for those who may see its environment: its page shows it, no link of the widget
WITHOUT_LINK: dict[type[Field], dict[str, Any]] = {ImageField: {"widget": FileInput}}


class PlaceAdmin(AuditedAdmin, admin.ModelAdmin):
    """Asks before deleting without reading what goes along: a place may have millions of rows of history."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[Any, Any, set[str], list[str]]:
        """Name what was chosen, and that its history goes too."""
        return [*map(str, objs), gettext("and everything that was seen there")], {}, set(), []


class FloorPlanInline(admin.StackedInline):
    """The picture under the map."""

    model = FloorPlan
    form = FloorPlanForm
    fields = ["image", "preview", "metres_per_px", ("origin_x_px", "origin_y_px")]
    readonly_fields = ["preview"]
    formfield_overrides = WITHOUT_LINK

    @admin.display(description=_("now"))
    def preview(self, plan: FloorPlan) -> str:
        """Show the stored picture."""
        if not plan.pk:
            return "-"
        return format_html(
            '<img class="plan-preview" src="{}" alt="{}">',
            reverse("floor-plan", args=[plan.environment.slug]),
            gettext("Floor plan"),
        )


class CameraInline(admin.TabularInline):
    """The cameras of an environment; a new one needs what fits into a row."""

    model = Camera
    form = CameraForm
    fields = ["key", "name", "source_url", "width", "height", "fps", "enabled", "condition"]
    readonly_fields = ["condition"]
    extra = 0
    can_delete = False  # on its own page, see PlaceAdmin
    show_change_link = True

    @admin.display(description=_("state"))
    def condition(self, camera: Camera) -> str:
        """Show how the camera is doing."""
        return _state(camera) if camera.pk else "-"


class ZoneInline(admin.TabularInline):
    """The zones of an environment."""

    model = Zone
    form = ZoneForm
    fields = ["key", "name", "kind", "points_m", "capacity"]
    extra = 0
    can_delete = False  # on its own page, see PlaceAdmin
    show_change_link = True


class GrantInline(admin.TabularInline):
    """Who may see what."""

    model = Grant
    extra = 0
    autocomplete_fields = ["user", "environment"]


@admin.register(Environment)
class EnvironmentAdmin(PlaceAdmin):
    """Edits a place with its plan, cameras, zones and viewers."""

    list_display = ["name", "slug", "cameras_up", "time_zone", "retention_days", "live_link"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    fields = [("name", "slug"), ("time_zone", "retention_days")]
    inlines = [FloorPlanInline, CameraInline, ZoneInline, GrantInline]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Environment]:
        """Count the cameras along."""
        enabled = Q(cameras__enabled=True)
        environments: QuerySet[Environment] = super().get_queryset(request)
        return environments.annotate(
            cameras_enabled=Count("cameras", filter=enabled),
            cameras_online=Count("cameras", filter=enabled & Q(cameras__state=CameraState.ONLINE)),
        )

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show how far the set-up is."""
        place = self.get_object(request, object_id)
        kwargs["extra_context"] = {"progress": pages.progress_of(place) if place else None}
        return super().change_view(request, object_id, *args, **kwargs)

    def response_add(self, request: HttpRequest, obj: Environment, *args: Any) -> HttpResponse:
        """Lead on to the floor plan, where nothing else was asked for."""
        if PLAIN_SAVE in request.POST and not hasattr(obj, "floor_plan"):
            return redirect("admin:environments_environment_plan", obj.pk)
        return super().response_add(request, obj, *args)

    def get_urls(self) -> list[Any]:
        """Add the pages on which a floor plan is put to scale and zones are drawn."""
        wrapped = self.admin_site.admin_view
        return [
            path("<int:environment_id>/plan/", wrapped(pages.plan), name="environments_environment_plan"),
            path("<int:environment_id>/zones/", wrapped(pages.zones), name="environments_environment_zones"),
            *super().get_urls(),
        ]

    @admin.display(description=_("cameras online"))
    def cameras_up(self, environment: Environment) -> str:
        """Show how many cameras are up."""
        return f"{environment.cameras_online} / {environment.cameras_enabled}"  # type: ignore[attr-defined]

    @admin.display(description=_("live view"))
    def live_link(self, environment: Environment) -> str:
        """Lead to the live view."""
        return _live_link(environment)


@admin.register(Camera)
class CameraAdmin(PlaceAdmin):
    """Edits cameras; lists how they are doing and whether they can be tracked with."""

    form = CameraForm
    list_display = [
        "__str__",
        "environment",
        "condition",
        "calibration",
        "live_link",
        "enabled",
        "source",
        "picture",
    ]
    list_filter = ["environment", "state", "enabled"]
    list_select_related = ["environment"]
    search_fields = ["key", "name", "environment__name"]
    fields = [
        ("environment", "position"),
        ("key", "name"),
        "source_url",
        ("width", "height", "fps"),
        "enabled",
        "condition",
        "calibration",
    ]
    readonly_fields = ["condition", "calibration"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Camera]:
        """Fetch the active calibrations along."""
        active = Calibration.objects.filter(is_active=True)
        cameras: QuerySet[Camera] = super().get_queryset(request)
        return cameras.prefetch_related(Prefetch("calibrations", active, to_attr="active_calibrations"))

    def response_add(self, request: HttpRequest, obj: Camera, *args: Any) -> HttpResponse:
        """Lead on to the calibration, where nothing else was asked for."""
        if PLAIN_SAVE in request.POST:
            return redirect("admin:environments_camera_calibrate", obj.pk)
        return super().response_add(request, obj, *args)

    def get_urls(self) -> list[Any]:
        """Add the page on which a camera is calibrated by clicks."""
        calibrate = self.admin_site.admin_view(pages.calibrate)
        name = "environments_camera_calibrate"
        return [path("<int:camera_id>/calibrate/", calibrate, name=name), *super().get_urls()]

    @admin.display(description=_("source"))
    def source(self, camera: Camera) -> str:
        """Show the address without its password."""
        return camera.masked_source_url

    @admin.display(description=_("picture"))
    def picture(self, camera: Camera) -> str:
        """Show size and rate."""
        return f"{camera.width}x{camera.height}, {camera.fps:g}/s"

    @admin.display(description=_("state"), ordering="state")
    def condition(self, camera: Camera) -> str:
        """Show how the camera is doing."""
        return _state(camera) if camera.pk else "-"

    @admin.display(description=_("calibration"))
    def calibration(self, camera: Camera) -> str:
        """Lead to the calibration in use, or to a new one."""
        if not camera.pk:
            return gettext("Save the camera first.")
        active: list[Calibration] = camera.active_calibrations  # type: ignore[attr-defined]
        if not active:
            address = reverse("admin:environments_camera_calibrate", args=[camera.pk])
            return format_html('<a href="{}">{}</a>', address, gettext("not calibrated: do it now"))
        address = reverse("admin:environments_camera_calibrate", args=[camera.pk])
        try:
            calibration_model(calibration=active[0], camera=camera)
        except GeometryError as error:
            return format_html('<a class="problem" href="{}">{}</a>', address, error)
        return format_html('<a href="{}">{}</a>', address, f"{active[0].created_at:%Y-%m-%d}")

    @admin.display(description=_("live view"))
    def live_link(self, camera: Camera) -> str:
        """Lead to the live view."""
        return _live_link(camera.environment)


@admin.register(Calibration)
class CalibrationAdmin(AuditedAdmin, admin.ModelAdmin):
    """Calibrates cameras: every save makes a new version, which is used from then on."""

    form = CalibrationForm
    list_display = ["camera", "environment", "created_at", "created_by", "is_active", "worth"]
    list_filter = ["is_active", "camera__environment"]
    list_select_related = ["camera__environment", "created_by"]
    search_fields = ["camera__key", "camera__name"]
    actions = ["use"]
    readonly_fields = ["errors", "is_active", "created_at", "created_by"]
    fieldsets = [
        (None, {"fields": ["camera", "point_pairs", "errors"]}),
        (_("Lens"), {"fields": ["camera_matrix", "distortion"], "classes": ["collapse"]}),
        (
            _("Numbers"),
            {"fields": ["h_image_to_world", "rotation", "translation_m"], "classes": ["collapse"]},
        ),
        (_("Version"), {"fields": ["is_active", "created_at", "created_by"], "classes": ["collapse"]}),
    ]

    def save_model(self, request: HttpRequest, obj: Calibration, form: ModelForm, change: bool) -> None:
        """Make the new version and go on with it."""
        form = cast(CalibrationForm, form)
        data, user = form.cleaned_data, cast(User, request.user)
        lens = {"camera_matrix": data["camera_matrix"], "distortion": data["distortion"]}
        if data["point_pairs"]:
            made = services.calibration_fit(
                camera=data["camera"], point_pairs=form.pairs(), created_by=user, **lens
            )
        else:
            made = services.calibration_set(
                camera=data["camera"],
                h_image_to_world=data["h_image_to_world"],
                rotation=data["rotation"],
                translation_m=data["translation_m"],
                created_by=user,
                **lens,
            )
        obj.__dict__.update({f.attname: getattr(made, f.attname) for f in Calibration._meta.concrete_fields})
        messages.info(
            request,
            gettext("A new version of %(camera)s's calibration is in use (%(worth)s); earlier ones are kept.")
            % {"camera": made.camera, "worth": _worth(made)},
        )

    @admin.action(description=_("Use this version"))
    def use(self, request: HttpRequest, queryset: QuerySet[Calibration]) -> None:
        """Go back to an earlier version."""
        for calibration in queryset:
            services.calibration_activate(calibration=calibration)
        count = len(queryset)
        text = ngettext(
            "%(count)d calibration is in use now.", "%(count)d calibrations are in use now.", count
        )
        messages.success(request, text % {"count": count})

    @admin.display(description=_("environment"), ordering="camera__environment")
    def environment(self, calibration: Calibration) -> str:
        """Show where the camera is."""
        return str(calibration.camera.environment)

    @admin.display(description=_("error"))
    def worth(self, calibration: Calibration) -> str:
        """Show how well the point pairs are met."""
        return _worth(calibration)

    @admin.display(description=_("errors"))
    def errors(self, calibration: Calibration) -> str:
        """Show how far each point pair is from where the calibration puts it."""
        if not calibration.pk or not calibration.point_pairs:
            return gettext("Shown for point pairs once they are saved.")
        try:
            found = calibration_errors(calibration=calibration)
        except GeometryError as error:
            return str(error)
        rows = format_html_join(
            "",
            "<tr><td>{}</td><td>{}, {}</td><td>{}, {}</td><td>{}</td><td>{}</td></tr>",
            (
                (n, f"{e.u:g}", f"{e.v:g}", f"{e.x:g}", f"{e.y:g}", _metres(e.error_m), _pixels(e.error_px))
                for n, e in enumerate(found, 1)
            ),
        )
        head = format_html_join(
            "",
            "<th>{}</th>",
            ((title,) for title in ("", "u, v (px)", "x, y (m)", gettext("error, m"), gettext("error, px"))),
        )
        return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", head, rows)


@admin.register(Zone)
class ZoneAdmin(PlaceAdmin):
    """Edits zones."""

    form = ZoneForm
    list_display = ["name", "environment", "key", "kind", "corners", "capacity"]
    list_filter = ["environment", "kind"]
    list_select_related = ["environment"]
    search_fields = ["name", "key"]

    @admin.display(description=_("points"))
    def corners(self, zone: Zone) -> int:
        """Show the number of points."""
        return len(zone.points_m)


@admin.register(FloorPlan)
class FloorPlanAdmin(AuditedAdmin, admin.ModelAdmin):
    """Lists floor plans; they are edited with their environment."""

    form = FloorPlanForm
    list_display = ["environment", "width_px", "height_px", "metres_per_px", "covers"]
    list_select_related = ["environment"]
    fields = ["environment", "image", "metres_per_px", ("origin_x_px", "origin_y_px")]
    formfield_overrides = WITHOUT_LINK

    @admin.display(description=_("covers, m"))
    def covers(self, plan: FloorPlan) -> str:
        """Show how much floor the picture covers."""
        return f"{plan.width_px * plan.metres_per_px:.1f} x {plan.height_px * plan.metres_per_px:.1f}"


@admin.register(Grant)
class GrantAdmin(AuditedAdmin, admin.ModelAdmin):
    """Says who may see what."""

    list_display = ["user", "environment"]
    list_filter = ["environment"]
    list_select_related = ["user", "environment"]
    search_fields = ["user__username", "environment__name"]
    autocomplete_fields = ["user", "environment"]


admin.site.unregister(User)


@admin.register(User)
class GrantedUserAdmin(UserAdmin):
    """Edits users together with their grants, which accounts know nothing of."""

    inlines = [GrantInline]


def _state(camera: Camera) -> SafeString:
    return format_html(
        '<span class="camera-state {}" title="{}">{} {}</span>',
        camera.state,
        f"{camera.state_at:%Y-%m-%d %H:%M} UTC" if camera.state_at else "",
        camera.get_state_display(),
        camera.state_message,
    )


def _live_link(environment: Environment) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("live", args=[environment.slug]), gettext("open"))


def _worth(calibration: Calibration) -> str:
    """Say how well a calibration meets its point pairs, in one line."""
    if not calibration.point_pairs:
        return gettext("from numbers")
    try:
        found = [e.error_m for e in calibration_errors(calibration=calibration) if e.error_m is not None]
    except GeometryError as error:
        return str(error)
    if not found:
        return gettext("no pair is on the floor")
    return gettext("%(count)d pairs, mean %(mean).2f m, worst %(worst).2f m") % {
        "count": len(calibration.point_pairs),
        "mean": sum(found) / len(found),
        "worst": max(found),
    }


def _metres(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _pixels(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
