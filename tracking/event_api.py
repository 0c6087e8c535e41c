"""What happened, over REST, and that somebody has seen to it."""

from typing import cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.viewsets import ReadOnlyModelViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.rest.errors import Conflict
from accounts.rest.pagination import TimePages
from accounts.rest.renderers import AS_FILES
from environments.api import InVisiblePlaces
from tracking import services
from tracking.filters import EventFilter
from tracking.models import TrackEvent
from tracking.serializers import EventSerializer, NoteSerializer


class EventViewSet(Audited, InVisiblePlaces, ReadOnlyModelViewSet):
    """What happened, newest first."""

    queryset = TrackEvent.objects.select_related(
        "environment", "person", "zone", "camera", "acknowledgement__by"
    )
    serializer_class = EventSerializer
    renderer_classes = AS_FILES
    filterset_class = EventFilter
    pagination_class = TimePages
    ordering = ["-time"]
    ordering_fields = ["time"]
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"
    needs = {"acknowledge": "tracking.add_eventacknowledgement"}

    @extend_schema(request=NoteSerializer, responses=EventSerializer)
    @action(detail=True, methods=["post"], renderer_classes=api_settings.DEFAULT_RENDERER_CLASSES)
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Note that one has seen to an event; the first who does so is named."""
        event: TrackEvent = self.get_object()
        reading = NoteSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        by = cast(User, request.user)
        try:
            made = services.event_acknowledge(
                event=event, by=by, now=timezone.now(), **reading.validated_data
            )
        except services.Acknowledged as error:
            raise Conflict(str(error), code="acknowledged") from error
        event.acknowledgement = made
        return Response(self.get_serializer(event).data)
