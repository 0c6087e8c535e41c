"""Calibrations of other tools: read as they write them, and refused in clear words."""

import json
from contextlib import suppress

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from environments.calibrating.files import CalibrationFileError, model_of, read_calibrations, scaled_to
from tests.environments.geometry.rig import HEIGHT, MATRIX, WIDTH, camera

TRUTH = camera(distortion=[-0.2, 0.05, 0.001, -0.001, 0], x_m=2.0, yaw_deg=30.0)
SPOTS = np.array([[6.0, 3.0], [9.0, 6.0]])


def opencv(ending, **values):
    """Write values as OpenCV does."""
    storage = cv2.FileStorage(f"x{ending}", cv2.FILE_STORAGE_WRITE | cv2.FILE_STORAGE_MEMORY)
    for key, value in values.items():
        storage.write(key, value)
    return storage.releaseAndGetString().encode()


def whole(**changes):
    rvec = cv2.Rodrigues(TRUTH.rotation)[0]
    values = {
        "image_width": WIDTH,
        "image_height": HEIGHT,
        "camera_matrix": MATRIX,
        "distortion_coefficients": TRUTH.lens.distortion.reshape(1, 5),
        "rvec": rvec,
        "tvec": TRUTH.translation_m.reshape(3, 1),
    }
    return {key: value for key, value in (values | changes).items() if value is not None}


def the_model(content, name, **how):
    (found,) = read_calibrations(content, name, **how)
    model = model_of(found, camera_id="c1", width=WIDTH, height=HEIGHT)
    assert model is not None
    return model


@pytest.mark.parametrize("ending", [".yml", ".yaml", ".xml"])
def test_opencv_file_is_the_camera(ending):
    model = the_model(opencv(ending, **whole()), "camera" + ending)
    assert model.to_picture(SPOTS) == pytest.approx(TRUTH.to_picture(SPOTS), abs=1e-6)
    assert model.position_m == pytest.approx(TRUTH.position_m)


def test_rotation_matrix_and_other_names_are_read():
    values = whole(rvec=None, tvec=None, camera_matrix=None, distortion_coefficients=None)
    values |= {"K": MATRIX, "D": TRUTH.lens.distortion, "R": TRUTH.rotation, "T": TRUTH.translation_m}
    model = the_model(opencv(".yml", **values), "c.yml")
    assert model.to_picture(SPOTS) == pytest.approx(TRUTH.to_picture(SPOTS), abs=1e-6)


def test_units_are_turned_into_metres():
    model = the_model(opencv(".xml", **whole(tvec=TRUTH.translation_m * 100)), "c.xml", unit="cm")
    assert model.position_m == pytest.approx(TRUTH.position_m)


def test_scene_of_several_cameras():
    entry = {
        "id": "c1",
        "width": WIDTH,
        "height": HEIGHT,
        "homography_image_to_world": TRUTH.h_image_to_world.tolist(),
        "camera_matrix": MATRIX.tolist(),
        "distortion": TRUTH.lens.distortion.tolist(),
        "rotation": TRUTH.rotation.tolist(),
        "translation_m": TRUTH.translation_m.tolist(),
    }
    found = read_calibrations(json.dumps({"cameras": [entry, entry | {"id": "c2"}]}).encode(), "scene.json")
    assert [one.camera_id for one in found] == ["c1", "c2"]
    model = model_of(found[0], camera_id="c1", width=WIDTH, height=HEIGHT)
    assert model is not None
    assert model.to_picture(SPOTS) == pytest.approx(TRUTH.to_picture(SPOTS))


@pytest.mark.parametrize(
    "text", ["u,v,x,y\n1,2,3,4\n5,6,7,8.5", "1;2;3;4\n\n5;6;7;8.5", "# mine\n1 2 3 4\n5\t6\t7\t8.5"]
)
def test_pairs_are_read_however_they_are_parted(text):
    (found,) = read_calibrations(text.encode(), "pairs.csv")
    assert found.pairs.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8.5]]


def test_a_lens_alone_is_no_camera():
    (found,) = read_calibrations(opencv(".yml", camera_matrix=MATRIX), "lens.yml")
    assert model_of(found, camera_id="c1", width=WIDTH, height=HEIGHT) is None


def test_half_the_size_is_the_same_camera():
    (found,) = read_calibrations(opencv(".yml", **whole()), "c.yml")
    half = scaled_to(found, width=960, height=540)
    model = model_of(half, camera_id="c1", width=960, height=540)
    assert model is not None
    assert model.to_picture(SPOTS) == pytest.approx(TRUTH.to_picture(SPOTS) / 2, abs=1e-6)
    with pytest.raises(
        CalibrationFileError, match="is for pictures of 1920x1080 px, the camera gives 640x480"
    ):
        scaled_to(found, width=640, height=480)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"\xff\xfe\x00", "a.yml", "is no text"),
        (b"x" * 1_000_001, "a.yml", "is larger than 1000 kB"),
        (b"hello", "a.pdf", r"the ending \.pdf is not known"),
        (b"hello", "a.yml", "not written as OpenCV"),
        (b"<a><b></a>", "a.xml", "not written as OpenCV"),
        (b"", "a.yml", "not written as OpenCV"),
        (b"{", "a.json", "is not JSON"),
        (b"[]", "a.json", r"expected \{\"cameras\""),
        (b"{}", "a.json", "has no camera matrix"),
        (b'{"camera_matrix": [[1, 2], 3]}', "a.json", "camera matrix: expected numbers"),
        (b'{"camera_matrix": [[0, 0, 0], [0, 0, 0], [0, 0, 1]]}', "a.json", "positive fx"),
        (opencv(".yml", **whole(tvec=None)), "a.yml", "a rotation but no translation"),
        (opencv(".yml", **whole(rvec=None)), "a.yml", "a translation but no rotation"),
        (
            opencv(".yml", **whole(distortion_coefficients=np.ones((1, 8)))),
            "a.yml",
            "8 distortion coefficients",
        ),
        (opencv(".yml", **whole(rvec=np.ones((4, 1)))), "a.yml", "expected 3 or 9 numbers, got 4"),
        (b"1,2,3\n", "a.csv", "line 1: expected four numbers"),
        (b"1,2,3,nan\n", "a.csv", "line 1: expected four numbers"),
        (b"u,v,x,y\n", "a.csv", "has no point pairs"),
    ],
)
def test_what_cannot_be_read_is_said(content, name, message):
    with pytest.raises(CalibrationFileError, match=message):
        read_calibrations(content, name)


@given(st.binary(max_size=200), st.sampled_from(["a.yml", "a.xml", "a.json", "a.csv"]))
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_read_or_refused(content, name):
    with suppress(CalibrationFileError):
        assert read_calibrations(content, name)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "camera_matrix",
                "R",
                "rvec",
                "T",
                "D",
                "width",
                "height",
                "image_size",
                "id",
                "homography_image_to_world",
            ]
        ),
        st.recursive(
            st.none() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=9),
            max_leaves=20,
        ),
    )
)
@settings(deadline=None, max_examples=200)
def test_any_json_is_read_or_refused(values):
    with suppress(CalibrationFileError):
        assert read_calibrations(json.dumps(values).encode(), "a.json")
