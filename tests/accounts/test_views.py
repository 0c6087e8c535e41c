import pytest
from django.test import Client

from tests.factories import UserFactory

pytestmark = pytest.mark.django_db
WRONG = b"That user name and password do not match."


def test_pages_ask_for_a_login_first(client):
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/accounts/login/?next=/")


def test_login_leads_to_the_page_that_was_asked_for(client):
    user = UserFactory.create()
    response = client.post(
        "/accounts/login/",
        {"username": user.username, "password": "password", "next": "/environments/x/live/"},
    )
    assert (response.status_code, response["Location"]) == (302, "/environments/x/live/")


def test_login_leads_to_no_other_site(client):
    user = UserFactory.create()
    response = client.post(
        "/accounts/login/",
        {"username": user.username, "password": "password", "next": "https://evil.example/"},
    )
    assert response["Location"] == "/"


@pytest.mark.parametrize("username", ["vera", "nobody"])
def test_wrong_login_gives_one_message(client, username):
    UserFactory.create(username="vera")
    response = client.post("/accounts/login/", {"username": username, "password": "wrong"})
    assert response.status_code == 200
    assert response.content.count(WRONG) == 1
    assert response.content.count(b'role="alert"') == 1
    assert f'value="{username}"'.encode() in response.content


def test_inactive_user_gets_the_same_message(client):
    UserFactory.create(username="vera", is_active=False)
    response = client.post("/accounts/login/", {"username": "vera", "password": "password"})
    assert response.content.count(WRONG) == 1


def test_empty_login_says_what_is_missing(client):
    response = client.post("/accounts/login/", {"username": "", "password": ""})
    assert b"Fill in both user name and password." in response.content


def test_name_is_escaped(client):
    response = client.post("/accounts/login/", {"username": '"><script>x</script>', "password": "x"})
    assert b"<script>x" not in response.content


def test_who_is_signed_in_skips_the_login_page(client):
    client.force_login(UserFactory.create())
    assert client.get("/accounts/login/")["Location"] == "/"


def test_logout_is_a_post_and_ends_the_session(client):
    client.force_login(UserFactory.create())
    assert client.get("/accounts/logout/").status_code == 405
    assert client.post("/accounts/logout/")["Location"] == "/accounts/login/"
    assert client.get("/").status_code == 302


def test_login_form_has_no_inline_script_or_style(client):
    content = client.get("/accounts/login/").content
    assert b"<style" not in content
    assert b"style=" not in content
    assert b"<script>" not in content
    assert b"onclick" not in content


def test_form_without_its_token_is_refused_with_a_hint():
    response = Client(enforce_csrf_checks=True).post("/accounts/login/", {"username": "a", "password": "b"})
    assert response.status_code == 403
    assert b"That form was too old" in response.content
