"""Users, logins and keys as the REST interface shows and reads them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import services
from accounts.models import ApiKey, AuditEntry, Role, User
from accounts.rest.strict import StrictTypes

MAX_PASSWORD_CHARACTERS = 256  # hashing takes longer the longer it is


@extend_schema_field({"type": "string", "maxLength": 254, "description": "an address, or empty"})
class MailField(serializers.EmailField):
    """Reads an address, or none."""


class PasswordField(serializers.CharField):
    """Reads a password as it is typed, and never shows one."""

    def __init__(self, **given: Any) -> None:
        super().__init__(
            **{"write_only": True, "trim_whitespace": False, "max_length": MAX_PASSWORD_CHARACTERS} | given
        )


class CredentialsSerializer(StrictTypes, serializers.Serializer):
    """Reads name and password."""

    username = serializers.CharField(max_length=150, trim_whitespace=False, write_only=True)
    password = PasswordField()


class TokenPairSerializer(serializers.Serializer):
    """Shows a pair of tokens."""

    access = serializers.CharField(read_only=True)
    refresh = serializers.CharField(read_only=True)


class RefreshSerializer(StrictTypes, serializers.Serializer):
    """Reads a refresh token."""

    refresh = serializers.CharField(max_length=4096, write_only=True)


class LogoutSerializer(StrictTypes, serializers.Serializer):
    """Reads a refresh token, where the request itself shows no access token."""

    refresh = serializers.CharField(max_length=4096, write_only=True, required=False)


class MeSerializer(serializers.ModelSerializer):
    """Shows who asks, and what they may do."""

    role = serializers.ChoiceField(choices=Role.choices, read_only=True)
    email = serializers.CharField(read_only=True)
    permissions = serializers.SerializerMethodField()

    class Meta:
        model = User
        fields = ["id", "username", "first_name", "last_name", "email", "role", "permissions"]
        read_only_fields = ["id", "username", "email", "first_name", "last_name"]

    def get_permissions(self, user: User) -> list[str]:
        """Name what the user's role lets them do; Admins may everything there is."""
        return ["*"] if user.is_admin else sorted(user.get_all_permissions())


class PasswordChangeSerializer(StrictTypes, serializers.Serializer):
    """Reads the password there is and the one to come."""

    password = PasswordField()
    new_password = PasswordField()


class UserSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows and changes a user."""

    email = MailField(max_length=254, allow_blank=True, required=False)
    password = PasswordField(help_text="Needed for a new user; ends the logins of one who is there.")

    class Meta:
        model = User
        fields = [
            "id",
            "username",
            "password",
            "role",
            "first_name",
            "last_name",
            "email",
            "is_active",
            "last_login",
            "date_joined",
        ]
        read_only_fields = ["last_login", "date_joined"]

    def create(self, validated_data: dict[str, Any]) -> User:
        """Make a user."""
        return services.user_create(**validated_data)

    def update(self, instance: User, validated_data: dict[str, Any]) -> User:
        """Change a user."""
        return services.user_update(user=instance, **validated_data)


class ApiKeySerializer(StrictTypes, serializers.ModelSerializer):
    """Shows a key without its secret."""

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "created_at", "expires_at", "last_used_at"]
        read_only_fields = ["prefix", "created_at", "last_used_at"]


class NewApiKeySerializer(ApiKeySerializer):
    """Shows a key with its secret, once."""

    key = serializers.CharField(read_only=True, help_text="Shown this once.")

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "key"]


class AuditEntrySerializer(serializers.ModelSerializer):
    """Shows who did what."""

    detail = serializers.DictField(read_only=True)
    actor_id = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = AuditEntry
        fields = [
            "id",
            "at",
            "actor",
            "actor_id",
            "address",
            "action",
            "kind",
            "object_id",
            "name",
            "environment",
            "detail",
        ]
        read_only_fields = fields
