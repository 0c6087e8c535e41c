"""What Celery does for tracking, by the clock."""

from celery import shared_task
from django.utils import timezone

from tracking import services


@shared_task
def expired_leases_release() -> int:
    """Show sessions whose worker went silent as waiting."""
    return services.leases_expire(now=timezone.now())


@shared_task
def history_expire() -> int:
    """Delete what is older than each environment keeps."""
    return services.history_expire(now=timezone.now())
