"""What was counted, over REST."""

from collections.abc import Iterable
from typing import Any, cast

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.rest.renderers import AS_FILES
from analytics import selectors, serializers
from analytics.aggregates import CELL_M
from analytics.dwell import dwell
from environments.models import Environment, ZoneKind
from environments.selectors import environments_visible_to
from tracking.models import TrackPoint


class AnalyticsViewSet(Audited, GenericViewSet):
    """What was counted in a place over a range of time; nobody is named."""

    queryset = TrackPoint.objects.none()
    serializer_class = serializers.OccupancySerializer
    renderer_classes = AS_FILES
    filter_backends = []
    pagination_class = None
    audit_kind = "analytics"
    audit_reads = ()
    needs = dict.fromkeys(
        ("detections", "occupancy", "heatmap", "flows", "dwell"), "tracking.view_trackpoint"
    )

    @extend_schema(parameters=[serializers.StepsSerializer], responses=serializers.CameraCountsSerializer)
    @action(detail=False, methods=["get"], serializer_class=serializers.CameraCountSerializer)
    def detections(self, request: Request) -> Response:
        """Say what each camera showed over time."""
        place, asked = self._asked(serializers.StepsSerializer)
        return self._answer(place, asked, selectors.camera_counts(environment=place, **asked))

    @extend_schema(
        parameters=[serializers.OccupancyAskedSerializer], responses=serializers.OccupanciesSerializer
    )
    @action(detail=False, methods=["get"], serializer_class=serializers.OccupancySerializer)
    def occupancy(self, request: Request) -> Response:
        """Say how many people there were over time, in the whole place or in an area."""
        place, asked = self._asked(serializers.OccupancyAskedSerializer)
        if "zone" not in asked:
            return self._answer(place, asked, selectors.occupancy(environment=place, **asked))
        _check_area(place, asked["zone"])
        return self._answer(place, asked, selectors.zone_occupancy(environment=place, **asked))

    @extend_schema(parameters=[serializers.RangeSerializer], responses=serializers.HeatMapSerializer)
    @action(detail=False, methods=["get"], serializer_class=serializers.HeatCellSerializer)
    def heatmap(self, request: Request) -> Response:
        """Say where on the floor people were, by full hours."""
        place, asked = self._asked(serializers.RangeSerializer)
        cells = selectors.heat_map(environment=place, **asked)
        return self._answer(place, _by_hours(asked), cells, cell_m=CELL_M)

    @extend_schema(parameters=[serializers.FlowsAskedSerializer], responses=serializers.FlowsSerializer)
    @action(detail=False, methods=["get"], serializer_class=serializers.FlowSerializer)
    def flows(self, request: Request) -> Response:
        """Say how often people went from one area to another, or from camera to camera, by full hours."""
        place, asked = self._asked(serializers.FlowsAskedSerializer)
        between = asked.pop("between")
        flows = selectors.flows(environment=place, **asked, between=between)
        return self._answer(place, _by_hours(asked), flows)

    @extend_schema(parameters=[serializers.DwellAskedSerializer], responses=serializers.DwellsSerializer)
    @action(detail=False, methods=["get"], serializer_class=serializers.DwellSerializer)
    def dwell(self, request: Request) -> Response:
        """Say how long people stayed in areas."""
        place, asked = self._asked(serializers.DwellAskedSerializer)
        if "zone" in asked:
            _check_area(place, asked["zone"])
        return self._answer(place, asked, dwell(environment=place, **asked))

    def _asked(self, kind: type[serializers.RangeSerializer]) -> tuple[Environment, dict[str, Any]]:
        """Read the query parameters, and find the place."""
        reading = kind(data=self.request.query_params.dict())
        reading.is_valid(raise_exception=True)
        asked: dict[str, Any] = reading.validated_data
        visible = environments_visible_to(user=cast(User, self.request.user))
        return get_object_or_404(visible, slug=asked.pop("environment")), asked

    def _answer(
        self, place: Environment, asked: dict[str, Any], rows: Iterable[Any], **more: Any
    ) -> Response:
        within = serializers.AnswerSerializer({"environment": place.slug, **asked}).data
        return Response({**within, **more, "results": self.get_serializer(rows, many=True).data})


def _by_hours(asked: dict[str, Any]) -> dict[str, Any]:
    """Give a range as counts by the hour answer it."""
    return asked | {"since": asked["since"].replace(minute=0, second=0, microsecond=0)}


def _check_area(place: Environment, key: str) -> None:
    """Refuse a key that is no area's: an empty answer would look like an empty area.

    Raises:
        ValidationError: it is none.
    """
    if not place.zones.filter(key=key, kind=ZoneKind.POLYGON).exists():
        raise ValidationError({"zone": [_("There is no such area.")]})
