"""The admin pages of places, cameras, calibrations and zones."""

import pytest
from django.contrib.staticfiles import finders
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Role
from environments.models import Calibration, Camera, CameraState, Environment, FloorPlan, Grant, Zone
from tests.factories import (
    T0,
    CalibrationFactory,
    CameraFactory,
    DetectionFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
    TrackPointFactory,
    UserFactory,
    ZoneFactory,
)
from tracking.models import Detection, TrackPoint

pytestmark = pytest.mark.django_db

# 1 cm a pixel; the third coordinate of the homography is 1 everywhere
PAIRS = "0 0 0 1\n100 0 1 1\n100 100 1 0\n0 100 0 0\n50 50 0.5 0.5\n200 100 2 0\n"


@pytest.fixture
def admin(client):
    user = UserFactory(role=Role.ADMIN)
    client.force_login(user)
    client.user = user
    return client


def add_calibration(client, **changes):
    camera = changes.pop("camera", None) or CameraFactory()
    data = {"camera": camera.pk, "point_pairs": PAIRS} | changes
    return client.post(reverse("admin:environments_calibration_add"), data)


def errors_of(response):
    assert response.status_code == 200, "the form was taken"
    return response.context["adminform"].form.errors


LISTS = [
    "environments_environment",
    "environments_camera",
    "environments_calibration",
    "environments_zone",
    "environments_floorplan",
    "environments_grant",
]


@pytest.mark.parametrize("name", LISTS)
def test_list_does_not_ask_more_for_more_rows(admin, name, django_assert_num_queries, request):
    def some():
        camera = CameraFactory(name="Door")
        CalibrationFactory(camera=camera, created_by=admin.user)
        CameraFactory(environment=camera.environment)
        ZoneFactory(environment=camera.environment)
        FloorPlanFactory(environment=camera.environment)
        GrantFactory(environment=camera.environment)

    address = reverse(f"admin:{name}_changelist")
    some()
    admin.get(address)  # fills the content type cache
    with CaptureQueriesContext(connection) as few:
        assert admin.get(address).status_code == 200
    some()
    some()
    with django_assert_num_queries(len(few)):
        assert admin.get(address).status_code == 200


def test_pages_wear_the_colours_of_the_product(admin):
    page = admin.get(reverse("admin:index")).content.decode()
    for style in ("spoton/tokens.css", "environments/admin.css"):
        assert f"/static/{style}" in page
        assert finders.find(style) is not None


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
def test_admin_is_for_admins_only(client, role):
    client.force_login(UserFactory(role=role, is_staff=True))
    address = reverse("admin:environments_camera_changelist")
    assert client.get(address)["Location"] == f"/admin/login/?next={address}"


class TestEnvironmentAdmin:
    def inlines(self, **changes):
        none = {f"{p}-TOTAL_FORMS": 0 for p in ("floor_plan", "cameras", "zones", "grants")}
        none |= {f"{p}-INITIAL_FORMS": 0 for p in ("floor_plan", "cameras", "zones", "grants")}
        return none | changes

    def test_environment_is_made_with_all_that_belongs_to_it(self, admin):
        plan = FloorPlanFactory.build().image.file
        response = admin.post(
            reverse("admin:environments_environment_add"),
            self.inlines(
                **{
                    "name": "Hall",
                    "slug": "hall",
                    "time_zone": "Europe/Vienna",
                    "retention_days": 7,
                    "floor_plan-TOTAL_FORMS": 1,
                    "floor_plan-0-image": SimpleUploadedFile("plan.png", plan.read(), "image/png"),
                    "floor_plan-0-metres_per_px": 0.1,
                    "floor_plan-0-origin_x_px": 0,
                    "floor_plan-0-origin_y_px": 80,
                    "cameras-TOTAL_FORMS": 1,
                    "cameras-0-key": "c1",
                    "cameras-0-source_url": "rtsp://10.0.0.1/1",
                    "cameras-0-width": 640,
                    "cameras-0-height": 480,
                    "cameras-0-fps": 5,
                    "cameras-0-position": 0,
                    "zones-TOTAL_FORMS": 1,
                    "zones-0-key": "door",
                    "zones-0-name": "Door",
                    "zones-0-kind": "line",
                    "zones-0-points_m": "0 0\n0 2",
                    "grants-TOTAL_FORMS": 1,
                    "grants-0-user": UserFactory().pk,
                }
            ),
        )
        assert response.status_code == 302
        hall = Environment.objects.get(slug="hall")
        assert (hall.floor_plan.width_px, hall.floor_plan.height_px) == (100, 80)
        assert hall.cameras.get().key == "c1"
        assert hall.zones.get().points_m == [[0, 0], [0, 2]]
        assert hall.grants.count() == 1

    def test_environment_page_shows_what_it_has(self, admin):
        camera = CameraFactory()
        FloorPlanFactory(environment=camera.environment)
        ZoneFactory(environment=camera.environment)
        address = reverse("admin:environments_environment_change", args=[camera.environment.pk])
        page = admin.get(address).content.decode()
        assert "0 0\n2 0\n2 2\n0 2" in page
        assert reverse("floor-plan", args=[camera.environment.slug]) in page
        assert "secret" not in page

    def test_time_zone_must_exist(self, admin):
        response = admin.post(
            reverse("admin:environments_environment_add"),
            self.inlines(name="Hall", slug="hall", time_zone="Mars/Base", retention_days=7),
        )
        assert list(errors_of(response)) == ["time_zone"]

    def test_plan_must_be_a_picture(self, admin):
        environment = EnvironmentFactory()
        response = admin.post(
            reverse("admin:environments_floorplan_add"),
            {
                "environment": environment.pk,
                "image": SimpleUploadedFile("plan.png", b"<svg/>"),
                "metres_per_px": 0.1,
                "origin_x_px": 0,
                "origin_y_px": 0,
            },
        )
        assert list(errors_of(response)) == ["image"]
        assert not FloorPlan.objects.exists()


class TestCameraAdmin:
    def change(self, client, camera, **changes):
        data = {
            "environment": camera.environment_id,
            "position": 0,
            "key": camera.key,
            "name": "",
            "source_url": camera.masked_source_url,
            "width": 640,
            "height": 480,
            "fps": 5,
            "enabled": "on",
        }
        return client.post(reverse("admin:environments_camera_change", args=[camera.pk]), data | changes)

    def test_password_is_shown_nowhere(self, admin):
        camera = CameraFactory(source_url="rtsp://viewer:secret@10.0.0.1/1")
        for address in (
            reverse("admin:environments_camera_changelist"),
            reverse("admin:environments_camera_change", args=[camera.pk]),
            reverse("admin:environments_environment_change", args=[camera.environment.pk]),
        ):
            page = admin.get(address).content.decode()
            assert "rtsp://***@10.0.0.1/1" in page
            assert "secret" not in page

    def test_masked_address_keeps_the_stored_one(self, admin):
        camera = CameraFactory(source_url="rtsp://viewer:secret@10.0.0.1/1")
        assert self.change(admin, camera, name="Door").status_code == 302
        camera.refresh_from_db()
        assert (camera.source_url, camera.name) == ("rtsp://viewer:secret@10.0.0.1/1", "Door")

    def test_address_can_be_changed(self, admin):
        camera = CameraFactory()
        assert self.change(admin, camera, source_url="file:///films/1.mp4").status_code == 302
        camera.refresh_from_db()
        assert camera.source_url == "file:///films/1.mp4"

    def test_masked_password_does_not_go_to_another_host(self, admin):
        camera = CameraFactory(source_url="rtsp://viewer:secret@10.0.0.1/1")
        response = self.change(admin, camera, source_url="rtsp://***@elsewhere/1")
        assert errors_of(response) == {
            "source_url": ["The address changed: type its user name and password again in place of ***."]
        }

    def test_wrong_scheme_is_said_at_the_address(self, admin):
        response = self.change(admin, CameraFactory(), source_url="ftp://10.0.0.1/1")
        assert errors_of(response) == {
            "source_url": [
                "Begin the address with one of rtsp://, rtsps://, http://, https://, file://, images://, sim://."
            ]
        }

    def test_list_shows_state_calibration_and_the_live_view(self, admin):
        camera = CameraFactory(state=CameraState.ONLINE, state_at=T0)
        CalibrationFactory(camera=camera)
        other = CameraFactory(state=CameraState.FAILED, state_message="no route")
        broken = CameraFactory()
        CalibrationFactory(camera=broken, h_image_to_world=[[0.0] * 3] * 3)
        page = admin.get(reverse("admin:environments_camera_changelist")).content.decode()
        assert "2026-05-04 12:00 UTC" in page
        assert "no route" in page
        assert reverse("admin:environments_camera_calibrate", args=[other.pk]) in page
        assert "is singular: calibrate the camera again" in page
        assert reverse("live", args=[camera.environment.slug]) in page


class TestCalibrationAdmin:
    def test_pairs_are_fitted_and_kept(self, admin):
        camera = CameraFactory()
        response = add_calibration(admin, camera=camera)
        assert response.status_code == 302
        calibration = camera.calibrations.get()
        assert calibration.is_active
        assert calibration.created_by == admin.user
        assert len(calibration.point_pairs) == 6
        h = calibration.h_image_to_world
        assert [h[0][0] / h[2][2], h[1][1] / h[2][2]] == pytest.approx([0.01, -0.01])

    def test_pairs_may_be_json(self, admin):
        for text in (
            "[[0, 0, 0, 1], [100, 0, 1, 1], [100, 100, 1, 0], [0, 100, 0, 0]]",
            '[{"u": 0, "v": 0, "x": 0, "y": 1}, {"u": 100, "v": 0, "x": 1, "y": 1},'
            ' {"u": 100, "v": 100, "x": 1, "y": 0}, {"u": 0, "v": 100, "x": 0, "y": 0}]',
        ):
            assert add_calibration(admin, point_pairs=text).status_code == 302
        first, second = Calibration.objects.order_by("pk")
        assert first.point_pairs == second.point_pairs

    def test_saving_again_makes_a_new_version(self, admin):
        add_calibration(admin)
        old = Calibration.objects.get()
        address = reverse("admin:environments_calibration_change", args=[old.pk])
        response = admin.post(address, {"camera": old.camera_id, "point_pairs": PAIRS.replace("0.5", "0.6")})
        assert response.status_code == 302
        new = Calibration.objects.exclude(pk=old.pk).get()
        old.refresh_from_db()
        assert (old.is_active, new.is_active) == (False, True)
        assert old.point_pairs[4]["x"] == 0.5
        assert new.point_pairs[4]["x"] == 0.6

    def test_page_shows_the_error_of_each_pair(self, admin):
        add_calibration(admin, point_pairs=PAIRS.replace("0.5 0.5", "0.5 3.5"))
        calibration = Calibration.objects.get()
        page = admin.get(
            reverse("admin:environments_calibration_change", args=[calibration.pk])
        ).content.decode()
        assert "<td>5</td><td>50, 50</td><td>0.5, 3.5</td><td>3.000</td><td>300.0</td>" in page
        assert "<td>0.000</td><td>0.0</td>" in page

    def test_earlier_version_can_be_used_again(self, admin):
        camera = CameraFactory()
        old = CalibrationFactory(camera=camera, is_active=False)
        new = CalibrationFactory(camera=camera)
        admin.post(
            reverse("admin:environments_calibration_changelist"),
            {"action": "use", "_selected_action": [old.pk]},
        )
        old.refresh_from_db()
        new.refresh_from_db()
        assert (old.is_active, new.is_active) == (True, False)

    def test_numbers_are_taken_where_there_are_no_pairs(self, admin):
        response = add_calibration(
            admin, point_pairs="", h_image_to_world="[[0.01, 0, 0], [0, 0.01, 0], [0, 0, 1]]"
        )
        assert response.status_code == 302
        assert Calibration.objects.get().point_pairs == []

    def test_lens_is_used_for_the_fit(self, admin):
        lens = {
            "camera_matrix": "[[500, 0, 320], [0, 500, 240], [0, 0, 1]]",
            "distortion": "[-0.2, 0, 0, 0, 0]",
        }
        assert add_calibration(admin, **lens).status_code == 302
        calibration = Calibration.objects.get()
        assert calibration.distortion == [-0.2, 0, 0, 0, 0]
        h = calibration.h_image_to_world
        assert h[0][0] / h[2][2] != pytest.approx(0.01, abs=1e-5)

    @pytest.mark.parametrize(
        ("changes", "field", "message"),
        [
            ({"point_pairs": PAIRS[:18]}, "point_pairs", "at least 4 point pairs, got 2: add more points"),
            (
                {"point_pairs": "0 0 0 0\n1 1 1 0\n2 2 1 1\n3 3 0 1"},
                "point_pairs",
                "The points lie on one line in the picture: add points beside the line.",
            ),
            ({"point_pairs": "0 0 0 0\n1 2 3"}, "point_pairs", "Row 2: expected 4 numbers: u v x y."),
            ({"point_pairs": "a b c d"}, "point_pairs", "Row 1: expected 4 numbers: u v x y."),
            ({"point_pairs": "[[1, 2"}, "point_pairs", "This is not JSON"),
            ({"point_pairs": '[{"u": 1}]'}, "point_pairs", "Row 1: expected 4 numbers"),
            ({"point_pairs": PAIRS + "nan 0 0 0"}, "point_pairs", "values that are not numbers"),
            (
                {"point_pairs": PAIRS + "9 481 0 0"},
                "point_pairs",
                "Point pair 7 lies beside the picture of 640x480 px.",
            ),
            ({"point_pairs": ""}, "point_pairs", "Give point pairs here, or a homography below."),
            ({"camera_matrix": "[[1]]"}, "camera_matrix", "expected shape (3, 3), got (1, 1)"),
            ({"camera_matrix": "{{"}, "camera_matrix", "Enter a valid JSON."),
            ({"distortion": "[0, 0, 0, 0, 0]"}, "distortion", "needs a camera matrix"),
            (
                {"camera_matrix": "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "distortion": "[1]"},
                "distortion",
                "expected shape (5,)",
            ),
            (
                {"point_pairs": "", "h_image_to_world": "[[1, 1, 1], [1, 1, 1], [1, 1, 1]]"},
                "h_image_to_world",
                "singular",
            ),
            (
                {
                    "point_pairs": "",
                    "h_image_to_world": "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
                    "rotation": "[[2, 0, 0], [0, 2, 0], [0, 0, 2]]",
                },
                "rotation",
                "orthonormal",
            ),
            (
                {
                    "point_pairs": "",
                    "h_image_to_world": "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
                    "translation_m": "[1, 2, 3]",
                },
                "rotation",
                "give both or neither",
            ),
            (
                {
                    "point_pairs": "",
                    "h_image_to_world": "[[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
                    "translation_m": "[1]",
                },
                "translation_m",
                "expected shape (3,)",
            ),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field(self, admin, changes, field, message):
        errors = errors_of(add_calibration(admin, **changes))
        assert list(errors) == [field]
        assert message in errors[field][0]
        assert not Calibration.objects.exists()


class TestZoneAdmin:
    @pytest.mark.parametrize(
        ("kind", "points", "message"),
        [
            ("polygon", "0 0\n1 0", "at least three different points"),
            ("polygon", "0 0\n2 2\n2 0\n0 2", "crosses itself"),
            ("polygon", "0 0 1\n2 2\n2 0", "Row 1: expected 2 numbers: x y."),
            ("line", "0 0\n1 0\n2 0", "A line has two points, got 3."),
            ("line", "", "This field is required."),
        ],
    )
    def test_zone_is_refused_at_its_points(self, admin, kind, points, message):
        response = admin.post(
            reverse("admin:environments_zone_add"),
            {
                "environment": EnvironmentFactory().pk,
                "key": "z",
                "name": "Z",
                "kind": kind,
                "points_m": points,
            },
        )
        errors = errors_of(response)
        assert list(errors) == ["points_m"]
        assert message in errors["points_m"][0]
        assert not Zone.objects.exists()

    def test_zone_is_changed(self, admin):
        zone = ZoneFactory(capacity=5)
        response = admin.post(
            reverse("admin:environments_zone_change", args=[zone.pk]),
            {
                "environment": zone.environment_id,
                "key": zone.key,
                "name": "Hall",
                "kind": "polygon",
                "points_m": "0,0\n4,0\n4,4",
                "capacity": "",
            },
        )
        assert response.status_code == 302
        zone.refresh_from_db()
        assert (zone.name, zone.points_m, zone.capacity) == ("Hall", [[0, 0], [4, 0], [4, 4]], None)


def test_deleting_a_place_does_not_read_its_history(admin):
    point = TrackPointFactory()
    camera = CameraFactory(environment=point.environment)
    DetectionFactory(camera=camera)
    address = reverse("admin:environments_environment_delete", args=[point.environment.pk])
    with CaptureQueriesContext(connection) as queries:
        page = admin.get(address).content.decode()
    assert "and everything that was seen there" in page
    assert not [q["sql"] for q in queries if "tracking_" in q["sql"]]
    assert admin.post(address, {"post": "yes"}).status_code == 302
    counts = [m.objects.count() for m in (Environment, Camera, TrackPoint, Detection)]
    assert counts == [0, 0, 0, 0]


def test_grants_are_given_with_the_user(admin):
    environment, user = EnvironmentFactory(), UserFactory()
    response = admin.post(
        reverse("admin:accounts_user_change", args=[user.pk]),
        {
            "username": user.username,
            "role": Role.OPERATOR,
            "is_active": "on",
            "grants-TOTAL_FORMS": 1,
            "grants-INITIAL_FORMS": 0,
            "grants-0-environment": environment.pk,
        },
    )
    assert response.status_code == 302
    assert Grant.objects.get().user == user
    user.refresh_from_db()
    assert (user.role, user.is_staff) == (Role.OPERATOR, False)
    assert Camera.objects.count() == 0
