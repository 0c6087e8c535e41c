"""What the interface says of calibrations' health."""

from typing import Any

import numpy as np
from rest_framework import serializers

from environments.calibrating.files import UNITS_M
from environments.calibrating.models import CameraMove, Proposal, ProposalRun
from environments.calibrating.selectors import Report
from environments.geometry.coverage import Coverage
from environments.models import Environment


class TrendSerializer(serializers.Serializer):
    """One stretch of minutes."""

    at = serializers.DateTimeField()
    median_m = serializers.FloatField()
    sights = serializers.IntegerField()


class AgreementSerializer(serializers.Serializer):
    """How far apart the same people are put, lately."""

    at = serializers.DateTimeField()
    sights = serializers.IntegerField()
    median_m = serializers.FloatField()
    off_m = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)


class CameraAgreementSerializer(AgreementSerializer):
    """Of one camera against all others."""

    camera = serializers.CharField()
    state = serializers.ChoiceField(["good", "fair", "bad"])
    trend = TrendSerializer(many=True)


class PairAgreementSerializer(AgreementSerializer):
    """Of two cameras; ``off_m`` is the way from the second's place to the first's."""

    cameras = serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2)


class CellAgreementSerializer(AgreementSerializer):
    """Of one camera in a square of the floor, from its lower left corner."""

    camera = serializers.CharField()
    x_m = serializers.FloatField()
    y_m = serializers.FloatField()
    size_m = serializers.FloatField()


class HealthSerializer(serializers.Serializer):
    """How the cameras of a place agree."""

    cameras = CameraAgreementSerializer(many=True)
    pairs = PairAgreementSerializer(many=True)
    cells = CellAgreementSerializer(many=True)


class HealthQuerySerializer(serializers.Serializer):
    """Says how far to look back."""

    hours = serializers.FloatField(min_value=0.05, max_value=24 * 31, default=6.0)


class SuggestionSerializer(serializers.Serializer):
    """Something that would make calibrations better."""

    camera = serializers.CharField(allow_null=True)
    code = serializers.CharField()
    message = serializers.CharField()
    x_m = serializers.FloatField(allow_null=True)
    y_m = serializers.FloatField(allow_null=True)


class GridSerializer(serializers.Serializer):
    """Spots of the floor, in rows from the least y; x0 and y0 are the first one's."""

    x0 = serializers.FloatField()
    y0 = serializers.FloatField()
    step_m = serializers.FloatField()
    columns = serializers.IntegerField()
    rows = serializers.IntegerField()


class SightSerializer(serializers.Serializer):
    """What one camera shows of the spots; null where it shows no feet."""

    camera = serializers.CharField()
    covers_m2 = serializers.FloatField()
    person_px = serializers.ListField(child=serializers.FloatField(allow_null=True))
    m_per_px = serializers.ListField(child=serializers.FloatField(allow_null=True))
    error_m = serializers.ListField(child=serializers.FloatField(allow_null=True))


class OverlapSerializer(serializers.Serializer):
    """The floor that two cameras both see."""

    cameras = serializers.ListField(child=serializers.CharField(), min_length=2, max_length=2)
    shared_m2 = serializers.FloatField()


class BlindSpotSerializer(serializers.Serializer):
    """Floor that nobody sees."""

    x_m = serializers.FloatField()
    y_m = serializers.FloatField()
    area_m2 = serializers.FloatField()


class ReportSerializer(serializers.Serializer):
    """What a place's cameras can be expected to see; without calibrated cameras there is no grid."""

    grid = GridSerializer(allow_null=True)
    cameras = serializers.ListField(child=serializers.IntegerField())
    error_m = serializers.ListField(child=serializers.FloatField(allow_null=True))
    blind_share = serializers.FloatField(allow_null=True)
    overlap_share = serializers.FloatField(allow_null=True)
    sights = SightSerializer(many=True)
    overlaps = OverlapSerializer(many=True)
    blind_spots = BlindSpotSerializer(many=True)
    suggestions = SuggestionSerializer(many=True)


def report_data(report: Report) -> dict[str, Any]:
    """Give a report as it is sent."""
    c = report.coverage
    return {
        "grid": None if c is None else c.grid,
        "cameras": [] if c is None else c.cameras.tolist(),
        "error_m": [] if c is None else _numbers(c.error_m),
        "blind_share": None if c is None else round(c.blind, 4),
        "overlap_share": None if c is None else round(c.overlap, 4),
        "sights": [] if c is None else _sights(c),
        "overlaps": [] if c is None else _overlaps(c),
        "blind_spots": [{"x_m": x, "y_m": y, "area_m2": area} for x, y, area in report.blind],
        "suggestions": report.suggestions,
    }


def _sights(coverage: Coverage) -> list[dict[str, Any]]:
    return [
        {
            "camera": key,
            "covers_m2": round(float(sight.sees.sum()) * coverage.grid.step_m**2, 1),
            "person_px": _numbers(sight.person_px, 0),
            "m_per_px": _numbers(sight.m_per_px, 4),
            "error_m": _numbers(sight.error_m),
        }
        for key, sight in sorted(coverage.sights.items())
    ]


def _overlaps(coverage: Coverage) -> list[dict[str, Any]]:
    keys = sorted(coverage.sights)
    return [
        {"cameras": [a, b], "shared_m2": round(coverage.shared_m2(a, b), 1)}
        for i, a in enumerate(keys)
        for b in keys[i + 1 :]
    ]


def _numbers(values: Any, digits: int = 3) -> list[float | None]:
    return [round(v, digits) if np.isfinite(v) else None for v in values.tolist()]


class AnchorSerializer(serializers.Serializer):
    """A place whose coordinates are known, and where cameras show it."""

    x = serializers.FloatField()
    y = serializers.FloatField()
    marks = serializers.DictField(
        child=serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2)
    )


class ProposalSerializer(serializers.ModelSerializer):
    """A calibration that nobody uses yet, or why there is none."""

    camera: Any = serializers.SlugRelatedField("key", read_only=True)
    camera_id = serializers.IntegerField(read_only=True)
    environment: Any = serializers.SlugRelatedField(
        source="camera.environment", slug_field="slug", read_only=True
    )
    applied = serializers.SerializerMethodField()

    class Meta:
        model = Proposal
        fields = [
            "id",
            "environment",
            "camera",
            "camera_id",
            "run",
            "source",
            "error_m",
            "before_m",
            "people",
            "reason",
            "applied",
            "created_at",
        ]
        read_only_fields = fields

    def get_applied(self, proposal: Proposal) -> bool:
        """Say whether a calibration was made from it."""
        return proposal.applied_id is not None


class ProposalRunSerializer(serializers.ModelSerializer):
    """A search for calibrations in recorded detections of people."""

    environment = serializers.SlugRelatedField("slug", queryset=Environment.objects.none())
    anchors = AnchorSerializer(many=True, default=list)
    created_by: Any = serializers.SlugRelatedField("username", read_only=True)

    class Meta:
        model = ProposalRun
        fields = [
            "id",
            "environment",
            "since",
            "until",
            "anchors",
            "state",
            "progress",
            "message",
            "created_at",
            "created_by",
        ]
        read_only_fields = ["state", "progress", "message"]


class CameraMoveSerializer(serializers.ModelSerializer):
    """A camera that was found to have moved."""

    camera: Any = serializers.SlugRelatedField("key", read_only=True)
    camera_id = serializers.IntegerField(read_only=True)
    environment: Any = serializers.SlugRelatedField(
        source="camera.environment", slug_field="slug", read_only=True
    )

    class Meta:
        model = CameraMove
        fields = [
            "id",
            "environment",
            "camera",
            "camera_id",
            "at",
            "moved_px",
            "moved_m",
            "before_at",
            "after_at",
        ]
        read_only_fields = fields


class CalibrationFileSerializer(serializers.Serializer):
    """A file of another tool."""

    file = serializers.FileField(max_length=200)
    unit = serializers.ChoiceField(list(UNITS_M), default="m")
