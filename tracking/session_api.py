"""Sessions over REST: what is asked of them, and what they do."""

from typing import cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.rest.errors import Conflict
from accounts.rest.idempotency import PARAMETER, idempotent
from environments.api import InVisiblePlaces
from environments.models import Environment
from tracking import live, services
from tracking.announcing import announce
from tracking.choices import DesiredState
from tracking.filters import SessionFilter
from tracking.models import TrackingSession
from tracking.serializers import SeekSerializer, SessionSerializer, SpeedSerializer


class SessionViewSet(
    Audited,
    InVisiblePlaces,
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    GenericViewSet,
):
    """Tracking sessions: what is asked of them, and what they do."""

    queryset = TrackingSession.objects.select_related("environment").order_by("-created_at", "-pk")
    serializer_class = SessionSerializer
    filterset_class = SessionFilter
    ordering_fields = ["created_at", "started_at", "stopped_at"]
    lookup_value_regex = "[0-9]+"
    needs = {
        "start": "tracking.add_trackingsession",
        "stop": "tracking.change_trackingsession",
        "pause": "tracking.change_trackingsession",
        "resume": "tracking.change_trackingsession",
        "seek": "tracking.change_trackingsession",
        "speed": "tracking.change_trackingsession",
    }
    audit_reads = ()

    @extend_schema(parameters=[PARAMETER])
    @idempotent
    def create(self, request: Request) -> Response:
        """Ask for an environment to be tracked."""
        reading = self.get_serializer(data=request.data)
        reading.is_valid(raise_exception=True)
        session = _start(reading.validated_data["environment"])
        self._steered(session, "start")
        return Response(self.get_serializer(session).data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=SessionSerializer, parameters=[PARAMETER])
    @action(detail=True, methods=["post"])
    @idempotent
    def start(self, request: Request, pk: str) -> Response:
        """Ask a session to run; one that was stopped gets a successor, which is answered."""
        session = self.get_object()
        if session.desired_state == DesiredState.STOPPED:
            session = _start(session.environment)
            self._steered(session, "start")
            return self._shown(session)
        return self._ask(session, DesiredState.RUNNING, "start")

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def stop(self, request: Request, pk: str) -> Response:
        """Ask a session to stop."""
        return self._ask(self.get_object(), DesiredState.STOPPED, "stop")

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Ask a session to pause."""
        return self._ask(self._open_session(), DesiredState.PAUSED, "pause")

    @extend_schema(request=None, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Ask a session to go on."""
        return self._ask(self._open_session(), DesiredState.RUNNING, "resume")

    @extend_schema(request=SeekSerializer, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def seek(self, request: Request, pk: str) -> Response:
        """Ask a session to go to a place in its recordings, where all its cameras are such."""
        session = self._open_session()
        reading = SeekSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        try:
            services.session_seek(session=session, **reading.validated_data, now=timezone.now())
        except services.NotRecorded as error:
            raise Conflict(str(error), code="not_recorded") from error
        self._steered(session, "seek")
        return self._shown(session)

    @extend_schema(request=SpeedSerializer, responses=SessionSerializer)
    @action(detail=True, methods=["post"])
    def speed(self, request: Request, pk: str) -> Response:
        """Ask a session to play its recordings faster or slower, where all its cameras are such."""
        session = self._open_session()
        reading = SpeedSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        try:
            services.session_speed(session=session, **reading.validated_data, now=timezone.now())
        except services.NotRecorded as error:
            raise Conflict(str(error), code="not_recorded") from error
        except services.NotRunning as error:
            raise Conflict(str(error), code="not_running") from error
        self._steered(session, "speed")
        return self._shown(session)

    def _steered(self, session: TrackingSession, action: str) -> None:
        """Tell who watches what somebody has done."""
        by = cast(User, self.request.user).get_username()
        text = live.steered(at=timezone.now(), by=by, action=action)
        transaction.on_commit(lambda: announce(environment_id=session.environment_id, text=text))

    def _open_session(self) -> TrackingSession:
        session: TrackingSession = self.get_object()
        if session.desired_state == DesiredState.STOPPED:
            raise Conflict(_("This session was stopped: start it."))
        return session

    def _ask(self, session: TrackingSession, state: DesiredState, action: str) -> Response:
        services.session_ask(session=session, desired_state=state, now=timezone.now())
        self._steered(session, action)
        return self._shown(session)

    def _shown(self, session: TrackingSession) -> Response:
        return Response(self.get_serializer(session).data)


def _start(environment: Environment) -> TrackingSession:
    try:
        return services.session_start(environment=environment)
    except services.SessionOpen as error:
        raise Conflict(str(error), code="session_open") from error
