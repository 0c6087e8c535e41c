import pytest

from accounts.models import Role
from tests.factories import EnvironmentFactory, GrantFactory, UserFactory
from tests.roles import roles_ensure

pytestmark = pytest.mark.django_db
PAGES = ("live", "replay")


def test_live_page_is_for_who_may_see_the_environment(client, django_assert_num_queries):
    grant = GrantFactory.create(environment__name="Plaza <b>")
    client.force_login(grant.user)

    with django_assert_num_queries(5):  # session, user, environment, and what the user may do
        response = client.get(f"/environments/{grant.environment.slug}/live/")
    content = response.content.decode()
    assert response.status_code == 200
    assert f'data-socket="/ws/environments/{grant.environment.slug}/live/"' in content
    assert 'data-subprotocol="spoton.v1"' in content
    assert "Plaza &lt;b&gt;" in content


def test_replay_page_names_the_places_layout_and_time_zone(client):
    grant = GrantFactory.create(environment__time_zone="Europe/Vienna")
    slug = grant.environment.slug
    client.force_login(grant.user)
    content = client.get(f"/environments/{slug}/replay/").content.decode()
    assert f'data-layout="/api/v1/environments/{slug}/layout/"' in content
    assert 'data-time-zone="Europe/Vienna"' in content


@pytest.mark.parametrize(
    ("role", "sees"), [(Role.VIEWER, False), (Role.OPERATOR, True), (Role.ADMIN, True)], ids=str
)
def test_controls_are_for_who_may_steer(client, role, sees):
    roles_ensure()
    user = UserFactory.create(role=role)
    grant = GrantFactory.create(user=user)
    client.force_login(user)
    content = client.get(f"/environments/{grant.environment.slug}/live/").content.decode()
    for control in ('data-ask="start"', 'data-ask="stop"', 'data-ask="pause"', "data-seek", "data-speed"):
        assert (control in content) is sees
    assert "data-state-text" in content  # everybody sees how tracking is


@pytest.mark.parametrize("page", PAGES)
def test_page_of_a_place_asks_for_a_login_first(client, page):
    environment = EnvironmentFactory.create()
    path = f"/environments/{environment.slug}/{page}/"
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_environment_without_grant_is_not_found(client, page):
    environment = EnvironmentFactory.create()
    client.force_login(UserFactory.create())
    response = client.get(f"/environments/{environment.slug}/{page}/")
    assert response.status_code == 404
    assert b"There is nothing here" in response.content


@pytest.mark.parametrize("page", PAGES)
def test_page_of_an_unknown_environment_is_not_found(client, page):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    assert client.get(f"/environments/no-such-place/{page}/").status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_inline_script_or_style(client, page):
    environment = EnvironmentFactory.create()
    client.force_login(UserFactory.create(role=Role.ADMIN))
    content = client.get(f"/environments/{environment.slug}/{page}/").content
    for inline in (b"<style", b"style=", b"<script>", b"onclick", b"onload", b"//unpkg", b"https://"):
        assert inline not in content


@pytest.mark.parametrize(
    ("role", "status"), [(Role.VIEWER, 403), (Role.OPERATOR, 200), (Role.ADMIN, 200)], ids=str
)
def test_system_page_is_for_who_oversees(client, role, status):
    roles_ensure()
    client.force_login(UserFactory.create(role=role))
    response = client.get("/system/")
    assert response.status_code == status
    assert (b'data-socket="/ws/system/"' in response.content) is (status == 200)
    assert (b'href="/system/"' in client.get("/").content) is (status == 200)
