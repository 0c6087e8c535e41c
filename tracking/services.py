"""What changes sessions and numbers; the worker's rows are written by its sink."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max, Min, Q, QuerySet

from accounts.models import User
from environments.models import Environment
from tracking import live
from tracking.announcing import announce
from tracking.choices import ActualState, DesiredState
from tracking.models import (
    Counter,
    Detection,
    EventAcknowledgement,
    Person,
    Track,
    TrackEvent,
    TrackingSession,
    TrackPoint,
)

EXPIRE_SLICE = timedelta(minutes=10)  # of a time series deleted in one transaction
EXPIRE_ROWS = 1_000  # tracks or persons deleted in one transaction
RECORDED_SCHEMES = ("file", "images", "")  # of sources that can be sought in; none is a plain path
LEASE = timedelta(seconds=10)  # a dead worker's sessions are free after this; renewed three times as often


class SessionOpen(Exception):  # noqa: N818 - a state of things, not a fault
    """The environment is being tracked already."""


class NotRecorded(Exception):  # noqa: N818 - a state of things, not a fault
    """A session has cameras that show the present, in which nobody can seek."""


class NotRunning(Exception):  # noqa: N818 - a state of things, not a fault
    """A session does not run now."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a session is asked to do.

    Attributes:
        recordings_began_at: when second 0 of its recordings is to have been; None where nobody sought.
        recordings_speed: how many of their seconds are to pass in one.
    """

    state: DesiredState
    recordings_began_at: datetime | None
    recordings_speed: float = 1.0


class Acknowledged(Exception):  # noqa: N818 - a state of things, not a fault
    """Somebody else has acknowledged an event already."""


class LeaseLost(Exception):  # noqa: N818 - a state of things, not a fault
    """Another worker holds the session, or it was deleted."""


def session_start(*, environment: Environment) -> TrackingSession:
    """Ask for an environment to be tracked.

    Raises:
        SessionOpen: it is already.
    """
    try:
        with transaction.atomic():
            return TrackingSession.objects.create(environment=environment)
    except IntegrityError as error:
        raise SessionOpen(f"{environment} is being tracked already: stop that session first") from error


def session_ask(*, session: TrackingSession, desired_state: DesiredState, now: datetime) -> None:
    """Ask a session to run, pause or stop; a stop that no worker is there to see takes effect at once."""
    with transaction.atomic():
        mine = TrackingSession.objects.filter(pk=session.pk)
        mine.exclude(desired_state=DesiredState.STOPPED).update(desired_state=desired_state)
        if desired_state == DesiredState.STOPPED:
            mine.filter(Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=now)).update(
                actual_state=ActualState.STOPPED, stopped_at=now, worker="", lease_expires_at=None
            )
    session.refresh_from_db()


def session_seek(*, session: TrackingSession, position_s: float, now: datetime) -> None:
    """Ask a session to go to a place in its recordings, in seconds from their beginning, all cameras together.

    Raises:
        NotRecorded: one of its cameras is no recording.
    """
    _check_recorded(session)
    began_at = now - timedelta(seconds=position_s / session.recordings_speed)
    TrackingSession.objects.filter(pk=session.pk).update(recordings_began_at=began_at)
    session.refresh_from_db()


def session_speed(*, session: TrackingSession, speed: float, now: datetime) -> None:
    """Ask a session to play its recordings faster or slower from where they are.

    Raises:
        NotRecorded: one of its cameras is no recording.
        NotRunning: nothing moves for now, so that nobody knows where they are.
    """
    _check_recorded(session)
    began_at = session.recordings_began_at or session.started_at
    if began_at is None or session.desired_state != DesiredState.RUNNING:
        raise NotRunning("Let it go on first: its speed can be changed while it runs")
    # second 0 lies so far back that the place of this moment stays the same
    moved = now - (now - began_at) * (session.recordings_speed / speed)
    TrackingSession.objects.filter(pk=session.pk).update(recordings_began_at=moved, recordings_speed=speed)
    session.refresh_from_db()


def session_put_off(*, session: TrackingSession, began_at: datetime) -> bool:
    """Note, for whoever goes on with a session, when its recordings began now that a pause is over.

    Does nothing, and says so, where somebody sought in the meantime or another worker holds it.
    """
    moved = _held(session).filter(recordings_began_at=session.recordings_began_at)
    if not moved.update(recordings_began_at=began_at):
        return False
    session.recordings_began_at = began_at
    return True


def is_recorded(source_url: str) -> bool:
    """Say whether a source is a recording, in which one can seek."""
    return urlsplit(source_url).scheme in RECORDED_SCHEMES


def _check_recorded(session: TrackingSession) -> None:
    for camera in session.environment.cameras.filter(enabled=True):
        if not is_recorded(camera.source_url):
            raise NotRecorded(f"{camera} is no recording: nobody can seek in it")


def session_claim(
    *, worker: str, now: datetime, environment_slugs: Sequence[str] = ()
) -> TrackingSession | None:
    """Take the lease of one session that is wanted and that nobody holds; None when there is none.

    Compare and set: of two workers that want the same session one gets it.
    """
    free = TrackingSession.objects.exclude(desired_state=DesiredState.STOPPED).filter(
        Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=now)
    )
    if environment_slugs:
        free = free.filter(environment__slug__in=environment_slugs)
    for pk, epoch in list(free.order_by("created_at").values_list("pk", "epoch")):
        claimed = free.filter(pk=pk, epoch=epoch).update(
            worker=worker,
            epoch=F("epoch") + 1,
            lease_expires_at=now + LEASE,
            actual_state=ActualState.STARTING,
            message="",
        )
        if claimed:
            return TrackingSession.objects.select_related("environment").get(pk=pk)
    return None


def session_renew(*, session: TrackingSession, now: datetime) -> Wish:
    """Renew the lease and say what the session is asked to do.

    Raises:
        LeaseLost: somebody else claimed it since.
    """
    mine = _held(session)
    if not mine.update(lease_expires_at=now + LEASE):
        raise LeaseLost(f"session {session.pk} is no longer held by {session.worker}")
    return session_wish(session=session)


def session_wish(*, session: TrackingSession) -> Wish:
    """Say what a session that is held is asked to do.

    Raises:
        LeaseLost: somebody else claimed it since.
    """
    wish = _held(session).values_list("desired_state", "recordings_began_at", "recordings_speed").first()
    if wish is None:
        raise LeaseLost(f"session {session.pk} is no longer held by {session.worker}")
    return Wish(DesiredState(wish[0]), wish[1], wish[2])


def session_report(
    *, session: TrackingSession, state: ActualState, message: str = "", started_at: datetime | None = None
) -> None:
    """Say what the session does.

    Raises:
        LeaseLost: somebody else claimed it since.
    """
    values: dict[str, object] = {"actual_state": state, "message": message[:300]}
    if started_at is not None:
        values["started_at"] = started_at
    if not _held(session).update(**values):
        raise LeaseLost(f"session {session.pk} is no longer held by {session.worker}")


def session_release(*, session: TrackingSession, now: datetime, message: str = "") -> None:
    """Give the lease back: a stopped session is over, any other waits for the next worker."""
    mine = _held(session)
    mine.filter(desired_state=DesiredState.STOPPED).update(
        actual_state=ActualState.STOPPED, stopped_at=now, message=message[:300]
    )
    mine.exclude(desired_state=DesiredState.STOPPED).update(
        actual_state=ActualState.WAITING, message=message[:300]
    )
    mine.update(worker="", lease_expires_at=None)


def leases_expire(*, now: datetime) -> int:
    """Show sessions whose worker went silent as waiting, or stopped if that was asked; give their number."""
    silent = TrackingSession.objects.filter(lease_expires_at__lt=now)
    stopped = silent.filter(desired_state=DesiredState.STOPPED).update(
        actual_state=ActualState.STOPPED, stopped_at=now, worker="", lease_expires_at=None
    )
    return stopped + silent.update(
        actual_state=ActualState.WAITING, worker="", lease_expires_at=None, message="its worker went silent"
    )


def numbers_reserve(*, name: str, count: int) -> range:
    """Take the next ``count`` numbers of a counter; nobody else ever gets them."""
    with transaction.atomic():
        Counter.objects.get_or_create(name=name)
        Counter.objects.filter(name=name).update(next_value=F("next_value") + count)
        end = Counter.objects.values_list("next_value", flat=True).get(name=name)
    return range(end - count, end)


def numbers_return(*, name: str, unused: range) -> bool:
    """Put the end of a block that nobody has seen back, unless others took numbers since; say whether it is back."""
    counter = Counter.objects.filter(name=name, next_value=unused.stop)
    return bool(unused) and counter.update(next_value=unused.start) == 1


def history_expire(*, now: datetime) -> int:
    """Delete what is older than each environment keeps, in short transactions; give the number of rows."""
    deleted = _chunks_expire(now)
    for environment in Environment.objects.all():
        cutoff = now - timedelta(days=environment.retention_days)
        series: list[QuerySet[Any]] = [
            TrackPoint.objects.filter(environment=environment),
            TrackEvent.objects.filter(environment=environment),
            *(Detection.objects.filter(camera=camera) for camera in environment.cameras.all()),
        ]
        deleted += sum(_series_expire(rows, cutoff=cutoff) for rows in series)
        seen_to = EventAcknowledgement.objects.filter(environment=environment, event_at__lt=cutoff)
        deleted += seen_to.delete()[0]
        # a track's last event comes a moment after its last point
        deleted += _people_expire(environment, cutoff=cutoff - timedelta(minutes=1))
    return deleted


def event_acknowledge(*, event: TrackEvent, by: User, note: str, now: datetime) -> EventAcknowledgement:
    """Note that somebody has seen to an event, and tell everybody who watches.

    Raises:
        Acknowledged: somebody has already.
    """
    made, is_new = EventAcknowledgement.objects.get_or_create(
        event=event,
        defaults={
            "environment_id": event.environment_id,
            "event_at": event.time,
            "at": now,
            "by": by,
            "note": note,
        },
    )
    if not is_new:
        raise Acknowledged(f"{made.by or 'somebody'} has acknowledged it at {made.at:%Y-%m-%d %H:%M} UTC")
    text = live.acknowledged(event_id=str(event.pk), at=now, by=by.username, note=note)
    transaction.on_commit(lambda: announce(environment_id=event.environment_id, text=text))
    return made


def _chunks_expire(now: datetime) -> int:
    """Drop, on TimescaleDB, whole chunks that no environment keeps: at once, where deleting rows takes long."""
    longest = Environment.objects.aggregate(days=Max("retention_days"))["days"]
    if longest is None or "timescale" not in connection.settings_dict["ENGINE"]:
        return 0
    cutoff, dropped = now - timedelta(days=longest), 0
    for model in (TrackPoint, Detection, TrackEvent):
        old: QuerySet[Any] = model.objects.filter(time__lt=cutoff)
        before = old.count()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT drop_chunks(%s::regclass, %s::timestamptz)", [model._meta.db_table, cutoff]
            )
        dropped += before - old.count()
    return dropped


def _series_expire(rows: QuerySet[Any], *, cutoff: datetime) -> int:
    """Delete rows before an instant, a slice of time at once: the one order that every database has an index for."""
    deleted = 0
    old = rows.filter(time__lt=cutoff).order_by()
    while (oldest := old.aggregate(oldest=Min("time"))["oldest"]) is not None:
        deleted += old.filter(time__lt=min(oldest + EXPIRE_SLICE, cutoff)).delete()[0]
    return deleted


def _people_expire(environment: Environment, *, cutoff: datetime) -> int:
    """Delete the tracks that ended before an instant, and persons not seen since who have none left."""
    deleted = 0
    tracks = Track.objects.filter(session__environment=environment, ended_at__lt=cutoff)
    while chunk := list(tracks.order_by("pk").values_list("pk", flat=True)[:EXPIRE_ROWS]):
        # raw: all that refers to them is gone, and looking for it would read the whole of every time series
        deleted += Track.objects.filter(pk__in=chunk)._raw_delete(using=tracks.db)
    persons = environment.persons.filter(last_seen_at__lt=cutoff, tracks__isnull=True)
    while people := list(persons.order_by("pk").values_list("pk", flat=True)[:EXPIRE_ROWS]):
        deleted += Person.objects.filter(pk__in=people).delete()[0]
    return deleted


def _held(session: TrackingSession) -> QuerySet[TrackingSession]:
    return TrackingSession.objects.filter(
        pk=session.pk, worker=session.worker, epoch=session.epoch, lease_expires_at__isnull=False
    )
