"""The live view's connection: who may watch, what they watch, and no more than they can take."""

import asyncio
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from secrets import token_hex
from typing import Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils import timezone

from accounts.models import AuditAction, User
from accounts.services import audit_write
from environments.models import Environment
from environments.selectors import environments_visible_to
from tracking import client_messages, live, selectors, status_messages
from tracking.connections import OUTAGES, shared
from tracking.live import CloseCode, WireError
from tracking.outgoing import Outgoing, pack_texts
from tracking.outlets import outlet_of
from tracking.pacing import Counts, MessageAllowance, widest_useful_tier
from tracking.viewer import Viewer, Watch

logger = logging.getLogger(__name__)

MESSAGES_PER_S = 20.0
MESSAGES_BURST = 40.0


class LiveConsumer(AsyncWebsocketConsumer):
    """Serves one viewer of one environment."""

    tick_s = 1.0
    ticks_per_demand = live.DEMAND_REFRESH_S
    ticks_per_check = 3  # access that was withdrawn ends within five seconds
    ticks_per_layout = 15

    is_over = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve the connection; when Redis or the database is away, say so by a close code."""
        self.scope, self.base_send = scope, send
        self.written: set[tuple[str, str]] = set()
        takes_packed = live.PACKED in scope["subprotocols"]
        self.viewer = Viewer(outlet_of(scope, send), takes_packed=takes_packed)
        await receive()  # the first event is that somebody connects
        # accepted before anything is checked, so that a browser learns the close code
        await self.accept(self._subprotocol())
        try:
            admitted = await _admit(await scope["whoami"](), scope["url_route"]["kwargs"]["slug"])
            if self._subprotocol() is None:
                admitted = CloseCode.MALFORMED
            if isinstance(admitted, CloseCode):
                await self._end(admitted)
            else:
                self.environment, self.user = admitted
                await self._serve(receive)
        except* OUTAGES as errors:
            logger.warning("live view ended: %s", errors.exceptions)
            await self._end(CloseCode.UNAVAILABLE)

    async def _serve(self, receive: Any) -> None:
        """Listen and attend side by side until the client is gone or one of them fails.

        What the worker sends comes by the fan-out. Channels' own dispatching makes several tasks and a thread hop for
        each message; with frames to many viewers that is most of the cost.
        """
        self.name = token_hex(8)
        self.allowance = MessageAllowance(per_s=MESSAGES_PER_S, burst=MESSAGES_BURST, now=time.monotonic())
        self.user_allowance = shared().allowance_of(self.user)
        if not await shared().connection_open(self.user, self.name):
            await self._end(CloseCode.TOO_MANY)
            return
        state = live.state_group(self.environment.pk)
        try:
            async with asyncio.TaskGroup() as group:
                # join first: what happens while the layout is read waits in the viewer
                await shared().fanout.join(state, self.viewer)
                await self._greet()
                self.viewer.greet()
                serving = [group.create_task(work) for work in (self.viewer.serve(), self._attend())]
                await self._listen(receive)
                for task in serving:
                    task.cancel()
        finally:
            watched = list(self.viewer.watches)
            await shared().fanout.leave(state, self.viewer)
            await self._unwatch(watched)  # what was demanded expires by itself
            await shared().connection_forget(self.user, self.name)

    async def _greet(self) -> None:
        hello, self.status = await _opening(self.environment)
        self.layout = _lasting(hello)
        self.cameras = {camera["id"] for camera in hello["cameras"]}
        await self._unwatch([camera for camera in self.viewer.watches if camera not in self.cameras])
        await self._tell(live.hello(at=timezone.now(), **hello))
        await self._tell(status_messages.status(at=timezone.now(), **self.status))

    async def _tell(self, text: str) -> None:
        """Send a text to this client alone, deflated where it is long and the client takes that."""
        payload = pack_texts([text]) if live.PACKED in self.scope["subprotocols"] else text
        if isinstance(payload, bytes):
            await self.send(bytes_data=payload)
        else:
            await self.send(payload)

    async def _listen(self, receive: Any) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            if not self.is_over:
                await self.receive(message.get("text"))
        self.is_over = True

    # --- from the client ---

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Do what a client's message says."""
        try:
            if text_data is None:
                raise WireError("expected text, got bytes")
            message = client_messages.parse_client_message(text_data)
        except WireError as error:
            await self.send(live.error(code="malformed", message=str(error)))
            await self._end(CloseCode.MALFORMED)
            return
        if isinstance(message, client_messages.Ack) and self._acked(message):
            return
        now = time.monotonic()
        if not (self.allowance.take(now=now) and self.user_allowance.take(now=now)):
            await self._end(CloseCode.TOO_MANY)
            return
        match message:
            case client_messages.Subscribe():
                await self._subscribe(message)
            case client_messages.Unsubscribe():
                await self._unwatch(message.cameras)
            case client_messages.Follow(person) if person is not None:
                await self._follow(person)
            case client_messages.Clock(sent):
                await self.send(live.clock(sent=sent, at=timezone.now()))
            case client_messages.Hidden(hidden):
                self.viewer.is_hidden = hidden

    def _acked(self, message: client_messages.Ack) -> bool:
        """Note what was shown; say whether any of it was waited for."""
        known = False
        for camera, seq in message.frames:
            known |= self.viewer.acked(camera, seq)
        self.viewer.catch_up()
        return known

    async def _follow(self, person: int) -> None:
        await self._write_down("person", str(person), f"#{person}")
        card = await database_sync_to_async(selectors.person_card)(
            environment=self.environment, number=person
        )
        await self._tell(live.person(number=person, card=card))

    async def _subscribe(self, message: client_messages.Subscribe) -> None:
        if not await self._is_admitted():
            return
        unknown = [camera for camera in message.cameras if camera not in self.cameras]
        if unknown:
            await self.send(live.error(code="unknown_camera", message=f"no camera {', '.join(unknown)}"))
        new = []
        for camera in dict.fromkeys(c for c in message.cameras if c in self.cameras):
            fixed = None if message.quality == "auto" else message.quality
            best = fixed or widest_useful_tier(message.max_width)
            watch = self.viewer.watches.get(camera)
            if watch is None:
                await self._write_down("camera", camera, camera)
                tier = self.viewer.tier_of(fixed, best)
                self.viewer.watches[camera] = Watch(fixed, best, tier)
                await shared().fanout.join(self._group(camera, tier), self.viewer)
                new.append(camera)
            else:
                watch.fixed, watch.best = fixed, best
                await self._retier(camera, watch)
        await self._demand()
        await self._tell_quality()
        await self._show_stills(new)

    async def _show_stills(self, cameras: list[str]) -> None:
        """Send the last pictures of cameras: at once, and all that there is of one that is down."""
        keys = [live.still_key(self.environment.pk, camera) for camera in cameras]
        kept = await shared().redis.mget(keys) if keys else []
        for data in filter(None, kept):
            self.viewer.take_still(live.peek_frame(data), Outgoing(data))

    async def _unwatch(self, cameras: Iterable[str]) -> None:
        for camera in cameras:
            watch = self.viewer.watches.pop(camera, None)
            if watch is None:
                continue
            self.viewer.pacer.forget(camera)
            for tier in filter(None, (watch.tier, watch.fading)):
                await self._leave(camera, tier)

    # --- tiers ---

    async def _retier(self, camera: str, watch: Watch) -> None:
        tier = self.viewer.tier_of(watch.fixed, watch.best)
        if tier == watch.tier:
            return
        before, watch.tier = watch.tier, tier
        was_fading, watch.fading = watch.fading, before
        await shared().fanout.join(self._group(camera, tier), self.viewer)
        if was_fading and was_fading not in (tier, before):
            await self._leave(camera, was_fading)

    async def _leave(self, camera: str, tier: str) -> None:
        await shared().fanout.leave(self._group(camera, tier), self.viewer)

    async def _leave_faded(self) -> None:
        while self.viewer.faded:
            camera, tier = self.viewer.faded.pop()
            watch = self.viewer.watches.get(camera)
            if watch is None or tier not in (watch.tier, watch.fading):
                await self._leave(camera, tier)

    def _group(self, camera: str, tier: str) -> str:
        return live.frames_group(self.environment.pk, camera, tier)

    async def _adapt(self) -> bool:
        if not self.viewer.pacer.adapt(now=time.monotonic(), best=self.viewer.best):
            return False
        for camera, watch in list(self.viewer.watches.items()):
            await self._retier(camera, watch)
        return True

    async def _demand(self) -> None:
        """Tell the worker what is watched, for the next few seconds."""
        if not self.viewer.watches:
            return
        async with shared().redis.pipeline(transaction=False) as pipeline:
            for camera, watch in self.viewer.watches.items():
                key = live.demand_key(self.environment.pk, camera, watch.tier)
                pipeline.set(key, 1, ex=live.DEMAND_TTL_S)
            await pipeline.execute()

    async def _tell_quality(self) -> None:
        counts, nothing = self.viewer.pacer.take_counts(), Counts()
        cameras = {
            camera: {"tier": watch.tier} | asdict(counts.get(camera, nothing))
            for camera, watch in self.viewer.watches.items()
        }
        text = live.quality(
            at=timezone.now(),
            cameras=cameras,
            limited=self.viewer.is_limited,
            delay_s=self.viewer.pacer.delay_s,
        )
        await self.send(text)

    # --- while the connection lasts ---

    async def _attend(self) -> None:
        """Renew, adapt and check, every second."""
        ticks = 0
        while not self.is_over:
            await asyncio.sleep(self.tick_s)
            ticks += 1
            await self._tick(ticks)

    async def _tick(self, ticks: int) -> None:
        changed = await self._adapt()
        self.viewer.catch_up()
        await self._leave_faded()
        if changed or ticks % self.ticks_per_demand == 0:
            await self._demand()
        is_check = ticks % self.ticks_per_check == 0
        if is_check:
            await self._check()
        if ticks % self.ticks_per_layout == 0 and not self.is_over:
            layout = await shared().read(selectors.live_layout, self.environment, max_age_s=2 * self.tick_s)
            if _lasting(layout) != self.layout:
                await self._greet()
        if (changed or is_check) and not self.is_over:
            await self._tell_quality()

    async def _check(self) -> None:
        """Look up whether access holds, and how the session is doing; count this connection again.

        To whom the place is granted is asked once for all its viewers, who they are of each.
        """
        user = await self.scope["whoami"]()
        grants = await shared().read(selectors.live_grants, self.environment, max_age_s=self.tick_s)
        if (refusal := _refusal(user, grants["granted"])) is not None:
            await self._end(refusal)
            return
        await shared().connection_count(self.user, self.name)
        status = await shared().read(
            selectors.live_status, self.environment, max_age_s=2 * self.tick_s, now=timezone.now()
        )
        if status != self.status:
            self.status = status
            await self.send(status_messages.status(at=timezone.now(), **status))

    async def _write_down(self, kind: str, object_id: str, name: str) -> None:
        """Write down, once a connection, who looks at what."""
        if (kind, object_id) in self.written:
            return
        self.written.add((kind, object_id))
        await database_sync_to_async(audit_write)(
            actor=self.user,
            action=AuditAction.VIEWED,
            kind=kind,
            now=timezone.now(),
            object_id=object_id,
            name=name,
            environment=self.environment.slug,
            address=(self.scope.get("client") or [""])[0],
            detail={"live": True},
        )

    async def _is_admitted(self) -> bool:
        """Look up afresh whether the login and the grant still hold; end the connection when they do not."""
        admitted = await _admit(await self.scope["whoami"](), self.environment.slug)
        if isinstance(admitted, CloseCode):
            await self._end(admitted)
            return False
        return True

    async def _end(self, code: CloseCode) -> None:
        if not self.is_over:
            self.is_over = True
            self.viewer.fall_silent()
            await self.close(code.value)  # daphne takes plain integers only

    def _subprotocol(self) -> str | None:
        return live.SUBPROTOCOL if live.SUBPROTOCOL in self.scope["subprotocols"] else None


@database_sync_to_async
def _admit(user: User | None, slug: str) -> tuple[Environment, User] | CloseCode:
    """Give the environment and the user, or why this user does not get it."""
    if user is None or not user.is_active:
        return CloseCode.UNAUTHENTICATED
    environment = environments_visible_to(user=user).filter(slug=slug).first()
    if environment is not None:
        return environment, user
    exists = Environment.objects.filter(slug=slug).exists()
    return CloseCode.FORBIDDEN if exists else CloseCode.NOT_FOUND


def _refusal(user: User | None, granted: set[int] | None) -> CloseCode | None:
    """Say why a user does not get a place, by whom it is granted to; None where they do."""
    if user is None or not user.is_active:
        return CloseCode.UNAUTHENTICATED
    if granted is None:
        return CloseCode.NOT_FOUND
    return None if user.is_admin or user.pk in granted else CloseCode.FORBIDDEN


def _lasting(layout: dict[str, Any]) -> dict[str, Any]:
    """Give what makes a place another one: all but the states of its cameras."""
    cameras = [{**camera, "state": None} for camera in layout["cameras"]]
    return {"cameras": cameras, "zones": layout["zones"], "floor_map": layout["floor_map"]}


@database_sync_to_async
def _opening(environment: Environment) -> tuple[dict[str, Any], dict[str, Any]]:
    now = timezone.now()
    hello = selectors.live_layout(environment=environment)
    hello["present"] = selectors.present_since(environment=environment, now=now)
    hello["events"] = selectors.recent_events(environment=environment)
    hello["crossings"] = selectors.crossings_today(environment=environment, now=now)
    return hello, selectors.live_status(environment=environment, now=now)
