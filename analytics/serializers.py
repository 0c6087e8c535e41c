"""What was counted as the REST interface shows it, and how it is asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers

from analytics.selectors import STEPS

# how long a range may be by the step of its answer: some thousand rows at most
LONGEST = {"minute": timedelta(days=2), "hour": timedelta(days=93), "day": timedelta(days=366)}
LONGEST_TOTAL = timedelta(days=366)
LONGEST_DWELL = timedelta(days=31)
DEFAULT_RANGE = timedelta(days=1)
EARLIEST = datetime(1971, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
FLOW_KINDS = ("zones", "cameras")


class RangeSerializer(serializers.Serializer):
    """Reads a place and a range of time, which ends now at the latest."""

    environment = serializers.SlugField(help_text="short name of an environment")
    since = serializers.DateTimeField(required=False, help_text="default: a day before `until`")
    until = serializers.DateTimeField(required=False, help_text="default: now")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what is not given, and bound the range."""
        now = timezone.now()
        attrs.setdefault("until", now)
        for name in {"since", "until"} & set(attrs):
            if not EARLIEST <= attrs[name] <= LATEST:
                raise serializers.ValidationError(
                    {name: [_("Give a time between %d and %d.") % (EARLIEST.year, LATEST.year)]}
                )
        attrs.setdefault("since", attrs["until"] - DEFAULT_RANGE)
        if attrs["until"] < attrs["since"]:
            raise serializers.ValidationError({"since": [_("Give a time before `until`.")]})
        longest = self.longest(attrs)
        if attrs["until"] - attrs["since"] > longest:
            raise serializers.ValidationError(
                {"since": [_("Give a time at most %d days before `until`.") % longest.days]}
            )
        return attrs | {"until": max(min(attrs["until"], now), attrs["since"])}

    def longest(self, attrs: dict[str, Any]) -> timedelta:
        """Give how long the range may be."""
        return LONGEST_TOTAL


class StepsSerializer(RangeSerializer):
    """Reads a place, a range of time and its steps."""

    step = serializers.ChoiceField(
        choices=STEPS,
        default="hour",
        help_text="of the place's own days; a range may have 2 days in minutes, 93 in hours, 366 in days",
    )

    def longest(self, attrs: dict[str, Any]) -> timedelta:
        """Give how long the range may be."""
        return LONGEST[attrs["step"]]


class OccupancyAskedSerializer(StepsSerializer):
    """Reads which area's people are asked for, too."""

    zone = serializers.SlugField(required=False, help_text="key of an area; default: the whole place")


class FlowsAskedSerializer(RangeSerializer):
    """Reads between what people are counted, too."""

    between = serializers.ChoiceField(choices=FLOW_KINDS, default="zones")


class DwellAskedSerializer(RangeSerializer):
    """Reads which area's visits are asked for, too."""

    zone = serializers.SlugField(required=False, help_text="key of an area; default: all")

    def longest(self, attrs: dict[str, Any]) -> timedelta:
        """Give how long the range may be."""
        return LONGEST_DWELL


class RowSerializer(serializers.Serializer):
    """Shows a row of numbers, texts and times as it is; asking field by field takes three times as long."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Show a row."""
        shown: dict[str, Any] = {str(name): getattr(instance, str(name)) for name in self.fields}
        if "at" in shown:
            shown["at"] = shown["at"].astimezone(UTC).isoformat().replace("+00:00", "Z")
        return shown


class CameraCountSerializer(RowSerializer):
    """Shows what a camera's stored frames showed in a step of time."""

    at = serializers.DateTimeField(help_text="begin of the step")
    camera = serializers.CharField(help_text="key")
    frames = serializers.IntegerField(help_text="with a box at least")
    detections = serializers.IntegerField(help_text="boxes")
    tracked = serializers.IntegerField(help_text="boxes of a track")
    confidence = serializers.FloatField(allow_null=True, help_text="on average")


class OccupancySerializer(RowSerializer):
    """Shows how many people there were in a step of time."""

    at = serializers.DateTimeField(help_text="begin of the step")
    mean = serializers.FloatField(help_text="people on average, over the part of the step in the range")
    peak = serializers.FloatField(help_text="the most of its minutes' averages")


class HeatCellSerializer(RowSerializer):
    """Shows how often people were in a square of the floor."""

    x_m = serializers.FloatField(help_text="of its corner with the least coordinates")
    y_m = serializers.FloatField(help_text="of its corner with the least coordinates")
    points = serializers.IntegerField(help_text="stored positions")
    share = serializers.FloatField(help_text="of all positions in the range")


class FlowSerializer(RowSerializer):
    """Shows how often people went from one area to another, or were handed from one camera to another."""

    origin = serializers.CharField(allow_null=True, help_text="key; null for who came from none")
    destination = serializers.CharField(help_text="key")
    count = serializers.IntegerField()


class DwellBinSerializer(serializers.Serializer):
    """Shows how many visits were of a length."""

    from_s = serializers.FloatField()
    to_s = serializers.FloatField(allow_null=True, help_text="null: or longer")
    open = serializers.IntegerField(
        help_text="visits that are not known to have ended, by their length so far"
    )
    ended = serializers.IntegerField(help_text="visits that ended")


class DwellSerializer(serializers.Serializer):
    """Shows how long visits of an area lasted; quantiles are null where too few have ended to tell."""

    zone = serializers.CharField(help_text="key")
    open = serializers.IntegerField(help_text="visits that are not known to have ended")
    ended = serializers.IntegerField(help_text="visits that ended")
    p25_s = serializers.FloatField(allow_null=True)
    median_s = serializers.FloatField(allow_null=True, help_text="half of the visits last longer")
    p75_s = serializers.FloatField(allow_null=True)
    p90_s = serializers.FloatField(allow_null=True)
    histogram = DwellBinSerializer(many=True)


class AnswerSerializer(serializers.Serializer):
    """Shows what the rows are of."""

    environment = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(help_text="as asked, or now")


class CameraCountsSerializer(AnswerSerializer):
    """Shows what each camera showed over time; steps without a box are absent."""

    results = CameraCountSerializer(many=True)


class OccupanciesSerializer(AnswerSerializer):
    """Shows how many people there were over time; steps without anybody are absent."""

    results = OccupancySerializer(many=True)


class HeatMapSerializer(AnswerSerializer):
    """Shows where on the floor people were."""

    since = serializers.DateTimeField(help_text="the full hour of UTC that was asked for")
    cell_m = serializers.FloatField(help_text="side of a square")
    results = HeatCellSerializer(many=True)


class FlowsSerializer(AnswerSerializer):
    """Shows how people moved."""

    since = serializers.DateTimeField(help_text="the full hour of UTC that was asked for")
    results = FlowSerializer(many=True)


class DwellsSerializer(AnswerSerializer):
    """Shows how long visits lasted that began in the range, as known at its end."""

    results = DwellSerializer(many=True)
