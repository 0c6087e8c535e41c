"""What the live view asks: the place, how its session is doing, and who is there."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import numpy as np
from django.conf import settings
from django.db.models import Count, Min, QuerySet
from django.urls import reverse

from accounts.rest.redis_pool import redis_at
from environments.geometry import CameraModel, Floats, GeometryError
from environments.models import Camera, CameraState, Environment, FloorPlan
from environments.selectors import camera_models, granted_users
from tracking import live
from tracking.choices import ActualState, DesiredState, EventKind
from tracking.live import isoformat
from tracking.models import Person, Track, TrackEvent, TrackingSession
from tracking.positions import redis_answers

PRESENT = timedelta(seconds=15)  # the worker writes in batches: a track this fresh may go on
QUEUES = ("celery", "models", "notifications")  # of tasks, as Celery names their lists in Redis
NO_FIGURES = dict.fromkeys(
    ("fps", "dropped_fps", "age_ms", "age_p95_ms", "innovation", "unexplained", "shift")
)
HORIZON_M = 40.0  # fields of view are drawn no further than this


def live_layout(*, environment: Environment) -> dict[str, Any]:
    """Give the place as ``hello`` describes it: ``cameras``, ``zones`` and ``floor_map``."""
    plan = FloorPlan.objects.filter(environment=environment).first()
    models = camera_models(environment=environment)
    cameras = environment.cameras.filter(enabled=True)
    return {
        "cameras": [_camera_layout(camera, models.get(camera.key), plan) for camera in cameras],
        "zones": [
            {"id": z.key, "name": z.name, "kind": z.kind, "points_m": z.points_m, "capacity": z.capacity}
            for z in environment.zones.all()
        ],
        "floor_map": None if plan is None else _plan_layout(environment, plan),
    }


def live_status(*, environment: Environment, now: datetime) -> dict[str, Any]:
    """Give what the database knows of the session and the cameras, as ``status`` describes them."""
    session = (
        TrackingSession.objects.filter(environment=environment)
        .exclude(desired_state=DesiredState.STOPPED)
        .first()
    )
    is_held = session is not None and _is_held(session, now)
    return {
        "session": None if session is None else _session_status(session, is_held=is_held),
        "cameras": [
            {
                "id": camera.key,
                "state": camera.state if is_held else CameraState.OFF.value,
                "message": camera.state_message if is_held else "",
                "fps": None,
                "age_ms": None,
            }
            for camera in environment.cameras.filter(enabled=True)
        ],
    }


def live_grants(*, environment: Environment) -> dict[str, Any]:
    """Give to whom a place is granted, ``{"granted": ids of users}``; None for ids where it exists no more."""
    return {"granted": granted_users(environment=environment)}


def present_since(*, environment: Environment, now: datetime) -> list[dict[str, Any]]:
    """Say since when those are here who are here now."""
    rows = (
        Track.objects.filter(session__environment=environment, ended_at__gte=now - PRESENT)
        .values("person__number")
        .annotate(since=Min("started_at"))
        .order_by("since")
    )
    return [{"person": row["person__number"], "since": isoformat(row["since"])} for row in rows]


def recent_events(*, environment: Environment, count: int = 40) -> list[dict[str, Any]]:
    """Give the last events, newest first, shaped as the live message."""
    rows = (
        TrackEvent.objects.filter(environment=environment)
        .select_related("person", "zone", "camera", "acknowledgement__by")
        .order_by("-time")[:count]
    )
    return [
        {
            "type": "event",
            "id": str(row.id),
            "at": isoformat(row.time),
            "kind": row.kind,
            "person": row.person.number if row.person else None,
            "zone": row.zone.key if row.zone else None,
            "camera": row.camera.key if row.camera else None,
            "payload": row.payload,
            "acknowledged": acknowledgement_shown(event=row),
        }
        for row in rows
    ]


def acknowledgement_shown(*, event: TrackEvent) -> dict[str, str] | None:
    """Say who has seen to an event; None for nobody."""
    made = getattr(event, "acknowledgement", None)
    if made is None:
        return None
    return live.acknowledgement(at=made.at, by=made.by.username if made.by else "", note=made.note)


def crossings_today(*, environment: Environment, now: datetime) -> list[dict[str, Any]]:
    """Count who crossed each line, by direction, since the place's day began."""
    midnight = now.astimezone(ZoneInfo(environment.time_zone)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    events = TrackEvent.objects.filter(environment=environment, time__gte=midnight, zone__isnull=False)
    rows = events.filter(kind=EventKind.LINE_CROSS).values_list("zone__key", "payload__direction")
    counted = rows.annotate(count=Count("time")).order_by("zone__key", "payload__direction")
    return [{"zone": zone, "direction": direction, "count": count} for zone, direction, count in counted]


def person_card(*, environment: Environment, number: int) -> dict[str, Any] | None:
    """Give what is known of a person: first seen, last seen, here since, visits, last zone; None for nobody."""
    person = Person.objects.filter(environment=environment, number=number).first()
    if person is None:
        return None
    last_track = person.tracks.first()
    in_zone = person.events.filter(zone__isnull=False).select_related("zone").order_by("-time").first()
    return {
        "first_seen_at": isoformat(person.first_seen_at),
        "last_seen_at": isoformat(person.last_seen_at),
        "since": None if last_track is None else isoformat(last_track.started_at),
        "visits": person.tracks.count(),
        "zone": in_zone.zone.name if in_zone and in_zone.zone else None,
    }


def system_state(*, environments: QuerySet[Environment]) -> dict[str, Any]:
    """Say whether Redis answers, and how sessions and cameras are doing by environment, in few queries."""
    state = _sessions_and_cameras(environments)
    return {
        "redis": redis_answers(),
        "environments": [
            {
                "environment": place.slug,
                "session": state.sessions.get(place.pk),
                "cameras": state.cameras[place.pk],
            }
            for place in environments
        ],
    }


@dataclass(frozen=True, slots=True)
class _State:
    """What the database knows of sessions that are open and cameras that are enabled, by environment."""

    sessions: dict[int, TrackingSession]
    cameras: dict[int, list[dict[str, Any]]]


def _sessions_and_cameras(environments: QuerySet[Environment]) -> _State:
    state = _State({}, defaultdict(list))
    asked = TrackingSession.objects.filter(environment__in=environments).select_related("environment")
    for session in asked.exclude(desired_state=DesiredState.STOPPED):
        state.sessions[session.environment_id] = session
    for camera in Camera.objects.filter(environment__in=environments, enabled=True):
        about = {"id": camera.key, "state": camera.state, "message": camera.state_message}
        state.cameras[camera.environment_id].append(about)
    return state


def system_report(*, environments: QuerySet[Environment], now: datetime) -> dict[str, Any]:
    """Give what a system's ``status`` message tells of environments, in few queries.

    Raises:
        RedisError, OSError: Redis is away.
    """
    places = list(environments)
    redis = redis_at(settings.REDIS_URL)
    texts = redis.mget([live.status_key(place.pk) for place in places]) if places else []
    told = {place.slug: json.loads(text) for place, text in zip(places, texts, strict=True) if text}
    state = _sessions_and_cameras(environments)
    sessions, cameras = [], []
    for place in places:
        session = state.sessions.get(place.pk)
        is_held = session is not None and _is_held(session, now)
        if session is not None:
            sessions.append({"environment": place.slug, **_session_status(session, is_held=is_held)})
        said = told.get(place.slug, {}).get("cameras", []) if is_held else []
        figures = {camera["id"]: camera for camera in said}
        for camera in state.cameras[place.pk]:
            shown = camera if is_held else camera | {"state": CameraState.OFF.value, "message": ""}
            cameras.append(
                {"environment": place.slug, **NO_FIGURES, **shown, **figures.get(camera["id"], {})}
            )
    return {
        "sessions": sessions,
        "cameras": cameras,
        "stages": {slug: said["stages"] for slug, said in told.items()},
        "storage": {slug: said["storage"] for slug, said in told.items()},
        "gpus": {
            session["worker"]: told[session["environment"]]["gpus"]
            for session in sessions
            if session["environment"] in told
        },
        "queues": {name: int(redis.llen(name)) for name in QUEUES},
    }


def _camera_layout(camera: Camera, model: CameraModel | None, plan: FloorPlan | None) -> dict[str, Any]:
    position = None if model is None else _position(model)
    view = np.zeros((0, 2)) if model is None else _visible_floor(model, plan)
    return {
        "id": camera.key,
        "name": str(camera),
        "width": camera.width,
        "height": camera.height,
        "state": camera.state,
        "position_m": position,
        "field_of_view_m": np.round(view, 2).tolist(),
    }


def _position(model: CameraModel) -> list[float] | None:
    try:
        x, y, _ = model.position_m
    except GeometryError:  # the homography alone does not say where the camera stands
        return None
    return [round(float(x), 2), round(float(y), 2)]


def _visible_floor(model: CameraModel, plan: FloorPlan | None) -> Floats:
    """Give the part of the plan that a camera sees, (k, 2) m; without a plan all of the floor it sees."""
    view = model.field_of_view(max_distance_m=HORIZON_M)
    if plan is None or len(view) < 3:
        return view
    left, top = -plan.origin_x_px, plan.origin_y_px
    corners = [
        (left, top - plan.height_px),
        (left + plan.width_px, top - plan.height_px),
        (left + plan.width_px, top),
        (left, top),
    ]
    floor = (np.array(corners) * plan.metres_per_px).astype(np.float32)
    area, shared = cv2.intersectConvexConvex(cv2.convexHull(view.astype(np.float32)), cv2.convexHull(floor))
    if area <= 0:  # what OpenCV gives for polygons that do not meet is not always empty
        return np.zeros((0, 2))
    return np.asarray(shared, dtype=np.float64).reshape(-1, 2)


def _plan_layout(environment: Environment, plan: FloorPlan) -> dict[str, Any]:
    return {
        "image_url": reverse("floor-plan", args=[environment.slug]),
        "width_px": plan.width_px,
        "height_px": plan.height_px,
        "metres_per_px": plan.metres_per_px,
        "origin_px": [plan.origin_x_px, plan.origin_y_px],
    }


def _is_held(session: TrackingSession, now: datetime) -> bool:
    return session.lease_expires_at is not None and session.lease_expires_at >= now


def _session_status(session: TrackingSession, *, is_held: bool) -> dict[str, Any]:
    state, message = session.actual_state, session.message
    if not is_held:  # nobody renews its lease: whatever it said last is over
        state = ActualState.WAITING.value
    # where in its recordings it is, its worker alone knows
    return {
        "id": session.pk,
        "state": state,
        "message": message,
        "worker": session.worker,
        "recordings": None,
    }
