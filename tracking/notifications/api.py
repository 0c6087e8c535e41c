"""Rules, webhooks, alerts and deliveries over REST."""

from typing import Any, cast

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ReadOnlyModelViewSet

from accounts.auditing import Audited
from accounts.models import User
from accounts.rest.errors import Conflict
from accounts.rest.pagination import TimePages
from environments.api import InVisiblePlaces
from tracking.notifications import services
from tracking.notifications.filters import AlertFilter, DeliveryFilter, RuleFilter, WebhookFilter
from tracking.notifications.models import Alert, Delivery, Rule, Webhook
from tracking.notifications.selectors import alerts_shown, last_test, rules_with_places
from tracking.notifications.serializers import (
    AlertSerializer,
    DeliverySerializer,
    NewWebhookSerializer,
    RuleSerializer,
    WebhookSerializer,
)
from tracking.serializers import NoteSerializer


class RuleViewSet(Audited, InVisiblePlaces, ModelViewSet):
    """What is to happen, where, when and how often, for whom to be told."""

    queryset = rules_with_places(rules=Rule.objects.order_by("environment__name", "name", "pk"))
    serializer_class = RuleSerializer
    filterset_class = RuleFilter
    search_fields = ["name"]
    ordering_fields = ["name", "severity", "created_at"]
    lookup_value_regex = "[0-9]+"
    audit_reads = ()
    needs = {"test": "notifications.change_rule", "test_start": "notifications.change_rule"}

    @extend_schema(responses=DeliverySerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], filter_backends=[], pagination_class=None)
    def test(self, request: Request, pk: str) -> Response:
        """Say what became of the last test: how each recipient answered, in words."""
        return Response(DeliverySerializer(last_test(rule=self.get_object()), many=True).data)

    @extend_schema(request=None, responses={202: DeliverySerializer(many=True)})
    @test.mapping.post
    def test_start(self, request: Request, pk: str) -> Response:
        """Send a test to everybody whom the rule tells, by the same way as its alerts, once."""
        try:
            sent = services.rule_test(rule=self.get_object(), now=timezone.now())
        except services.NobodyTold as error:
            raise Conflict(str(error), code="nobody_told") from error
        return Response(DeliverySerializer(sent, many=True).data, status=status.HTTP_202_ACCEPTED)


class WebhookViewSet(Audited, InVisiblePlaces, ModelViewSet):
    """Addresses of other systems that rules may tell."""

    queryset = Webhook.objects.select_related("environment").order_by("environment__name", "name", "pk")
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    search_fields = ["name"]
    ordering_fields = ["name", "created_at"]
    lookup_value_regex = "[0-9]+"
    audit_reads = ()
    needs = {"secret": "notifications.change_webhook"}

    @extend_schema(request=WebhookSerializer, responses={201: NewWebhookSerializer})
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Make a webhook; its secret is in this answer and in no other."""
        reading = NewWebhookSerializer(data=request.data, context=self.get_serializer_context())
        reading.is_valid(raise_exception=True)
        reading.save()
        return Response(reading.data, status=status.HTTP_201_CREATED)

    @extend_schema(request=None, responses=NewWebhookSerializer)
    @action(detail=True, methods=["post"])
    def secret(self, request: Request, pk: str) -> Response:
        """Give the webhook a new secret, which is in this answer and in no other; the old one is over."""
        webhook: Webhook = self.get_object()
        services.webhook_secret_renew(webhook=webhook)
        return Response(NewWebhookSerializer(webhook, context=self.get_serializer_context()).data)


class AlertViewSet(Audited, InVisiblePlaces, ReadOnlyModelViewSet):
    """What rules raised, newest first."""

    queryset = alerts_shown(alerts=Alert.objects.all())
    serializer_class = AlertSerializer
    filterset_class = AlertFilter
    pagination_class = TimePages
    ordering = ["-at"]
    ordering_fields = ["at", "raised_at"]
    lookup_value_regex = "[0-9]+"
    needs = {"acknowledge": "notifications.change_alert"}

    @extend_schema(request=NoteSerializer, responses=AlertSerializer)
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:
        """Note that one has seen to an alert; the first who does so is named."""
        alert: Alert = self.get_object()
        reading = NoteSerializer(data=request.data)
        reading.is_valid(raise_exception=True)
        by = cast(User, request.user)
        try:
            services.alert_acknowledge(alert=alert, by=by, now=timezone.now(), **reading.validated_data)
        except services.Acknowledged as error:
            raise Conflict(str(error), code="acknowledged") from error
        return Response(self.get_serializer(alert).data)


class DeliveryViewSet(
    Audited, InVisiblePlaces, mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet
):
    """Alerts and tests on their way, newest first: who got what, when, and why not."""

    queryset = Delivery.objects.select_related("environment")
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    pagination_class = TimePages
    ordering = ["-created_at"]
    ordering_fields = ["created_at", "done_at"]
    lookup_value_regex = "[0-9a-fA-F-]{32,36}"
    audit_reads = ()
