"""The messages that say how sessions, cameras and the system are doing."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tracking.live import dumps, isoformat


def status(
    *,
    at: datetime,
    session: Mapping[str, Any] | None,
    cameras: Sequence[Mapping[str, Any]],
    stages: Mapping[str, Mapping[str, float]] | None = None,
    storage: Mapping[str, Any] | None = None,
    gpus: Sequence[Mapping[str, Any]] = (),
    overload: Mapping[str, Any] | None = None,
) -> str:
    """Write how the session and its cameras are doing.

    Args:
        at: now.
        session: ``{"id", "state", "message", "worker", "recordings"}``; where all its cameras are recordings, the
            last is ``{"position_s", "speed"}``: seconds from their beginning, and how many pass in one.
        cameras: each ``{"id", "state", "message", "fps", "dropped_fps", "age_ms", "age_p95_ms", "innovation",
            "unexplained", "shift"}``; dropped are frames that newer ones overtook; ages are those of its frames at
            publication over the last seconds, p50 and p95; innovation
            is 1 where its boxes lie as far off as assumed, unexplained the share that belongs to nobody; shift is
            how far its pictures lie beside its calibration, ``{"px": [right, down], "m": [x, y]}``, null while
            that is not known.
        stages: ``{"detect": {"p50_ms", "p95_ms"}, ...}`` over the last seconds.
        storage: what waits for the database, ``{"backlog_rows", "memory_rows", "oldest_s", "spool_bytes",
            "dropped_rows"}``: rows, those of them in memory because the disk took no more, the age of the oldest in
            seconds (None where nothing waits), bytes on disk, and rows lost because there was no room.
        gpus: the worker's, each ``{"name", "used_mb", "total_mb"}``.
        overload: how far things are made cheaper to keep up, ``{"step", "steps", "name"}``; None where nobody says.
    """
    return dumps(
        {
            "type": "status",
            "at": isoformat(at),
            "session": session,
            "cameras": list(cameras),
            "stages": dict(stages or {}),
            "storage": None if storage is None else dict(storage),
            "gpus": list(gpus),
            "overload": None if overload is None else dict(overload),
        }
    )


def system_status(
    *,
    at: datetime,
    sessions: Sequence[Mapping[str, Any]],
    cameras: Sequence[Mapping[str, Any]],
    stages: Mapping[str, Mapping[str, Any]],
    storage: Mapping[str, Any],
    queues: Mapping[str, int],
    gpus: Mapping[str, Any],
) -> str:
    """Write how everything is doing that somebody may oversee.

    Args:
        at: now.
        sessions: each ``{"environment", "id", "state", "message", "worker"}``; a worker is shown with those it holds.
        cameras: as in :func:`status`, each with its ``environment``; figures are None while no worker tells them.
        stages, storage: as in :func:`status`, by environment; of those alone whose worker tells them.
        queues: tasks that wait, by the queue's name.
        gpus: as in :func:`status`, by worker.
    """
    workers: dict[str, list[int]] = {}
    for session in sessions:
        if session["worker"]:
            workers.setdefault(session["worker"], []).append(session["id"])
    return dumps(
        {
            "type": "status",
            "at": isoformat(at),
            "workers": [
                {"name": name, "sessions": held, "gpus": gpus.get(name, [])}
                for name, held in sorted(workers.items())
            ],
            "sessions": list(sessions),
            "cameras": list(cameras),
            "stages": dict(stages),
            "storage": dict(storage),
            "queues": dict(queues),
        }
    )
