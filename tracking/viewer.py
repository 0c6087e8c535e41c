"""One viewer as the fan-out sees them: what of all that comes goes to them, and when."""

import asyncio
import time
from dataclasses import dataclass

from tracking.live import TIER_ORDER, FrameKey
from tracking.outgoing import FrameParcel, Outgoing, Parcel, TextParcel
from tracking.outlets import Outlet
from tracking.pacing import Offer, Pacer, coarser, finer

POSITIONS_BEHIND_S = 0.5  # between positions for who does not keep up


@dataclass(slots=True)
class Watch:
    """One camera that the client watches.

    Attributes:
        fixed: the tier that the client asked for, None where it adapts.
        best: the best tier that it could use.
        tier: the one it gets.
        fading: the one it got before, shown until the first frame of the new one arrives.
    """

    fixed: str | None
    best: str
    tier: str
    fading: str | None = None


class Viewer:
    """Hands a client what it can take; nothing here waits.

    Attributes:
        watches: by camera.
        faded: cameras and tiers that are not needed any more, for the consumer to leave.
        is_hidden: nobody looks: positions are left out.
    """

    def __init__(self, outlet: Outlet, *, takes_packed: bool) -> None:
        """Begin with nothing watched."""
        self.watches: dict[str, Watch] = {}
        self.faded: list[tuple[str, str]] = []
        self.is_hidden = False
        self.pacer: Pacer[Outgoing] = Pacer(now=time.monotonic())
        self._outlet = outlet
        self._takes_packed = takes_packed
        self._lost = asyncio.Event()
        self._error: BaseException = ConnectionError()
        self._is_silent = False
        self._early: list[TextParcel] | None = []
        self._positions_at = float("-inf")

    def greet(self) -> None:
        """Pass on what was told before the client knew the place, and everything from now on."""
        early, self._early = self._early, None
        for parcel in early or ():
            self._take_texts(parcel)

    def fall_silent(self) -> None:
        """Pass on nothing any more."""
        self._is_silent = True

    def take(self, parcel: Parcel) -> None:
        """Take what came in one of the groups of this viewer."""
        if self._is_silent:
            return
        if isinstance(parcel, FrameParcel):
            self._take_frame(parcel)
        elif self._early is None:
            self._take_texts(parcel)
        else:
            self._early.append(parcel)

    def lose(self, error: BaseException) -> None:
        """Learn that nothing comes any more."""
        self._error = error
        self._lost.set()

    async def serve(self) -> None:
        """Send what waits, until nothing comes any more.

        Raises:
            Exception: that for which nothing comes, such as RedisError.
        """
        sending = asyncio.create_task(self._outlet.run())
        try:
            await self._lost.wait()
        finally:
            sending.cancel()
        raise self._error

    def take_still(self, key: FrameKey, message: Outgoing) -> None:
        """Take the last picture of a camera, for as long as there is no newer one."""
        if key.camera in self.watches:
            self._offer(key, message)

    def acked(self, camera: str, seq: int) -> bool:
        """Note that the client showed a frame; say whether it was waited for."""
        return self.pacer.ack(camera, seq, now=time.monotonic())

    def catch_up(self) -> None:
        """Send what waited for room."""
        for offer in self.pacer.release(now=time.monotonic()):
            self._outlet.put(offer.item)

    def tier_of(self, fixed: str | None, best: str) -> str:
        """Give the tier that a picture gets now."""
        return fixed or coarser(self.pacer.tier, best)

    @property
    def best(self) -> str:
        """Give the best tier that any adapting picture could use."""
        best = TIER_ORDER[-1]
        for watch in self.watches.values():
            if watch.fixed is None:
                best = finer(best, watch.best)
        return best

    @property
    def is_limited(self) -> bool:
        """Say whether a picture is worse than it could be used, because the client does not keep up."""
        return any(w.tier != w.best for w in self.watches.values())

    def _take_texts(self, parcel: TextParcel) -> None:
        for message in parcel.messages(positions=self._wants_positions(), packed=self._takes_packed):
            self._outlet.put(message)

    def _wants_positions(self) -> bool:
        """Say whether positions may go: they are worth nothing late, and others follow at once."""
        if self.is_hidden or self._outlet.is_full:
            return False
        if not self.pacer.is_behind:
            return True
        now = time.monotonic()
        if now - self._positions_at < POSITIONS_BEHIND_S:
            return False
        self._positions_at = now
        return True

    def _take_frame(self, parcel: FrameParcel) -> None:
        key = parcel.key
        watch = self.watches.get(key.camera)
        if watch is None or key.tier not in (watch.tier, watch.fading):
            return
        if watch.fading and key.tier == watch.tier:
            self.faded.append((key.camera, watch.fading))
            watch.fading = None
        self._offer(key, parcel.message)

    def _offer(self, key: FrameKey, message: Outgoing) -> None:
        if self._outlet.is_full:
            self.pacer.hold_back(key.camera)
            return
        offer = Offer(key.camera, key.seq, len(message.payload), message)
        for one in self.pacer.offer(offer, now=time.monotonic()):
            self._outlet.put(one.item)
