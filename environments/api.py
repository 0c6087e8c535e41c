"""Places, cameras, calibrations, zones and grants over REST."""

from typing import Any, cast

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.generics import get_object_or_404
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ModelViewSet

from accounts.auditing import Audited
from accounts.models import User
from environments import services
from environments.filters import CameraFilter, GrantFilter, ZoneFilter
from environments.models import Calibration, Camera, Environment, FloorPlan, Grant, Zone
from environments.pictures import PictureRefused, picture_clean
from environments.selectors import (
    active_calibrations,
    environments_visible_to,
    environments_with_camera_counts,
    fit_worth,
    plan_picture,
)
from environments.serializers import (
    CalibrationSerializer,
    CameraSerializer,
    EnvironmentSerializer,
    FloorPlanPlaceSerializer,
    FloorPlanSerializer,
    GrantSerializer,
    NewFloorPlanSerializer,
    ZoneSerializer,
)
from environments.trial_serializers import TrialSerializer, TriedSerializer


class InVisiblePlaces:
    """Narrows a view's rows to the environments that who asks may see."""

    queryset: QuerySet
    request: Any
    place = "environment"

    def get_queryset(self) -> QuerySet[Any]:
        """Give what may be seen."""
        rows: QuerySet[Any] = super().get_queryset()  # type: ignore[misc]
        return rows.filter(
            **{f"{self.place}__in": environments_visible_to(user=cast(User, self.request.user))}
        )


class EnvironmentViewSet(Audited, ModelViewSet):
    """Places; one that is not granted is as if it were not there."""

    queryset = Environment.objects.order_by("name", "pk")
    serializer_class = EnvironmentSerializer
    lookup_field = "slug"
    lookup_value_regex = "[-a-zA-Z0-9_]+"
    search_fields = ["slug", "name"]
    ordering_fields = ["slug", "name", "created_at"]
    audit_reads = ()  # what is seen there is written down where it is asked for
    needs = {"plan": "environments.view_floorplan", "picture": "environments.view_floorplan"} | {
        "plan_put": "environments.change_floorplan",
        "plan_patch": "environments.change_floorplan",
    }

    def get_queryset(self) -> QuerySet[Environment]:
        """Give what may be seen."""
        visible = environments_visible_to(user=cast(User, self.request.user))
        return environments_with_camera_counts(environments=visible).order_by("name", "pk")

    @extend_schema(responses=FloorPlanSerializer)
    @action(detail=True, methods=["get"])
    def plan(self, request: Request, slug: str) -> Response:
        """Say how the floor plan's picture lies on the floor."""
        plan = get_object_or_404(FloorPlan, environment=self.get_object())
        return Response(FloorPlanSerializer(plan).data)

    @extend_schema(request=NewFloorPlanSerializer, responses={200: FloorPlanSerializer, 204: None})
    @plan.mapping.put
    def plan_put(self, request: Request, slug: str) -> Response:
        """Put a picture under the map."""
        reading = NewFloorPlanSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        given, environment = reading.validated_data, self.get_object()
        try:
            if given.pop("check_only"):
                picture_clean(given["image"])
                return Response(status=status.HTTP_204_NO_CONTENT)
            plan = services.floor_plan_set(environment=environment, **given)
        except PictureRefused as error:
            raise ValidationError({"image": [str(error)]}) from error
        return Response(FloorPlanSerializer(plan).data)

    @extend_schema(request=FloorPlanPlaceSerializer, responses=FloorPlanSerializer)
    @plan.mapping.patch
    def plan_patch(self, request: Request, slug: str) -> Response:
        """Put the floor plan to another scale and origin, and turn its picture."""
        plan = get_object_or_404(FloorPlan, environment=self.get_object())
        reading = FloorPlanPlaceSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        try:
            plan = services.floor_plan_place(plan=plan, **reading.validated_data)
        except PictureRefused as error:
            raise ValidationError({"turn_deg": [str(error)]}) from error
        return Response(FloorPlanSerializer(plan).data)

    @extend_schema(
        responses={
            (200, "image/png"): OpenApiResponse(OpenApiTypes.BINARY),
            (200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY),
            (200, "image/webp"): OpenApiResponse(OpenApiTypes.BINARY),
        }
    )
    @action(detail=True, methods=["get"], url_path="plan/picture")
    def picture(self, request: Request, slug: str) -> HttpResponse:
        """Give the floor plan's picture."""
        plan = get_object_or_404(FloorPlan, environment=self.get_object())
        found = plan_picture(plan=plan)
        if found is None:
            raise Http404
        response = HttpResponse(found.content, content_type=found.content_type)
        response["ETag"] = found.etag
        response["Cache-Control"] = "private, no-cache"
        return response

    def get_parsers(self) -> list[Any]:
        """Read pictures as forms, everything else as JSON."""
        request: Request | None = self.request  # none where the API is described
        actions = getattr(self, "action_map", None) or {}
        is_picture = actions.get("put") == "plan_put" and request is not None and request.method == "PUT"
        return [MultiPartParser()] if is_picture else super().get_parsers()


class CameraViewSet(Audited, InVisiblePlaces, ModelViewSet):
    """Cameras; their secrets are never shown."""

    queryset = Camera.objects.select_related("environment").order_by(
        "environment__name", "position", "key", "pk"
    )
    serializer_class = CameraSerializer
    filterset_class = CameraFilter
    search_fields = ["key", "name"]
    ordering_fields = ["key", "name", "position", "state"]
    lookup_value_regex = "[0-9]+"
    needs = {
        "calibration": "environments.view_calibration",
        "calibration_put": "environments.add_calibration",
        "calibrations": "environments.view_calibration",
        "calibration_use": "environments.change_calibration",
    }

    def get_queryset(self) -> QuerySet[Camera]:
        """Give what may be seen, with whether it is calibrated."""
        return super().get_queryset().prefetch_related(active_calibrations())

    @extend_schema(responses=CalibrationSerializer)
    @action(detail=True, methods=["get"])
    def calibration(self, request: Request, pk: str) -> Response:
        """Show the calibration in use."""
        calibration = get_object_or_404(Calibration, camera=self.get_object(), is_active=True)
        return Response(CalibrationSerializer(calibration).data)

    @extend_schema(request=CalibrationSerializer, responses=CalibrationSerializer)
    @calibration.mapping.put
    def calibration_put(self, request: Request, pk: str) -> Response:
        """Calibrate: the new version is in use from now on, earlier ones are kept."""
        reading = CalibrationSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        reading.save(camera=self.get_object(), created_by=request.user)
        return Response(reading.data)

    @extend_schema(responses=CalibrationSerializer(many=True))
    @action(detail=True, methods=["get"], filter_backends=[])
    def calibrations(self, request: Request, pk: str) -> Response:
        """List the versions of a camera's calibration, newest first."""
        versions = self.get_object().calibrations.select_related("camera", "created_by")
        page = self.paginate_queryset(versions.order_by("-created_at", "-pk"))
        return self.get_paginated_response(CalibrationSerializer(page, many=True).data)

    @extend_schema(request=None, responses=CalibrationSerializer)
    @action(detail=True, methods=["post"], url_path="calibrations/(?P<version>[0-9]+)/use")
    def calibration_use(self, request: Request, pk: str, version: str) -> Response:
        """Use an earlier version again."""
        calibration = get_object_or_404(Calibration, camera=self.get_object(), pk=version)
        services.calibration_activate(calibration=calibration)
        return Response(CalibrationSerializer(calibration).data)


class CalibrationTrialViewSet(InVisiblePlaces, GenericViewSet):
    """Tries calibrations: nothing is stored, and nothing written down, as points are dragged about."""

    queryset = Camera.objects.select_related("environment", "environment__floor_plan")
    serializer_class = TriedSerializer
    lookup_value_regex = "[0-9]+"
    filter_backends = []
    pagination_class = None
    needs = {"fit": "environments.add_calibration"}

    @extend_schema(request=TrialSerializer, responses=TriedSerializer)
    @action(detail=True, methods=["post"], url_path="calibration/fit")
    def fit(self, request: Request, pk: str) -> Response:
        """Say what point pairs are worth, without calibrating."""
        camera = self.get_object()
        reading = TrialSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        plan = getattr(camera.environment, "floor_plan", None)
        pairs = reading.validated_data["point_pairs"]
        worth = fit_worth(fit=reading.fit(camera), point_pairs=pairs, plan=plan)
        return Response(TriedSerializer(worth).data)


class ZoneViewSet(Audited, InVisiblePlaces, ModelViewSet):
    """Areas and directed lines on the floor."""

    queryset = Zone.objects.select_related("environment").order_by("environment__name", "name", "pk")
    serializer_class = ZoneSerializer
    filterset_class = ZoneFilter
    search_fields = ["key", "name"]
    ordering_fields = ["key", "name"]
    lookup_value_regex = "[0-9]+"


class GrantViewSet(
    Audited,
    InVisiblePlaces,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.CreateModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet,
):
    """Who may see what."""

    queryset = Grant.objects.select_related("user", "environment").order_by(
        "environment__name", "user__username"
    )
    serializer_class = GrantSerializer
    filterset_class = GrantFilter
    ordering_fields = ["user__username", "environment__name"]
    lookup_value_regex = "[0-9]+"
