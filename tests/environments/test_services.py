"""What changes places, cameras, calibrations, zones and plans."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

from environments import services
from environments.geometry import GeometryError
from environments.models import CameraState, FloorPlan, Grant, PointPair, ZoneKind
from environments.pictures import PictureRefused
from environments.selectors import calibration_errors, calibration_model
from tests.environments.geometry import rig
from tests.factories import (
    H_IMAGE_TO_WORLD,
    T0,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    UserFactory,
    ZoneFactory,
)

pytestmark = pytest.mark.django_db

NAN = float("nan")
Values = dict[str, Any]


def pairs(*rows):
    return [PointPair(u=u, v=v, x=x, y=y) for u, v, x, y in rows]


SQUARE = pairs((0, 0, 0, 1), (100, 0, 1, 1), (100, 100, 1, 0), (0, 100, 0, 0))


class TestEnvironment:
    def test_environment_is_made(self):
        made = services.environment_create(
            slug="hall", name="Hall", time_zone="Europe/Vienna", retention_days=7
        )
        made.refresh_from_db()
        assert (made.slug, made.name, made.time_zone, made.retention_days) == (
            "hall",
            "Hall",
            "Europe/Vienna",
            7,
        )

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("slug", {"slug": "taken"}),
            ("slug", {"slug": "a b"}),
            ("slug", {"slug": ""}),
            ("name", {"name": ""}),
            ("time_zone", {"time_zone": "Nowhere"}),
            ("retention_days", {"retention_days": 0}),
        ],
    )
    def test_environment_is_refused(self, field, changes):
        EnvironmentFactory(slug="taken")
        with pytest.raises(ValidationError) as caught:
            services.environment_create(**({"slug": "hall", "name": "Hall"} | changes))
        assert field in caught.value.message_dict

    def test_grant_is_given_once(self):
        environment, user = EnvironmentFactory(), UserFactory()
        first = services.grant_add(environment=environment, user=user)
        assert services.grant_add(environment=environment, user=user) == first
        assert Grant.objects.count() == 1


class TestCamera:
    def add(self, **changes):
        values: Values = {"key": "c1", "source_url": "rtsp://10.0.0.1/1", "width": 640, "height": 480}
        return services.camera_add(**({"environment": EnvironmentFactory()} | values | changes))

    def test_cameras_are_added_one_behind_the_other(self):
        first = self.add()
        second = self.add(environment=first.environment, key="c2")
        assert (first.position, second.position) == (0, 1)
        assert (first.state, first.enabled) == (CameraState.OFF, True)

    @pytest.mark.parametrize(
        ("field", "changes"),
        [
            ("source_url", {"source_url": "ftp://10.0.0.1/1"}),
            ("source_url", {"source_url": ""}),
            ("key", {"key": "no spaces"}),
            ("width", {"width": 0}),
            ("height", {"height": -1}),
            ("fps", {"fps": 0}),
            ("fps", {"fps": NAN}),
        ],
    )
    def test_camera_is_refused(self, field, changes):
        with pytest.raises(ValidationError) as caught:
            self.add(**changes)
        assert field in caught.value.message_dict

    def test_key_is_refused_where_it_is_taken(self):
        camera = self.add()
        with pytest.raises(ValidationError, match=r"Constraint .camera_key_once. is violated|already exists"):
            self.add(environment=camera.environment)

    def test_camera_is_pointed_elsewhere(self):
        camera = CameraFactory(key="c1", name="Door", state=CameraState.ONLINE)
        same = services.camera_set(
            environment=camera.environment,
            key="c1",
            source_url="sim://plaza/c1",
            width=320,
            height=240,
            fps=5,
        )
        assert same == camera
        camera.refresh_from_db()
        assert (camera.source_url, camera.width, camera.fps) == ("sim://plaza/c1", 320, 5)
        assert (camera.name, camera.state) == ("Door", CameraState.ONLINE)

    def test_camera_that_is_missing_is_added(self):
        environment = EnvironmentFactory()
        services.camera_set(
            environment=environment, key="c9", source_url="sim://plaza/c1", width=320, height=240, fps=5
        )
        assert environment.cameras.get().key == "c9"


class TestCameraState:
    def set(self, camera, state, message, seconds):
        return services.camera_state_set(
            camera=camera, state=state, message=message, now=T0 + timedelta(seconds=seconds)
        )

    def test_state_begins_when_it_changes(self):
        camera = CameraFactory()
        assert self.set(camera, CameraState.CONNECTING, "", 0)
        assert self.set(camera, CameraState.ONLINE, "", 1)
        assert not self.set(camera, CameraState.ONLINE, "", 2)
        assert self.set(camera, CameraState.ONLINE, "12 fps", 3)
        camera.refresh_from_db()
        assert (camera.state, camera.state_message) == ("online", "12 fps")
        assert camera.state_at == T0 + timedelta(seconds=1)

    def test_state_holds_no_password_and_has_an_end(self):
        camera = CameraFactory()
        self.set(camera, CameraState.OFFLINE, "rtsp://a:secret@h/1 is gone " + 400 * "x", 0)
        camera.refresh_from_db()
        assert camera.state_message.startswith("rtsp://***@h/1 is gone")
        assert len(camera.state_message) == 300
        assert not self.set(camera, CameraState.OFFLINE, "rtsp://a:secret@h/1 is gone " + 400 * "x", 1)

    def test_state_leaves_other_columns_alone(self):
        camera = CameraFactory(name="Door")
        stale = type(camera).objects.get(pk=camera.pk)
        type(camera).objects.update(name="Gate")
        self.set(stale, CameraState.ONLINE, "", 0)
        camera.refresh_from_db()
        assert (camera.name, camera.state) == ("Gate", "online")

    def test_state_costs_few_queries(self, django_assert_max_num_queries):
        camera = CameraFactory(state=CameraState.ONLINE)
        with django_assert_max_num_queries(1):
            self.set(camera, CameraState.ONLINE, "", 0)
        with django_assert_max_num_queries(3):
            self.set(camera, CameraState.OFFLINE, "gone", 0)


class TestCalibration:
    def test_fit_makes_a_version_that_is_in_use(self):
        camera, user = CameraFactory(), UserFactory()
        old = services.calibration_fit(camera=camera, point_pairs=SQUARE, created_by=user)
        new = services.calibration_fit(camera=camera, point_pairs=[*SQUARE, *pairs((50, 50, 0.5, 0.5))])
        old.refresh_from_db()
        assert (old.is_active, new.is_active, old.created_by) == (False, True, user)
        model = calibration_model(calibration=new, camera=camera)
        assert model.to_floor(np.array([[25.0, 75.0]])) == pytest.approx(np.array([[0.25, 0.25]]))

    def test_fit_keeps_outliers_in_the_list_and_out_of_the_fit(self):
        camera = CameraFactory()
        rows = [(u, v, u / 100, 4 - v / 100) for u in (0, 200, 400) for v in (0, 200, 400)]
        fitted = services.calibration_fit(camera=camera, point_pairs=pairs(*rows, (100, 100, 5, 7)))
        errors = calibration_errors(calibration=fitted)
        assert [round(e.error_m or 0, 6) for e in errors[:9]] == [0.0] * 9
        assert errors[9].error_m == pytest.approx(4 * 2**0.5)
        assert errors[9].error_px == pytest.approx(400 * 2**0.5)

    def test_fit_takes_the_distortion_out_first(self):
        camera = CameraFactory()
        lens: Values = {
            "camera_matrix": [[500, 0, 320], [0, 500, 240], [0, 0, 1]],
            "distortion": [-0.3, 0.1, 0, 0, 0],
        }
        truth = services.calibration_set(camera=camera, h_image_to_world=H_IMAGE_TO_WORLD, **lens)
        model = calibration_model(calibration=truth, camera=camera)
        places_m = np.array([[x, y] for x in (-2.0, 0.0, 2.0) for y in (-1.5, 0.0, 1.5)])
        rows = np.hstack([model.to_picture(places_m), places_m]).tolist()
        fitted = services.calibration_fit(camera=camera, point_pairs=pairs(*rows), **lens)
        assert max(e.error_px or 0 for e in calibration_errors(calibration=fitted)) < 0.01

    @pytest.mark.parametrize(
        ("rows", "message"),
        [
            ([], "at least 4 point pairs, got 0"),
            (SQUARE[:3], "at least 4 point pairs, got 3: add more points"),
            (pairs(*[(i, i, i, i * i) for i in range(5)]), "one line in the picture: add points beside"),
            (pairs(*[(i, i * i, i, i) for i in range(5)]), "one line in the floor plan"),
            (pairs(*[(NAN, i, i, i) for i in range(5)]), "not numbers"),
            ([*SQUARE, *pairs((641, 50, 6, 0))], "point pair 5 lies beside the picture of 640x480 px"),
            (pairs((-1, 0, 0, 0)) + SQUARE, "point pair 1 lies beside the picture"),
            (pairs(*[(p["u"], p["v"], p["x"], -p["y"]) for p in SQUARE]), "the floor plan is mirrored"),
            ([*SQUARE, SQUARE[1]], "pairs 2 and 5 are the same place in the picture and the floor plan"),
            ([*SQUARE, *pairs((50, 50, 3, 3))], "too few to tell which is wrong"),
        ],
    )
    def test_fit_is_refused_and_changes_nothing(self, rows, message):
        camera = CameraFactory()
        services.calibration_fit(camera=camera, point_pairs=SQUARE)
        with pytest.raises(GeometryError, match=message):
            services.calibration_fit(camera=camera, point_pairs=rows)
        assert camera.calibrations.get().is_active

    def test_mirrored_plan_is_fitted_where_it_is_meant(self):
        mirrored = pairs(*[(p["u"], p["v"], p["x"], -p["y"]) for p in SQUARE])
        first = CameraFactory()
        second = CameraFactory(environment=first.environment)
        services.calibration_fit(camera=first, point_pairs=mirrored, allow_mirrored=True)
        made = services.calibration_fit(camera=second, point_pairs=mirrored)  # as its place is
        assert calibration_model(calibration=made, camera=second).is_mirrored

    def test_pairs_with_a_lens_that_bends_keep_it(self):
        camera = CameraFactory(width=1920, height=1080)
        truth = rig.camera(distortion=[-0.2, 0, 0, 0, 0])
        u, v = np.meshgrid([350.0, 700.0, 1200.0, 1600.0], [600.0, 800.0, 1000.0])
        points_px = np.column_stack([u.ravel(), v.ravel()])
        made = services.calibration_fit(
            camera=camera, point_pairs=pairs(*np.hstack([points_px, truth.to_floor(points_px)]).tolist())
        )
        assert (made.distortion or [0.0])[0] == pytest.approx(-0.2, abs=0.01)
        assert calibration_model(calibration=made, camera=camera).position_m == pytest.approx(
            [0, 0, 3], abs=0.05
        )

    def test_numbers_are_kept_as_they_are(self):
        camera = CameraFactory()
        made = services.calibration_set(
            camera=camera,
            h_image_to_world=H_IMAGE_TO_WORLD,
            camera_matrix=[[500, 0, 320], [0, 500, 240], [0, 0, 1]],
            rotation=np.diag([1.0, -1.0, -1.0]),
            translation_m=[0, 0, 5],
        )
        made.refresh_from_db()
        assert made.distortion == [0.0] * 5
        assert made.rotation == [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]]
        assert calibration_model(calibration=made, camera=camera).position_m == pytest.approx([0, 0, 5])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"h_image_to_world": np.zeros((3, 3))}, "singular"),
            ({"h_image_to_world": [[1, 2], [3, 4]]}, "expected shape"),
            ({"camera_matrix": np.zeros((3, 3))}, "camera matrix"),
            ({"rotation": np.zeros((3, 3))}, "orthonormal"),
        ],
    )
    def test_numbers_are_refused(self, changes, message):
        camera = CameraFactory()
        with pytest.raises(GeometryError, match=message):
            services.calibration_set(**({"camera": camera, "h_image_to_world": np.eye(3)} | changes))
        assert not camera.calibrations.exists()

    def test_earlier_version_is_used_again(self):
        camera = CameraFactory()
        old, new = (services.calibration_fit(camera=camera, point_pairs=SQUARE) for _ in range(2))
        services.calibration_activate(calibration=old)
        new.refresh_from_db()
        assert (old.is_active, new.is_active) == (True, False)


class TestZone:
    def test_zone_is_drawn_and_drawn_anew(self):
        environment = EnvironmentFactory()
        draw: Values = {"environment": environment, "key": "exit", "name": "Exit"}
        first = services.zone_set(**draw, points_m=[[0, 0], [1, 0], [1, 1], [0, 0]], capacity=3)
        assert (first.points_m, first.capacity) == ([[0, 0], [1, 0], [1, 1]], 3)
        second = services.zone_set(**draw, kind=ZoneKind.LINE, points_m=[[0, 0], [1, 0]])
        assert second == first
        assert (environment.zones.get().kind, environment.zones.get().capacity) == ("line", None)

    @pytest.mark.parametrize(
        ("kind", "points_m", "message"),
        [
            (ZoneKind.POLYGON, [[0, 0], [1, 0]], "at least three different points"),
            (ZoneKind.POLYGON, [[0, 0], [2, 2], [2, 0], [0, 2]], "crosses itself"),
            (ZoneKind.POLYGON, [[0, 0], [1, NAN], [2, 2]], "not numbers"),
            (ZoneKind.LINE, [[0, 0], [0, 0]], "no length"),
        ],
    )
    def test_points_are_refused(self, kind, points_m, message):
        zone = ZoneFactory()
        with pytest.raises(GeometryError, match=message):
            services.zone_set(
                environment=zone.environment, key=zone.key, name="Z", kind=kind, points_m=points_m
            )
        zone.refresh_from_db()
        assert zone.points_m == [[0, 0], [2, 0], [2, 2], [0, 2]]

    def test_line_has_no_capacity(self):
        with pytest.raises(ValidationError, match="zone_line_without_capacity"):
            services.zone_set(
                environment=EnvironmentFactory(),
                key="l",
                name="L",
                kind=ZoneKind.LINE,
                points_m=[[0, 0], [1, 0]],
                capacity=2,
            )


class TestFloorPlan:
    def png(self):
        return ContentFile(FloorPlanFactory.build().image.file.read(), name="plan.png")

    def test_plan_is_put_and_replaced(self, django_capture_on_commit_callbacks):
        environment = EnvironmentFactory()
        first = services.floor_plan_set(environment=environment, image=self.png(), metres_per_px=0.1)
        storage, name = first.image.storage, str(first.image.name)
        with django_capture_on_commit_callbacks(execute=True):
            second = services.floor_plan_set(
                environment=environment, image=self.png(), metres_per_px=0.2, origin_x_px=5, origin_y_px=70
            )
        assert second.pk == first.pk
        assert (second.width_px, second.height_px, second.metres_per_px) == (100, 80, 0.2)
        assert not storage.exists(name)
        assert storage.exists(str(second.image.name))

    def test_plan_must_be_a_picture(self):
        with pytest.raises(PictureRefused, match="no picture that can be read: use a PNG, JPEG or WebP file"):
            services.floor_plan_set(
                environment=EnvironmentFactory(),
                image=ContentFile(b"<svg/>", name="plan.svg"),
                metres_per_px=1,
            )
        assert not FloorPlan.objects.exists()

    @pytest.mark.parametrize("scale", [0, -1, NAN])
    def test_scale_must_be_positive(self, scale):
        with pytest.raises(ValidationError) as caught:
            services.floor_plan_set(environment=EnvironmentFactory(), image=self.png(), metres_per_px=scale)
        assert "metres_per_px" in caught.value.message_dict
