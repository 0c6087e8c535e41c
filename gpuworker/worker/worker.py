"""The worker: claims tracking sessions and carries them out.

Two threads share the work. The loop, on the thread that calls :meth:`Worker.run`, takes frames, tracks and hands
the results to the sinks; it never touches the database. The control thread claims sessions, renews leases, obeys
what is asked of sessions, and writes states.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from django.db import DatabaseError, connection

from gpuworker.pipeline.seams import AcceleratorLostError
from gpuworker.worker.claim import Claim
from gpuworker.worker.garbage import garbage_search_shorten
from gpuworker.worker.parts import Parts
from gpuworker.worker.run import SessionRun
from tracking.choices import ActualState, DesiredState
from tracking.models import TrackingSession
from tracking.services import LeaseLost, session_ask, session_claim, session_release

logger = logging.getLogger(__name__)

CONTROL_S = 0.4  # between two looks at what is asked: a wish is obeyed within a second
LONGEST_IDLE_S = 0.2  # a signal is noticed within this
MESSAGE_LENGTH = 300  # of what is stored of a session
STUCK_S = 30.0  # a loop that is silent for so long leaves its sessions to other workers


class WorkerCrashedError(RuntimeError):
    """The worker ended by a fault of its own."""


class Worker:
    """Carries out tracking sessions until it is stopped."""

    def __init__(
        self,
        *,
        name: str,
        environment_slugs: Sequence[str] = (),
        once: bool = False,
        parts: Parts | None = None,
    ) -> None:
        """Begin with nothing claimed.

        Args:
            name: of this worker, for people to read.
            environment_slugs: the only environments to carry out; empty for all.
            once: end when recordings have ended and nothing is left to claim.
            parts: what sessions are built from.
        """
        self._name = name
        self._environment_slugs = tuple(environment_slugs)
        self._once = once
        self._parts = parts or Parts()
        self.claims: tuple[Claim, ...] = ()  # replaced, never changed: two threads look at it
        self._has_failed = False
        self._has_crashed = False
        self._lost: AcceleratorLostError | None = None
        self._wake = threading.Event()
        self._is_stopping = False
        self._is_asking = False  # while the database thinks about an answer, leases are taken to be good
        self._is_database_away = False
        self._is_stuck = False
        self._beat_s = time.monotonic()

    def stop(self) -> None:
        """Ask the worker to end; sets a flag and nothing else, so that a signal handler may call it."""
        self._is_stopping = True

    def run(self) -> None:
        """Work until stopped, or until all is done where that was asked for.

        Raises:
            AcceleratorLostError: the accelerator failed; a new process may use it again.
            WorkerCrashedError: the control thread came to an end that nobody foresaw; its log says more.
        """
        control = threading.Thread(target=self._control, name="control")
        control.start()
        try:
            while not self._is_stopping:
                self._wake.clear()
                wait_s = self.step()
                self._wake.wait(wait_s)
        finally:
            self._is_stopping = True
            control.join()
        if self._lost is not None:
            raise self._lost
        if self._has_crashed:
            raise WorkerCrashedError("the worker ended by a fault of its own: see its log")

    def step(self) -> float:
        """Give every session its turn; give the seconds until the next may be due."""
        self._beat_s = time.monotonic()
        now = self._parts.clock()
        wait_s = LONGEST_IDLE_S
        for claim in self.claims:
            try:
                idle_s = claim.tick(now, presumed=self._is_asking)
            except AcceleratorLostError as error:
                self._lose(error)
            except Exception as error:
                logger.exception("Session %s failed", claim.session)
                claim.fail(f"{type(error).__name__}: {error}")
            else:
                wait_s = wait_s if idle_s is None else min(wait_s, idle_s)
        return wait_s

    def _lose(self, error: AcceleratorLostError) -> None:
        """End: what this process had on the accelerator is gone, and no wrong results may come of it."""
        logger.error("%s: the worker ends, another one or this one started again goes on", error)
        self._lost = error
        self._is_stopping = True

    def attend(self, now: datetime) -> None:
        """Renew what is held, obey what is asked, and claim what is free; nothing while the loop is stuck."""
        was_stuck, self._is_stuck = self._is_stuck, time.monotonic() - self._beat_s > STUCK_S
        if self._is_stuck:
            if not was_stuck:
                logger.error("The loop is stuck: its sessions are left to other workers")
            return
        self._is_asking = True
        try:
            for claim in self.claims:
                self._attend_claim(claim, now)
            self._claim(now)
        except DatabaseError as error:
            self._presume(error, self._parts.clock())
            return
        finally:
            self._is_asking = False
        if self._is_database_away:
            self._is_database_away = False
            logger.info("The database is back: leases are renewed")

    def close(self, now: datetime) -> None:
        """End everything, write out what is waiting, and give all leases back."""
        for claim in self.claims:
            claim.stop_reading()
        for claim in self.claims:
            try:
                self._end(claim, now, message=str(self._lost or "its worker was stopped")[:MESSAGE_LENGTH])
            except DatabaseError as error:
                logger.warning("Session %s is held until its lease expires: %s", claim.session, error)

    def _control(self) -> None:
        try:
            while not self._is_stopping:
                self.attend(self._parts.clock())
                self._rest()
        except Exception:
            logger.exception("The control thread failed")
            self._has_crashed = True
        finally:
            self._is_stopping = True
            self.close(self._parts.clock())
            connection.close()

    def _rest(self) -> None:
        until_s = time.monotonic() + CONTROL_S
        while not self._is_stopping and time.monotonic() < until_s:
            time.sleep(0.05)

    def _claim(self, now: datetime) -> None:
        """Claim one session; one that failed is not tried again by a worker that is to end."""
        session = None
        if not (self._once and self._has_failed):
            session = session_claim(worker=self._name, now=now, environment_slugs=self._environment_slugs)
        if session is not None:
            logger.info("Claimed session %s", session)
            build = partial(self._build, session)
            self.claims += (Claim(session, now=now, build=build),)
        elif self._once and not self.claims:
            self._is_stopping = True

    def _build(self, session: TrackingSession, were_up: Mapping[str, bool]) -> SessionRun:
        run = SessionRun(
            session,
            parts=self._parts,
            wake=self._wake.set,
            were_up=were_up,
        )
        garbage_search_shorten()  # with what the session's backends have loaded
        return run

    def _attend_claim(self, claim: Claim, now: datetime) -> None:
        try:
            wish = claim.lease.check(now)
            if wish.state == DesiredState.STOPPED:
                self._end(claim, now)
            elif claim.failure:
                self._give_up(claim, now)
            elif claim.run is not None and claim.run.is_over(even_failed=self._once):
                session_ask(session=claim.session, desired_state=DesiredState.STOPPED, now=now)
                self._end(claim, now, message="all recordings have ended")
            else:
                claim.obey(wish)
                claim.follow_changes()
        except LeaseLost as error:
            logger.warning("Lost: %s", error)
            self._forget(claim)
            claim.close(farewell=False)

    def _give_up(self, claim: Claim, now: datetime) -> None:
        self._has_failed = True
        claim.give_up()
        if self._once or time.monotonic() >= claim.give_back_s:
            self._end(claim, now, message=claim.failure)

    def _end(self, claim: Claim, now: datetime, message: str = "") -> None:
        if claim.run is not None:
            claim.run.live.show_session(state=ActualState.STOPPED, message=message)
        self._forget(claim)
        claim.close()
        session_release(session=claim.session, now=now, message=message)

    def _forget(self, claim: Claim) -> None:
        self.claims = tuple(other for other in self.claims if other is not claim)

    def _presume(self, error: DatabaseError, now: datetime) -> None:
        if not self._is_database_away:
            self._is_database_away = True
            logger.warning("The database is away (%s): tracking goes on, nothing is claimed", error)
        connection.close()  # the next attempt gets a fresh one
        for claim in self.claims:
            claim.lease.presume(now)
