import pytest

from accounts.models import Role
from tests.factories import EnvironmentFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_live_page_is_for_who_may_see_the_environment(client, django_assert_num_queries):
    grant = GrantFactory.create(environment__name="Plaza <b>")
    client.force_login(grant.user)

    with django_assert_num_queries(3):  # session, user, environment
        response = client.get(f"/environments/{grant.environment.slug}/live/")
    content = response.content.decode()
    assert response.status_code == 200
    assert f'data-socket="/ws/environments/{grant.environment.slug}/live/"' in content
    assert 'data-subprotocol="spoton.v1"' in content
    assert "Plaza &lt;b&gt;" in content


def test_live_page_asks_for_a_login_first(client):
    environment = EnvironmentFactory.create()
    path = f"/environments/{environment.slug}/live/"
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"


def test_live_page_of_an_environment_without_grant_is_not_found(client):
    environment = EnvironmentFactory.create()
    client.force_login(UserFactory.create())
    response = client.get(f"/environments/{environment.slug}/live/")
    assert response.status_code == 404
    assert b"There is nothing here" in response.content


def test_live_page_of_an_unknown_environment_is_not_found(client):
    client.force_login(UserFactory.create(role=Role.ADMIN))
    assert client.get("/environments/no-such-place/live/").status_code == 404


def test_live_page_has_no_inline_script_or_style(client):
    environment = EnvironmentFactory.create()
    client.force_login(UserFactory.create(role=Role.ADMIN))
    content = client.get(f"/environments/{environment.slug}/live/").content
    for inline in (b"<style", b"style=", b"<script>", b"onclick", b"onload", b"//unpkg", b"https://"):
        assert inline not in content
