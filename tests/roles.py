"""Who asks in tests of the REST interface."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Role, User
from accounts.services import login_open
from tests.factories import UserFactory


def roles_ensure() -> None:
    """Bring back what migrations made of roles: a test that emptied the database took it along."""
    if not Group.objects.filter(name=Role.VIEWER, permissions__isnull=False).exists():
        for name in ("0001_role_permissions", "0002_who_is_told"):
            import_module(f"spoton.migrations.{name}").grant(apps, SimpleNamespace(connection=connection))


def client_of(user: User | None) -> Any:
    """Give a client that asks as somebody, by a token, or as nobody; it keeps no cookies."""
    client: Any = APIClient()
    client.user = user
    if user is not None:
        client.pair = login_open(user=user, now=timezone.now())
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {client.pair.access}")
    return client


def client_with(role: Role) -> Any:
    """Give a client that asks as a new user of a role."""
    return client_of(UserFactory.create(role=role))
