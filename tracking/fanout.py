"""From the channel layer to the viewers of this process: each message is taken in and read once, for all of them."""

import asyncio
import logging
from typing import Any, Protocol

from channels.layers import get_channel_layer

from tracking.outgoing import Parcel, parcel_of

logger = logging.getLogger(__name__)


class Taker(Protocol):
    """A viewer, as what comes is handed to them; neither call waits, or they would hold up everybody else."""

    def take(self, parcel: Parcel) -> None:
        """Take what came in a group."""
        ...

    def lose(self, error: BaseException) -> None:
        """Learn that nothing comes any more."""
        ...


class Fanout:
    """Joins a group of the channel layer for as long as somebody in this process is in it.

    A group is joined and left by one at a time: where one leaves as the last while another joins as the first, the
    Redis layer may unsubscribe after it subscribed, and the other hears nothing.
    """

    def __init__(self) -> None:
        self._layer: Any = get_channel_layer()
        self._groups: dict[str, _Listening] = {}
        self._turn = asyncio.Lock()

    async def join(self, group: str, taker: Taker) -> None:
        """Hand to somebody from now on what comes in a group.

        Raises:
            RedisError, OSError: Redis is away.
        """
        listening = self._groups.get(group)
        if listening is None:
            async with self._turn:
                listening = self._groups.get(group) or await self._listen(group)
                listening.takers[taker] = None
                return
        listening.takers[taker] = None

    async def leave(self, group: str, taker: Taker) -> None:
        """Hand them nothing of it any more."""
        listening = self._groups.get(group)
        if listening is None or taker not in listening.takers:
            return
        del listening.takers[taker]
        if listening.takers:
            return
        async with self._turn:
            if not listening.takers and self._groups.get(group) is listening:
                del self._groups[group]
                await listening.end()

    async def _listen(self, group: str) -> "_Listening":
        channel = await self._layer.new_channel()
        await self._layer.group_add(group, channel)
        listening = self._groups[group] = _Listening(self._layer, group, channel)
        listening.task.add_done_callback(lambda _: self._over(group, listening))
        return listening

    def _over(self, group: str, listening: "_Listening") -> None:
        """Tell everybody when listening ended by a fault; who comes next begins anew."""
        if self._groups.get(group) is listening:
            del self._groups[group]
        error = None if listening.task.cancelled() else listening.task.exception()
        for taker in list(listening.takers):
            taker.lose(error or ConnectionError(f"{group} is heard no more"))


class _Listening:
    """One group that is listened to; ``takers`` in the order in which they came."""

    def __init__(self, layer: Any, group: str, channel: str) -> None:
        self.takers: dict[Taker, None] = {}
        self._layer, self._group, self._channel = layer, group, channel
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            parcel = parcel_of(await self._layer.receive(self._channel))
            for taker in tuple(self.takers):
                taker.take(parcel)

    async def end(self) -> None:
        """Listen no more."""
        self.task.cancel()
        await asyncio.wait([self.task])
        await self._layer.group_discard(self._group, self._channel)
