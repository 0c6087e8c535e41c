"""Roles, and what they may do."""

import pytest
from django.db import IntegrityError

from accounts.models import Role
from tests.factories import UserFactory


@pytest.mark.parametrize(
    ("role", "is_superuser", "is_admin"),
    [
        (Role.ADMIN, False, True),
        (Role.OPERATOR, False, False),
        (Role.VIEWER, False, False),
        (Role.VIEWER, True, True),
    ],
)
@pytest.mark.django_db
def test_role_says_what_one_may_do(role, is_superuser, is_admin):
    user = UserFactory.create(role=role, is_superuser=is_superuser)
    assert user.is_admin is is_admin
    assert user.has_perm("environments.change_camera") is is_admin
    assert user.has_module_perms("environments") is is_admin


def test_closed_account_may_nothing():
    user = UserFactory.build(role=Role.ADMIN, is_active=False)
    assert not user.has_perm("environments.change_camera")
    assert not user.has_module_perms("environments")


@pytest.mark.django_db
def test_unknown_role_is_refused():
    with pytest.raises(IntegrityError, match="user_role_known"):
        UserFactory(role="king")


@pytest.mark.django_db
def test_name_is_taken_once():
    UserFactory(username="ada")
    with pytest.raises(IntegrityError, match=r"accounts_user\.username|accounts_user_username_key"):
        UserFactory(username="ada")
