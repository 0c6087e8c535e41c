from datetime import timedelta

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from environments.models import Calibration
from environments.selectors import calibration_model
from gpuworker import remapping
from gpuworker.remapping import RemappingError, remapping_continue, remapping_create, shifts
from gpuworker.tasks import history_remap
from tests.factories import (
    T0,
    CalibrationFactory,
    CameraFactory,
    DetectionFactory,
    TrackFactory,
    TrackingSessionFactory,
    TrackPointFactory,
)
from tracking.models import LateSpan, Remapping, TrackPoint

pytestmark = pytest.mark.django_db
END = T0 + timedelta(minutes=25)


@pytest.fixture
def track():
    return TrackFactory.create(session=TrackingSessionFactory.create())


@pytest.fixture
def camera(track):
    return CameraFactory.create(environment=track.session.environment, key="c1")


@pytest.fixture
def two(camera):
    """Give a camera's calibration before, and one that says the floor lies 2 m further on and 1 m higher."""
    before = CalibrationFactory.create(camera=camera, is_active=False)
    h = np.array(before.h_image_to_world)
    moved = np.array([[1, 0, 2.0], [0, 1, 1.0], [0, 0, 1]]) @ h
    after = CalibrationFactory.create(camera=camera, h_image_to_world=moved.tolist())
    return before, after


def plan(two, begins_at=T0, ends_at=END):
    return remapping_create(before=two[0], after=two[1], begins_at=begins_at, ends_at=ends_at)


def see(camera, track, seconds, **point):
    """Store a box of a track with its point, or a point alone."""
    at = T0 + timedelta(seconds=seconds)
    if camera is not None:
        DetectionFactory.create(camera=camera, track=track, time=at)
    return TrackPointFactory.create(track=track, time=at, **{"cameras": "c1", **point})


def places():
    return [(p.x_m, p.y_m) for p in TrackPoint.objects.order_by("time")]


def test_points_move_by_what_their_cameras_boxes_move(camera, track, two):
    see(camera, track, 1)
    see(None, track, 1.5)  # between boxes
    see(camera, track, 2, cameras="c1 c2")
    see(None, track, 9)  # no box near
    see(camera, track, 1200)
    see(camera, track, 1201, cameras="c2")  # another camera's
    assert remapping_continue(remapping=plan(two)) == 4
    x, y = 1.0, 2.0
    whole, half, none = (x + 2, y + 1), (x + 1, y + 0.5), (x, y)
    assert places() == [pytest.approx(p) for p in (whole, whole, half, none, whole, none)]


def test_shifts_are_those_of_the_two_calibrations(camera, two):
    before, after = (calibration_model(calibration=c, camera=camera) for c in two)
    assert shifts(before, after, np.array([[10.0, 20.0], [300.0, 200.0]])) == pytest.approx(
        np.array([[2, 1], [2, 1]])
    )


def test_what_was_counted_over_that_time_is_counted_again(camera, track, two):
    see(camera, track, 700)
    remapping_continue(remapping=plan(two))
    span = LateSpan.objects.get()
    assert span.begins_at <= T0 + timedelta(seconds=700) <= span.ends_at


def test_nothing_moves_twice_however_often_the_task_runs(camera, track, two):
    for seconds in (1, 700, 1400):
        see(camera, track, seconds)
    planned = plan(two)
    assert [history_remap(planned.pk) for _ in range(3)] == [3, 0, 0]
    assert places() == [pytest.approx((3.0, 3.0))] * 3
    assert history_remap(10**9) == 0


def test_a_task_that_was_killed_goes_on_where_it_was(camera, track, two, monkeypatch):
    for seconds in (1, 700, 1400):
        see(camera, track, seconds)
    planned, write, calls = plan(two), remapping._write, []

    def killed(moves):
        calls.append(len(moves))
        write(moves)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(remapping, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        history_remap(planned.pk)
    planned.refresh_from_db()
    assert planned.reached_at == T0 + timedelta(minutes=10)
    assert history_remap(planned.pk) == 2
    assert places() == [pytest.approx((3.0, 3.0))] * 3


def test_points_outside_the_stretch_stay(camera, track, two):
    for seconds in (1, 100, 200):
        see(camera, track, seconds)
    at = [T0 + timedelta(seconds=s) for s in (100, 200)]
    assert remapping_continue(remapping=plan(two, *at)) == 1
    assert places() == [pytest.approx(p) for p in ((1, 2), (3, 3), (1, 2))]


def test_moves_that_cannot_be_are_refused(two):
    before, after = two
    other = CalibrationFactory.create()
    plan(two)
    for wrong, message in (
        ({"after": other}, "of two cameras"),
        ({"after": before}, "the same calibration"),
        ({"ends_at": T0}, "not after the begin"),
        ({}, "was moved so before"),
    ):
        with pytest.raises(RemappingError, match=message):
            remapping_create(**{"before": before, "after": after, "begins_at": T0, "ends_at": END, **wrong})
    assert Remapping.objects.count() == 1
    remapping_create(before=after, after=before, begins_at=T0, ends_at=END)  # and back again


def test_the_command_moves_what_the_calibration_before_recorded(camera, track, two, capsys):
    Calibration.objects.filter(pk=two[0].pk).update(created_at=T0)
    Calibration.objects.filter(pk=two[1].pk).update(created_at=T0 + timedelta(seconds=50))
    see(camera, track, 1)
    see(camera, track, 60)
    slug = camera.environment.slug
    call_command("remap_history", slug, "c1", "--here")
    assert "1 points moved" in capsys.readouterr().out
    for arguments, message in (
        ((slug, "c9"), f"no camera c9 in {slug}"),
        ((slug, "c1"), "was moved so before"),
    ):
        with pytest.raises(CommandError, match=message) as error:
            call_command("remap_history", *arguments, "--here")
        assert error.value.returncode == 2
