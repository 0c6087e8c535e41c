"""Who may see what, and which cameras can be tracked with."""

import numpy as np
import pytest

from accounts.models import Role
from environments.models import Environment
from environments.selectors import (
    calibration_errors,
    calibration_problems,
    camera_models,
    environment_get,
    environments_visible_to,
)
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


class TestVisible:
    @pytest.mark.parametrize("role", [Role.OPERATOR, Role.VIEWER])
    def test_others_see_what_is_granted(self, role):
        user = UserFactory(role=role)
        GrantFactory(), EnvironmentFactory()
        mine = GrantFactory(user=user).environment
        assert list(environments_visible_to(user=user)) == [mine]

    def test_admins_see_all(self):
        EnvironmentFactory.create_batch(2)
        assert environments_visible_to(user=UserFactory(role=Role.ADMIN)).count() == 2
        assert environments_visible_to(user=UserFactory(is_superuser=True)).count() == 2

    def test_closed_accounts_see_nothing(self):
        EnvironmentFactory()
        assert not environments_visible_to(user=UserFactory(role=Role.ADMIN, is_active=False)).exists()

    def test_environment_is_got_with_its_plan(self, django_assert_num_queries):
        grant = GrantFactory()
        plan = FloorPlanFactory(environment=grant.environment)
        with django_assert_num_queries(1):
            found = environment_get(slug=grant.environment.slug, user=grant.user)
            assert found.floor_plan == plan

    def test_environment_of_others_is_not_there(self):
        with pytest.raises(Environment.DoesNotExist):
            environment_get(slug=EnvironmentFactory().slug, user=UserFactory())


class TestCameraModels:
    def test_models_are_of_enabled_cameras_with_a_usable_calibration(self):
        environment = EnvironmentFactory()
        good = CalibrationFactory(camera__environment=environment, camera__key="good")
        CalibrationFactory(camera__environment=environment, camera__key="off", camera__enabled=False)
        CalibrationFactory(camera__environment=environment, camera__key="old", is_active=False)
        CalibrationFactory(
            camera__environment=environment, camera__key="flat", h_image_to_world=[[1.0] * 3] * 3
        )
        CalibrationFactory(
            camera__environment=environment, camera__key="text", h_image_to_world=[["a"] * 3] * 3
        )
        CalibrationFactory(camera__environment=environment, camera__key="lens", camera_matrix=[[1.0]])
        CameraFactory(environment=environment, key="bare", name="Door")
        CalibrationFactory()
        models = camera_models(environment=environment)
        assert list(models) == ["good"]
        assert (models["good"].width, models["good"].height) == (640, 480)
        assert models["good"].to_floor(np.array([[420.0, 240.0]])) == pytest.approx(np.array([[1.0, 0.0]]))
        assert good.camera.key == "good"
        assert calibration_problems(environment=environment) == {
            "old": "old is not calibrated: add a calibration to see its people on the map",
            "bare": "Door is not calibrated: add a calibration to see its people on the map",
            "flat": "homography of flat is singular: calibrate the camera again with at least 4 points that "
            "are not on one line",
            "text": "homography of text: expected numbers of shape (3, 3)",
            "lens": "camera matrix: expected shape (3, 3), got (1, 1)",
        }

    def test_models_take_the_same_queries_for_any_number(self, django_assert_num_queries):
        environment = EnvironmentFactory()
        for number in range(5):
            CalibrationFactory(camera__environment=environment, camera__key=f"c{number}")
        with django_assert_num_queries(2):
            assert len(camera_models(environment=environment)) == 5
        with django_assert_num_queries(2):
            assert calibration_problems(environment=environment) == {}

    def test_nothing_is_found_where_nothing_is(self):
        environment = EnvironmentFactory()
        assert camera_models(environment=environment) == {}
        assert calibration_problems(environment=environment) == {}


class TestCalibrationErrors:
    def test_errors_by_hand(self):
        # H_IMAGE_TO_WORLD: (320, 240) px is (0, 0) m, 100 px a metre
        calibration = CalibrationFactory(
            point_pairs=[{"u": 320, "v": 240, "x": 0, "y": 0}, {"u": 420, "v": 240, "x": 1, "y": 0.5}]
        )
        exact, off = calibration_errors(calibration=calibration)
        assert (exact.error_m, exact.error_px) == pytest.approx((0.0, 0.0))
        assert (off.error_m, off.error_px) == pytest.approx((0.5, 50.0))
        assert (off.u, off.v, off.x, off.y) == (420, 240, 1, 0.5)

    def test_errors_in_the_sky_are_none(self):
        calibration = CalibrationFactory(
            h_image_to_world=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.01, -1.0]],  # horizon at v = 100
            point_pairs=[{"u": 0, "v": 50, "x": 0, "y": 0}],
        )
        (sky,) = calibration_errors(calibration=calibration)
        assert sky.error_m is None

    def test_errors_of_numbers_are_none_at_all(self):
        assert calibration_errors(calibration=CalibrationFactory()) == []
