"""What changes users."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Role, User
from accounts.selectors import user_find
from accounts.services import administrator_ensure, user_create
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("role", "is_staff"), [(Role.ADMIN, True), (Role.OPERATOR, False), (Role.VIEWER, False)]
)
def test_user_is_made_with_a_role(role, is_staff):
    user = user_create(username="ada", password="correct-horse-9", role=role)
    user.refresh_from_db()
    assert (user.role, user.is_staff, user.check_password("correct-horse-9")) == (role, is_staff, True)


@pytest.mark.parametrize(
    ("username", "password", "message"),
    [
        ("taken", "correct-horse-9", "already exists"),
        ("a b", "correct-horse-9", "Enter a valid username"),
        ("", "correct-horse-9", "cannot be blank"),
        ("ada", "short1", "too short"),
        ("ada", "password", "too common"),
        ("ada", "8234978234987", "entirely numeric"),
        ("correct-horse", "correct-horse", "too similar"),
    ],
)
def test_user_is_refused(username, password, message):
    UserFactory(username="taken")
    with pytest.raises(ValidationError, match=message):
        user_create(username=username, password=password)
    assert User.objects.count() == 1


def test_administrator_is_made_once():
    assert administrator_ensure(username="admin", password="demo")
    assert not administrator_ensure(username="admin", password="demo")
    admin = User.objects.get()
    assert (admin.is_admin, admin.is_staff, admin.check_password("demo")) == (True, True, True)


def test_administrator_gets_another_password():
    administrator_ensure(username="admin", password="one")
    assert administrator_ensure(username="admin", password="two")
    assert User.objects.get().check_password("two")


def test_administrator_becomes_one_again():
    UserFactory(username="admin", role=Role.VIEWER, is_active=False)
    assert administrator_ensure(username="admin", password="password")
    admin = User.objects.get()
    assert (admin.role, admin.is_staff, admin.is_active) == (Role.ADMIN, True, True)


def test_user_is_found_by_name():
    user = UserFactory(username="ada")
    assert user_find(username="ada") == user
    assert user_find(username="eve") is None
