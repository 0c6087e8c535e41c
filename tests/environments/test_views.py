import pytest
from django.core.files.base import ContentFile

from accounts.models import Role
from tests.factories import CameraFactory, EnvironmentFactory, FloorPlanFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _media(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path


def test_landing_shows_what_is_granted_and_nothing_else(client):
    grant = GrantFactory.create(environment__name="Plaza")
    EnvironmentFactory.create(name="Vault")
    client.force_login(grant.user)

    content = client.get("/").content.decode()
    assert f'href="/environments/{grant.environment.slug}/live/"' in content
    assert "Plaza" in content
    assert "Vault" not in content


def test_landing_counts_cameras_that_are_up(client):
    grant = GrantFactory.create()
    for state, enabled in (("online", True), ("offline", True), ("online", False)):
        CameraFactory.create(environment=grant.environment, state=state, enabled=enabled)
    client.force_login(grant.user)

    content = client.get("/").content.decode()
    assert "<b data-cameras-up>1</b>/<span data-cameras-all>2</span>" in content


def test_landing_tells_an_admin_what_to_do_when_empty(client):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    content = client.get("/").content.decode()
    assert "No environments yet" in content
    assert 'href="/admin/"' in content


def test_landing_tells_a_viewer_whom_to_ask_when_empty(client):
    client.force_login(UserFactory.create())
    content = client.get("/").content.decode()
    assert "Ask an administrator" in content
    assert "/admin/" not in content


def test_landing_asks_the_database_as_often_for_many_as_for_one(client, django_assert_num_queries):
    user = UserFactory.create(role=Role.ADMIN)
    client.force_login(user)
    CameraFactory.create()
    with django_assert_num_queries(3):  # session, user, environments
        client.get("/")
    CameraFactory.create_batch(5)
    with django_assert_num_queries(3):
        client.get("/")


def test_floor_plan_is_given_to_who_may_see_the_environment(client, tmp_path):
    grant = GrantFactory.create()
    plan = FloorPlanFactory.create(environment=grant.environment)
    client.force_login(grant.user)

    response = client.get(f"/environments/{grant.environment.slug}/plan/")
    assert response.status_code == 200
    assert response.content == (tmp_path / plan.image.name).read_bytes()
    assert response["Content-Type"] == "image/png"
    assert response["Cache-Control"] == "private, no-cache"

    again = client.get(
        f"/environments/{grant.environment.slug}/plan/", headers={"If-None-Match": response["ETag"]}
    )
    assert (again.status_code, again.content) == (304, b"")


def test_floor_plan_is_hidden_from_others(client):
    plan = FloorPlanFactory.create()
    path = f"/environments/{plan.environment.slug}/plan/"
    assert client.get(path).status_code == 302
    client.force_login(UserFactory.create())
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("slug", ["no-such-place", "bare"])
def test_floor_plan_that_is_not_there_is_not_found(client, slug):
    EnvironmentFactory.create(slug="bare")
    client.force_login(UserFactory.create(role=Role.ADMIN))
    assert client.get(f"/environments/{slug}/plan/").status_code == 404


def test_floor_plan_whose_file_is_gone_is_not_found(client, tmp_path):
    plan = FloorPlanFactory.create()
    client.force_login(UserFactory.create(role=Role.ADMIN))
    plan.image.storage.delete(plan.image.name)
    assert client.get(f"/environments/{plan.environment.slug}/plan/").status_code == 404


def test_floor_plan_of_an_odd_type_is_no_page(client):
    plan = FloorPlanFactory.create()
    plan.image.storage.save("plans/odd.svg", ContentFile(b"<svg onload='alert(1)'/>"))
    type(plan).objects.update(image="plans/odd.svg")
    client.force_login(UserFactory.create(role=Role.ADMIN))
    response = client.get(f"/environments/{plan.environment.slug}/plan/")
    assert response["Content-Type"] == "application/octet-stream"
    assert response["X-Content-Type-Options"] == "nosniff"
