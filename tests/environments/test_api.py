"""Places, cameras, calibrations, zones and grants over REST."""

import io

import pytest
from PIL import Image

from accounts.models import Role
from environments.models import Camera, Environment, FloorPlan, Grant, Zone
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
    UserFactory,
    ZoneFactory,
)
from tests.roles import client_of, client_with, roles_ensure

pytestmark = pytest.mark.django_db
PAIRS = [
    {"u": u, "v": v, "x": u * 0.01 - 3.2, "y": 2.4 - v * 0.01}
    for u, v in [(0, 0), (640, 0), (640, 480), (0, 480)]
]


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
    """Give a client of a Viewer who may see the plaza, beside a place that they may not."""
    EnvironmentFactory.create(slug="hidden")
    return client_of(GrantFactory.create(environment=plaza).user)


def fields_of(response):
    assert response.status_code == 400, response.content
    return response.json()["error"]["fields"]


def png(width=40, height=30):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    file.seek(0)
    file.name = "plan.png"
    return file


# --- environments ---


def test_admin_makes_changes_and_deletes_a_place(admin):
    made = admin.post("/api/v1/environments/", {"slug": "yard", "name": "Yard", "time_zone": "Europe/Vienna"})
    assert made.status_code == 201
    assert made.json()["retention_days"] == 30
    changed = admin.patch("/api/v1/environments/yard/", {"retention_days": 7})
    assert (changed.status_code, changed.json()["retention_days"]) == (200, 7)
    assert admin.delete("/api/v1/environments/yard/").status_code == 204
    assert not Environment.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slug": "plaza", "name": "x"}, "slug"),
        ({"slug": "a b", "name": "x"}, "slug"),
        ({"slug": "a", "name": "x", "time_zone": "Mars/Base"}, "time_zone"),
        ({"slug": "a", "name": "x", "retention_days": 0}, "retention_days"),
        ({"slug": "a"}, "name"),
    ],
)
def test_place_that_cannot_be_made_is_refused_by_field(admin, plaza, body, field):
    assert list(fields_of(admin.post("/api/v1/environments/", body))) == [field]


def test_grants_say_which_places_there_are(viewer):
    listed = viewer.get("/api/v1/environments/").json()
    assert [place["slug"] for place in listed["results"]] == ["plaza"]
    assert (listed["count"], listed["next"], listed["previous"]) == (1, None, None)
    assert viewer.get("/api/v1/environments/plaza/").status_code == 200
    assert viewer.get("/api/v1/environments/hidden/").status_code == 404


def test_search_order_and_pages(admin):
    for name in ("Yard", "Hall", "Hallway"):
        EnvironmentFactory.create(name=name, slug=name.lower())
    found = admin.get("/api/v1/environments/?search=hall&ordering=-name").json()
    assert [place["name"] for place in found["results"]] == ["Hallway", "Hall"]
    page = admin.get("/api/v1/environments/?page_size=2")
    assert (page.json()["count"], len(page.json()["results"])) == (3, 2)
    assert f'<{page.json()["next"]}>; rel="next"' in page["Link"]
    assert admin.get("/api/v1/environments/?page=9").status_code == 404
    for size in ("0", "-1", "x", "1001", "1.5", "\u0663"):
        assert list(fields_of(admin.get("/api/v1/environments/", {"page_size": size}))) == ["page_size"]


def test_layout_describes_the_place_and_is_sent_once(viewer, plaza):
    CalibrationFactory.create(camera=CameraFactory.create(environment=plaza, key="c1"))
    ZoneFactory.create(environment=plaza, key="z1")
    FloorPlanFactory.create(environment=plaza)
    first = viewer.get("/api/v1/environments/plaza/layout/")
    layout = first.json()
    assert [camera["id"] for camera in layout["cameras"]] == ["c1"]
    assert len(layout["cameras"][0]["field_of_view_m"]) >= 3
    assert [zone["id"] for zone in layout["zones"]] == ["z1"]
    assert layout["map"]["width_px"] == 100
    again = viewer.get("/api/v1/environments/plaza/layout/", HTTP_IF_NONE_MATCH=first["ETag"])
    assert (again.status_code, again.content) == (304, b"")
    assert viewer.get("/api/v1/environments/hidden/layout/").status_code == 404


def test_floor_plan_is_put_and_given_back(admin, viewer, plaza):
    address = "/api/v1/environments/plaza/plan/"
    assert viewer.get(address).status_code == 404
    put = admin.put(address, {"image": png(), "metres_per_px": 0.1, "origin_x_px": 5}, format="multipart")
    assert put.status_code == 200, put.content
    assert put.json() == {
        "width_px": 40,
        "height_px": 30,
        "metres_per_px": 0.1,
        "origin_x_px": 5.0,
        "origin_y_px": 0.0,
    }
    assert viewer.get(address).json() == put.json()
    picture = viewer.get(f"{address}picture/")
    assert (picture["Content-Type"], picture.content[:4]) == ("image/png", b"\x89PNG")
    assert viewer.put(address, {"image": png(), "metres_per_px": 1}, format="multipart").status_code == 403


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"metres_per_px": 0.1}, "image"),
        ({"image": "text", "metres_per_px": 0.1}, "image"),
        ({"metres_per_px": "nan"}, "metres_per_px"),
        ({"metres_per_px": 0.1, "origin_x_px": "inf"}, "origin_x_px"),
    ],
)
def test_floor_plan_that_is_none_is_refused(admin, plaza, form, field):
    form = {"image": png()} | form if field != "image" else form
    response = admin.put("/api/v1/environments/plaza/plan/", form, format="multipart")
    assert field in fields_of(response)
    assert not FloorPlan.objects.exists()


# --- cameras ---

CAMERA = {"environment": "plaza", "key": "c9", "width": 640, "height": 480}


def test_cameras_secrets_are_written_and_never_shown(admin, viewer, plaza):
    made = admin.post("/api/v1/cameras/", CAMERA | {"source_url": "rtsp://u:secret@10.0.0.1/s?token=t0k"})
    assert made.status_code == 201, made.content
    assert made.json()["source_url"] == "rtsp://***@10.0.0.1/s?token=***"
    address = f"/api/v1/cameras/{made.json()['id']}/"
    for answer in (made, admin.get(address), viewer.get(address), viewer.get("/api/v1/cameras/")):
        assert b"secret" not in answer.content
        assert b"t0k" not in answer.content

    back = admin.patch(address, {"name": "Door", "source_url": made.json()["source_url"]})
    assert back.status_code == 200
    assert Camera.objects.get().source_url == "rtsp://u:secret@10.0.0.1/s?token=t0k"
    moved = admin.patch(address, {"source_url": "rtsp://***@10.0.0.2/s"})
    assert list(fields_of(moved)) == ["source_url"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"source_url": "ftp://10.0.0.1/x"}, "source_url"),
        ({"source_url": "rtsp:///nohost"}, "source_url"),
        ({"key": "c 9"}, "key"),
        ({"key": "c1"}, "non_field_errors"),
        ({"width": 1}, "width"),
        ({"width": 2**70}, "width"),
        ({"fps": 1e9}, "fps"),
        ({"fps": 0}, "fps"),
        ({"environment": "nowhere"}, "environment"),
        ({"environment": ["plaza"]}, "environment"),
    ],
)
def test_camera_that_cannot_be_added_is_refused_by_field(admin, plaza, change, field):
    CameraFactory.create(environment=plaza, key="c1")
    body = CAMERA | {"source_url": "rtsp://10.0.0.1/s"} | change
    assert list(fields_of(admin.post("/api/v1/cameras/", body))) == [field]


@pytest.mark.parametrize("text", ["\\ud800", "\\u0000", "a\\udfffb"])
def test_text_that_nothing_can_store_is_refused(admin, plaza, text):
    camera = CameraFactory.create(environment=plaza)
    body = f'{{"name": "{text}"}}'.encode()
    address = f"/api/v1/cameras/{camera.pk}/"
    response = admin.generic("PATCH", address, body, content_type="application/json")
    assert list(fields_of(response)) == ["name"]
    body = f'{{"environment": "{text}", "key": "c2", "name": "New"}}'.encode()
    response = admin.generic("POST", "/api/v1/zones/", body, content_type="application/json")
    assert fields_of(response)["environment"] == ["Give a text of whole characters, without NUL."]


def test_camera_stays_where_it_is(admin, plaza):
    camera = CameraFactory.create(environment=plaza)
    EnvironmentFactory.create(slug="yard")
    response = admin.patch(f"/api/v1/cameras/{camera.pk}/", {"environment": "yard"})
    assert list(fields_of(response)) == ["environment"]


def test_camera_is_calibrated_from_point_pairs(admin, viewer, plaza):
    camera = CameraFactory.create(environment=plaza)
    address = f"/api/v1/cameras/{camera.pk}/calibration/"
    assert viewer.get(address).status_code == 404
    put = admin.put(address, {"point_pairs": PAIRS})
    assert put.status_code == 200, put.content
    shown = viewer.get(address).json()
    assert shown["id"] == put.json()["id"]
    assert max(error["error_m"] for error in shown["errors"]) < 1e-6
    assert viewer.get(f"/api/v1/cameras/{camera.pk}/").json()["is_calibrated"] is True
    numbers = admin.put(address, {"h_image_to_world": shown["h_image_to_world"]})
    assert (numbers.status_code, camera.calibrations.count()) == (200, 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "point_pairs"),
        ({"point_pairs": PAIRS[:3]}, "point_pairs"),
        ({"point_pairs": [PAIRS[0]] * 4}, "point_pairs"),
        ({"point_pairs": [{"u": 1}] * 4}, "point_pairs.0.v"),
        ({"h_image_to_world": [[0] * 3] * 3}, "h_image_to_world"),
        ({"h_image_to_world": [[1, 2], [3, 4]]}, "h_image_to_world"),
        ({"point_pairs": PAIRS, "distortion": [0, 0, 0, 0]}, "distortion"),
        ({"point_pairs": PAIRS, "camera_matrix": [[0] * 3] * 3}, "point_pairs"),
    ],
)
def test_calibration_that_is_none_is_refused(admin, plaza, body, field):
    camera = CameraFactory.create(environment=plaza)
    response = admin.put(f"/api/v1/cameras/{camera.pk}/calibration/", body)
    assert {name.split(".0.0")[0].removesuffix(".0") for name in fields_of(response)} >= {field}
    assert camera.calibrations.count() == 0


# --- zones and grants ---


def test_zone_is_drawn_changed_and_deleted(admin, viewer, plaza):
    square = [[0, 0], [2, 0], [2, 2], [0, 2]]
    made = admin.post(
        "/api/v1/zones/", {"environment": "plaza", "key": "z1", "name": "Door", "points_m": square}
    )
    assert (made.status_code, made.json()["kind"]) == (201, "polygon")
    address = f"/api/v1/zones/{made.json()['id']}/"
    assert viewer.get(address).json() == made.json()
    line = admin.patch(address, {"kind": "line", "points_m": [[0, 0], [1, 1]]})
    assert (line.status_code, line.json()["points_m"]) == (200, [[0.0, 0.0], [1.0, 1.0]])
    assert "points_m" in fields_of(admin.patch(address, {"kind": "polygon"}))
    assert admin.delete(address).status_code == 204
    assert not Zone.objects.exists()


@pytest.mark.parametrize(
    "points", [[], [[0, 0]], [[0, 0], [1, 1], [2, 2]], [[0, 0], [1, 1e9]], [[0]], "x", [[0, 0]] * 201]
)
def test_zone_that_is_none_is_refused(admin, plaza, points):
    body = {"environment": "plaza", "key": "z1", "name": "Door", "points_m": points}
    assert {name.split(".")[0] for name in fields_of(admin.post("/api/v1/zones/", body))} == {"points_m"}


def test_grant_opens_a_place_and_its_end_closes_it(admin, plaza):
    vera = UserFactory.create(username="vera")
    client = client_of(vera)
    assert client.get("/api/v1/environments/plaza/").status_code == 404
    made = admin.post("/api/v1/grants/", {"user": "vera", "environment": "plaza"})
    assert made.status_code == 201
    assert client.get("/api/v1/environments/plaza/").status_code == 200
    assert client.get("/api/v1/grants/").status_code == 403
    assert admin.get("/api/v1/grants/?user=vera&environment=plaza").json()["count"] == 1
    assert admin.delete(f"/api/v1/grants/{made.json()['id']}/").status_code == 204
    assert client.get("/api/v1/environments/plaza/").status_code == 404
    assert not Grant.objects.exists()


# --- how much it takes ---


@pytest.mark.parametrize("address", ["environments", "cameras", "zones", "grants"])
def test_lists_take_few_queries_however_long_they_are(address, admin, django_assert_max_num_queries):
    for _ in range(8):
        environment = EnvironmentFactory.create()
        CalibrationFactory.create(camera=CameraFactory.create(environment=environment))
        ZoneFactory.create(environment=environment)
        GrantFactory.create(environment=environment)
    with django_assert_max_num_queries(4):
        assert admin.get(f"/api/v1/{address}/").json()["count"] == 8
