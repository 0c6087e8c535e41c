"""Calibrations in other tools' files: OpenCV's YAML and XML, JSON of the scene format, CSV of point pairs."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from environments.geometry import CameraModel, Floats, GeometryError, Lens
from environments.polygons import as_floats

MAX_BYTES = 1_000_000
UNITS_M = {"m": 1.0, "cm": 0.01, "mm": 0.001}
COLUMNS = ("u", "v", "x", "y")
# what tools call the parts, in the order in which they are looked for
MATRIX = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "K", "intrinsic", "intrinsics", "M")
DISTORTION = (
    "distortion_coefficients",
    "Distortion_Coefficients",
    "dist_coeffs",
    "distCoeffs",
    "distortion",
    "D",
)
TURN = ("rvec", "rotation_vector", "rvecs")
ROTATION = ("R", "rotation", "rotation_matrix")
TRANSLATION = ("tvec", "T", "t", "translation", "translation_vector", "translation_m", "tvecs")
SIZES = (("image_width", "image_height"), ("width", "height"), ("image_Width", "image_Height"))


class CalibrationFileError(ValueError):
    """A file that holds no calibration; the message says what is missing and what would be read."""


@dataclass(frozen=True, slots=True)
class FileCalibration:
    """What a file says of one camera; either pairs, or numbers.

    Attributes:
        camera_id: whom the file says it is about; empty where it does not.
        size: width and height in px, where the file says.
        lens, rotation, translation_m: inner calibration and pose, where known.
        h_image_to_world: (3, 3), where the file gives it.
        pairs: (n, 4) u v x y in px and m.
    """

    camera_id: str = ""
    size: tuple[int, int] | None = None
    lens: Lens | None = None
    rotation: Floats | None = None
    translation_m: Floats | None = None
    h_image_to_world: Floats | None = None
    pairs: Floats = field(default_factory=lambda: np.zeros((0, 4)))

    def homography(self) -> Floats | None:
        """Give the homography, from the pose where the file does not give it; None where it cannot be known."""
        if self.h_image_to_world is not None:
            return self.h_image_to_world
        if self.lens is None or self.rotation is None or self.translation_m is None:
            return None
        h = self.lens.matrix @ np.column_stack([self.rotation[:, :2], self.translation_m])
        if abs(np.linalg.det(h)) < 1e-12:
            raise CalibrationFileError(
                "the pose in the file shows the floor edge on: it is no camera over a floor"
            )
        return np.asarray(np.linalg.inv(h), dtype=np.float64)


def read_calibrations(content: bytes, name: str, *, unit: str = "m") -> list[FileCalibration]:
    """Read a file by its name's ending; ``unit`` is what its lengths are in.

    Raises:
        CalibrationFileError: too large, no text, another ending, or something is missing or wrong.
    """
    if len(content) > MAX_BYTES:
        raise CalibrationFileError(f"{name} is larger than {MAX_BYTES // 1000} kB: that is no calibration")
    if unit not in UNITS_M:
        raise CalibrationFileError(f"unit {unit!r} is not known: use one of {', '.join(UNITS_M)}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CalibrationFileError(f"{name} is no text: give a YAML, XML, JSON or CSV file") from error
    ending = name.rsplit(".", 1)[-1].lower()
    scale = UNITS_M[unit]
    try:
        if ending in ("yml", "yaml", "xml"):
            return [_opencv(text, name, scale)]
        if ending == "json":
            return _scene(text, name, scale)
        if ending in ("csv", "txt"):
            return [FileCalibration(pairs=_pairs(text, name) * [1.0, 1.0, scale, scale])]
    except GeometryError as error:
        raise CalibrationFileError(f"{name}: {error}") from error
    raise CalibrationFileError(
        f"{name}: the ending .{ending} is not known; OpenCV's .yml, .yaml or .xml, .json and .csv are read"
    )


def _opencv(text: str, name: str, scale: float) -> FileCalibration:
    storage = cv2.FileStorage()
    try:
        is_open = storage.open(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        values = {key: _node(storage.getNode(key)) for key in _keys(storage)} if is_open else {}
    except cv2.error as error:
        raise CalibrationFileError(f"{name} is not written as OpenCV's FileStorage writes files") from error
    finally:
        storage.release()
    if not values:
        raise CalibrationFileError(f"{name} is not written as OpenCV's FileStorage writes files")
    return _numbers(values, name, scale)


def _keys(storage: cv2.FileStorage) -> list[str]:
    return [str(key) for key in storage.root().keys()]  # noqa: SIM118 - a node, no dictionary


def _node(node: cv2.FileNode) -> Any:
    """Give a matrix, a list of numbers, a number or a text; None for anything else."""
    if node.isInt() or node.isReal():
        return node.real()
    if node.isString():
        return node.string()
    if node.isMap():
        try:
            return node.mat()
        except cv2.error:
            return None
    if node.isSeq():
        return [_node(node.at(i)) for i in range(node.size())]
    return None


def _scene(text: str, name: str, scale: float) -> list[FileCalibration]:
    try:
        raw = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise CalibrationFileError(f"{name} is not JSON: {error}") from error
    cameras = raw.get("cameras", [raw]) if isinstance(raw, Mapping) else raw
    if not isinstance(cameras, list) or not cameras or not all(isinstance(c, Mapping) for c in cameras):
        raise CalibrationFileError(f'{name}: expected {{"cameras": [...]}}, or one camera')
    return [_numbers(camera, name, scale) for camera in cameras]


def _numbers(values: Mapping[str, Any], name: str, scale: float) -> FileCalibration:
    matrix, h = _first(values, MATRIX), values.get("homography_image_to_world")
    if matrix is None and h is None:
        raise CalibrationFileError(
            f"{name} has no camera matrix: expected one of {', '.join(MATRIX)} (or homography_image_to_world in JSON)"
        )
    lens = None
    if matrix is not None:
        lens = Lens.create(matrix=matrix, distortion=_distortion(_first(values, DISTORTION), name))
    rotation, translation = _pose(values, name, scale)
    homography = None
    if h is not None:
        homography = np.diag([scale, scale, 1.0]) @ as_floats("homography_image_to_world", h, (3, 3))
    return FileCalibration(
        camera_id=str(values.get("id") or ""),
        size=_size(values, name),
        lens=lens,
        rotation=rotation,
        translation_m=translation,
        h_image_to_world=homography,
    )


def _first(values: Mapping[str, Any], names: Sequence[str]) -> Any:
    for key in names:
        if values.get(key) is not None:
            return values[key]
    return None


def _distortion(values: Any, name: str) -> Floats | None:
    if values is None:
        return None
    flat = _flat("distortion", values)
    if np.any(flat[5:]):
        raise CalibrationFileError(
            f"{name} has {len(flat)} distortion coefficients; k1 k2 p1 p2 k3 are read: calibrate the lens with five"
        )
    return np.pad(flat[:5], (0, max(0, 5 - len(flat))))


def _pose(values: Mapping[str, Any], name: str, scale: float) -> tuple[Floats | None, Floats | None]:
    rotation, turn, translation = (_first(values, names) for names in (ROTATION, TURN, TRANSLATION))
    if rotation is None and turn is None:
        if translation is not None:
            raise CalibrationFileError(f"{name} has a translation but no rotation: expected R or rvec")
        return None, None
    if translation is None:
        raise CalibrationFileError(f"{name} has a rotation but no translation: expected T or tvec")
    flat = _flat("rotation", turn if rotation is None else rotation)
    if len(flat) == 3:
        matrix = np.asarray(cv2.Rodrigues(flat)[0], dtype=np.float64)
    elif len(flat) == 9:
        matrix = flat.reshape(3, 3)
    else:
        raise CalibrationFileError(f"{name}: rotation: expected 3 or 9 numbers, got {len(flat)}")
    return matrix, as_floats("translation", _flat("translation", translation), (3,)) * scale


def _flat(what: str, values: Any) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64).ravel()
    except (TypeError, ValueError) as error:
        raise GeometryError(f"{what}: expected numbers") from error
    return as_floats(what, array, array.shape)


def _size(values: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    pair = next((values.get(w), values.get(h)) for w, h in (*SIZES, ("", "")) if w in values or w == "")
    if pair == (None, None):
        pair = values.get("image_size") or (None, None)
    try:
        width, height = pair
        return None if width is None or height is None else (int(width), int(height))
    except (TypeError, ValueError) as error:
        raise CalibrationFileError(f"{name}: the picture's size is no pair of numbers") from error


def _pairs(text: str, name: str) -> Floats:
    rows: list[list[float]] = []
    for number, line in enumerate(text.splitlines(), 1):
        cells = _cells(line)
        if not cells or cells[0].startswith("#"):
            continue
        if not rows and [cell.lower() for cell in cells] == list(COLUMNS):
            continue
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            row = []
        if len(row) != len(COLUMNS) or not np.isfinite(row).all():
            raise CalibrationFileError(
                f"{name}, line {number}: expected four numbers u, v, x, y (px, px, m, m), got {line.strip()[:60]!r}"
            )
        rows.append(row)
    if not rows:
        raise CalibrationFileError(f"{name} has no point pairs: expected lines of u, v, x, y")
    return np.array(rows)


def _cells(line: str) -> list[str]:
    for delimiter in (";", "\t", ","):
        if delimiter in line:
            return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
    return line.split()


def scaled_to(found: FileCalibration, *, width: int, height: int) -> FileCalibration:
    """Fit numbers of one picture size to another of the same shape.

    Raises:
        CalibrationFileError: the shapes differ, so that something was cut off.
    """
    if found.size is None or found.size == (width, height):
        return found
    s = width / found.size[0]
    if abs(height / found.size[1] - s) > 0.005 * s:
        raise CalibrationFileError(
            f"the file is for pictures of {found.size[0]}x{found.size[1]} px, the camera gives {width}x{height}: "
            "calibrate the size that it gives"
        )
    zoom = np.diag([s, s, 1.0])
    lens, h = found.lens, found.h_image_to_world
    return FileCalibration(
        camera_id=found.camera_id,
        size=(width, height),
        lens=None if lens is None else Lens(zoom @ lens.matrix, lens.distortion),
        rotation=found.rotation,
        translation_m=found.translation_m,
        h_image_to_world=None if h is None else h @ np.linalg.inv(zoom),
        pairs=found.pairs,
    )


def model_of(found: FileCalibration, *, camera_id: str, width: int, height: int) -> CameraModel | None:
    """Give the camera that numbers make; None where they are a lens alone."""
    h = found.homography()
    if h is None:
        return None
    return CameraModel.create(
        camera_id=camera_id,
        width=width,
        height=height,
        h_image_to_world=h,
        lens=found.lens,
        rotation=found.rotation,
        translation_m=found.translation_m,
    )
