"""The health check of a worker's container."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from tests.factories import TrackingSessionFactory

pytestmark = pytest.mark.django_db


def test_check_worker_accepts_a_renewed_lease(capsys):
    TrackingSessionFactory(worker="here:7", lease_expires_at=timezone.now() + timedelta(seconds=5))
    call_command("check_worker", name="here:")
    assert capsys.readouterr().out == "The worker renews what it holds.\n"


def test_check_worker_names_the_session_of_a_silent_worker():
    session = TrackingSessionFactory(worker="here:7", lease_expires_at=timezone.now() - timedelta(seconds=5))
    with pytest.raises(CommandError, match=f"^the worker went silent while it tracked {session}$"):
        call_command("check_worker", name="here:")


def test_check_worker_leaves_other_machines_workers_alone(capsys):
    TrackingSessionFactory(worker="there:7", lease_expires_at=timezone.now() - timedelta(seconds=5))
    call_command("check_worker", name="here:")
    assert capsys.readouterr().out == "The worker renews what it holds.\n"


def test_check_worker_does_not_judge_while_the_database_is_away(capsys):
    with patch.object(QuerySet, "__iter__", side_effect=OperationalError("no route")):
        call_command("check_worker", name="here:")
    assert capsys.readouterr().out == "The database is away (no route): the worker cannot be judged.\n"
