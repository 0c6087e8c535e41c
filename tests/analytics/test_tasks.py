"""What Celery counts."""

import pytest
from django.conf import settings

from analytics.models import OccupancyMinute
from analytics.tasks import aggregates_refresh
from spoton.celery import app
from tests.factories import TrackPointFactory


@pytest.mark.django_db
def test_the_task_counts():
    TrackPointFactory()
    assert aggregates_refresh() > 0
    assert OccupancyMinute.objects.get().person_seconds == 1


def test_the_schedule_names_the_task():
    [entry] = [e for e in settings.CELERY_BEAT_SCHEDULE.values() if e["task"] == aggregates_refresh.name]
    assert entry["task"] in app.tasks
