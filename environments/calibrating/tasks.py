"""What is done of calibrations' health in the background."""

from celery import shared_task
from django.utils import timezone

from environments.calibrating import services


@shared_task
def calibrating_expire() -> int:
    """Delete what is older than each environment keeps."""
    return services.calibrating_expire(now=timezone.now())
