"""What Celery counts, by the clock."""

from celery import shared_task
from django.utils import timezone

from analytics import services


@shared_task
def aggregates_refresh() -> int:
    """Count what is new and what came late."""
    return services.aggregates_refresh(now=timezone.now())
