"""The admin's pages on which a place is set up by clicks, as they are served."""

import json
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse

from accounts.models import Role
from environments.models import Camera, Environment
from environments.pages import progress_of
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    UserFactory,
    ZoneFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def admin(client):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    return client


@pytest.fixture
def camera():
    plan = FloorPlanFactory.create(origin_x_px=20, origin_y_px=60)
    return CameraFactory.create(environment=plan.environment, key="c1", name="Door <b>")


def addresses(camera):
    place = camera.environment.pk
    return {
        "calibrate": reverse("admin:environments_camera_calibrate", args=[camera.pk]),
        "plan": reverse("admin:environments_environment_plan", args=[place]),
        "zones": reverse("admin:environments_environment_zones", args=[place]),
    }


def setup_of(page):
    [setup] = re.findall(r'<script id="setup" type="application/json">(.*?)</script>', page)
    return json.loads(setup)


@pytest.mark.parametrize("name", ["calibrate", "plan", "zones"])
def test_page_is_for_admins_and_names_files_that_exist(admin, client, camera, name):
    address = addresses(camera)[name]
    answer = admin.get(address)
    assert answer.status_code == 200
    page = answer.content.decode()
    files = re.findall(r'/static/([^"]+)"', page)
    assert f"environments/{name}/main.js" in files
    assert [file for file in files if finders.find(file) is None] == []
    assert "secret" not in page  # of the camera's address
    assert admin.post(address).status_code == 405
    for user in (UserFactory.create(role=Role.OPERATOR, is_staff=True), UserFactory.create(role=Role.VIEWER)):
        client.force_login(user)
        assert client.get(address).status_code == 302


def test_calibration_page_knows_camera_and_plan(admin, camera):
    page = admin.get(addresses(camera)["calibrate"]).content.decode()
    setup = setup_of(page)
    assert setup["camera"] == {"key": "c1", "width": 640, "height": 480, "is_online": False}
    assert setup["plan"]["url"].startswith(reverse("floor-plan", args=[camera.environment.slug]))
    assert (setup["plan"]["width_px"], setup["plan"]["origin_y_px"]) == (100, 60)
    assert "Calibrate Door &lt;b&gt;" in page
    camera.environment.floor_plan.delete()
    page = admin.get(addresses(camera)["calibrate"]).content.decode()
    assert setup_of(page)["plan"] is None
    assert "This place has no floor plan yet" in page


def test_every_word_that_a_script_asks_for_is_on_its_page(admin, camera):
    for name, address in addresses(camera).items():
        page = admin.get(address).content.decode()
        keys = set(re.findall(r'data-key="([^"]+)"', page))
        folder = Path(str(finders.find(f"environments/{name}/main.js"))).parent
        assert asked_for(folder) - keys == set()


def asked_for(folder):
    """Give the keys that the scripts of a page name outright."""
    scripts = [*folder.glob("*.js"), *folder.parent.glob("shared/*.js")]
    return {key for script in scripts for key in re.findall(r'\btext\("([^"]+)"', script.read_text())}


@pytest.mark.parametrize("name", ["calibrate", "plan", "zones"])
def test_page_of_what_is_gone_is_not_there(admin, camera, name):
    address = addresses(camera)[name]
    camera.environment.delete()
    assert admin.get(address).status_code == 404


def test_progress_leads_from_step_to_step():
    place = EnvironmentFactory.create()
    assert [step["is_done"] for step in progress_of(place)] == [False] * 5
    FloorPlanFactory.create(environment=place)
    first = CameraFactory.create(environment=place, state="online")
    second = CameraFactory.create(environment=place)
    CalibrationFactory.create(camera=first)
    steps = {step["title"]: step for step in progress_of(place)}
    assert [step["is_done"] for step in steps.values()] == [True, True, False, False, True]
    assert steps["Calibration"]["state"] == "1 of 2"
    assert steps["Calibration"]["address"] == reverse("admin:environments_camera_calibrate", args=[second.pk])
    CalibrationFactory.create(camera=second)
    ZoneFactory.create(environment=place)
    assert all(step["is_done"] for step in progress_of(place))


def test_new_place_leads_to_its_plan_and_new_camera_to_its_calibration(admin):
    none = {
        f"{p}-{n}_FORMS": 0
        for p in ("floor_plan", "cameras", "zones", "grants")
        for n in ("TOTAL", "INITIAL")
    }
    form = {"name": "Hall", "slug": "hall", "time_zone": "UTC", "retention_days": 7, "_save": "Save"} | none
    made = admin.post(reverse("admin:environments_environment_add"), form)
    place = Environment.objects.get(slug="hall")
    assert made["Location"] == reverse("admin:environments_environment_plan", args=[place.pk])
    form = {"environment": place.pk, "key": "c1", "source_url": "sim://plaza/c1", "width": 640, "height": 360}
    form |= {"fps": 10, "position": 0, "enabled": "on"}
    made = admin.post(reverse("admin:environments_camera_add"), form | {"_save": "Save"})
    camera = Camera.objects.get()
    assert made["Location"] == reverse("admin:environments_camera_calibrate", args=[camera.pk])
    made = admin.post(reverse("admin:environments_camera_add"), form | {"key": "c2", "_continue": "1"})
    assert made["Location"].endswith("/change/")


def test_form_of_a_camera_offers_to_test_its_address(admin, camera):
    page = admin.get(reverse("admin:environments_camera_add")).content.decode()
    assert 'data-probes="/api/v1/probes/"' in page
    assert "data-camera-probe" not in page
    page = admin.get(reverse("admin:environments_camera_change", args=[camera.pk])).content.decode()
    assert f'data-camera-probe="/api/v1/cameras/{camera.pk}/probe/"' in page
    assert addresses(camera)["calibrate"] in page
