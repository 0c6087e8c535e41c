"""What administrators type: sources, point pairs, zones."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, cast

from django import forms
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext_lazy as _

from environments.geometry import CameraModel, GeometryError, Lens
from environments.models import Calibration, Camera, FloorPlan, PointPair, Zone, ZoneKind
from environments.pictures import PictureRefused, picture_clean
from environments.polygons import check_line, check_polygon
from environments.secrets import MASK
from environments.services import calibration_try

PAIR_COLUMNS = ("u", "v", "x", "y")
POINT_COLUMNS = ("x", "y")


class RowsField(forms.Field):
    """Reads a table of numbers: a row a line, or the same as JSON; gives a list of lists."""

    widget = forms.Textarea

    def __init__(self, *, columns: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.columns = columns

    def prepare_value(self, value: Any) -> Any:
        """Write stored rows as lines; what was typed stays as it was."""
        if not isinstance(value, list):
            return value
        return "\n".join(" ".join(f"{number:g}" for number in row) for row in self._listed(value))

    def to_python(self, value: Any) -> list[list[float]]:
        """Read what was typed."""
        text = str(value or "").strip()
        if text.startswith("["):
            return self._rows_from_json(text)
        lines = ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
        return [self._row(number, line.replace(",", " ").replace(";", " ").split()) for number, line in lines]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare numbers, as they are shown."""
        try:
            return bool(self.prepare_value(self.to_python(data)) != (self.prepare_value(initial) or ""))
        except forms.ValidationError:
            return True

    def _rows_from_json(self, text: str) -> list[list[float]]:
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise forms.ValidationError(_("This is not JSON: %(error)s"), params={"error": error}) from error
        return [self._row(number, row) for number, row in enumerate(self._listed(rows), 1)]

    def _listed(self, rows: Sequence[Any]) -> list[Any]:
        """Give rows that may be objects by column name as lists."""
        return [[row.get(c) for c in self.columns] if isinstance(row, dict) else row for row in rows]

    def _row(self, number: int, cells: Any) -> list[float]:
        try:
            row = [float(cell) for cell in cells]
        except (TypeError, ValueError):
            row = []
        if len(row) != len(self.columns):
            raise forms.ValidationError(
                _("Row %(number)s: expected %(count)s numbers: %(columns)s."),
                params={"number": number, "count": len(self.columns), "columns": " ".join(self.columns)},
            )
        return row


class CameraForm(forms.ModelForm):
    """Edits a camera; user name and password of its source never leave the server."""

    class Meta:
        model = Camera
        fields = ["environment", "key", "name", "source_url", "width", "height", "fps", "enabled", "position"]
        widgets = {"source_url": forms.TextInput(attrs={"size": 80, "autocomplete": "off"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["source_url"] = self.instance.masked_source_url

    def clean_source_url(self) -> str:
        """Keep the stored address where the masked one came back."""
        url: str = self.cleaned_data["source_url"]
        if self.instance.pk and url == self.instance.masked_source_url:
            return str(self.instance.source_url)
        if MASK in url:
            raise forms.ValidationError(
                _("The address changed: type its user name and password again in place of ***.")
            )
        return url


class FloorPlanForm(forms.ModelForm):
    """Puts a picture under the map; what is uploaded is written anew."""

    class Meta:
        model = FloorPlan
        fields = ["environment", "image", "metres_per_px", "origin_x_px", "origin_y_px"]

    def clean_image(self) -> Any:
        """Read what was uploaded as a picture, and keep nothing but that."""
        image = self.cleaned_data["image"]
        if not isinstance(image, UploadedFile):
            return image
        try:
            picture = picture_clean(cast(IO[bytes], image))
        except PictureRefused as error:
            raise forms.ValidationError(_sentence(error)) from error
        return ContentFile(picture.content, name=f"{Path(str(image.name)).stem or 'plan'}{picture.suffix}")


class ZoneForm(forms.ModelForm):
    """Edits a zone by the places of its corners."""

    points_m = RowsField(
        columns=POINT_COLUMNS,
        label=_("Points, m"),
        widget=forms.Textarea(attrs={"rows": 5, "cols": 20, "spellcheck": "false"}),
        help_text=_("x y in metres, one point a line, around the area; a line has two."),
    )

    class Meta:
        model = Zone
        fields = ["environment", "key", "name", "kind", "points_m", "capacity"]

    def clean(self) -> dict[str, Any]:
        """Check the points as what they are to be."""
        data = cast(dict[str, Any], super().clean())
        if "points_m" in data and "kind" in data:
            check = check_polygon if data["kind"] == ZoneKind.POLYGON else check_line
            try:
                data["points_m"] = check(data["points_m"]).tolist()
            except GeometryError as error:
                self.add_error("points_m", _sentence(error))
        return data


class CameraChoice(forms.ModelChoiceField):
    """Offers cameras with the place they are in: every place has its c1."""

    def label_from_instance(self, camera: Any) -> str:
        """Name place and camera."""
        return f"{camera.environment} / {camera}"


class CalibrationForm(forms.ModelForm):
    """Calibrates a camera from point pairs, or from numbers."""

    camera = CameraChoice(queryset=Camera.objects.select_related("environment"), label=_("Camera"))
    point_pairs = RowsField(
        columns=PAIR_COLUMNS,
        required=False,
        label=_("Point pairs"),
        widget=forms.Textarea(
            attrs={"rows": 10, "cols": 50, "class": "vLargeTextField", "spellcheck": "false"}
        ),
        help_text=_(
            "One a line: u v x y, the place in the picture in pixels (u to the right, v down) and the same "
            "place on the floor in metres. At least four, not on one line; six or more spread over the "
            "picture are better, since mistakes show then. JSON is read too."
        ),
    )

    class Meta:
        model = Calibration
        fields = [
            "camera",
            "point_pairs",
            "camera_matrix",
            "distortion",
            "h_image_to_world",
            "rotation",
            "translation_m",
        ]
        help_texts = {
            "camera_matrix": _("[[fx, 0, cx], [0, fy, cy], [0, 0, 1]] in pixels; may be left empty."),
            "distortion": _("[k1, k2, p1, p2, k3]; may be left empty."),
            "h_image_to_world": _(
                "Read only where there are no point pairs; 3x3, undistorted pixel to metres."
            ),
            "rotation": _("Read only where there are no point pairs; 3x3, x_cam = R x_world + t."),
            "translation_m": _("Read only where there are no point pairs; three metres."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "h_image_to_world" in self.fields:
            self.fields["h_image_to_world"].required = False

    def pairs(self) -> list[PointPair]:
        """Give the point pairs that were typed."""
        return [PointPair(u=u, v=v, x=x, y=y) for u, v, x, y in self.cleaned_data["point_pairs"]]

    def clean(self) -> dict[str, Any]:
        """Try the calibration, so that what is wrong is said at its field."""
        data = cast(dict[str, Any], super().clean())
        if self.errors:
            return data
        try:
            lens = self._lens(data)
        except GeometryError as error:
            at_distortion = str(error).startswith("distortion")
            self.add_error("distortion" if at_distortion else "camera_matrix", _sentence(error))
            return data
        if data["point_pairs"]:
            self._try_pairs(data["camera"], lens)
        elif data["h_image_to_world"] is None:
            self.add_error("point_pairs", _("Give point pairs here, or a homography below."))
        else:
            self._try_numbers(data, lens)
        return data

    def _lens(self, data: dict[str, Any]) -> Lens | None:
        if data["camera_matrix"] is not None:
            return Lens.create(matrix=data["camera_matrix"], distortion=data["distortion"])
        if data["distortion"] is not None:
            raise GeometryError("distortion needs a camera matrix: give both or neither")
        return None

    def _try_pairs(self, camera: Camera, lens: Lens | None) -> None:
        try:
            calibration_try(camera=camera, point_pairs=self.pairs(), lens=lens)
        except GeometryError as error:
            self.add_error("point_pairs", _sentence(error))

    def _try_numbers(self, data: dict[str, Any], lens: Lens | None) -> None:
        camera: Camera = data["camera"]
        known: dict[str, Any] = {
            "camera_id": camera.key,
            "width": camera.width,
            "height": camera.height,
            "h_image_to_world": data["h_image_to_world"],
            "lens": lens,
        }
        try:
            CameraModel.create(**known)
        except GeometryError as error:
            self.add_error("h_image_to_world", _sentence(error))
            return
        try:
            CameraModel.create(**known, rotation=data["rotation"], translation_m=data["translation_m"])
        except GeometryError as error:
            field = "translation_m" if str(error).startswith("translation") else "rotation"
            self.add_error(field, _sentence(error))


def _sentence(error: ValueError) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
