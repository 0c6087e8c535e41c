"""Places, cameras, calibrations and zones as the REST interface shows and reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from accounts.models import User
from accounts.rest.strict import StrictTypes, wrong_kind
from environments import services
from environments.geometry import FitKind, GeometryError
from environments.models import Calibration, Camera, Environment, FloorPlan, Grant, Zone
from environments.secrets import MASK
from environments.selectors import calibration_errors, environments_visible_to

MAX_COORDINATE = 1e6  # m or px
MAX_POINTS = 200  # checking that an area does not cross itself takes time by the square of their number


@contextmanager
def geometry_refused(field: str) -> Iterator[None]:
    """Say at a field what is wrong with points or numbers."""
    try:
        yield
    except GeometryError as error:
        raise serializers.ValidationError({field: [str(error)]}) from error


def pairs_bounded(pairs: list[dict[str, float]]) -> list[dict[str, float]]:
    """Give point pairs if they are not too many to work with."""
    if len(pairs) > MAX_POINTS:
        raise serializers.ValidationError(_("Give no more than 200 point pairs."))
    return pairs


class NumberField(serializers.FloatField):
    """Reads a finite number of a sensible size."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"min_value": -MAX_COORDINATE, "max_value": MAX_COORDINATE} | given)

    def to_internal_value(self, data: Any) -> float:
        """Read a number, and nothing that could be taken for one."""
        if text := wrong_kind(self, data):
            raise serializers.ValidationError(text)
        return float(super().to_internal_value(data))


class TableField(serializers.ListField):
    """Reads rows of a fixed number of numbers."""

    def __init__(self, *, columns: int, **given: Any) -> None:
        row = serializers.ListField(child=NumberField(), min_length=columns, max_length=columns)
        super().__init__(child=row, **given)


class VisibleEnvironmentField(serializers.SlugRelatedField):
    """Names an environment that who asks may see; any other is as if it were not there."""

    default_error_messages = {"does_not_exist": _("There is no such environment.")}

    def __init__(self, **given: Any) -> None:
        super().__init__(slug_field="slug", **given)

    def get_queryset(self) -> QuerySet[Environment]:
        """Give those to choose from."""
        request: Request = self.context["request"]
        return environments_visible_to(user=cast(User, request.user))


class PartOfPlaceSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows and reads a part of an environment, in which it stays."""

    environment = VisibleEnvironmentField(queryset=Environment.objects.none())

    def validate_environment(self, environment: Environment) -> Environment:
        """Refuse to move what is there: its history belongs to its place."""
        if self.instance is not None and self.instance.environment != environment:
            raise serializers.ValidationError(_("It cannot be moved to another environment."))
        return environment


class EnvironmentSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows and reads a place."""

    cameras_enabled = serializers.IntegerField(read_only=True, default=0)
    cameras_online = serializers.IntegerField(read_only=True, default=0)

    class Meta:
        model = Environment
        fields = [
            "slug",
            "name",
            "time_zone",
            "retention_days",
            "created_at",
            "cameras_enabled",
            "cameras_online",
        ]
        extra_kwargs = {"retention_days": {"min_value": 1, "max_value": 3650}}

    def create(self, validated_data: dict[str, Any]) -> Environment:
        """Make a place."""
        return services.environment_create(**validated_data)

    def update(self, instance: Environment, validated_data: dict[str, Any]) -> Environment:
        """Change a place."""
        return services.environment_update(environment=instance, **validated_data)


class CameraSerializer(PartOfPlaceSerializer):
    """Shows and reads a camera; user name and password of its source are never shown."""

    source_url = serializers.CharField(
        max_length=1000, help_text="Shown with *** for its user name, password and tokens."
    )
    is_calibrated = serializers.SerializerMethodField()

    class Meta:
        model = Camera
        fields = [
            "id",
            "environment",
            "key",
            "name",
            "source_url",
            "width",
            "height",
            "fps",
            "enabled",
            "position",
            "state",
            "state_message",
            "state_at",
            "is_calibrated",
        ]
        read_only_fields = ["state", "state_message", "state_at"]
        extra_kwargs = {
            "width": {"min_value": 16, "max_value": 16_384},
            "height": {"min_value": 16, "max_value": 16_384},
            "position": {"min_value": 0, "max_value": 32_767},
        }

    def get_is_calibrated(self, camera: Camera) -> bool:
        """Say whether it has a calibration in use."""
        fetched: list[Calibration] | None = getattr(camera, "active_calibrations", None)
        return camera.calibrations.filter(is_active=True).exists() if fetched is None else bool(fetched)

    def to_representation(self, instance: Camera) -> dict[str, Any]:
        """Hide the secrets of the address."""
        shown: dict[str, Any] = super().to_representation(instance)
        return shown | {"source_url": instance.masked_source_url}

    def validate_source_url(self, url: str) -> str:
        """Keep the stored address where the masked one came back."""
        if self.instance is not None and url == self.instance.masked_source_url:
            return str(self.instance.source_url)
        if MASK in url:
            raise serializers.ValidationError(
                _("Give user name and password in place of ***, or the address as it is shown.")
            )
        return url

    def create(self, validated_data: dict[str, Any]) -> Camera:
        """Add a camera."""
        return services.camera_add(**validated_data)

    def update(self, instance: Camera, validated_data: dict[str, Any]) -> Camera:
        """Change a camera."""
        return services.camera_update(camera=instance, **validated_data)


class ZoneSerializer(PartOfPlaceSerializer):
    """Shows and reads an area or a directed line."""

    points_m = TableField(
        columns=2, min_length=2, max_length=MAX_POINTS, help_text="x, y in metres; a line has two."
    )

    class Meta:
        model = Zone
        fields = ["id", "environment", "key", "name", "kind", "points_m", "capacity"]
        extra_kwargs = {"capacity": {"min_value": 0, "max_value": 1_000_000}}

    def create(self, validated_data: dict[str, Any]) -> Zone:
        """Draw a zone."""
        with geometry_refused("points_m"):
            return services.zone_set(**validated_data)

    def update(self, instance: Zone, validated_data: dict[str, Any]) -> Zone:
        """Change a zone."""
        with geometry_refused("points_m"):
            return services.zone_update(zone=instance, **validated_data)


class PointPairSerializer(serializers.Serializer):
    """Shows and reads a place in the picture and the same place on the floor."""

    u = NumberField(help_text="px, to the right")
    v = NumberField(help_text="px, down")
    x = NumberField(help_text="m")
    y = NumberField(help_text="m")


class PairErrorSerializer(PointPairSerializer):
    """Shows how well a point pair is met; null where it meets the sky."""

    error_m = serializers.FloatField(allow_null=True)
    error_px = serializers.FloatField(allow_null=True)


class CalibrationSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows the calibration in use; reads point pairs, or numbers, for a new one."""

    point_pairs = PointPairSerializer(many=True, required=False, help_text="at least four, or none")
    h_image_to_world = TableField(
        columns=3, min_length=3, max_length=3, required=False, help_text="read where there are no point pairs"
    )
    camera_matrix = TableField(columns=3, min_length=3, max_length=3, required=False, allow_null=True)
    distortion = serializers.ListField(
        child=NumberField(), min_length=4, max_length=8, required=False, allow_null=True
    )
    rotation = TableField(columns=3, min_length=3, max_length=3, required=False, allow_null=True)
    translation_m = serializers.ListField(
        child=NumberField(), min_length=3, max_length=3, required=False, allow_null=True
    )
    kind = serializers.ChoiceField(
        choices=[kind.value for kind in FitKind],
        required=False,
        write_only=True,
        help_text="what is fitted to the point pairs; without one, what places best what it was not fitted to",
    )
    created_by = serializers.CharField(source="created_by.username", read_only=True, default=None)
    errors = serializers.SerializerMethodField()  # type: ignore[assignment]

    class Meta:
        model = Calibration
        fields = [
            "id",
            "created_at",
            "created_by",
            "is_active",
            "point_pairs",
            "kind",
            "h_image_to_world",
            "camera_matrix",
            "distortion",
            "rotation",
            "translation_m",
            "errors",
        ]
        read_only_fields = ["is_active"]

    def get_errors(self, calibration: Calibration) -> list[dict[str, float | None]]:
        """Say how far each point pair is from where the calibration puts it."""
        try:
            found = calibration_errors(calibration=calibration)
        except GeometryError:
            return []
        return [
            {name: getattr(e, name) for name in ("u", "v", "x", "y", "error_m", "error_px")} for e in found
        ]

    def validate_point_pairs(self, pairs: list[dict[str, float]]) -> list[dict[str, float]]:
        """Bound their number."""
        return pairs_bounded(pairs)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for one or the other."""
        if not attrs.get("point_pairs") and "h_image_to_world" not in attrs:
            raise serializers.ValidationError(
                {"point_pairs": [_("Give point pairs, or a homography in h_image_to_world.")]}
            )
        if attrs.get("distortion") is not None and attrs.get("camera_matrix") is None:
            raise serializers.ValidationError({"distortion": [_("It needs a camera matrix.")]})
        return attrs

    def create(self, validated_data: dict[str, Any]) -> Calibration:
        """Calibrate: from point pairs where there are some, from numbers otherwise."""
        if validated_data.get("point_pairs"):
            fit = {
                name: validated_data.get(name)
                for name in ("camera", "point_pairs", "camera_matrix", "distortion", "kind", "created_by")
            }
            with geometry_refused("point_pairs"):
                return services.calibration_fit(**cast(Any, fit))
        for name in ("point_pairs", "kind"):
            validated_data.pop(name, None)
        with geometry_refused("h_image_to_world"):
            return services.calibration_set(**validated_data)


class FloorPlanSerializer(serializers.ModelSerializer):
    """Shows a floor plan; its picture is at ``picture``."""

    class Meta:
        model = FloorPlan
        fields = ["width_px", "height_px", "metres_per_px", "origin_x_px", "origin_y_px"]
        read_only_fields = fields


class FormNumberField(serializers.FloatField):
    """Reads a finite number of a sensible size, also from a form, which sends texts."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{"min_value": -MAX_COORDINATE, "max_value": MAX_COORDINATE} | given)

    def to_internal_value(self, data: Any) -> float:
        """Refuse what is no number: bounds do not."""
        value = float(super().to_internal_value(data))
        if value != value:
            raise serializers.ValidationError(_("Give a number."))
        return value


class FloorPlanPlaceSerializer(serializers.Serializer):
    """Reads how a floor plan's picture lies on the floor."""

    metres_per_px = FormNumberField(min_value=1e-4, max_value=1e3)
    origin_x_px = FormNumberField(default=0.0)
    origin_y_px = FormNumberField(default=0.0)
    turn_deg = FormNumberField(
        min_value=-360.0,
        max_value=360.0,
        default=0.0,
        help_text="turn the picture counter-clockwise, with the origin in it",
    )


class NewFloorPlanSerializer(FloorPlanPlaceSerializer):
    """Reads a floor plan with its picture."""

    image = serializers.FileField(help_text="PNG, JPEG or WebP")
    check_only = serializers.BooleanField(
        default=False, help_text="say what is wrong with it, and store nothing"
    )


class GrantSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows and reads who may see what."""

    user = serializers.SlugRelatedField(slug_field="username", queryset=User.objects.all())
    environment = VisibleEnvironmentField(queryset=Environment.objects.none())

    class Meta:
        model = Grant
        fields = ["id", "user", "environment"]

    def create(self, validated_data: dict[str, Any]) -> Grant:
        """Let a user see an environment."""
        return services.grant_add(**validated_data)
