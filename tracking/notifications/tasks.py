"""What Celery does for notifications, every other second."""

from celery import shared_task
from django.utils import timezone

from tracking.notifications import delivering, judging, services


@shared_task
def notifications_attend() -> int:
    """Judge what nobody has judged yet, and try what is due; give how much was tried."""
    for environment_id in judging.waiting_environments():
        while judging.events_judge(environment_id=environment_id, now=timezone.now()):
            pass
    return delivering.deliveries_send(now=timezone.now())


@shared_task
def notifications_expire() -> int:
    """Delete what is older than each environment keeps."""
    return services.notifications_expire(now=timezone.now())
