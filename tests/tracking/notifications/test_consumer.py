"""Who hears of alerts and of what somebody has seen to, in the live view."""

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import Role
from tests.factories import (
    AlertFactory,
    DeliveryFactory,
    EnvironmentFactory,
    GrantFactory,
    RuleFactory,
    TrackEventFactory,
    UserFactory,
)
from tests.tracking.sockets import WAIT_S, hear, hear_type, opened
from tracking.notifications.delivering import page_tell
from tracking.notifications.services import alert_acknowledge
from tracking.services import event_acknowledge

pytestmark = pytest.mark.usefixtures("_layer", "redis")


def _alert(environment):
    return AlertFactory.create(rule=RuleFactory.create(environment=environment, name="Night"))


async def test_alert_is_heard_by_those_who_may_see_the_place_alone(dial, place):
    elsewhere = await sync_to_async(EnvironmentFactory.create)(slug="elsewhere")
    stranger = (await sync_to_async(GrantFactory.create)(environment=elsewhere)).user
    watching = await opened(dial, place)
    other = await dial(stranger, slug="elsewhere")
    assert (await other.connect(WAIT_S))[0]
    assert [(await hear(other))["type"] for _ in range(2)] == ["hello", "status"]

    alert = await sync_to_async(_alert)(place.environment)
    delivery = await sync_to_async(DeliveryFactory.create)(alert=alert)
    await sync_to_async(page_tell)(deliveries=[delivery], now=timezone.now())
    heard = await hear_type(watching, "alert")
    assert (heard["id"], heard["rule"], heard["acknowledged"]) == (alert.pk, "Night", None)

    operator = await sync_to_async(UserFactory.create)(role=Role.OPERATOR, username="otto")
    await sync_to_async(alert_acknowledge)(alert=alert, by=operator, note="a cat", now=timezone.now())
    heard = await hear_type(watching, "alert")
    assert (heard["id"], heard["acknowledged"]["by"], heard["acknowledged"]["note"]) == (
        alert.pk,
        "otto",
        "a cat",
    )
    assert await other.receive_nothing()


async def test_event_that_somebody_has_seen_to_is_told_now_and_to_those_who_come(dial, place):
    watching = await opened(dial, place)
    event = await sync_to_async(TrackEventFactory.create)(environment=place.environment)
    operator = await sync_to_async(UserFactory.create)(role=Role.OPERATOR, username="otto")
    await sync_to_async(event_acknowledge)(event=event, by=operator, note="a cat", now=timezone.now())
    heard = await hear_type(watching, "acknowledged")
    assert (heard["event"], heard["by"], heard["note"]) == (str(event.pk), "otto", "a cat")

    later = await dial(place.user)
    await later.connect(WAIT_S)
    (known,) = (await hear(later))["events"]
    assert (known["id"], known["acknowledged"]["by"]) == (str(event.pk), "otto")
