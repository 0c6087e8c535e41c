"""Sessions, persons, tracks, events and positions as the REST interface shows them."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.rest.strict import StrictTypes
from environments.models import Environment, validate_source_url
from environments.serializers import NumberField, VisibleEnvironmentField
from tracking.models import FASTEST, SLOWEST, Person, Track, TrackEvent, TrackingSession, TrackPoint
from tracking.positions import worst_std_m
from tracking.selectors import acknowledgement_shown

MAX_POSITION_S = 366 * 86_400.0


class SessionSerializer(StrictTypes, serializers.ModelSerializer):
    """Shows a session; asks for one by its environment."""

    environment = VisibleEnvironmentField(queryset=Environment.objects.none())
    is_held = serializers.SerializerMethodField(help_text="whether a worker renews its lease")

    class Meta:
        model = TrackingSession
        fields = [
            "id",
            "environment",
            "desired_state",
            "actual_state",
            "message",
            "created_at",
            "started_at",
            "stopped_at",
            "worker",
            "is_held",
            "recordings_began_at",
            "recordings_speed",
        ]
        validators: list[Any] = []  # whether one is open already is said as a conflict
        read_only_fields = [
            "desired_state",
            "actual_state",
            "message",
            "created_at",
            "started_at",
            "stopped_at",
            "worker",
            "recordings_began_at",
            "recordings_speed",
        ]

    def get_is_held(self, session: TrackingSession) -> bool:
        """Say whether a worker holds it."""
        return session.lease_expires_at is not None and session.lease_expires_at >= timezone.now()


class SeekSerializer(StrictTypes, serializers.Serializer):
    """Reads a place in recordings."""

    position_s = NumberField(min_value=0.0, max_value=MAX_POSITION_S, help_text="from their beginning")


class SpeedSerializer(StrictTypes, serializers.Serializer):
    """Reads how fast recordings are to be played."""

    speed = NumberField(min_value=SLOWEST, max_value=FASTEST, help_text="seconds of theirs in one")


class PersonSerializer(serializers.ModelSerializer):
    """Shows a person."""

    environment = serializers.CharField(source="environment.slug", read_only=True)

    class Meta:
        model = Person
        fields = ["id", "environment", "number", "first_seen_at", "last_seen_at"]
        read_only_fields = fields


class TrackSerializer(serializers.ModelSerializer):
    """Shows a track; ``person`` is the person's number."""

    environment = serializers.CharField(source="person.environment.slug", read_only=True)
    person = serializers.IntegerField(source="person.number", read_only=True)
    person_id = serializers.UUIDField(read_only=True)

    class Meta:
        model = Track
        fields = ["id", "environment", "session", "person", "person_id", "started_at", "ended_at"]
        read_only_fields = fields


class AcknowledgementSerializer(serializers.Serializer):
    """Shows who has seen to something, when, and what they noted."""

    at = serializers.DateTimeField()
    by = serializers.CharField(help_text="user name; empty for somebody who is gone")
    note = serializers.CharField()


class NoteSerializer(StrictTypes, serializers.Serializer):
    """Reads what somebody notes who sees to something."""

    note = serializers.CharField(max_length=500, allow_blank=True, default="")


class EventSerializer(serializers.ModelSerializer):
    """Shows an event as the live message does, with its place."""

    at = serializers.DateTimeField(source="time", read_only=True)
    environment = serializers.CharField(source="environment.slug", read_only=True)
    person = serializers.IntegerField(source="person.number", read_only=True, default=None, allow_null=True)
    zone = serializers.CharField(source="zone.key", read_only=True, default=None, allow_null=True)
    camera = serializers.CharField(source="camera.key", read_only=True, default=None, allow_null=True)
    track = serializers.IntegerField(source="track_id", read_only=True, allow_null=True)
    payload = serializers.DictField(read_only=True)
    acknowledged = serializers.SerializerMethodField(help_text="null while nobody has seen to it")

    class Meta:
        model = TrackEvent
        fields = [
            "id",
            "at",
            "environment",
            "kind",
            "person",
            "track",
            "zone",
            "camera",
            "x_m",
            "y_m",
            "payload",
            "acknowledged",
        ]
        read_only_fields = fields

    @extend_schema_field(AcknowledgementSerializer(allow_null=True))
    def get_acknowledged(self, event: TrackEvent) -> dict[str, str] | None:
        """Say who has seen to it."""
        return acknowledgement_shown(event=event)


class LivePersonSerializer(serializers.Serializer):
    """Shows somebody as a positions message does."""

    person = serializers.IntegerField(help_text="number")
    track = serializers.IntegerField()
    x_m = serializers.FloatField()
    y_m = serializers.FloatField()
    vx_mps = serializers.FloatField()
    vy_mps = serializers.FloatField()
    std_m = serializers.FloatField(help_text="of the worst direction")
    cov_m2 = serializers.ListField(child=serializers.FloatField(), help_text="covariance: xx, xy, yy")
    cameras = serializers.ListField(child=serializers.CharField())


class PresenceSerializer(serializers.Serializer):
    """Shows who is in a place now, or was when it was last known."""

    environment = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True, help_text="null where nobody was ever seen")
    is_stale = serializers.BooleanField(help_text="true for what was stored last: nothing is heard now")
    people = LivePersonSerializer(many=True)


class PointSerializer(serializers.ModelSerializer):
    """Shows where somebody was."""

    at = serializers.DateTimeField(source="time", read_only=True)
    person = serializers.IntegerField(source="track.person.number", read_only=True, help_text="number")
    track = serializers.IntegerField(source="track_id", read_only=True)
    std_m = serializers.SerializerMethodField(help_text="of the worst direction")
    cameras = serializers.SerializerMethodField()

    class Meta:
        model = TrackPoint
        fields = ["at", "person", "track", "x_m", "y_m", "vx_mps", "vy_mps", "std_m", "cameras"]
        read_only_fields = fields

    def get_std_m(self, point: TrackPoint) -> float:
        """Give the uncertainty as one number."""
        return worst_std_m(point)

    def get_cameras(self, point: TrackPoint) -> list[str]:
        """Name the cameras that saw it."""
        return point.cameras.split()


class ThinnedSerializer(serializers.Serializer):
    """Shows points of a time range."""

    seen = serializers.IntegerField(help_text="how many points there are")
    results = PointSerializer(many=True, help_text="every n-th of them")


class LayoutCameraSerializer(serializers.Serializer):
    """Shows a camera on the map."""

    id = serializers.CharField(help_text="key")
    name = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    state = serializers.CharField()
    position_m = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    field_of_view_m = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))


class LayoutZoneSerializer(serializers.Serializer):
    """Shows a zone on the map."""

    id = serializers.CharField(help_text="key")
    name = serializers.CharField()
    kind = serializers.CharField()
    points_m = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    capacity = serializers.IntegerField(allow_null=True)


class LayoutMapSerializer(serializers.Serializer):
    """Shows how the floor plan's picture lies on the floor."""

    image_url = serializers.CharField()
    width_px = serializers.IntegerField()
    height_px = serializers.IntegerField()
    metres_per_px = serializers.FloatField()
    origin_px = serializers.ListField(child=serializers.FloatField())


class LayoutSerializer(serializers.Serializer):
    """Shows a place in one answer: plan, cameras with their fields of view, zones."""

    cameras = LayoutCameraSerializer(many=True)
    zones = LayoutZoneSerializer(many=True)
    map = LayoutMapSerializer(allow_null=True)


class SystemCameraSerializer(serializers.Serializer):
    """Shows how a camera is doing."""

    id = serializers.CharField(help_text="key")
    state = serializers.CharField()
    message = serializers.CharField()


class SystemPlaceSerializer(serializers.Serializer):
    """Shows how tracking is doing in a place."""

    environment = serializers.CharField()
    session: Any = SessionSerializer(allow_null=True)
    cameras = SystemCameraSerializer(many=True)


class SystemSerializer(serializers.Serializer):
    """Shows how SpotOn is doing."""

    version = serializers.CharField()
    at = serializers.DateTimeField()
    database = serializers.BooleanField(help_text="answers")
    redis = serializers.BooleanField(help_text="answers")
    environments = SystemPlaceSerializer(many=True)


class ProbeSerializer(serializers.Serializer):
    """Shows how a probe of a camera is doing."""

    state = serializers.ChoiceField(choices=["pending", "done", "failed"])
    at = serializers.DateTimeField()
    width = serializers.IntegerField(allow_null=True, help_text="of its pictures, px")
    height = serializers.IntegerField(allow_null=True, help_text="of its pictures, px")
    codec = serializers.CharField(help_text="as FFmpeg names it, or empty")
    fps = serializers.FloatField(allow_null=True, help_text="pictures a second")
    first_picture_s = serializers.FloatField(allow_null=True, help_text="from opening to the first picture")
    clock_offset_s = serializers.FloatField(
        allow_null=True,
        help_text="the camera's clock minus ours when pictures arrive, delay on the way included; null where it tells no time",
    )
    has_picture = serializers.BooleanField(help_text="whether there is one at `picture/`, for ten minutes")
    message = serializers.CharField(help_text="what is wrong, or empty")


class AddressProbeSerializer(ProbeSerializer):
    """Shows how a probe of an address is doing."""

    id = serializers.CharField()


class AddressSerializer(StrictTypes, serializers.Serializer):
    """Reads an address that is no camera's yet."""

    source_url = serializers.CharField(max_length=1000)

    def validate_source_url(self, url: str) -> str:
        """Refuse what can be no camera."""
        try:
            validate_source_url(url)
        except ValidationError as error:
            raise serializers.ValidationError(error.messages) from error
        return url
