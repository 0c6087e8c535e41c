"""Users in the admin pages."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Role, User
from tests.factories import GrantFactory, UserFactory

pytestmark = pytest.mark.django_db

NO_GRANTS = {"grants-TOTAL_FORMS": 0, "grants-INITIAL_FORMS": 0}


@pytest.fixture
def me():
    return UserFactory(role=Role.ADMIN)


@pytest.fixture
def admin(client, me):
    client.force_login(me)
    return client


def test_list_does_not_ask_more_for_more_users(admin, django_assert_num_queries):
    address = reverse("admin:accounts_user_changelist")
    with CaptureQueriesContext(connection) as few:
        assert admin.get(address).status_code == 200
    GrantFactory.create_batch(5)
    with django_assert_num_queries(len(few)):
        assert admin.get(address).status_code == 200


@pytest.mark.parametrize(("role", "is_staff"), [(Role.ADMIN, True), (Role.VIEWER, False)])
def test_user_is_added_with_a_role(admin, role, is_staff):
    response = admin.post(
        reverse("admin:accounts_user_add"),
        {
            "username": "ada",
            "role": role,
            "usable_password": "true",
            "password1": "correct-horse-9",
            "password2": "correct-horse-9",
            **NO_GRANTS,
        },
    )
    assert response.status_code == 302
    ada = User.objects.get(username="ada")
    assert (ada.role, ada.is_staff) == (role, is_staff)
    assert ada.check_password("correct-horse-9")


def test_admin_pages_close_with_the_role(admin):
    other = UserFactory(role=Role.ADMIN)
    address = reverse("admin:accounts_user_change", args=[other.pk])
    response = admin.post(
        address, {"username": other.username, "role": Role.VIEWER, "is_active": "on", **NO_GRANTS}
    )
    assert response.status_code == 302
    other.refresh_from_db()
    assert (other.role, other.is_staff) == (Role.VIEWER, False)


def test_admins_cannot_lock_themselves_out(admin, me):
    address = reverse("admin:accounts_user_change", args=[me.pk])
    response = admin.post(address, {"username": "new-name", "role": Role.VIEWER, **NO_GRANTS})
    assert response.status_code == 302
    me.refresh_from_db()
    assert (me.username, me.role, me.is_active) == ("new-name", Role.ADMIN, True)
    assert admin.get(reverse("admin:accounts_user_delete", args=[me.pk])).status_code == 403


def test_others_may_not_enter(client):
    client.force_login(UserFactory(role=Role.OPERATOR))
    response = client.get(reverse("admin:index"))
    assert response.status_code == 302
    assert response.url.startswith(reverse("admin:login"))
