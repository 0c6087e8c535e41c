"""Sessions, persons, tracks, positions and the state of things over REST."""

from collections.abc import Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any, cast

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.permissions import RolePermission
from accounts.rest.pagination import TimePages
from accounts.rest.renderers import AS_FILES
from environments.api import InVisiblePlaces
from environments.models import Environment
from environments.selectors import environments_visible_to
from tracking import selectors
from tracking.filters import PersonFilter, TrackFilter
from tracking.models import Person, Track, TrackingSession, TrackPoint
from tracking.positions import (
    Stretch,
    answer_of_one,
    journey_stretches,
    place_stretches,
    points_thinned,
    presence_shown,
    presences,
)
from tracking.serializers import (
    LayoutSerializer,
    PersonSerializer,
    PointSerializer,
    PresenceSerializer,
    SystemSerializer,
    ThinnedSerializer,
    TrackSerializer,
)

MAX_POINTS = 10_000
LONGEST_RANGE = timedelta(days=366)
DEFAULT_RANGE = timedelta(hours=1)


class RangeSerializer(serializers.Serializer):
    """Reads a time range, and to how many points it is to be thinned."""

    since = serializers.DateTimeField(required=False, help_text="default: an hour before `until`")
    until = serializers.DateTimeField(required=False, help_text="default: now")
    max_points = serializers.IntegerField(min_value=1, max_value=MAX_POINTS, default=1000)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what is not given, and bound the range."""
        attrs.setdefault("until", timezone.now())
        try:
            attrs.setdefault("since", attrs["until"] - DEFAULT_RANGE)
            length = attrs["until"] - attrs["since"]
        except OverflowError as error:
            raise serializers.ValidationError({"until": [_("It is out of range.")]}) from error
        if not timedelta(0) <= length <= LONGEST_RANGE:
            raise serializers.ValidationError(
                {"since": [_("Give a time before `until`, by a year at most.")]}
            )
        return attrs


class PlaceRangeSerializer(RangeSerializer):
    """Reads a place and a time range."""

    environment = serializers.SlugField(help_text="short name of an environment")
    person = serializers.IntegerField(min_value=1, max_value=2**53, required=False, help_text="number")


class PlaceSerializer(serializers.Serializer):
    """Reads a place, where one is named."""

    environment = serializers.SlugField(
        required=False, help_text="short name of an environment; default: all"
    )


class RowsAsFiles:
    """Answers rows as JSON, CSV, lines of JSON or Arrow, as the client accepts or ``format=`` says."""

    renderer_classes: Sequence[Any] = AS_FILES


class PersonViewSet(Audited, InVisiblePlaces, ReadOnlyModelViewSet):
    """Persons, last seen first."""

    queryset = Person.objects.select_related("environment")
    serializer_class = PersonSerializer
    filterset_class = PersonFilter
    pagination_class = TimePages
    ordering = ["-last_seen_at"]
    ordering_fields = ["last_seen_at", "first_seen_at", "number"]
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"
    needs = {"journey": "tracking.view_trackpoint"}
    audit_reads = ("retrieve", "journey")

    @extend_schema(parameters=[RangeSerializer], responses=ThinnedSerializer, filters=False)
    @action(
        detail=True,
        methods=["get"],
        renderer_classes=AS_FILES,
        filter_backends=[],  # since and until are the journey's, not the person's
        pagination_class=None,
        serializer_class=PointSerializer,
    )
    def journey(self, request: Request, pk: str) -> Response:
        """Say where the person was, track by track."""
        person = self.get_object()
        wanted = _read(RangeSerializer, request)
        stretches = journey_stretches(person=person, since=wanted["since"], until=wanted["until"])
        return _thinned_answer(stretches, wanted)


class TrackViewSet(Audited, InVisiblePlaces, RowsAsFiles, ReadOnlyModelViewSet):
    """Tracks: unbroken stays on the floor, newest first."""

    place = "session__environment"
    queryset = Track.objects.select_related("person__environment")
    serializer_class = TrackSerializer
    filterset_class = TrackFilter
    pagination_class = TimePages
    ordering = ["-started_at"]
    ordering_fields = ["started_at", "ended_at"]
    lookup_value_regex = "[0-9]+"


class PositionViewSet(Audited, GenericViewSet):
    """Where people are, and where they were."""

    queryset = TrackPoint.objects.none()
    serializer_class = PresenceSerializer
    filter_backends = []
    needs = {"history": "tracking.view_trackpoint"}
    audit_kind = "positions"
    audit_reads = ("history",)

    @extend_schema(parameters=[PlaceSerializer], responses=PresenceSerializer(many=True))
    def list(self, request: Request) -> Response:
        """Say who is where now; where nothing is heard, what was stored last, and that it is stale."""
        environments = environments_visible_to(user=cast(User, request.user))
        slug = _read(PlaceSerializer, request).get("environment")
        if slug is not None:
            here = get_object_or_404(environments, slug=slug)
            (presence,) = presences(environments=[here])
            response: Any = Response(answer_of_one(presence))
            if request.accepted_media_type == JSONRenderer.media_type:  # without an indent, say
                response.live = here  # see spoton/live_answers.py
            return cast(Response, response)
        page = cast(list[Environment], self.paginate_queryset(environments.order_by("name", "pk")))
        return self.get_paginated_response([presence_shown(p) for p in presences(environments=page)])

    @extend_schema(parameters=[PlaceRangeSerializer], responses=ThinnedSerializer)
    @action(
        detail=False,
        methods=["get"],
        renderer_classes=AS_FILES,
        pagination_class=None,
        serializer_class=PointSerializer,
    )
    def history(self, request: Request) -> Response:
        """Say who was where, thinned to a number of points."""
        wanted = _read(PlaceRangeSerializer, request)
        visible = environments_visible_to(user=cast(User, request.user))
        environment = get_object_or_404(visible, slug=wanted["environment"])
        since, until = wanted["since"], wanted["until"]
        if "person" not in wanted:
            return _thinned_answer(place_stretches(environment=environment, since=since, until=until), wanted)
        person = Person.objects.filter(environment=environment, number=wanted["person"]).first()
        stays = [] if person is None else journey_stretches(person=person, since=since, until=until)
        return _thinned_answer(stays, wanted)


class LayoutView(GenericAPIView):
    """Describes a place in one answer."""

    permission_classes = [RolePermission]
    queryset = Environment.objects.none()
    serializer_class = LayoutSerializer
    action = "retrieve"

    def get(self, request: Request, slug: str) -> Response:
        """Give plan, cameras, fields of view and zones."""
        visible = environments_visible_to(user=cast(User, request.user))
        layout = selectors.live_layout(environment=get_object_or_404(visible, slug=slug))
        return Response({"cameras": layout["cameras"], "zones": layout["zones"], "map": layout["floor_map"]})


class SystemView(GenericAPIView):
    """Says how SpotOn is doing, in the environments that one may see."""

    permission_classes = [RolePermission]
    queryset = TrackingSession.objects.none()
    serializer_class = SystemSerializer
    action = "system"
    needs = {"system": "tracking.change_trackingsession"}
    filter_backends = []
    pagination_class = None

    def get(self, request: Request) -> Response:
        """Give sessions, cameras, and whether database and Redis answer."""
        visible = environments_visible_to(user=cast(User, request.user)).order_by("name", "pk")
        state = selectors.system_state(environments=visible)
        said = {"version": version("spoton"), "at": timezone.now(), "database": True} | state
        return Response(self.get_serializer(said).data)


def _read(kind: type[serializers.Serializer], request: Request) -> dict[str, Any]:
    """Read the query parameters."""
    reading = kind(data=request.query_params.dict())
    reading.is_valid(raise_exception=True)
    given: dict[str, Any] = reading.validated_data
    return given


def _thinned_answer(stretches: Sequence[Stretch], wanted: dict[str, Any]) -> Response:
    thinned = points_thinned(stretches=stretches, max_points=wanted["max_points"])
    return Response({"seen": thinned.seen, "results": thinned.points})
