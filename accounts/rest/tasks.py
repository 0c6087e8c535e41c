"""What Celery does for the REST interface, by the clock."""

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from accounts.rest.models import IdempotentAnswer

KEPT = timedelta(days=1)


@shared_task
def idempotent_answers_expire() -> int:
    """Forget the answers that nobody asks for again."""
    return IdempotentAnswer.objects.filter(created_at__lt=timezone.now() - KEPT).delete()[0]
