"""How requests say who they come from: tokens of a login, keys of machines; and what a role's group lets one do."""

from typing import Any, cast

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import Token

from accounts import selectors, services
from accounts.models import User
from accounts.tokens import AccessToken, SpotOnToken, token_read


class RoleBackend(ModelBackend):
    """Checks passwords, and gives users the permissions of the group that is named like their role."""

    def _get_group_permissions(self, user_obj: User) -> QuerySet[Permission]:
        return Permission.objects.filter(group__name=user_obj.role)


class BearerAuthentication(JWTAuthentication):
    """Lets in whoever shows the access token of a login that lasts."""

    def get_validated_token(self, raw_token: bytes) -> Token:
        """Check a token."""
        try:
            return token_read(AccessToken, raw_token.decode("ascii", "replace"))
        except TokenError as error:
            raise AuthenticationFailed(str(error), code="token_invalid") from error

    def get_user(self, validated_token: Token) -> Any:
        """Give whose login it is."""
        token = cast(SpotOnToken, validated_token)
        user = selectors.login_user(login_id=token.login_id, now=timezone.now())
        if user is None:
            raise AuthenticationFailed("The login of this token has ended", code="token_invalid")
        return user


class ApiKeyAuthentication(BaseAuthentication):
    """Lets in whoever shows a key: ``Authorization: Api-Key spoton_...``."""

    keyword = b"api-key"

    def authenticate(self, request: Request) -> tuple[User, Any] | None:
        """Give whose key it is; None for a request without one."""
        words = get_authorization_header(request).split()
        if not words or words[0].lower() != self.keyword:
            return None
        now = timezone.now()
        text = words[1].decode("ascii", "replace") if len(words) == 2 else ""
        key = selectors.api_key_find(text=text, now=now)
        if key is None:
            raise AuthenticationFailed("This API key is not valid", code="key_invalid")
        services.api_key_use(key=key, now=now)
        return key.user, key


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes tokens."""

    target_class = BearerAuthentication
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Describe it."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Describes keys."""

    target_class = ApiKeyAuthentication
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Describe it."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Api-Key spoton_...`, a key made under `auth/keys/`",
        }
