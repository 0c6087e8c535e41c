"""Imports, proposals and health, kept."""

from datetime import timedelta
from io import StringIO
from typing import Any

import numpy as np
import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from environments.calibrating import services
from environments.calibrating.files import CalibrationFileError
from environments.calibrating.models import CameraMove, Disagreement, Proposal, RunState
from environments.calibrating.selectors import health_summary, report_of
from environments.geometry import GeometryError
from environments.selectors import calibration_model, camera_models
from tests.environments.calibrating.test_files import TRUTH, opencv, whole
from tests.environments.geometry.people.test_propose import STANDS, anchors, sightings
from tests.factories import (
    T0,
    CalibrationFactory,
    CameraFactory,
    CameraMoveFactory,
    DisagreementFactory,
    EnvironmentFactory,
    ProposalFactory,
)

pytestmark = pytest.mark.django_db
SPOTS = np.array([[6.0, 3.0], [9.0, 6.0]])


def full_hd(**about):
    return CameraFactory.create(width=1920, height=1080, **about)


class TestImport:
    def test_opencv_file_is_in_use(self):
        camera = full_hd()
        old = CalibrationFactory.create(camera=camera)
        made = services.calibration_import(camera=camera, content=opencv(".yml", **whole()), name="c.yml")
        old.refresh_from_db()
        assert (old.is_active, made.is_active) == (False, True)
        model = calibration_model(calibration=made, camera=camera)
        assert model.to_picture(SPOTS) == pytest.approx(TRUTH.to_picture(SPOTS), abs=1e-6)

    def test_a_lens_joins_the_pairs_that_are_there(self):
        camera = full_hd()
        u, v = np.meshgrid([450.0, 800.0, 1200.0, 1500.0], [580.0, 750.0, 900.0])
        px = np.column_stack([u.ravel(), v.ravel()])
        rows = np.hstack([px, TRUTH.to_floor(px)]).tolist()
        text = "u,v,x,y\n" + "\n".join(",".join(map(str, row)) for row in rows)
        services.calibration_import(camera=camera, content=text.encode(), name="p.csv")
        lens = opencv(".yml", **whole(rvec=None, tvec=None))
        made = services.calibration_import(camera=camera, content=lens, name="lens.yml")
        assert made.distortion == pytest.approx(TRUTH.lens.distortion.tolist())
        model = calibration_model(calibration=made, camera=camera)
        assert model.to_floor(TRUTH.to_picture(SPOTS)) == pytest.approx(SPOTS, abs=1e-3)

    @pytest.mark.parametrize(
        ("content", "name", "error", "message"),
        [
            (
                opencv(".yml", **whole(rvec=None, tvec=None)),
                "l.yml",
                CalibrationFileError,
                "a lens but no pose",
            ),
            (
                opencv(".yml", **whole(image_width=640)),
                "l.yml",
                CalibrationFileError,
                "is for pictures of 640x1080",
            ),
            (b"1,2,3,4\n", "p.csv", GeometryError, "at least 4 point pairs"),
            (
                b'{"cameras": [{"id": "x", "K": 1}, {"id": "y"}]}',
                "s.json",
                CalibrationFileError,
                "camera matrix",
            ),
        ],
    )
    def test_what_cannot_be_imported_changes_nothing(self, content, name, error, message):
        camera = full_hd()
        CalibrationFactory.create(camera=camera)
        with pytest.raises(error, match=message):
            services.calibration_import(camera=camera, content=content, name=name)
        assert camera.calibrations.get().is_active


class TestCommand:
    def test_command_calibrates_and_says_so(self, tmp_path):
        camera = full_hd(key="c7")
        (tmp_path / "c.xml").write_bytes(opencv(".xml", **whole()))
        out = StringIO()
        call_command(
            "import_calibration", camera.environment.slug, tmp_path / "c.xml", camera="c7", stdout=out
        )
        assert out.getvalue() == "c7: calibrated, in use\n"
        assert camera.calibrations.get().is_active

    @pytest.mark.parametrize(
        ("slug", "camera", "file", "message"),
        [
            ("nowhere", "c7", "c.yml", "there is no environment 'nowhere'"),
            ("hall", "c8", "c.yml", "has no camera 'c8'"),
            ("hall", "c7", "none.yml", "cannot be read: No such file"),
            ("hall", None, "c.yml", "names none of the cameras"),
            ("hall", "c7", "bad.yml", "not written as OpenCV"),
        ],
    )
    def test_command_refuses_in_one_line(self, slug, camera, file, message, tmp_path):
        full_hd(key="c7", environment=EnvironmentFactory.create(slug="hall"))
        (tmp_path / "c.yml").write_bytes(opencv(".yml", **whole()))
        (tmp_path / "bad.yml").write_text("hello")
        with pytest.raises(CommandError, match=message) as caught:
            call_command("import_calibration", slug, tmp_path / file, camera=camera)
        assert caught.value.returncode == 2


class TestProposals:
    def test_run_proposes_and_applying_calibrates(self):
        place = EnvironmentFactory.create()
        cameras = {key: full_hd(environment=place, key=key) for key in STANDS}
        marked = [{"x": a.place_m[0], "y": a.place_m[1], "marks": a.marks_px} for a in anchors()]
        run = services.proposal_run_start(
            environment=place, since=T0, until=T0 + timedelta(minutes=5), anchors=marked
        )
        made = services.proposal_run_carry_out(run=run, sightings=sightings(ticks=80))
        run.refresh_from_db()
        assert (run.state, run.progress) == (RunState.DONE, 1.0)
        assert run.message == "3 of 3 cameras can be calibrated from people"
        assert not camera_models(environment=place)  # a proposal changes nothing
        calibration = services.proposal_apply(proposal=made[0])
        assert calibration.is_active
        assert calibration.camera == cameras[made[0].camera.key]
        with pytest.raises(services.ProposalRefusedError, match="in use already"):
            services.proposal_apply(proposal=made[0])

    def test_run_that_is_none_is_refused(self):
        place = EnvironmentFactory.create()
        with pytest.raises(ValidationError):
            services.proposal_run_start(environment=place, since=T0, until=T0)
        for anchor in (
            {},
            {"x": 1, "y": 2, "marks": {"a": [1]}},
            {"x": float("nan"), "y": 2, "marks": {}},
            3,
        ):
            with pytest.raises(GeometryError, match="an anchor"):
                services.anchor_of(anchor)

    def test_refused_proposal_is_not_applied(self):
        proposal = ProposalFactory.create(h_image_to_world=None, reason="too few people")
        with pytest.raises(services.ProposalRefusedError, match="too few people"):
            services.proposal_apply(proposal=proposal)
        assert not proposal.camera.calibrations.exists()

    def test_newer_refit_takes_the_place_of_one_that_nobody_used(self):
        old = ProposalFactory.create()
        services.refit_propose(
            camera_id=old.camera_id, model=TRUTH, error_m=0.1, before_m=0.6, sights=200, reason=""
        )
        (kept,) = Proposal.objects.all()
        assert (kept.error_m, kept.before_m, kept.people) == (0.1, 0.6, 200)


class TestHealth:
    def test_summary_gives_the_last_word_and_the_trend(self):
        a = CameraFactory.create(key="a")
        b = CameraFactory.create(key="b", environment=a.environment)
        rows = [
            services.Agreement(a.pk, None, None, 50, 0.7, (0.5, 0.0)),
            services.Agreement(a.pk, b.pk, None, 50, 0.4, (0.1, 0.2)),
            services.Agreement(a.pk, None, (1, -2), 9, 0.8, (0.6, 0.0)),
        ]
        DisagreementFactory.create(camera=a, at=T0 - timedelta(minutes=2))
        assert services.agreements_add(at=T0, rows=rows) == 3
        found: dict[str, Any] = health_summary(environment=a.environment, since=T0 - timedelta(hours=1))
        (camera,) = found["cameras"]
        assert (camera["camera"], camera["median_m"], camera["state"]) == ("a", 0.7, "bad")
        assert [point["median_m"] for point in camera["trend"]] == [0.2, 0.7]
        assert [(p["cameras"], p["median_m"]) for p in found["pairs"]] == [(["a", "b"], 0.4)]
        assert [(c["x_m"], c["y_m"], c["size_m"]) for c in found["cells"]] == [(2.0, -4.0, 2.0)]
        assert health_summary(environment=a.environment, since=T0 + timedelta(hours=1))["cameras"] == []

    def test_old_rows_go_with_their_pictures(self):
        kept = CameraMoveFactory.create(at=T0)
        DisagreementFactory.create(camera=kept.camera, at=T0 - timedelta(days=31))
        CameraMoveFactory.create(camera=kept.camera, at=T0 - timedelta(days=31))
        services.calibrating_expire(now=T0)
        assert list(CameraMove.objects.values_list("at", flat=True)) == [T0]
        assert not Disagreement.objects.exists()

    def test_a_move_is_kept_once_with_its_pictures_sealed(self, django_assert_num_queries):
        camera = CameraFactory.create()
        for _ in range(2):
            services.move_add(
                camera_id=camera.pk,
                at=T0,
                moved_px=9.0,
                moved_m=None,
                before=(T0, b"one"),
                after=(T0, b"two"),
            )
        (move,) = CameraMove.objects.all()
        assert (move.before, move.after) == (b"one", b"two")
        with django_assert_num_queries(1):
            assert CameraMove.objects.defer("before", "after").get().moved_px == 9.0


class TestReport:
    def test_report_says_what_is_missing(self):
        place = EnvironmentFactory.create()
        CameraFactory.create(environment=place, key="new")
        report = report_of(environment=place, now=T0)
        assert report.coverage is None
        assert [(s.camera, s.code) for s in report.suggestions] == [("new", "uncalibrated")]

    def test_report_names_blind_spots_and_cameras_that_disagree(self):
        camera = CameraFactory.create(key="c1")
        CalibrationFactory.create(camera=camera)
        DisagreementFactory.create(camera=camera, median_m=0.9, at=T0 - timedelta(hours=1))
        report = report_of(environment=camera.environment, now=T0)
        assert report.coverage is not None
        assert {s.code for s in report.suggestions} == {"disagrees", "blind"}
        assert len(report.blind) == 1
