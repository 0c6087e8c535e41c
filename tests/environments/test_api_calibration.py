"""Calibrations over REST: tried, kept, listed, used again."""

import numpy as np
import pytest

from accounts.models import AuditEntry, Role
from environments.geometry import CameraModel
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
)
from tests.roles import client_of, client_with, roles_ensure

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _roles(settings, tmp_path):
    roles_ensure()
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def plaza():
    return EnvironmentFactory.create(slug="plaza", name="Plaza")


@pytest.fixture
def admin():
    return client_with(Role.ADMIN)


@pytest.fixture
def viewer(plaza):
    return client_of(GrantFactory.create(environment=plaza).user)


def fields_of(response):
    assert response.status_code == 400, response.content
    return response.json()["error"]["fields"]


# seen by a camera of 640 x 480 px, f = 500 px, that stands 4 m over (0, -6) and looks to (0, 0)
PLACES = [(-2.0, 1.0), (2.0, 1.0), (-2.0, -2.0), (2.0, -2.0), (0.0, 3.0), (1.0, 0.0), (-1.0, 2.0)]


def pairs_of(points, camera):
    """Give point pairs as they would be clicked without any error."""
    model = looking_down_the_hall(camera)
    return [
        {"u": float(u), "v": float(v), "x": x, "y": y}
        for (x, y), (u, v) in zip(points, model.to_picture(np.array(points)), strict=True)
    ]


def looking_down_the_hall(camera):
    forward = np.array([0.0, 6.0, -4.0]) / np.hypot(6, 4)
    right = np.array([1.0, 0.0, 0.0])
    rotation = np.array([right, np.cross(forward, right), forward])
    eye = np.array([0.0, -6.0, 4.0])
    matrix = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
    flat = np.column_stack([rotation[:, :2], -rotation @ eye])
    return CameraModel.create(
        camera_id=camera.key, width=640, height=480, h_image_to_world=np.linalg.inv(matrix @ flat)
    )


def test_pairs_are_tried_without_being_kept(admin, plaza):
    FloorPlanFactory.create(environment=plaza, origin_x_px=50, origin_y_px=40)
    camera = CameraFactory.create(environment=plaza)
    pairs = pairs_of(PLACES, camera)
    pairs[5]["x"] += 1.0
    answer = admin.post(f"/api/v1/cameras/{camera.pk}/calibration/fit/", {"point_pairs": pairs})
    assert answer.status_code == 200
    found = answer.json()
    assert found["errors"][5]["is_outlier"]
    assert [error["is_outlier"] for error in found["errors"]] == [n == 5 for n in range(7)]
    assert found["errors"][5]["error_m"] == pytest.approx(1.0, abs=0.01)
    assert found["errors"][0]["error_px"] == pytest.approx(0, abs=0.1)
    assert found["errors"][0]["left_out_m"] is not None
    assert found["median_error_m"] == pytest.approx(0, abs=0.01)
    assert [(w["code"], w["pairs"], w["is_fatal"]) for w in found["warnings"]] == [("outlier", [5], False)]
    assert not camera.calibrations.exists()
    assert not AuditEntry.objects.exists()


def test_trust_falls_with_the_distance(admin, plaza):
    FloorPlanFactory.create(environment=plaza, origin_x_px=50, origin_y_px=40)  # 10 x 8 m around the origin
    camera = CameraFactory.create(environment=plaza)
    body = {"point_pairs": pairs_of(PLACES, camera)}
    trust = admin.post(f"/api/v1/cameras/{camera.pk}/calibration/fit/", body).json()["trust"]
    assert trust["step_m"] == 0.25
    cells = {(cell["x"], cell["y"]): cell for cell in trust["cells"]}
    assert all(-5 <= x <= 5 and -4 <= y <= 4 for x, y in cells)
    assert cells[0.125, -1.875]["major_m"] < cells[0.125, 3.125]["major_m"]
    far = cells[0.125, 3.125]
    assert far["minor_m"] < far["major_m"]
    assert abs(np.sin(far["angle_rad"])) == pytest.approx(1, abs=0.05)  # along the line of sight


def altered(**changes):
    """Change places of pairs by their number."""

    def alter(pairs):
        for name, value in changes.items():
            axis, number = name[0], int(name[1:])
            pairs[number][axis] = value
        return pairs

    return alter


BAD_PAIRS = {
    "three points": (lambda pairs: pairs[:3], "needs at least 4 point pairs, got 3"),
    "on one line": (
        lambda pairs: [{"u": 100.0 * n, "v": 50.0 * n, "x": n, "y": n} for n in range(5)],
        "on one line",
    ),
    "two equal points": (lambda pairs: [*pairs, pairs[0]], "the same place"),
    "above the horizon": (lambda pairs: altered(v0=2.0)(pairs[:5]), "above the horizon"),
    "mirrored": (lambda pairs: [pair | {"x": -pair["x"]} for pair in pairs], "mirrored"),
    "beside the picture": (altered(u0=700.0), "point pair 1 lies beside the picture of 640x480 px"),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pairs_are_said_in_a_sentence_and_nothing_is_kept(admin, plaza, case):
    alter, sentence = BAD_PAIRS[case]
    camera = CameraFactory.create(environment=plaza)
    before = CalibrationFactory.create(camera=camera)
    pairs = alter(pairs_of(PLACES, camera))
    tried = admin.post(f"/api/v1/cameras/{camera.pk}/calibration/fit/", {"point_pairs": pairs})
    kept = admin.put(f"/api/v1/cameras/{camera.pk}/calibration/", {"point_pairs": pairs})
    if tried.status_code == 200:
        said = [w["message"] for w in tried.json()["warnings"] if w["is_fatal"]]
    else:
        said = fields_of(tried)["point_pairs"]
    assert sentence in " / ".join(said)
    assert fields_of(kept)["point_pairs"][0] in said
    assert camera.calibrations.get() == before
    assert before.is_active


def test_versions_are_listed_and_an_earlier_one_is_used_again(admin, viewer, plaza):
    camera = CameraFactory.create(environment=plaza)
    address = f"/api/v1/cameras/{camera.pk}/calibration"
    pairs = pairs_of(PLACES, camera)
    first = admin.put(f"{address}/", {"point_pairs": pairs[:4]}).json()
    second = admin.put(f"{address}/", {"point_pairs": pairs, "kind": "homography"}).json()
    assert first["created_by"] == admin.user.username
    listed = viewer.get(f"{address}s/").json()
    assert [(v["id"], v["is_active"]) for v in listed["results"]] == [
        (second["id"], True),
        (first["id"], False),
    ]
    assert max(error["error_m"] for error in listed["results"][0]["errors"]) < 1e-6

    used = admin.post(f"{address}s/{first['id']}/use/")
    assert (used.status_code, used.json()["is_active"]) == (200, True)
    assert viewer.get(f"{address}/").json()["id"] == first["id"]
    elsewhere = CalibrationFactory.create()
    assert admin.post(f"{address}s/{elsewhere.pk}/use/").status_code == 404


def test_versions_take_few_queries_however_many_there_are(admin, plaza, django_assert_max_num_queries):
    camera = CameraFactory.create(environment=plaza)
    pairs = pairs_of(PLACES, camera)
    for _ in range(5):
        CalibrationFactory.create(camera=camera, is_active=False, point_pairs=pairs, created_by=admin.user)
    with django_assert_max_num_queries(8):
        assert admin.get(f"/api/v1/cameras/{camera.pk}/calibrations/").json()["count"] == 5
