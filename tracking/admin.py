"""Sessions, persons and the raw time series in the admin pages; the time series are for reading only."""

from collections.abc import Iterator
from datetime import UTC, timedelta
from functools import cached_property
from math import hypot
from typing import Any, cast

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.auditing import AuditedAdmin
from tracking import services
from tracking.choices import DesiredState
from tracking.forms import SessionForm
from tracking.models import Counter, Detection, Person, Track, TrackEvent, TrackingSession, TrackPoint

COUNTED_ROWS = 10_000  # a list that is longer ends there: narrow its time range


class CappedPaginator(Paginator):
    """Counts no further than COUNTED_ROWS, since counting a day of points takes seconds."""

    @cached_property
    def count(self) -> int:
        """Give the number of rows, or the cap."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED_ROWS].count())


class TimeRangeFilter(admin.SimpleListFilter):
    """Bounds a list of a time series; without a choice it shows the last hour."""

    title = _("time")
    parameter_name = "last"
    ranges = {
        "10m": (timedelta(minutes=10), _("Last 10 minutes")),
        "1h": (timedelta(hours=1), _("Last hour")),
        "1d": (timedelta(days=1), _("Last day")),
        "7d": (timedelta(days=7), _("Last 7 days")),
        "30d": (timedelta(days=30), _("Last 30 days")),
    }

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, Any]]:
        """Name the ranges."""
        return [(key, title) for key, (_length, title) in self.ranges.items()]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Leave the choice of everything out."""
        for key, title in self.lookup_choices:
            yield {
                "selected": (self.value() or "1h") == str(key),
                "query_string": changelist.get_query_string({self.parameter_name: key}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        """Bound the rows."""
        length, _title = self.ranges.get(self.value() or "1h", self.ranges["1h"])
        return queryset.filter(time__gte=timezone.now() - length)


class ReadOnlyAdmin(admin.ModelAdmin):
    """Shows rows that the worker writes, and changes none."""

    list_display_links = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # each would count all rows
    paginator = CappedPaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Refuse."""
        return False


class SeriesAdmin(ReadOnlyAdmin):
    """Shows rows of a time series, newest first.

    Attributes:
        indexed_by: the column that leads the index over time.
    """

    indexed_by = "environment"
    ordering = ["-time"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        """Name every place, so that a range of time is read from the index."""
        rows: QuerySet = super().get_queryset(request)
        places = self.model._meta.get_field(self.indexed_by).related_model
        known = cast(type[Model], places)._default_manager.values_list("pk", flat=True)
        return rows.filter(**{f"{self.indexed_by}__in": list(known)})

    @admin.display(description=_("time, UTC"), ordering="time")
    def at(self, row: Any) -> str:
        """Show the time to the millisecond."""
        return f"{row.time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


@admin.register(TrackingSession)
class TrackingSessionAdmin(AuditedAdmin, admin.ModelAdmin):
    """Lists sessions and asks them to run, pause and stop."""

    list_display = [
        "__str__",
        "actual_state",
        "desired_state",
        "message",
        "worker",
        "started_at",
        "live_link",
    ]
    list_filter = ["actual_state", "desired_state", "environment"]
    list_select_related = ["environment"]
    list_display_links = None
    ordering = ["-created_at"]
    actions = ["start", "pause", "stop"]
    form = SessionForm
    # whom to track is all that is asked; what follows is the worker's to say
    fields = ["environment"]

    def has_change_permission(self, request: HttpRequest, obj: TrackingSession | None = None) -> bool:
        """Refuse editing rows: sessions are steered by the actions."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request: HttpRequest, obj: TrackingSession | None = None) -> bool:
        """Refuse: its tracks go when their time is over."""
        return False

    def save_model(self, request: HttpRequest, obj: TrackingSession, form: Any, change: bool) -> None:
        """Ask for the environment to be tracked; the form has checked that it is not yet."""
        obj.__dict__.update(services.session_start(environment=obj.environment).__dict__)

    @admin.action(description=_("Start or resume"))
    def start(self, request: HttpRequest, queryset: QuerySet[TrackingSession]) -> None:
        """Ask the sessions to run; a stopped one gets a successor."""
        for session in queryset.select_related("environment"):
            try:
                if session.desired_state == DesiredState.STOPPED:
                    services.session_start(environment=session.environment)
                else:
                    self._ask(request, session, DesiredState.RUNNING)
            except services.SessionOpen as error:
                self.message_user(request, str(error), messages.ERROR)
            else:
                self._tell(request, gettext("Asked to run: %(session)s.") % {"session": session})

    @admin.action(description=_("Pause"))
    def pause(self, request: HttpRequest, queryset: QuerySet[TrackingSession]) -> None:
        """Ask the sessions to pause."""
        for session in queryset:
            self._ask(request, session, DesiredState.PAUSED)
        self._tell(request, gettext("Asked to pause; stopped sessions stay stopped."))

    @admin.action(description=_("Stop"))
    def stop(self, request: HttpRequest, queryset: QuerySet[TrackingSession]) -> None:
        """Ask the sessions to stop."""
        for session in queryset:
            self._ask(request, session, DesiredState.STOPPED)
        self._tell(request, gettext("Asked to stop."))

    @admin.display(description=_("live view"))
    def live_link(self, session: TrackingSession) -> str:
        """Lead to the live view."""
        return format_html(
            '<a href="{}">{}</a>', reverse("live", args=[session.environment.slug]), gettext("open")
        )

    def _ask(self, request: HttpRequest, session: TrackingSession, state: DesiredState) -> None:
        services.session_ask(session=session, desired_state=state, now=timezone.now())
        self.log_change(request, session, [{"changed": {"fields": ["desired_state"]}}])

    def _tell(self, request: HttpRequest, text: str) -> None:
        self.message_user(request, text, messages.SUCCESS)


@admin.register(Person)
class PersonAdmin(ReadOnlyAdmin):
    """Lists persons."""

    list_display = ["__str__", "environment", "first_seen_at", "last_seen_at", "tracks_link"]
    list_filter = ["environment"]
    list_select_related = ["environment"]
    search_fields = ["=number"]
    ordering = ["-last_seen_at"]

    @admin.display(description=_("tracks"))
    def tracks_link(self, person: Person) -> str:
        """Lead to the tracks."""
        address = reverse("admin:tracking_track_changelist") + f"?person__id__exact={person.pk}"
        return format_html('<a href="{}">{}</a>', address, gettext("show"))


@admin.register(Track)
class TrackAdmin(ReadOnlyAdmin):
    """Lists tracks."""

    list_display = ["id", "person", "session", "started_at", "ended_at", "points_link"]
    list_filter = ["session__environment"]
    list_select_related = ["person", "session__environment"]
    search_fields = ["=id", "=person__number"]
    ordering = ["-started_at"]

    @admin.display(description=_("points"))
    def points_link(self, track: Track) -> str:
        """Lead to the points."""
        address = reverse("admin:tracking_trackpoint_changelist") + f"?track__id__exact={track.pk}&last=30d"
        return format_html('<a href="{}">{}</a>', address, gettext("show"))


@admin.register(TrackPoint)
class TrackPointAdmin(SeriesAdmin):
    """Lists where tracks were."""

    list_display = ["at", "environment", "track_id", "place", "speed", "std_m", "cameras"]
    list_filter = [TimeRangeFilter, "environment"]
    list_select_related = ["environment"]

    @admin.display(description=_("x, y (m)"))
    def place(self, point: TrackPoint) -> str:
        """Show the place."""
        return f"{point.x_m:.2f}, {point.y_m:.2f}"

    @admin.display(description=_("speed, m/s"))
    def speed(self, point: TrackPoint) -> str:
        """Show the speed."""
        return f"{hypot(point.vx_mps, point.vy_mps):.2f}"

    @admin.display(description=_("std, m"))
    def std_m(self, point: TrackPoint) -> str:
        """Show the uncertainty as one number, the root of the sum of both variances."""
        return f"{(point.var_x_m2 + point.var_y_m2) ** 0.5:.2f}"


@admin.register(Detection)
class DetectionAdmin(SeriesAdmin):
    """Lists boxes."""

    indexed_by = "camera"
    list_display = ["at", "camera", "ordinal", "track_id", "box", "certainty"]
    list_filter = [TimeRangeFilter, "camera__environment", "camera"]
    list_select_related = ["camera"]

    @admin.display(description=_("box, px"))
    def box(self, detection: Detection) -> str:
        """Show left, top, right and bottom."""
        d = detection
        return f"{d.left_px:.0f}, {d.top_px:.0f}, {d.right_px:.0f}, {d.bottom_px:.0f}"

    @admin.display(description=_("confidence"), ordering="confidence")
    def certainty(self, detection: Detection) -> str:
        """Show the confidence."""
        return f"{detection.confidence:.2f}"


@admin.register(TrackEvent)
class TrackEventAdmin(SeriesAdmin):
    """Lists what happened."""

    list_display = ["at", "environment", "kind", "person", "zone", "camera", "payload"]
    list_filter = [TimeRangeFilter, "environment", "kind"]
    list_select_related = ["environment", "person", "zone", "camera"]


@admin.register(Counter)
class CounterAdmin(ReadOnlyAdmin):
    """Lists counters."""

    list_display = ["name", "next_value"]
