"""What cameras and addresses show, over REST: pictures of this moment, and probes."""

from uuid import uuid4

from celery import current_app
from django.db import transaction
from django.http import Http404, HttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.auditing import Audited
from accounts.rest.errors import Conflict
from accounts.rest.idempotency import PARAMETER, idempotent
from environments.api import InVisiblePlaces
from environments.models import Camera
from tracking.serializers import AddressProbeSerializer, AddressSerializer, ProbeSerializer
from tracking.snapshots import (
    NoPicture,
    address_sealed,
    picture_read,
    probe_note,
    probe_read,
    snapshot_take,
)

PICTURE_OR_NOTHING = {
    (200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY),
    204: OpenApiResponse(description="There is none."),
}


class CameraLookViewSet(Audited, InVisiblePlaces, GenericViewSet):
    """What a camera sees now, and whether its address gives pictures at all."""

    queryset = Camera.objects.select_related("environment")
    serializer_class = ProbeSerializer
    lookup_value_regex = "[0-9]+"
    filter_backends = []
    pagination_class = None
    needs = {
        "snapshot": "environments.view_camera",
        "probe": "environments.view_camera",
        "probe_picture": "environments.view_camera",
        "probe_start": "environments.change_camera",
    }
    audit_reads = ("snapshot", "probe_picture")

    @extend_schema(responses={(200, "image/jpeg"): OpenApiResponse(OpenApiTypes.BINARY)})
    @action(detail=True, methods=["get"])
    def snapshot(self, request: Request, pk: str) -> HttpResponse:
        """Give the camera's next picture; `X-Captured-At` says of when it is."""
        try:
            taken = snapshot_take(camera=self.get_object())
        except NoPicture as error:
            raise Conflict(str(error), code="no_picture") from error
        response = HttpResponse(taken.jpeg, content_type="image/jpeg")
        response["X-Captured-At"] = taken.captured_at
        response["Cache-Control"] = "no-store"
        return response

    @extend_schema(responses=ProbeSerializer)
    @action(detail=True, methods=["get"])
    def probe(self, request: Request, pk: str) -> Response:
        """Say how the last probe is doing: `pending`, `done` or `failed`; kept for ten minutes."""
        found = probe_read(probe_id=str(self.get_object().pk))
        if found is None:
            raise Http404
        return Response(found)

    @extend_schema(responses=PICTURE_OR_NOTHING)
    @action(detail=True, methods=["get"], url_path="probe/picture")
    def probe_picture(self, request: Request, pk: str) -> HttpResponse:
        """Give what the last probe saw, in full size; kept for ten minutes."""
        return picture_answer(str(self.get_object().pk))

    @extend_schema(request=None, responses={202: ProbeSerializer}, parameters=[PARAMETER])
    @probe.mapping.post
    @idempotent
    def probe_start(self, request: Request, pk: str) -> Response:
        """Have the camera's address opened once, and one picture looked at."""
        camera: Camera = self.get_object()
        pending = probe_note(probe_id=str(camera.pk), state="pending", at=timezone.now())
        transaction.on_commit(lambda: current_app.send_task("gpuworker.tasks.camera_probe", [camera.pk]))
        return Response(pending, status=status.HTTP_202_ACCEPTED)


class ProbeViewSet(Audited, GenericViewSet):
    """Tries an address before it becomes a camera's."""

    queryset = Camera.objects.none()
    serializer_class = AddressProbeSerializer
    lookup_value_regex = "[0-9a-f]{32}"
    filter_backends = []
    pagination_class = None
    audit_kind = "probe"
    audit_reads = ("picture",)
    needs = dict.fromkeys(("create", "retrieve", "picture"), "environments.add_camera")

    @extend_schema(request=AddressSerializer, responses={202: AddressProbeSerializer})
    def create(self, request: Request) -> Response:
        """Have an address opened once, and its pictures looked at for a moment."""
        reading = AddressSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        probe_id = uuid4().hex
        pending = probe_note(probe_id=probe_id, state="pending", at=timezone.now())
        sealed = address_sealed(reading.validated_data["source_url"])
        transaction.on_commit(
            lambda: current_app.send_task("gpuworker.tasks.address_probe", [probe_id, sealed])
        )
        return Response(pending | {"id": probe_id}, status=status.HTTP_202_ACCEPTED)

    def retrieve(self, request: Request, pk: str) -> Response:
        """Say how a probe is doing: `pending`, `done` or `failed`; kept for ten minutes."""
        found = probe_read(probe_id=pk)
        if found is None:
            raise Http404
        return Response(found | {"id": pk})

    @extend_schema(responses=PICTURE_OR_NOTHING)
    @action(detail=True, methods=["get"])
    def picture(self, request: Request, pk: str) -> HttpResponse:
        """Give what a probe saw, in full size."""
        return picture_answer(pk)


def picture_answer(probe_id: str) -> HttpResponse:
    """Give what a probe saw; nothing where it saw nothing, or long ago."""
    jpeg = picture_read(probe_id=probe_id)
    if jpeg is None:
        return HttpResponse(status=status.HTTP_204_NO_CONTENT)
    response = HttpResponse(jpeg, content_type="image/jpeg")
    response["Cache-Control"] = "no-store"
    return response
