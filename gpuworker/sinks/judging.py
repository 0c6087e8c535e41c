"""Events that are written are judged by the rules at once, so that the page is told within a moment."""

import logging

from django.utils import timezone

from gpuworker.sinks.batch import Batch
from tracking.notifications.judging import events_judge

logger = logging.getLogger(__name__)


def batch_judge(batch: Batch) -> None:
    """Judge what a batch brought, a chunk of it at most; never fail.

    What stays unjudged is left to Celery, which comes by every other second: rows must not wait for alerts.
    """
    for environment_id in sorted({row.environment_id for row in batch.events}):
        try:
            events_judge(environment_id=environment_id, now=timezone.now())
        except Exception:
            logger.exception("Events of environment %d are judged later", environment_id)
