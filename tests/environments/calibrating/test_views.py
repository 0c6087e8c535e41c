"""The report's page and its pictures."""

import cv2
import numpy as np
import pytest
from django.urls import reverse

from accounts.models import Role
from tests.factories import (
    CalibrationFactory,
    CameraFactory,
    DisagreementFactory,
    EnvironmentFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin(client):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    return client


def test_page_says_what_is_covered_and_what_to_do(admin):
    camera = CameraFactory.create(key="c1")
    CalibrationFactory.create(camera=camera)
    CameraFactory.create(key="c2", environment=camera.environment)
    page = admin.get(reverse("report", args=[camera.environment.slug])).content.decode()
    assert "% of the floor is seen" in page
    assert "<b>c2</b>" in page
    assert "is not calibrated: add a calibration" in page
    assert reverse("report-layer", args=[camera.environment.slug, "camera-c1"]) in page


def test_page_without_any_calibration_says_so(admin):
    camera = CameraFactory.create(key="c1")
    page = admin.get(reverse("report", args=[camera.environment.slug])).content.decode()
    assert "is not calibrated: add a calibration" in page
    assert "report-layer" not in page


def test_layer_is_a_picture_that_is_clear_where_nobody_sees(admin):
    camera = CameraFactory.create(key="c1")
    CalibrationFactory.create(camera=camera)
    slug = camera.environment.slug
    answer = admin.get(reverse("report-layer", args=[slug, "camera-c1"]))
    picture = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert answer["Content-Type"] == "image/png"
    assert picture is not None
    assert set(np.unique(picture[..., 3])) == {0, 170}
    assert admin.get(reverse("report-layer", args=[slug, "nothing"])).status_code == 404


def test_health_over_rest_is_of_the_hours_asked_for(admin):
    place = EnvironmentFactory.create()
    DisagreementFactory.create(camera=CameraFactory.create(environment=place))
    address = reverse("environment-health", args=[place.slug])
    assert admin.get(address, {"hours": 1}).json() == {"cameras": [], "pairs": [], "cells": []}
    assert admin.get(address, {"hours": 0}).status_code == 400
