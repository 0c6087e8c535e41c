"""Point pairs that are tried, and what they are worth, as the REST interface reads and shows them."""

from rest_framework import serializers

from accounts.rest.strict import StrictTypes
from environments import services
from environments.geometry import FitKind, Lens, PairsFit
from environments.models import Camera
from environments.serializers import (
    NumberField,
    PairErrorSerializer,
    PointPairSerializer,
    TableField,
    geometry_refused,
    pairs_bounded,
)


class TrialSerializer(StrictTypes, serializers.Serializer):
    """Reads point pairs to try."""

    point_pairs = PointPairSerializer(many=True, help_text="at least four")
    kind = serializers.ChoiceField(choices=[kind.value for kind in FitKind], required=False)
    camera_matrix = TableField(columns=3, min_length=3, max_length=3, required=False, allow_null=True)
    distortion = serializers.ListField(
        child=NumberField(), min_length=4, max_length=8, required=False, allow_null=True
    )

    def validate_point_pairs(self, pairs: list[dict[str, float]]) -> list[dict[str, float]]:
        """Bound their number."""
        return pairs_bounded(pairs)

    def fit(self, camera: Camera) -> PairsFit:
        """Fit what was read; nothing is stored."""
        data = self.validated_data
        matrix = data.get("camera_matrix")
        with geometry_refused("point_pairs"):
            lens = None if matrix is None else Lens.create(matrix=matrix, distortion=data.get("distortion"))
            kind = FitKind(data["kind"]) if "kind" in data else None
            return services.pairs_fit(camera=camera, point_pairs=data["point_pairs"], lens=lens, kind=kind)


class TriedPairSerializer(PairErrorSerializer):
    """Shows how well a point pair is met, and how well it would be without its own help."""

    left_out_m = serializers.FloatField(allow_null=True, help_text="error of a fit without this pair")
    left_out_px = serializers.FloatField(allow_null=True)
    is_outlier = serializers.BooleanField(help_text="whether it disagrees with the others and was left out")


class PairsWarningSerializer(serializers.Serializer):
    """Shows something about point pairs that somebody should look at."""

    code = serializers.CharField()
    message = serializers.CharField()
    pairs = serializers.ListField(child=serializers.IntegerField(), help_text="which ones, from 0; none: all")
    is_fatal = serializers.BooleanField(help_text="whether it keeps them from being used")


class TrustCellSerializer(serializers.Serializer):
    """Shows how exactly somebody is placed in a square of the floor, as an ellipse of one standard deviation."""

    x = serializers.FloatField()
    y = serializers.FloatField()
    major_m = serializers.FloatField()
    minor_m = serializers.FloatField()
    angle_rad = serializers.FloatField(help_text="of the major axis, counter-clockwise from x")


class TrustSerializer(serializers.Serializer):
    """Shows where on the floor a camera can be trusted."""

    step_m = serializers.FloatField(help_text="side of the squares")
    cells = TrustCellSerializer(many=True)


class TriedSerializer(serializers.Serializer):
    """Shows what point pairs are worth."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in FitKind])
    h_world_to_image = serializers.ListField(child=serializers.ListField(child=serializers.FloatField()))
    camera_matrix = serializers.ListField(
        child=serializers.ListField(child=serializers.FloatField()), allow_null=True
    )
    distortion = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    errors = TriedPairSerializer(many=True)  # type: ignore[assignment]
    median_error_m = serializers.FloatField(allow_null=True)
    median_error_px = serializers.FloatField(allow_null=True)
    median_left_out_m = serializers.FloatField(allow_null=True)
    refused = serializers.DictField(
        child=serializers.CharField(), help_text="why, by kind that could not be fitted"
    )
    warnings = PairsWarningSerializer(many=True)
    trust = TrustSerializer()
