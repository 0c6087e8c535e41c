"""Sessions: asked for, claimed, renewed, lost and released; numbers that are given once."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.factories import T0, CameraFactory, EnvironmentFactory, TrackingSessionFactory
from tracking.choices import ActualState, DesiredState
from tracking.models import TrackingSession
from tracking.services import (
    LEASE,
    LeaseLost,
    NotRecorded,
    SessionOpen,
    Wish,
    leases_expire,
    numbers_reserve,
    numbers_return,
    session_ask,
    session_claim,
    session_release,
    session_renew,
    session_report,
    session_seek,
    session_start,
    session_wish,
)

pytestmark = pytest.mark.django_db

LATER = T0 + LEASE + timedelta(seconds=1)


def claimed(*, worker="w1", now=T0, **session) -> TrackingSession:
    TrackingSessionFactory(**session)
    won = session_claim(worker=worker, now=now)
    assert won is not None
    return won


def state_of(session: TrackingSession) -> tuple[str, str]:
    session.refresh_from_db()
    return session.desired_state, session.actual_state


class TestStart:
    def test_session_waits_for_a_worker(self):
        session = session_start(environment=EnvironmentFactory())
        assert state_of(session) == (DesiredState.RUNNING, ActualState.WAITING)

    def test_environment_is_tracked_once(self):
        session = session_start(environment=EnvironmentFactory(name="Hall"))
        with pytest.raises(SessionOpen, match="Hall is being tracked already: stop that session first"):
            session_start(environment=session.environment)
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=T0)
        session_start(environment=session.environment)
        assert session.environment.sessions.count() == 2


class TestAsk:
    def test_stop_that_nobody_sees_takes_effect_at_once(self):
        session = TrackingSessionFactory()
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=T0)
        assert state_of(session) == (DesiredState.STOPPED, ActualState.STOPPED)
        assert session.stopped_at == T0

    def test_stop_is_left_to_the_worker_that_holds_it(self):
        session = claimed()
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=T0)
        assert state_of(session) == (DesiredState.STOPPED, ActualState.STARTING)

    def test_stop_of_a_dead_workers_session_takes_effect(self):
        session = claimed()
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=LATER)
        assert state_of(session) == (DesiredState.STOPPED, ActualState.STOPPED)
        assert (session.worker, session.lease_expires_at) == ("", None)

    @pytest.mark.parametrize("wish", [DesiredState.RUNNING, DesiredState.PAUSED])
    def test_stopped_is_final(self, wish):
        session = TrackingSessionFactory()
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=T0)
        session_ask(session=session, desired_state=wish, now=T0)
        assert state_of(session) == (DesiredState.STOPPED, ActualState.STOPPED)

    def test_pause_and_resume(self):
        session = claimed()
        session_ask(session=session, desired_state=DesiredState.PAUSED, now=T0)
        assert session_renew(session=session, now=T0) == Wish(DesiredState.PAUSED, None)
        session_ask(session=session, desired_state=DesiredState.RUNNING, now=T0)
        assert session_wish(session=session) == Wish(DesiredState.RUNNING, None)


class TestClaim:
    def test_oldest_comes_first(self):
        first, second = TrackingSessionFactory(), TrackingSessionFactory()
        assert session_claim(worker="w1", now=T0) == first
        assert session_claim(worker="w1", now=T0) == second
        assert session_claim(worker="w1", now=T0) is None

    def test_claim_is_written_down(self):
        session = claimed(worker="w7")
        session.refresh_from_db()
        assert (session.worker, session.epoch, session.lease_expires_at) == ("w7", 1, T0 + LEASE)
        assert session.actual_state == ActualState.STARTING

    def test_only_the_environments_asked_for(self):
        TrackingSessionFactory()
        mine = TrackingSessionFactory()
        slugs = [mine.environment.slug]
        assert session_claim(worker="w1", now=T0, environment_slugs=slugs) == mine
        assert session_claim(worker="w1", now=T0, environment_slugs=slugs) is None

    def test_stopped_and_held_sessions_are_left_alone(self):
        TrackingSessionFactory(desired_state=DesiredState.STOPPED)
        claimed()
        assert session_claim(worker="w2", now=T0 + LEASE) is None

    def test_paused_sessions_are_held_too(self):
        session = TrackingSessionFactory(desired_state=DesiredState.PAUSED)
        assert session_claim(worker="w1", now=T0) == session

    def test_dead_workers_session_moves_on(self):
        lost = claimed(worker="w1")
        taken = session_claim(worker="w2", now=LATER)
        assert taken == lost
        assert taken is not None
        assert (taken.worker, taken.epoch) == ("w2", 2)


class TestLease:
    def test_renewing_keeps_it(self):
        session = claimed()
        at = T0 + timedelta(seconds=5)
        assert session_renew(session=session, now=at) == Wish(DesiredState.RUNNING, None)
        assert session_claim(worker="w2", now=T0 + LEASE + timedelta(seconds=1)) is None
        assert session_claim(worker="w2", now=at + LEASE + timedelta(seconds=1)) == session

    @pytest.mark.parametrize(
        "act",
        [
            lambda session: session_renew(session=session, now=LATER),
            lambda session: session_wish(session=session),
            lambda session: session_report(session=session, state=ActualState.RUNNING),
        ],
    )
    def test_lost_lease_is_told(self, act):
        session = claimed(worker="w1")
        session_claim(worker="w2", now=LATER)
        with pytest.raises(LeaseLost, match=f"session {session.pk} is no longer held by w1"):
            act(session)

    def test_worker_of_the_same_name_is_another_one(self):
        session = claimed(worker="w1")
        session_claim(worker="w1", now=LATER)
        with pytest.raises(LeaseLost):
            session_renew(session=session, now=LATER)

    def test_deleted_session_is_a_lost_one(self):
        session = claimed()
        TrackingSession.objects.all().delete()
        with pytest.raises(LeaseLost):
            session_renew(session=session, now=T0)

    def test_report_is_shown(self):
        session = claimed()
        session_report(session=session, state=ActualState.RUNNING, message="x" * 400, started_at=T0)
        session.refresh_from_db()
        assert (session.actual_state, len(session.message), session.started_at) == ("running", 300, T0)

    def test_released_session_waits_for_the_next_worker(self):
        session = claimed()
        session_release(session=session, now=T0, message="worker stopped")
        assert state_of(session) == (DesiredState.RUNNING, ActualState.WAITING)
        assert (session.message, session.worker) == ("worker stopped", "")
        assert session_claim(worker="w2", now=T0) == session

    def test_released_after_a_stop_it_is_over(self):
        session = claimed()
        session_ask(session=session, desired_state=DesiredState.STOPPED, now=T0)
        session_release(session=session, now=LATER)
        assert state_of(session) == (DesiredState.STOPPED, ActualState.STOPPED)
        assert session.stopped_at == LATER

    def test_release_of_a_lost_lease_changes_nothing(self):
        session = claimed(worker="w1")
        session_claim(worker="w2", now=LATER)
        session_release(session=session, now=LATER)
        session.refresh_from_db()
        assert (session.worker, session.actual_state) == ("w2", ActualState.STARTING)


class TestExpiry:
    def test_silent_workers_sessions_wait_or_are_stopped(self):
        running, stopping = claimed(), claimed()
        session_ask(session=stopping, desired_state=DesiredState.STOPPED, now=T0)
        alive = TrackingSessionFactory(
            worker="w9", lease_expires_at=LATER + LEASE, actual_state=ActualState.STARTING
        )
        assert leases_expire(now=LATER) == 2
        assert state_of(running) == (DesiredState.RUNNING, ActualState.WAITING)
        assert running.message == "its worker went silent"
        assert state_of(stopping) == (DesiredState.STOPPED, ActualState.STOPPED)
        assert state_of(alive) == (DesiredState.RUNNING, ActualState.STARTING)
        assert leases_expire(now=LATER) == 0

    def test_nothing_expires_where_nothing_is_held(self):
        TrackingSessionFactory()
        assert leases_expire(now=LATER) == 0


def test_a_session_costs_few_queries(django_assert_max_num_queries):
    TrackingSessionFactory()
    with django_assert_max_num_queries(3):
        session = session_claim(worker="w1", now=T0)
    assert session is not None
    with django_assert_max_num_queries(2):
        session_renew(session=session, now=T0)


class TestNumbers:
    def test_numbers_begin_at_one_and_go_on(self):
        assert numbers_reserve(name="person", count=3) == range(1, 4)
        assert numbers_reserve(name="person", count=1) == range(4, 5)
        assert numbers_reserve(name="track", count=2) == range(1, 3)

    def test_no_numbers_are_none(self):
        assert list(numbers_reserve(name="person", count=0)) == []

    def test_last_numbers_can_be_returned(self):
        numbers_reserve(name="person", count=10)
        assert numbers_return(name="person", unused=range(6, 11))
        assert numbers_reserve(name="person", count=1) == range(6, 7)
        assert not numbers_return(name="person", unused=range(3, 5))
        assert not numbers_return(name="person", unused=range(7, 7))
        assert numbers_reserve(name="person", count=1) == range(7, 8)


class TestNumbersOfAnyCount(TestCase):
    @given(st.lists(st.integers(0, 1000), max_size=10))
    def test_numbers_follow_each_other(self, counts):
        taken = [number for count in counts for number in numbers_reserve(name="any", count=count)]
        assert taken == list(range(1, sum(counts) + 1))


@pytest.mark.parametrize(
    "url", ["images:///videos/hall", "file:///videos/hall.mp4?loop=60", "/videos/hall.mp4"]
)
def test_seek_says_when_the_recordings_had_begun(url):
    session = claimed()
    CameraFactory(environment=session.environment, source_url=url)
    CameraFactory(environment=session.environment, source_url="rtsp://camera/", enabled=False)
    session_seek(session=session, position_s=90.5, now=LATER)
    began_at = LATER - timedelta(seconds=90.5)
    assert session.recordings_began_at == began_at
    assert session_wish(session=session) == Wish(DesiredState.RUNNING, began_at)


@pytest.mark.parametrize("url", ["rtsp://camera/", "https://camera/video.mjpg", "sim://plaza/c1"])
def test_nobody_seeks_in_the_present(url):
    session = claimed()
    CameraFactory(environment=session.environment, source_url="images:///videos/hall")
    CameraFactory(environment=session.environment, source_url=url, name="Door")
    with pytest.raises(NotRecorded, match="Door is no recording"):
        session_seek(session=session, position_s=1.0, now=T0)
    assert session_wish(session=session) == Wish(DesiredState.RUNNING, None)
