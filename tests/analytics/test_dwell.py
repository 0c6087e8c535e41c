"""How long people stay in areas, on every database."""

from datetime import timedelta

import pytest

from analytics.dwell import BINS_S, dwell
from tests.factories import T0, PersonFactory, TrackEventFactory, TrackFactory, ZoneFactory
from tests.tracking.test_databases import (  # noqa: F401 - fixtures, and the hook that makes one test of each kind
    database_url,
    pytest_generate_tests,
    server,
)
from tracking.choices import EventKind

pytestmark = pytest.mark.usefixtures("server")


def at(seconds: float):
    return T0 + timedelta(seconds=seconds)


class Shop:
    """An area, in which people enter and leave."""

    def __init__(self):
        self.zone = ZoneFactory(key="shop")
        self.environment = self.zone.environment
        self.first = TrackFactory(session__environment=self.environment, ended_at=at(10_000))
        ZoneFactory(
            environment=self.environment, key="door", kind="line", points_m=[[0, 0], [1, 0]], capacity=None
        )

    def track(self, person=None, *, seen_s: float = 10_000.0):
        person = person or PersonFactory(environment=self.environment)
        return TrackFactory(session=self.first.session, person=person, ended_at=at(seen_s))

    def enter(self, seconds: float, track, zone=None) -> None:
        self._event(EventKind.ZONE_ENTER, seconds, track, zone, {})

    def leave(self, seconds: float, track, *, dwell_s: float, zone=None) -> None:
        self._event(EventKind.ZONE_LEAVE, seconds, track, zone, {"dwell_s": dwell_s})

    def visit(self, seconds: float, dwell_s: float, track=None) -> None:
        track = track or self.track()
        self.enter(seconds, track)
        self.leave(seconds + dwell_s, track, dwell_s=dwell_s)

    def _event(self, kind, seconds, track, zone, payload) -> None:
        TrackEventFactory(
            environment=self.environment,
            kind=kind,
            zone=zone or self.zone,
            track=track,
            person=track.person,
            time=at(seconds),
            payload=payload,
        )

    def ask(self, *, since_s: float = 0.0, until_s: float = 3600.0):
        (found,) = dwell(environment=self.environment, since=at(since_s), until=at(until_s))
        return found

    def quantiles(self, **given: float):
        found = self.ask(**given)
        return found.p25_s, found.median_s, found.p75_s, found.p90_s


def test_area_that_nobody_entered_has_no_quantiles():
    shop = Shop()
    found = shop.ask()
    assert (found.zone, found.open, found.ended) == ("shop", 0, 0)
    assert shop.quantiles() == (None,) * 4
    assert [(b.from_s, b.open, b.ended) for b in found.histogram] == [(s, 0, 0) for s in BINS_S]
    assert found.histogram[-1].to_s is None


def test_visits_that_ended_are_counted_as_the_leaving_says():
    shop = Shop()
    for begin_s, dwell_s in ((0, 5.0), (10, 20.0), (20, 40.0), (30, 4000.0)):
        shop.visit(begin_s, dwell_s)
    found = shop.ask(until_s=9000.0)
    assert (found.open, found.ended) == (0, 4)
    assert shop.quantiles(until_s=9000.0) == (5.0, 20.0, 40.0, 4000.0)
    counted = {b.from_s: b.ended for b in found.histogram if b.ended}
    assert counted == {0.0: 1, 10.0: 1, 30.0: 1, 3600.0: 1}


def test_who_has_not_left_stays_longer_than_so_far():
    shop = Shop()
    shop.visit(0, 10.0)
    shop.enter(100, shop.track(seen_s=120.0))  # was last seen 20 s later: its worker was killed, say
    shop.visit(200, 30.0)
    shop.enter(3000, shop.track())  # is there yet
    found = shop.ask()
    assert (found.open, found.ended) == (2, 2)
    assert {b.from_s: b.open for b in found.histogram if b.open} == {10.0: 1, 600.0: 1}
    # one of four at 10, then one of the two that are left at 30
    assert shop.quantiles() == (10.0, 30.0, None, None)


def test_who_left_after_the_end_had_not_left_yet():
    shop = Shop()
    shop.visit(3500, 300.0)
    assert (shop.ask().open, shop.ask(until_s=4000).ended) == (1, 1)
    assert [b.open for b in shop.ask().histogram].index(1) == BINS_S.index(60.0)


def test_visits_that_began_before_are_not_counted():
    shop = Shop()
    shop.visit(-10, 60.0)
    shop.visit(10, 20.0)
    assert (shop.ask().open, shop.ask().ended) == (0, 1)


def test_visit_goes_on_in_another_track_and_under_another_number():
    shop = Shop()
    first = shop.track()
    shop.enter(10, first)
    shop.leave(40, shop.track(first.person), dwell_s=30.0)  # hidden for a moment
    second = shop.track()
    shop.enter(50, second)
    second.person = PersonFactory(environment=shop.environment)  # somebody else after all
    shop.leave(110, second, dwell_s=60.0)
    assert (shop.ask().open, shop.ask().ended) == (0, 2)
    assert shop.quantiles()[:3] == (30.0, 30.0, 60.0)


def test_who_comes_again_makes_another_visit():
    shop = Shop()
    track = shop.track()
    for begin_s in (0, 100, 200):
        shop.visit(begin_s, 10.0, track)
    assert (shop.ask().open, shop.ask().ended) == (0, 3)


def test_areas_and_places_are_kept_apart():
    shop, other = Shop(), Shop()
    cafe = ZoneFactory(environment=shop.environment, key="cafe")
    track = shop.track()
    shop.enter(0, track)
    shop.enter(1, track, cafe)
    shop.leave(61, track, dwell_s=60.0, zone=cafe)
    other.visit(0, 10.0)
    asked = {"environment": shop.environment, "since": at(0), "until": at(3600)}
    assert [(row.zone, row.open, row.ended) for row in dwell(**asked)] == [("cafe", 0, 1), ("shop", 1, 0)]
    assert [row.zone for row in dwell(**asked, zone="shop")] == ["shop"]
    assert dwell(**asked, zone="door") == []
