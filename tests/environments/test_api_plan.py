"""Floor plans over REST: put to scale, turned, refused."""

import io

import pytest
from PIL import Image

from accounts.models import Role
from environments.models import FloorPlan
from tests.environments.test_pictures import png_claiming
from tests.factories import CameraFactory, EnvironmentFactory, FloorPlanFactory
from tests.roles import client_with, roles_ensure

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


def fields_of(response):
    assert response.status_code == 400, response.content
    return response.json()["error"]["fields"]


def png(width=40, height=30):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "white").save(file, "PNG")
    file.seek(0)
    file.name = "plan.png"
    return file


def test_plan_is_put_to_another_scale_and_pairs_keep_their_metres(admin, plaza):
    FloorPlanFactory.create(environment=plaza)
    camera = CameraFactory.create(environment=plaza)
    pairs = [
        {"u": u, "v": v, "x": u / 100, "y": -v / 100} for u, v in [(0, 0), (640, 0), (640, 480), (0, 480)]
    ]
    admin.put(f"/api/v1/cameras/{camera.pk}/calibration/", {"point_pairs": pairs})
    body = {"metres_per_px": 0.05, "origin_x_px": 10, "origin_y_px": 70}
    answer = admin.patch("/api/v1/environments/plaza/plan/", body)
    assert answer.status_code == 200
    assert answer.json() == {"width_px": 100, "height_px": 80} | body
    # and to another picture
    form = {"image": png(300, 200), "metres_per_px": 0.02, "origin_x_px": 3}
    assert admin.put("/api/v1/environments/plaza/plan/", form, format="multipart").status_code == 200
    assert camera.calibrations.get().point_pairs == pairs


def test_plan_is_turned_with_its_origin(admin, plaza):
    FloorPlanFactory.create(environment=plaza)
    # x ran downwards in the picture: turned by a quarter, it runs to the right
    body = {"metres_per_px": 0.1, "origin_x_px": 10, "origin_y_px": 20, "turn_deg": 90}
    turned = admin.patch("/api/v1/environments/plaza/plan/", body).json()
    assert (turned["width_px"], turned["height_px"]) == (80, 100)
    assert (turned["origin_x_px"], turned["origin_y_px"]) == (pytest.approx(20), pytest.approx(90))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a text, and no picture", "this is no picture that can be read: use a PNG, JPEG or WebP file"),
        (None, "the picture has more than 50 million pixels: make it smaller"),
    ],
    ids=["a text", "20,000 x 20,000"],
)
@pytest.mark.parametrize("check_only", [True, False])
def test_plan_that_is_none_is_said_in_a_sentence_and_nothing_is_kept(
    admin, plaza, content, sentence, check_only
):
    before = FloorPlanFactory.create(environment=plaza)
    file = io.BytesIO(content or png_claiming(20_000, 20_000))
    file.name = "plan.png"
    form = {"image": file, "metres_per_px": 1, "check_only": check_only}
    answer = admin.put("/api/v1/environments/plaza/plan/", form, format="multipart")
    assert fields_of(answer)["image"] == [sentence]
    assert FloorPlan.objects.get().image.name == before.image.name


def test_plan_is_checked_without_being_kept(admin, plaza):
    form = {"image": png(), "metres_per_px": 1, "check_only": True}
    answer = admin.put("/api/v1/environments/plaza/plan/", form, format="multipart")
    assert (answer.status_code, FloorPlan.objects.count()) == (204, 0)
