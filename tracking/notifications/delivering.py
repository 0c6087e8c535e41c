"""Getting alerts to those who are to be told: again and again, ever more rarely, until they arrive or time is up."""

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from tracking.announcing import announce
from tracking.notifications.choices import Channel, DeliveryState
from tracking.notifications.messages import live_test, live_text, mail_message, webhook_body
from tracking.notifications.models import Delivery
from tracking.notifications.sending import Outcome, mail_send, webhook_post

logger = logging.getLogger(__name__)

AT_ONCE = 200  # deliveries of one round
SENDERS = 8  # recipients that are served side by side
ROUND_S = 20.0  # a recipient who takes longer for all that is for them gets the rest in the next round
LEASE = timedelta(
    minutes=2
)  # who tries something is let alone for so long; longer than a round and one more attempt
FIRST_RETRY_S, LAST_RETRY_S = 5.0, 3600.0


def deliveries_send(*, now: datetime, jitter: Callable[[], float] = random.random) -> int:
    """Try everything that is due, once; give how much that was.

    Recipients are served side by side and each in order. One who cannot be reached is not tried further in this round.
    """
    claimed = _claim(now)
    by_recipient: dict[tuple[str, str, int | None], list[Delivery]] = {}
    for delivery in claimed:
        key = (delivery.channel, delivery.recipient, delivery.webhook_id)
        by_recipient.setdefault(key, []).append(delivery)
    if not by_recipient:
        return 0
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="deliver") as pool:
        for done in as_completed([pool.submit(_serve, own, now) for own in by_recipient.values()]):
            try:
                served = done.result()
            except (
                Exception
            ):  # one recipient's trouble is not the others'; theirs is tried again after the lease
                logger.exception("What is for a recipient cannot be sent")
                continue
            _note_all(served, now=now, jitter=jitter)
    return len(claimed)


def page_tell(*, deliveries: Iterable[Delivery], now: datetime) -> None:
    """Send what is for the page at once; what cannot be sent stays due, and nobody waits for Redis twice."""
    for delivery in deliveries:
        outcome = _page_send(delivery, now)
        if not outcome.is_delivered:
            return
        _note(delivery, outcome, now=now)


def backoff_s(*, attempts: int, jitter: float) -> float:
    """Give how long to wait after so many failures: doubled each time, of which the last half is left to chance (0 to 1)."""
    longest = min(FIRST_RETRY_S * 2.0 ** min(attempts - 1, 30), LAST_RETRY_S)
    return longest * (1.0 + jitter) / 2.0


def _claim(now: datetime) -> Sequence[Delivery]:
    """Take what is due, putting it off so that nobody else takes it; one who is killed leaves it for later."""
    due = Delivery.objects.filter(state=DeliveryState.WAITING, next_attempt_at__lte=now)
    if not due.exists():
        return []
    with transaction.atomic():
        chosen = due.select_for_update(skip_locked=True).order_by("next_attempt_at", "pk")
        keys = list(chosen.values_list("pk", flat=True)[:AT_ONCE])
        Delivery.objects.filter(pk__in=keys).update(next_attempt_at=now + LEASE)
    rows = Delivery.objects.filter(pk__in=keys).select_related(
        "environment",
        "rule",
        "webhook",
        "alert__person",
        "alert__zone",
        "alert__camera",
        "alert__acknowledged_by",
    )
    return list(rows.order_by("created_at", "pk"))


def _serve(deliveries: Sequence[Delivery], now: datetime) -> list[tuple[Delivery, Outcome | None]]:
    """Try what is for one recipient, in order; None for what was not tried. Asks the database nothing."""
    until_s = time.monotonic() + ROUND_S
    done: list[tuple[Delivery, Outcome | None]] = []
    is_open = True
    for delivery in deliveries:
        outcome = _send(delivery, now) if is_open and time.monotonic() < until_s else None
        is_open = outcome is not None and (outcome.is_delivered or outcome.is_final)
        done.append((delivery, outcome))
    return done


def _send(delivery: Delivery, now: datetime) -> Outcome:
    """Try a delivery, once."""
    if delivery.channel == Channel.PAGE:
        return _page_send(delivery, now)
    if delivery.channel == Channel.EMAIL:
        return mail_send(mail_message(delivery=delivery))
    if delivery.webhook is None:
        return Outcome(_("The webhook was deleted."), is_final=True)
    return webhook_post(
        url=delivery.webhook.url,
        secret=delivery.webhook.secret,
        body=webhook_body(delivery=delivery),
        delivery_id=str(delivery.pk),
        now=now,
    )


def _page_send(delivery: Delivery, now: datetime) -> Outcome:
    alert = delivery.alert
    text = live_test(delivery=delivery, now=now) if alert is None else live_text(alert=alert)
    if announce(environment_id=delivery.environment_id, text=text):
        return Outcome(_("Everybody who watches the page was told."), is_delivered=True)
    return Outcome(_("Redis is away: nobody who watches the page could be told."))


def _note_all(
    served: Sequence[tuple[Delivery, Outcome | None]], *, now: datetime, jitter: Callable[[], float]
) -> None:
    """Write down what became of what is for one recipient.

    Who cannot be reached is let alone with all that is for them until the first is tried again: a long queue for somebody
    who is away must not be looked at every round.
    """
    next_at = now
    for delivery, outcome in served:
        if outcome is not None:
            next_at = _note(delivery, outcome, now=now, jitter=jitter) or next_at
    untried = [delivery.pk for delivery, outcome in served if outcome is None]
    Delivery.objects.filter(pk__in=untried).update(next_attempt_at=next_at)
    if next_at > now:
        first = served[0][0]
        Delivery.objects.filter(
            state=DeliveryState.WAITING,
            next_attempt_at__lt=next_at,
            channel=first.channel,
            recipient=first.recipient,
            webhook=first.webhook_id,
            alert__isnull=False,
        ).update(next_attempt_at=next_at)


def _note(
    delivery: Delivery,
    outcome: Outcome,
    *,
    now: datetime,
    jitter: Callable[[], float] = random.random,
) -> datetime | None:
    """Write down what became of an attempt; give when the next one is due, None where there is none."""
    mine = Delivery.objects.filter(pk=delivery.pk, state=DeliveryState.WAITING)
    changes: dict[str, object] = {"attempts": F("attempts") + 1, "outcome": outcome.words[:300]}
    if outcome.is_delivered:
        mine.update(state=DeliveryState.DELIVERED, done_at=now, **changes)
        return None
    wait_s = max(backoff_s(attempts=delivery.attempts + 1, jitter=jitter()), outcome.wait_s)
    next_at = now + timedelta(seconds=wait_s)
    is_over = next_at > delivery.created_at + timedelta(hours=settings.SPOTON_DELIVERY_HOURS)
    if outcome.is_final or delivery.alert_id is None or is_over:
        logger.warning("Delivery %s (%s) is given up: %s", delivery.pk, delivery.channel, outcome.words)
        mine.update(state=DeliveryState.FAILED, done_at=now, **changes)
        return None
    mine.update(next_attempt_at=next_at, **changes)
    return next_at
