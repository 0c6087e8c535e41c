"""A session that this worker holds: its lease, and what carries it out once that is built."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import connection

from gpuworker.backends import BackendError
from gpuworker.worker.lease import Lease
from gpuworker.worker.parts import setup_of
from gpuworker.worker.run import NoCamerasError, SessionRun
from tracking.choices import ActualState, DesiredState
from tracking.models import TrackingSession
from tracking.services import Wish, session_put_off, session_report

logger = logging.getLogger(__name__)

LOOK_S = 2.0  # between two looks whether cameras or zones changed
RETRY_S = 10.0  # a failed session is given back after this


class Claim:
    """One claimed session, attended to by the control thread.

    Attributes:
        session, lease: what is held.
        run: what carries it out; None while that is being built and after it failed.
        failure: why it cannot be carried out; empty while it can.
    """

    def __init__(
        self,
        session: TrackingSession,
        *,
        now: datetime,
        build: Callable[[Mapping[str, bool]], SessionRun],
    ) -> None:
        """Begin to build; ``build`` is told of each camera that was seen before whether it was up."""
        self.session = session
        self.lease = Lease(session, now=now)
        self.run: SessionRun | None = None
        self.failure = ""
        self.give_back_s = float("inf")
        self._make = build
        self._reported = ActualState.STARTING
        self._is_closed = False
        self._building = threading.Lock()
        self._looked_s = time.monotonic()
        self._begin({})

    def tick(self, now: datetime, *, presumed: bool) -> float | None:
        """Give the session its turn if its lease is good or presumed so.

        Returns:
            For how long nothing else is to do; None where it has no say.
        """
        run = self.run
        if run is None or self.failure or not (presumed or self.lease.is_held(now)):
            return None
        return run.tick(time.monotonic())

    def fail(self, message: str) -> None:
        """Note that the session cannot be carried out; the control thread does the rest."""
        self.failure = message

    def obey(self, wish: Wish) -> None:
        """Seek, pause or resume, write what changed, and say so.

        Raises:
            LeaseLost: another worker holds the session.
            DatabaseError: the database is away.
        """
        run = self.run
        if run is None:
            return
        place = wish.recordings_began_at, wish.recordings_speed
        if place != (self.session.recordings_began_at, self.session.recordings_speed):
            self.session.recordings_began_at, self.session.recordings_speed = place
            if wish.recordings_began_at is not None:
                run.seek(wish.recordings_began_at, speed=wish.recordings_speed)
        if run.is_paused != (wish.state == DesiredState.PAUSED):
            run.resume() if run.is_paused else run.pause()
            if run.is_recorded and not run.is_paused:
                session_put_off(session=self.session, began_at=run.began_at)
        state = ActualState.PAUSED if run.is_paused else ActualState.RUNNING
        if state != self._reported:
            session_report(
                session=self.session, state=state, started_at=self.session.started_at or run.started_at
            )
            run.live.show_session(state=state, message="")
            self._reported = state
        run.states.save()

    def follow_changes(self) -> None:
        """Build anew when somebody changed the cameras, their calibrations or the zones; ask seldom.

        Raises:
            DatabaseError: the database is away.
        """
        now_s = time.monotonic()
        if self.run is None or now_s - self._looked_s < LOOK_S:
            return
        self._looked_s = now_s
        if setup_of(self.session.environment_id) == self.run.setup:
            return
        logger.info("Cameras or zones of session %s changed: built anew", self.session)
        run, self.run = self.run, None
        run.close(farewell=False)
        run.hand_back_numbers()
        run.states.switch_off()
        run.states.save()
        self._reported = ActualState.STARTING
        self._begin(run.states.were_up)

    def give_up(self) -> None:
        """Stop carrying the session out, say why, and hold it for a while so that it is not tried again at once.

        Raises:
            LeaseLost: another worker holds the session.
            DatabaseError: the database is away.
        """
        if self.give_back_s < float("inf"):
            return
        session_report(session=self.session, state=ActualState.FAILED, message=self.failure)
        logger.error("Session %s failed: %s", self.session, self.failure)
        if self.run is not None:
            self.run.live.show_session(state=ActualState.FAILED, message=self.failure)
        self.give_back_s = time.monotonic() + RETRY_S
        self.close()

    def stop_reading(self) -> None:
        """Let go of the cameras: the first half of closing, which several sessions can do at once."""
        if self.run is not None:
            self.run.stop_reading()

    def close(self, *, farewell: bool = True) -> None:
        """Stop everything within a bounded time and write out what is waiting.

        Raises:
            DatabaseError: everything is stopped, but the cameras' last states could not be written.
        """
        with self._building:
            self._is_closed = True
            run, self.run = self.run, None
        if run is not None:
            run.close(farewell=farewell)
            run.hand_back_numbers()
            if farewell:
                run.states.save()

    def _begin(self, were_up: Mapping[str, bool]) -> None:
        """Build on a thread of its own: loading a model takes longer than the leases of other sessions last."""
        name = f"start {self.session.pk}"
        threading.Thread(target=self._build, args=(were_up,), name=name, daemon=True).start()

    def _build(self, were_up: Mapping[str, bool]) -> None:
        try:
            run = self._make(were_up)
        except (NoCamerasError, BackendError) as error:
            self.fail(str(error))
        except Exception as error:
            logger.exception("Session %s could not be started", self.session)
            self.fail(f"{type(error).__name__}: {error}")
        else:
            with self._building:
                if not self._is_closed:
                    self.run = run
            if self.run is not run:
                run.close(farewell=False)
        finally:
            connection.close()
