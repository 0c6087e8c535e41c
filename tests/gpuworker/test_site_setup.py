"""Environments from scenes and from the simulator, and the two commands that make them."""

import json
from io import BytesIO, StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from accounts.models import User
from environments.models import Calibration, Camera, Environment, FloorPlan
from environments.selectors import calibration_problems, camera_models
from environments.services import calibration_set, zone_set
from gpuworker.sources.sim.scene import plaza
from tests.factories import H_IMAGE_TO_WORLD, T0, UserFactory
from tracking.choices import DesiredState
from tracking.models import TrackingSession
from tracking.services import session_ask

pytestmark = pytest.mark.django_db

HOMOGRAPHY = [[0.01, 0.0, 0.0], [0.0, -0.01, 4.8], [0.0, 0.0, 1.0]]


def scene_folder(folder, *, camera=None, scene=None):
    """Write a scene with a video of one camera and images of another; a change of None takes a key away."""
    (folder / "video").mkdir()
    (folder / "video" / "a b.mp4").write_bytes(b"")
    (folder / "images").mkdir()
    common = {"width": 640, "height": 480, "homography_image_to_world": HOMOGRAPHY}
    raw = {
        "name": "The yard",
        "fps": 2,
        "frames": 7,
        "bounds_m": [0, 0, 6, 5],
        "cameras": [
            without_none({"id": "c1", "video": "video/a b.mp4", **common} | (camera or {})),
            {"id": "c2", "images": "images", **common},
        ],
    }
    (folder / "scene.json").write_text(json.dumps(without_none(raw | (scene or {}))))
    return folder


def without_none(values):
    return {key: value for key, value in values.items() if value is not None}


def run(name, *args, **options):
    """Run a command and give its lines."""
    out = StringIO()
    call_command(name, *map(str, args), stdout=out, **options)
    return out.getvalue().splitlines()


def counts():
    return [model.objects.count() for model in (Environment, Camera, Calibration, FloorPlan, TrackingSession)]


class TestImportScene:
    def test_scene_becomes_an_environment(self, tmp_path):
        lines = run("import_scene", scene_folder(tmp_path))
        environment = Environment.objects.get()
        assert (environment.slug, environment.name) == ("the-yard", "The yard")
        assert list(environment.cameras.values_list("key", "source_url", "width", "height", "fps")) == [
            ("c1", f"file://{tmp_path}/video/a%20b.mp4", 640, 480, 2.0),
            ("c2", f"images://{tmp_path}/images?fps=2", 640, 480, 2.0),
        ]
        model = camera_models(environment=environment)["c1"]
        assert model.to_floor(np.array([[100.0, 380.0]])) == pytest.approx(np.array([[1.0, 1.0]]))
        assert environment.sessions.get().desired_state == DesiredState.RUNNING
        assert lines[0] == "environment the-yard made"
        assert lines[-1] == "page: /environments/the-yard/live/"

    def test_sources_may_loop_together(self, tmp_path):
        run("import_scene", scene_folder(tmp_path), loop=True, slug="yard")
        urls = Environment.objects.get(slug="yard").cameras.values_list("source_url", flat=True)
        assert [url.partition("?")[2] for url in urls] == ["loop=3.5", "fps=2&loop=3.5"]

    def test_importing_again_changes_nothing(self, tmp_path):
        folder = scene_folder(tmp_path)
        run("import_scene", folder)
        before, plan = counts(), FloorPlan.objects.get().image.name
        assert run("import_scene", folder) == [
            "environment the-yard is there already",
            "page: /environments/the-yard/live/",
        ]
        assert counts() == before
        assert FloorPlan.objects.get().image.name == plan

    def test_importing_again_brings_up_to_date(self, tmp_path):
        folder = scene_folder(tmp_path)
        run("import_scene", folder)
        raw = json.loads((folder / "scene.json").read_text())
        raw["cameras"][0]["homography_image_to_world"] = H_IMAGE_TO_WORLD
        (folder / "scene.json").write_text(json.dumps(raw))
        lines = run("import_scene", folder, loop=True)
        assert "camera c1 calibrated" in lines
        assert "camera c2 calibrated" not in lines
        assert f"camera c2 changed: images://{tmp_path}/images?fps=2&loop=3.5" in lines
        assert list(
            Calibration.objects.filter(camera__key="c1").order_by("pk").values_list("is_active", flat=True)
        ) == [False, True]
        assert (Environment.objects.count(), Camera.objects.count()) == (1, 2)

    def test_cameras_that_the_scene_does_not_name_are_left(self, tmp_path):
        folder = scene_folder(tmp_path)
        run("import_scene", folder)
        Camera.objects.filter(key="c2").update(key="mine")
        assert "camera mine left as it is: the scene does not name it" in run("import_scene", folder)
        assert list(Camera.objects.values_list("key", flat=True)) == ["c1", "mine", "c2"]

    def test_stopped_tracking_starts_again(self, tmp_path):
        folder = scene_folder(tmp_path)
        run("import_scene", folder)
        session_ask(session=TrackingSession.objects.get(), desired_state=DesiredState.STOPPED, now=T0)
        assert "tracking session opened" in run("import_scene", folder)
        assert TrackingSession.objects.count() == 2

    def test_camera_without_pictures_and_clock_offset_are_told(self, tmp_path):
        folder = scene_folder(tmp_path, camera={"video": None, "offset_s": 0.2})
        assert "camera c1 left out: the scene has no pictures of it" in run("import_scene", folder)
        assert Camera.objects.get().key == "c2"

    def test_floor_plan_lies_right(self, tmp_path):
        run("import_scene", scene_folder(tmp_path))
        plan = FloorPlan.objects.get()
        # the floor's corner (6, 5) m is within the picture, by the plan's own formula
        u = plan.origin_x_px + 6 / plan.metres_per_px
        v = plan.origin_y_px - 5 / plan.metres_per_px
        assert 0 < u < plan.width_px
        assert 0 < v < plan.height_px
        assert max(plan.width_px, plan.height_px) == 1400

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"scene": {"fps": None}}, "the key 'fps' is missing"),
            ({"scene": {"cameras": None}}, "the key 'cameras' is missing"),
            ({"scene": {"name": "x" * 101}}, "at most 100 characters"),
            ({"scene": {"name": "???"}}, "'' is no short name: give one of letters"),
            ({"camera": {"homography_image_to_world": None}}, "'homography_image_to_world' is missing"),
            ({"camera": {"homography_image_to_world": [[1, 1, 1]] * 3}}, "is singular"),
            ({"camera": {"homography_image_to_world": [[1, 1, float("nan")]] * 3}}, "numbers of shape"),
            ({"camera": {"video": "video/gone.mp4"}}, "video: no such file"),
            ({"camera": {"video": "video"}}, "camera 'c1': expected a video file or a folder of images"),
            ({"camera": {"id": "no spaces"}}, "camera 'no spaces': Use up to 32 letters"),
            ({"camera": {"id": "c2"}}, "expected cameras with different ids"),
            ({"camera": {"width": 8}}, "camera 'c1': Ensure this value is greater than or equal to 16."),
            ({"camera": {"rotation": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]}}, "orthonormal"),
        ],
    )
    def test_bad_scene_is_one_line_and_leaves_nothing(self, tmp_path, change, message):
        with pytest.raises(CommandError) as caught:
            run("import_scene", scene_folder(tmp_path, **change))
        assert caught.value.returncode == 2
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert counts() == [0, 0, 0, 0, 0]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "is not JSON"),
            ("[]", "expected an object"),
            (None, "is no scene folder: it has no scene.json"),
        ],
    )
    def test_bad_file_is_one_line(self, tmp_path, text, message):
        if text is not None:
            (tmp_path / "scene.json").write_text(text)
        with pytest.raises(CommandError, match=message) as caught:
            run("import_scene", tmp_path)
        assert caught.value.returncode == 2
        assert counts() == [0, 0, 0, 0, 0]

    def test_detections_alone_are_for_another_command(self, tmp_path):
        folder = scene_folder(tmp_path)
        (folder / "d.txt").write_text("")
        raw = json.loads((folder / "scene.json").read_text())
        for camera in raw["cameras"]:
            camera.pop("video", None)
            camera.pop("images", None)
            camera["detections"] = "d.txt"
        (folder / "scene.json").write_text(json.dumps(raw))
        with pytest.raises(
            CommandError, match=r"'manage\.py evaluate' is the command that reads them"
        ) as caught:
            run("import_scene", folder)
        assert caught.value.returncode == 2
        assert counts() == [0, 0, 0, 0, 0]

    @pytest.mark.parametrize("name", ["pets-a", "multiviewx-a"])
    def test_recorded_scene_is_imported(self, shared_dir, name):
        run("import_scene", shared_dir / "scenes" / name)
        environment = Environment.objects.get(slug=name)
        assert len(camera_models(environment=environment)) == environment.cameras.count() > 1
        assert calibration_problems(environment=environment) == {}


class TestCreateDemo:
    def test_plaza_is_made(self, settings):
        settings.DEMO_PASSWORD = ""
        lines = run("create_demo", password="open-sesame")
        environment = Environment.objects.get()
        site = plaza()
        assert (environment.slug, environment.name) == ("plaza", "Plaza")
        assert list(environment.cameras.values_list("key", "source_url", "fps")) == [
            (f"c{n}", f"sim://plaza/c{n}", site.fps) for n in range(1, 5)
        ]
        models = camera_models(environment=environment)
        for known in site.cameras:
            points_px = np.array([[100.0, 300.0], [500.0, 250.0]])
            found = models[known.camera_id]
            assert found.to_floor(points_px) == pytest.approx(known.to_floor(points_px))
            assert found.position_m == pytest.approx(known.position_m)
        assert environment.zones.count() == len(site.zones)
        plan = environment.floor_plan
        assert (plan.width_px, plan.height_px) == Image.open(BytesIO(site.plan_png)).size
        assert (plan.metres_per_px, plan.origin_x_px) == (site.metres_per_px, site.plan_origin_px[0])
        assert environment.sessions.count() == 1
        assert lines[-2:] == ["user      admin", "password  open-sesame"]
        assert User.objects.get().is_admin

    def test_making_it_again_keeps_what_was_changed(self):
        run("create_demo", password="one")
        environment = Environment.objects.get()
        camera = environment.cameras.get(key="c1")
        mine = calibration_set(camera=camera, h_image_to_world=H_IMAGE_TO_WORLD)
        environment.cameras.filter(key="c2").update(name="Door", source_url="file:///film.mp4")
        environment.cameras.filter(key="c3").delete()
        environment.zones.exclude(key="fountain-court").delete()
        zone_set(environment=environment, key="mine", name="Mine", points_m=[[0, 0], [1, 0], [1, 1]])
        lines = run("create_demo", password="one")
        assert lines[:2] == ["environment plaza is there already", "camera c3 added: sim://plaza/c3"]
        assert camera.calibrations.get(is_active=True) == mine
        assert environment.cameras.get(key="c2").source_url == "file:///film.mp4"
        assert sorted(environment.zones.values_list("key", flat=True)) == ["fountain-court", "mine"]
        assert (Environment.objects.count(), TrackingSession.objects.count()) == (1, 1)

    def test_password_is_made_up_once(self):
        lines = run("create_demo", password="")
        made_up = lines[-1].split()[-1]
        assert len(made_up) >= 12
        assert User.objects.get(username="admin").check_password(made_up)
        again = run("create_demo", password="")
        assert again[-1] == "user admin: its password is kept; DEMO_PASSWORD sets another one"
        assert User.objects.get(username="admin").check_password(made_up)

    def test_password_given_later_replaces_it(self):
        UserFactory(username="admin")
        assert run("create_demo", password="two")[-1] == "password  two"
        admin = User.objects.get(username="admin")
        assert admin.check_password("two")
        assert (admin.is_admin, admin.is_staff) == (True, True)

    def test_scene_is_imported_too(self, tmp_path):
        run("create_demo", password="x", scene=str(scene_folder(tmp_path)))
        assert sorted(Environment.objects.values_list("slug", flat=True)) == ["plaza", "the-yard"]
        assert "loop=3.5" in Camera.objects.get(environment__slug="the-yard", key="c1").source_url

    def test_bad_scene_stops_it(self, tmp_path):
        with pytest.raises(CommandError, match="is no scene folder") as caught:
            run("create_demo", password="x", scene=str(tmp_path))
        assert caught.value.returncode == 2
        assert counts() == [0, 0, 0, 0, 0]
