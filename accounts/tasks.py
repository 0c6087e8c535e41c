"""What Celery does for accounts, by the clock."""

from celery import shared_task
from django.utils import timezone

from accounts import services


@shared_task
def logins_expire() -> int:
    """Delete the logins that nobody renewed."""
    return services.logins_expire(now=timezone.now())
