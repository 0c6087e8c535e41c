"""The right to carry out a session, renewed long before it ends."""

from datetime import datetime

from tracking.models import TrackingSession
from tracking.services import LEASE, Wish, session_renew, session_wish


class Lease:
    """One session's lease, by the wall clock that all workers share."""

    def __init__(self, session: TrackingSession, *, now: datetime) -> None:
        """Begin with a lease that was just taken."""
        self._session = session
        self._renewed_at = now
        self._held_until = now + LEASE

    def check(self, now: datetime) -> Wish:
        """Renew the lease when a third of it is over, and say what the session is asked to do.

        Raises:
            LeaseLost: another worker holds it.
            DatabaseError: the database is away.
        """
        if now - self._renewed_at < LEASE / 3:
            return session_wish(session=self._session)
        wish = session_renew(session=self._session, now=now)
        self._renewed_at, self._held_until = now, now + LEASE
        return wish

    def presume(self, now: datetime) -> None:
        """Go on while the database is away: nobody else can claim the session then either."""
        self._held_until = now + LEASE

    def is_held(self, now: datetime) -> bool:
        """Say whether the lease is good; False after a long sleep, until it is renewed."""
        return now < self._held_until
