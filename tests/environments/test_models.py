"""Integrity of places in the database, and the addresses of cameras."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from environments.models import validate_source_url, validate_time_zone
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    EnvironmentFactory,
    FloorPlanFactory,
    GrantFactory,
    ZoneFactory,
)

GOOD_SOURCES = [
    "rtsp://10.0.0.1/stream",
    "rtsps://viewer:p%40ss@camera.example:322/stream?channel=1",
    "http://camera.example/video.mjpg",
    "https://[2001:db8::1]:8443/video",
    "file:///films/one.mp4?loop=60",
    "images:///films/c1?fps=2",
    "sim://plaza/c1",
]
BAD_SOURCES = [
    ("", "Begin the address with one of rtsp://"),
    ("/films/one.mp4", "Begin the address with one of"),
    ("ftp://camera/1", "Begin the address with one of"),
    ("javascript:alert(1)", "Begin the address with one of"),
    ("rtsp:10.0.0.1", "Begin the address with one of"),
    ("rtsp:///stream", "Name the camera's host: rtsp://host/path."),
    ("http://user:secret@/x", "Name the camera's host: http://host/path."),
    ("rtsp://host:port/x", "cannot be read: check its brackets and port."),
    ("rtsp://host:99999/x", "cannot be read"),
    ("http://[::1/x", "cannot be read"),
    ("file://films/one.mp4", "Use three slashes and an absolute path: file:///folder/name."),
    ("images:///", "Use three slashes"),
    ("sim://plaza", "sim://plaza/c1"),
    ("sim:///c1", "sim://plaza/c1"),
]


@pytest.mark.parametrize("url", GOOD_SOURCES)
def test_source_url_is_taken(url):
    CameraFactory.build(environment_id=1, source_url=url).clean_fields(exclude=["environment"])


@pytest.mark.parametrize(("url", "message"), BAD_SOURCES)
def test_source_url_is_refused(url, message):
    with pytest.raises(ValidationError) as caught:
        validate_source_url(url)
    assert message in caught.value.messages[0]
    assert "secret" not in caught.value.messages[0]


@pytest.mark.parametrize("name", ["Mars/Base", "", "Europe/vienna "])
def test_time_zone_must_exist(name):
    with pytest.raises(ValidationError):
        validate_time_zone(name)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("environment_retention_range", lambda: EnvironmentFactory(retention_days=0)),
        ("environment_retention_range", lambda: EnvironmentFactory(retention_days=3651)),
        ("floor_plan_scale_positive", lambda: FloorPlanFactory(metres_per_px=0.0)),
        ("camera_size_positive", lambda: CameraFactory(width=0)),
        ("camera_size_positive", lambda: CameraFactory(height=0)),
        ("camera_fps_positive", lambda: CameraFactory(fps=0)),
        ("camera_state_known", lambda: CameraFactory(state="asleep")),
        ("zone_kind_known", lambda: ZoneFactory(kind="blob")),
        ("zone_line_without_capacity", lambda: ZoneFactory(kind="line", capacity=3)),
    ],
)
def test_database_refuses_values(name, make):
    with pytest.raises(IntegrityError, match=name):
        make()


def twice_slug():
    EnvironmentFactory(slug=EnvironmentFactory().slug)


def twice_granted():
    grant = GrantFactory()
    GrantFactory(user=grant.user, environment=grant.environment)


def twice_planned():
    FloorPlanFactory(environment=FloorPlanFactory().environment)


def twice_camera_key():
    camera = CameraFactory()
    CameraFactory(environment=camera.environment, key=camera.key)


def twice_active():
    CalibrationFactory(camera=CalibrationFactory().camera)


def twice_zone_key():
    zone = ZoneFactory()
    ZoneFactory(environment=zone.environment, key=zone.key)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("columns", "name", "make"),  # SQLite names the columns, PostgreSQL the constraint
    [
        ("environments_environment.slug", "environments_environment_slug_key", twice_slug),
        ("environments_grant.user_id, environments_grant.environment_id", "grant_once", twice_granted),
        (
            "environments_floorplan.environment_id",
            "environments_floorplan_environment_id_key",
            twice_planned,
        ),
        ("environments_camera.environment_id, environments_camera.key", "camera_key_once", twice_camera_key),
        ("environments_calibration.camera_id", "calibration_one_active", twice_active),
        ("environments_zone.environment_id, environments_zone.key", "zone_key_once", twice_zone_key),
    ],
)
def test_database_refuses_the_same_twice(columns, name, make):
    with pytest.raises(IntegrityError, match=f"UNIQUE constraint failed: {columns}|{name}"):
        make()


@pytest.mark.django_db
def test_retired_calibrations_may_be_many():
    camera = CameraFactory()
    CalibrationFactory.create_batch(2, camera=camera, is_active=False)
    CalibrationFactory(camera=camera)
    assert camera.calibrations.count() == 3


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("key", lambda: CameraFactory.build(environment=EnvironmentFactory(), key="no spaces")),
        ("key", lambda: ZoneFactory.build(environment=EnvironmentFactory(), key="../x")),
        ("slug", lambda: EnvironmentFactory.build(slug="a b")),
        ("source_url", lambda: CameraFactory.build(environment=EnvironmentFactory(), source_url="x")),
        ("fps", lambda: CameraFactory.build(environment=EnvironmentFactory(), fps=500)),
        ("width", lambda: CameraFactory.build(environment=EnvironmentFactory(), width=8)),
    ],
)
def test_form_refuses_values_at_their_field(field, make):
    with pytest.raises(ValidationError) as caught:
        make().full_clean()
    assert list(caught.value.message_dict) == [field]


def test_names_are_shown():
    assert str(CameraFactory.build(key="c1", name="")) == "c1"
    assert str(CameraFactory.build(key="c1", name="Door")) == "Door"
    assert str(EnvironmentFactory.build(name="Hall")) == "Hall"
    assert str(ZoneFactory.build(name="Exit")) == "Exit"
