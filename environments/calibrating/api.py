"""How calibrations come about and stay right, over REST."""

from datetime import timedelta
from typing import Any, cast

from celery import current_app
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.generics import GenericAPIView, get_object_or_404
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ReadOnlyModelViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.permissions import RolePermission
from accounts.rest.errors import Conflict
from environments.api import InVisiblePlaces
from environments.calibrating import services
from environments.calibrating.files import CalibrationFileError
from environments.calibrating.models import CameraMove, Proposal, ProposalRun
from environments.calibrating.selectors import health_summary, report_of
from environments.calibrating.serializers import (
    CalibrationFileSerializer,
    CameraMoveSerializer,
    HealthQuerySerializer,
    HealthSerializer,
    ProposalRunSerializer,
    ProposalSerializer,
    ReportSerializer,
    report_data,
)
from environments.geometry import GeometryError
from environments.models import Camera, Environment
from environments.selectors import environments_visible_to
from environments.serializers import CalibrationSerializer

PROPOSE = "tracking.tasks.calibrations_propose"  # by name: detections are tracking's
PICTURE = {(200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY)}


class HealthView(GenericAPIView):
    """How far apart the cameras of a place put the same people."""

    permission_classes = [RolePermission]
    queryset = Environment.objects.none()
    serializer_class = HealthSerializer
    action = "health"
    needs = {"health": "environments.view_calibration"}

    @extend_schema(parameters=[HealthQuerySerializer], responses=HealthSerializer)
    def get(self, request: Request, slug: str) -> Response:
        """Give the last word on each camera, pair and square of the floor, and each camera's trend."""
        visible = environments_visible_to(user=cast(User, request.user))
        place = get_object_or_404(visible, slug=slug)
        asked = HealthQuerySerializer(data=request.query_params)
        asked.is_valid(raise_exception=True)
        since = timezone.now() - timedelta(hours=asked.validated_data["hours"])
        return Response(HealthSerializer(health_summary(environment=place, since=since)).data)


class ReportView(GenericAPIView):
    """What the cameras of a place can be expected to see, from geometry."""

    permission_classes = [RolePermission]
    queryset = Environment.objects.none()
    serializer_class = ReportSerializer
    action = "report"
    needs = {"report": "environments.view_calibration"}

    def get(self, request: Request, slug: str) -> Response:
        """Give coverage, blind spots, overlaps, expected errors, and what would make them better."""
        visible = environments_visible_to(user=cast(User, request.user))
        report = report_of(environment=get_object_or_404(visible, slug=slug), now=timezone.now())
        return Response(ReportSerializer(report_data(report)).data)


class ProposalRunViewSet(Audited, InVisiblePlaces, mixins.CreateModelMixin, ReadOnlyModelViewSet):
    """Searches for calibrations in recorded detections of people."""

    queryset = ProposalRun.objects.select_related("environment", "created_by").order_by("-created_at", "-pk")
    serializer_class = ProposalRunSerializer
    filterset_fields = {"environment__slug": ["exact"], "state": ["exact"]}
    lookup_value_regex = "[0-9]+"
    needs = {
        "create": "environments.add_calibration",
        "list": "environments.view_calibration",
        "retrieve": "environments.view_calibration",
    }

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        """Let runs be asked for in places that may be seen."""
        serializer = super().get_serializer(*args, **kwargs)
        fields = getattr(serializer, "fields", None)
        if fields and self.request is not None and self.request.user.is_authenticated:
            fields["environment"].queryset = environments_visible_to(user=cast(User, self.request.user))
        return serializer

    def perform_create(self, serializer: Any) -> None:
        """Ask for a run, and send the task that carries it out."""
        try:
            run = services.proposal_run_start(
                created_by=cast(User, self.request.user), **serializer.validated_data
            )
        except GeometryError as error:
            raise ValidationError({"anchors": [str(error)]}) from error
        serializer.instance = run
        transaction.on_commit(lambda: current_app.send_task(PROPOSE, args=[run.pk]))


class ProposalViewSet(Audited, InVisiblePlaces, ReadOnlyModelViewSet):
    """Calibrations that nobody uses yet, or why there are none."""

    queryset = Proposal.objects.select_related("camera__environment").order_by("-created_at", "-pk")
    serializer_class = ProposalSerializer
    place = "camera__environment"
    filterset_fields = {
        "camera": ["exact"],
        "camera__environment__slug": ["exact"],
        "run": ["exact"],
        "source": ["exact"],
    }
    lookup_value_regex = "[0-9]+"
    needs = {
        "apply": "environments.add_calibration",
        "list": "environments.view_calibration",
        "retrieve": "environments.view_calibration",
    }

    @extend_schema(request=None, responses=CalibrationSerializer)
    @action(detail=True, methods=["post"])
    def apply(self, request: Request, pk: str) -> Response:
        """Calibrate as proposed: the new version is in use, earlier ones are kept."""
        try:
            made = services.proposal_apply(proposal=self.get_object(), created_by=cast(User, request.user))
        except (services.ProposalRefusedError, GeometryError) as error:
            raise Conflict(str(error)) from error
        return Response(CalibrationSerializer(made).data)


class CameraMoveViewSet(Audited, InVisiblePlaces, ReadOnlyModelViewSet):
    """Cameras that were found to have moved, with what they showed before and after."""

    queryset = CameraMove.objects.select_related("camera__environment").order_by("-at", "-pk")
    serializer_class = CameraMoveSerializer
    place = "camera__environment"
    filterset_fields = {"camera": ["exact"], "camera__environment__slug": ["exact"]}
    lookup_value_regex = "[0-9]+"
    audit_reads = ("retrieve", "before", "after")
    needs = dict.fromkeys(("list", "retrieve", "before", "after"), "environments.view_calibration")

    def get_queryset(self) -> QuerySet[CameraMove]:
        """Leave the pictures where they are until they are asked for."""
        rows: QuerySet[CameraMove] = super().get_queryset()
        return rows if self.action in ("before", "after") else rows.defer("before", "after")

    @extend_schema(responses=PICTURE)
    @action(detail=True, methods=["get"])
    def before(self, request: Request, pk: str) -> HttpResponse:
        """Give what it showed before."""
        return _picture(self.get_object().before)

    @extend_schema(responses=PICTURE)
    @action(detail=True, methods=["get"])
    def after(self, request: Request, pk: str) -> HttpResponse:
        """Give what it showed when the move was noticed."""
        return _picture(self.get_object().after)


class CameraFileViewSet(Audited, InVisiblePlaces, GenericViewSet):
    """Calibrations in other tools' files."""

    queryset = Camera.objects.select_related("environment")
    serializer_class = CalibrationFileSerializer
    parser_classes = [MultiPartParser]
    lookup_value_regex = "[0-9]+"
    filter_backends = []
    pagination_class = None
    needs = {"upload": "environments.add_calibration"}

    @extend_schema(
        request={"multipart/form-data": CalibrationFileSerializer},
        responses={status.HTTP_200_OK: CalibrationSerializer},
    )
    @action(detail=True, methods=["post"], url_path="calibration/file")
    def upload(self, request: Request, pk: str) -> Response:
        """Calibrate from OpenCV's YAML or XML, JSON of the scene format, or CSV of point pairs."""
        camera = self.get_object()
        reading = CalibrationFileSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        file = reading.validated_data["file"]
        try:
            made = services.calibration_import(
                camera=camera,
                content=file.read(),
                name=str(file.name),
                unit=reading.validated_data["unit"],
                created_by=cast(User, request.user),
            )
        except (CalibrationFileError, GeometryError) as error:
            raise ValidationError({"file": [str(error)]}) from error
        return Response(CalibrationSerializer(made).data)


def _picture(content: bytes | None) -> HttpResponse:
    if content is None:
        raise Http404
    response = HttpResponse(content, content_type="image/jpeg")
    response["Cache-Control"] = "private, max-age=3600"
    return response
