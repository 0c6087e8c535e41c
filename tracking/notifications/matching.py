"""Whether something that happened is what a rule waits for: pure, so that it can be proved case by case."""

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo


class Happening(NamedTuple):
    """An event as rules see it; in order of time."""

    at: datetime
    event_id: UUID
    kind: str
    zone_id: int | None = None
    camera_id: int | None = None

    @property
    def place(self) -> tuple[int | None, int | None]:
        """Give where it was: what counts and cools down apart from other places."""
        return self.zone_id, self.camera_id


@dataclass(frozen=True, slots=True)
class Hours:
    """Days and hours by the clock on the wall of a place.

    Attributes:
        days: 0 for Monday to 6 for Sunday.
        begin, end: of each day, the end not included; None for all of it. Where the end is not after the beginning it
            is the next day's, and belongs to the day on which it begins.
        zone: of the place. The hour that comes twice in autumn counts twice, the one that is left out in spring never.
    """

    days: frozenset[int]
    begin: time | None
    end: time | None
    zone: ZoneInfo

    def hold(self, at: datetime) -> bool:
        """Say whether an instant lies within them."""
        local = at.astimezone(self.zone)
        today, clock = local.weekday(), local.time()
        if self.begin is None or self.end is None:
            return today in self.days
        if self.begin < self.end:
            return today in self.days and self.begin <= clock < self.end
        if clock >= self.begin:
            return today in self.days
        return clock < self.end and (today - 1) % 7 in self.days


@dataclass(frozen=True, slots=True)
class Pattern:
    """What a rule waits for.

    Attributes:
        kinds: of events.
        zones, cameras: the only ones that count, together; both empty for anywhere.
        hours: when.
        count, window: so many within so long, its ends included, at one place.
        cooldown: for so long after an alert, and before it, the same place raises none.
    """

    kinds: Collection[str]
    zones: Collection[int]
    cameras: Collection[int]
    hours: Hours
    count: int
    window: timedelta
    cooldown: timedelta

    @property
    def reach(self) -> timedelta:
        """Give how far before and after an event others matter to it."""
        return max(self.window if self.count > 1 else timedelta(0), self.cooldown)

    def fits(self, happening: Happening) -> bool:
        """Say whether an event is of the kind, at the place and within the hours."""
        anywhere = not self.zones and not self.cameras
        return (
            happening.kind in self.kinds
            and (anywhere or happening.zone_id in self.zones or happening.camera_id in self.cameras)
            and self.hours.hold(happening.at)
        )


class PlaceTally:
    """What a pattern's alerts and events at one place are, around some stretch of time."""

    def __init__(
        self, pattern: Pattern, *, happenings: Iterable[Happening] = (), alerts: Iterable[datetime] = ()
    ) -> None:
        """Begin with what is known: events that fit (needed for counts alone), and alerts that were raised."""
        self._pattern = pattern
        self._happenings = sorted(set(happenings))
        self._alerts = sorted(alerts)

    def judge(self, happening: Happening) -> Happening | None:
        """Take in an event that fits; give the one that completes an alert, the event itself or one close to it.

        It does not matter in which order events come: so many within so long raise an alert once the last of them is
        known. Events up to an alert, for as long as a window before it, count no more.
        """
        completing = self._completing(happening)
        if completing is None or self._is_cool(completing.at):
            return None
        insort(self._alerts, completing.at)
        return completing

    def _completing(self, happening: Happening) -> Happening | None:
        count, window = self._pattern.count, self._pattern.window
        if count == 1:
            return happening
        index = bisect_left(self._happenings, happening)
        if index == len(self._happenings) or self._happenings[index] != happening:
            self._happenings.insert(index, happening)
        if self._is_used(happening.at):
            return None
        before = self._free(range(index - 1, -1, -1), happening.at)
        after = self._free(range(index + 1, len(self._happenings)), happening.at)
        near = [*reversed(before), happening, *after]
        for first in range(len(near) - count + 1):
            if near[first + count - 1].at - near[first].at <= window:
                return near[first + count - 1]
        return None

    def _free(self, places: Iterable[int], at: datetime) -> list[Happening]:
        """Give the nearest events, along places in order, that may count together with one at an instant."""
        found: list[Happening] = []
        for place in places:
            other = self._happenings[place]
            if len(found) == self._pattern.count - 1 or abs(other.at - at) > self._pattern.window:
                break
            if not self._is_used(other.at):
                found.append(other)
        return found

    def _is_used(self, at: datetime) -> bool:
        nearest = bisect_left(self._alerts, at)
        return nearest < len(self._alerts) and self._alerts[nearest] - at <= self._pattern.window

    def _is_cool(self, at: datetime) -> bool:
        """Say whether an alert is too close; either side, since the later one may have come first."""
        nearest = bisect_left(self._alerts, at)
        neighbours: Sequence[datetime] = self._alerts[max(0, nearest - 1) : nearest + 1]
        return any(abs(at - other) < self._pattern.cooldown for other in neighbours)
