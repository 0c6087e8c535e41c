"""Getting in over REST, and managing who may."""

from typing import Any, cast

from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_not_required
from django.db.models import QuerySet
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import mixins, status
from rest_framework.exceptions import AuthenticationFailed, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import GenericViewSet, ModelViewSet, ReadOnlyModelViewSet

from accounts import services, tokens
from accounts.auditing import Audited, address_of
from accounts.authentication import BearerAuthentication
from accounts.filters import AuditFilter, UserFilter
from accounts.models import ApiKey, AuditAction, AuditEntry, User
from accounts.permissions import OnlyAdmin
from accounts.rest.errors import Conflict
from accounts.rest.pagination import TimePages
from accounts.rest.renderers import AS_FILES
from accounts.rest.throttles import AddressThrottle
from accounts.serializers import (
    ApiKeySerializer,
    AuditEntrySerializer,
    CredentialsSerializer,
    LogoutSerializer,
    MeSerializer,
    NewApiKeySerializer,
    PasswordChangeSerializer,
    RefreshSerializer,
    TokenPairSerializer,
    UserSerializer,
)


class EntranceView(GenericAPIView):
    """Lets somebody in who is not in yet; cookies and keys that come along say nothing here."""

    authentication_classes = []
    permission_classes = []
    throttle_classes = [AddressThrottle]

    def get_authenticate_header(self, request: Request) -> str:
        """Name the way in, without which a refusal would be a 403."""
        return str(BearerAuthentication().authenticate_header(request))


class LoginView(EntranceView):
    """Gives a pair of tokens for a name and a password."""

    serializer_class = CredentialsSerializer

    @extend_schema(responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        """Sign in."""
        given = _read(self.get_serializer(data=request.data))
        user = authenticate(request._request, **given)
        if user is None:
            raise AuthenticationFailed(_("User name and password do not match."), code="wrong_credentials")
        pair = services.login_open(user=user, now=timezone.now())
        _write_down(request, user, AuditAction.SIGNED_IN)
        return _pair_answer(pair)


class RefreshView(EntranceView):
    """Gives the next pair of tokens for a refresh token, which is good once."""

    serializer_class = RefreshSerializer

    @extend_schema(responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        """Renew the tokens."""
        given = _read(self.get_serializer(data=request.data))
        try:
            pair = services.login_renew(refresh=given["refresh"], now=timezone.now())
        except services.LoginOver as over:
            raise AuthenticationFailed(str(over), code="token_invalid") from over
        return _pair_answer(pair)


class LogoutView(GenericAPIView):
    """Ends a login: its access and refresh tokens are worth nothing afterwards."""

    permission_classes = []
    throttle_classes = [AddressThrottle]
    serializer_class = LogoutSerializer

    @extend_schema(responses={204: OpenApiResponse(description="The login has ended.")})
    def post(self, request: Request) -> Response:
        """Sign out, by the access token of the request or the refresh token in it."""
        given = _read(self.get_serializer(data=request.data))
        is_ended = "refresh" in given and services.refresh_end(refresh=given["refresh"])
        if isinstance(request.auth, tokens.SpotOnToken):
            services.login_end(login_id=request.auth.login_id)
            _write_down(request, cast(User, request.user), AuditAction.SIGNED_OUT)
        elif not is_ended:
            raise AuthenticationFailed(_("Show the login's access token or give its refresh token."))
        return Response(status=status.HTTP_204_NO_CONTENT)


class MeView(GenericAPIView):
    """Says who asks."""

    permission_classes = [IsAuthenticated]
    serializer_class = MeSerializer

    def get(self, request: Request) -> Response:
        """Say who asks, and what they may do."""
        return Response(self.get_serializer(request.user).data)


class PasswordView(GenericAPIView):
    """Changes the password of who asks, which ends all their logins."""

    permission_classes = [IsAuthenticated]
    throttle_classes = [AddressThrottle]
    serializer_class = PasswordChangeSerializer

    @extend_schema(responses={204: OpenApiResponse(description="The password is changed.")})
    def post(self, request: Request) -> Response:
        """Change the password."""
        given = _read(self.get_serializer(data=request.data))
        user = cast(User, request.user)
        if authenticate(request._request, username=user.username, password=given["password"]) is None:
            raise ValidationError({"password": [_("This is not your password.")]})
        services.user_update(user=user, password=given["new_password"])
        _write_down(request, user, AuditAction.CHANGED, {"fields": ["password"]})
        return Response(status=status.HTTP_204_NO_CONTENT)


class ApiKeyViewSet(
    Audited, mixins.ListModelMixin, mixins.RetrieveModelMixin, mixins.DestroyModelMixin, GenericViewSet
):
    """The keys by which machines of who asks get in."""

    permission_classes = [IsAuthenticated]
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer
    ordering_fields = ["created_at", "name"]
    lookup_value_regex = "[0-9]+"

    def get_queryset(self) -> QuerySet[ApiKey]:
        """Give one's own."""
        return ApiKey.objects.filter(user=cast(User, self.request.user))

    @extend_schema(responses={201: NewApiKeySerializer})
    def create(self, request: Request) -> Response:
        """Make a key; its secret is shown in this answer and never again."""
        if isinstance(request.auth, ApiKey):
            raise Conflict(_("A key cannot make keys: sign in."))
        given = _read(self.get_serializer(data=request.data))
        key, text = services.api_key_create(user=cast(User, request.user), **given)
        shown = NewApiKeySerializer(key, context=self.get_serializer_context()).data | {"key": text}
        return Response(shown, status=status.HTTP_201_CREATED)


class UserViewSet(Audited, ModelViewSet):
    """Users, for Admins."""

    permission_classes = [OnlyAdmin]
    queryset = User.objects.order_by("username")
    serializer_class = UserSerializer
    filterset_class = UserFilter
    search_fields = ["username", "email", "first_name", "last_name"]
    ordering_fields = ["username", "date_joined", "last_login", "role"]
    lookup_value_regex = "[0-9]+"

    def perform_update(self, serializer: BaseSerializer) -> None:
        """Keep Admins from locking themselves out."""
        closing = {"role", "is_active"} & set(serializer.validated_data)
        if serializer.instance == self.request.user and any(
            serializer.validated_data[name] != getattr(serializer.instance, name) for name in closing
        ):
            raise Conflict(_("You cannot take your own role or account away."))
        serializer.save()

    def perform_destroy(self, instance: Any) -> None:
        """Keep Admins from deleting themselves."""
        if instance == self.request.user:
            raise Conflict(_("You cannot delete your own account."))
        instance.delete()


class AuditViewSet(Audited, ReadOnlyModelViewSet):
    """Who did what, newest first, for Admins; nothing in it can be changed."""

    permission_classes = [OnlyAdmin]
    queryset = AuditEntry.objects.all()
    serializer_class = AuditEntrySerializer
    filterset_class = AuditFilter
    pagination_class = TimePages
    renderer_classes = AS_FILES
    search_fields = ["name"]
    ordering = ["-at"]
    ordering_fields = ["at"]
    audit_kind = "audit"
    audit_reads = ()
    lookup_value_regex = "[0-9]+"


@login_not_required
@require_safe
def key_set(request: HttpRequest) -> JsonResponse:
    """Give the public keys by which others can check access tokens (RFC 7517); none for tokens by a secret."""
    response = JsonResponse({"keys": tokens.public_keys()})
    response["Cache-Control"] = "public, max-age=300"
    return response


def _write_down(request: Request, user: User, action: AuditAction, detail: Any = None) -> None:
    services.audit_write(
        actor=user,
        action=action,
        kind="user",
        now=timezone.now(),
        object_id=str(user.pk),
        name=user.get_username(),
        address=address_of(request),
        detail=detail,
    )


def _read(serializer: BaseSerializer) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    given: dict[str, Any] = serializer.validated_data
    return given


def _pair_answer(pair: tokens.TokenPair) -> Response:
    response = Response({"access": pair.access, "refresh": pair.refresh})
    response["Cache-Control"] = "no-store"
    return response
