"""What Celery does for tracking, by the clock."""

import logging

from celery import shared_task
from django.utils import timezone

from environments.calibrating.models import ProposalRun
from environments.calibrating.services import proposal_run_carry_out, proposal_run_fail
from tracking import services
from tracking.sightings import sightings_between

logger = logging.getLogger(__name__)


@shared_task
def expired_leases_release() -> int:
    """Show sessions whose worker went silent as waiting."""
    return services.leases_expire(now=timezone.now())


@shared_task
def history_expire() -> int:
    """Delete what is older than each environment keeps."""
    return services.history_expire(now=timezone.now())


@shared_task
def calibrations_propose(run_id: int) -> int:
    """Propose calibrations from the people that a run is about; give how many cameras it is about."""
    run = ProposalRun.objects.select_related("environment").get(pk=run_id)
    try:
        sightings = sightings_between(environment=run.environment, since=run.since, until=run.until)
        return len(proposal_run_carry_out(run=run, sightings=sightings))
    except Exception as error:
        logger.exception("Calibrations from people: run %s failed", run_id)
        proposal_run_fail(run=run, message=f"it failed ({type(error).__name__}): see the log of Celery")
        raise
