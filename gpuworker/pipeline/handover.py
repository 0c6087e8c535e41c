"""Which camera has a person: it keeps them until it has not seen them for a while and another one does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

HANDED_OVER_AFTER = timedelta(seconds=2)  # a camera that misses somebody for a moment still has them


@dataclass(slots=True)
class _Holder:
    """The camera that has a person, and when it saw them last."""

    camera: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Handover:
    """A camera that takes a person over; ``before`` had them, None for the first one."""

    before: str | None
    camera: str


class Holders:
    """Remembers, by person number, the camera that has them."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._holders: dict[int, _Holder] = {}

    def see(self, number: int, at: datetime, cameras: Sequence[str]) -> Handover | None:
        """Take in that cameras see a person; give who took them over, None while the same camera has them.

        Of several cameras the one that has somebody keeps them, until it has not seen them for a while; then the first
        of the others takes over. It can be a while later, in another track: cameras need not overlap.
        """
        if not cameras:
            return None
        holder = self._holders.get(number)
        if holder is not None and holder.camera in cameras:
            holder.seen_at = at
            return None
        if holder is not None and at - holder.seen_at < HANDED_OVER_AFTER:
            return None
        self._holders[number] = _Holder(cameras[0], at)
        return Handover(None if holder is None else holder.camera, cameras[0])

    def rename(self, previous: Mapping[int, int]) -> None:
        """Let what is remembered follow people who get other numbers: the one before, by the one from now on."""
        moved = {number: self._holders.pop(before, None) for number, before in previous.items()}
        for number, holder in moved.items():
            if holder is None:
                self._holders.pop(number, None)
            else:
                self._holders[number] = holder

    def recognise(self, newcomer: int, number: int) -> None:
        """Let a newcomer be somebody known: the camera that had them before counts."""
        holder = self._holders.pop(newcomer, None)
        if holder is not None:
            self._holders.setdefault(number, holder)

    def forget(self, number: int) -> None:
        """Forget a person."""
        self._holders.pop(number, None)

    def forget_before(self, at: datetime) -> None:
        """Forget whom no camera has seen since."""
        self._holders = {n: holder for n, holder in self._holders.items() if holder.seen_at >= at}

    def copy(self) -> Self:
        """Give the same, to be changed apart."""
        made = type(self)()
        made._holders = {number: replace(holder) for number, holder in self._holders.items()}
        return made
