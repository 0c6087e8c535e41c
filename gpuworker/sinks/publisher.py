"""Sends one environment's live messages; everything here runs on one event loop and may raise when Redis is away."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from redis import asyncio as redis_asyncio

from gpuworker.pipeline.values import Event, Frame, People, Sighting
from gpuworker.sinks.identifiers import event_id
from gpuworker.sinks.picture import boxes, encode
from gpuworker.sinks.rate_limit import RateLimit
from tracking import live

SEND_TIMEOUT_S = 1.0
DEMAND_POLL_S = 0.5
KEPT_PER_S = 4.0  # how often who is where now is kept
STILL_S = 5.0  # between the pictures that are kept of a camera, for who comes when it is down
STILL_TIER = live.TIERS["medium"]


class Publisher:
    """Writes messages to the channel layer, and what the landing page asks for to Redis itself.

    Every method raises RedisError, OSError or TimeoutError when Redis is away.
    """

    def __init__(
        self,
        layer: Any,
        redis: "redis_asyncio.Redis[bytes]",
        *,
        environment_id: int,
        cameras: Sequence[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._layer = layer
        self._redis = redis
        self._environment_id = environment_id
        self._state_group = live.state_group(environment_id)
        self._clock = clock
        self._tiers = [(camera, tier) for camera in cameras for tier in live.TIERS.values()]
        self._paces = {(camera, tier.name): RateLimit(tier.max_fps) for camera, tier in self._tiers}
        self._watched: dict[str, list[live.Tier]] = {}
        self._poll = RateLimit(1.0 / DEMAND_POLL_S)
        self._keep_pace = RateLimit(KEPT_PER_S)
        self._still_paces = {camera: RateLimit(1.0 / STILL_S) for camera in cameras}
        self._worst: live.Tier | None = None
        self._texts: list[str] = []

    def limit_quality(self, tier: str | None) -> None:
        """Encode no better than this from now on, in whatever tier frames travel; None lifts that."""
        self._worst = None if tier is None else live.TIERS[tier]

    async def positions(self, people: People, *, cameras_up: int) -> None:
        """Say where everybody is, and keep it, a few times a second, for those who only ask."""
        listed = positions_of(people)
        self._texts.append(live.positions(at=people.at, people=listed))
        now_s = time.monotonic()
        if self._keep_pace.is_due(now_s):
            self._keep_pace.pass_one(now_s)
            await self._keep(people.at, listed, cameras_up)

    def event(self, event: Event) -> None:
        """Say that something happened."""
        payload = dict(event.payload)
        if event.x_m is not None and event.y_m is not None:
            payload |= {"x_m": round(event.x_m, 2), "y_m": round(event.y_m, 2)}
        self._texts.append(
            live.event(
                event_id=str(event_id(environment_id=self._environment_id, event=event)),
                at=event.at,
                kind=event.kind,
                person=event.person,
                zone=event.zone_id,
                camera=event.camera_id,
                payload=payload,
            )
        )

    async def flush(self) -> None:
        """Send what was said since the last time, as one message."""
        texts, self._texts = self._texts, []
        if len(texts) == 1:
            await self._send(texts[0])
        elif texts:
            await self._group_send(self._state_group, live.layer_texts(texts))

    async def status(self, text: str, *, people: People | None, cameras_up: int) -> None:
        """Send a status message, and keep who is where now while no ticks say it."""
        await self._send(text)
        await self._redis.set(live.status_key(self._environment_id), text, ex=live.NOW_TTL_S)
        at = self._clock()
        if people is not None and (at - people.at).total_seconds() < live.NOW_TTL_S:
            await self._keep(people.at, positions_of(people), cameras_up)
        else:
            await self._keep(at, [], cameras_up)

    async def refresh_demand(self) -> None:
        """Ask, twice a second at most, who watches what."""
        now_s = time.monotonic()
        if not self._poll.is_due(now_s) or not self._tiers:
            return
        keys = [live.demand_key(self._environment_id, camera, tier.name) for camera, tier in self._tiers]
        values = await asyncio.wait_for(self._redis.mget(keys), SEND_TIMEOUT_S)
        self._poll.pass_one(now_s)
        self._watched = {}
        for (camera, tier), value in zip(self._tiers, values, strict=True):
            if value is not None:
                self._watched.setdefault(camera, []).append(tier)

    async def frame(self, frame: Frame, sighting: Sighting | None) -> None:
        """Send a frame in every tier that somebody watches and that is due."""
        for tier in self._watched.get(frame.camera_id, ()):
            pace, now_s = self._paces[frame.camera_id, tier.name], time.monotonic()
            if not pace.is_due(now_s):
                continue
            pace.pass_one(now_s)
            group = live.frames_group(self._environment_id, frame.camera_id, tier.name)
            await self._group_send(group, live.layer_frame(self._packed(frame, sighting, tier)))

    async def still(self, frame: Frame, sighting: Sighting | None, *, is_last: bool = False) -> None:
        """Keep a picture for who comes when the camera is down: now and then, and the last one."""
        pace, now_s = self._still_paces[frame.camera_id], time.monotonic()
        if not (is_last or pace.is_due(now_s)):
            return
        pace.pass_one(now_s)
        data = self._packed(frame, sighting, STILL_TIER, still=True)
        key = live.still_key(self._environment_id, frame.camera_id)
        await self._redis.set(key, data, ex=live.STILL_TTL_S)

    def _packed(
        self, frame: Frame, sighting: Sighting | None, tier: live.Tier, *, still: bool = False
    ) -> bytes:
        height, width = frame.image.shape[:2]
        drawn = tier if self._worst is None else min(tier, self._worst, key=lambda t: t.max_width)
        header = live.frame_header(
            camera=frame.camera_id,
            seq=frame.seq,
            captured_at=frame.captured_at,
            published_at=self._clock(),
            width=width,
            height=height,
            tier=tier.name,
            boxes=boxes(sighting),
            still=still,
        )
        return live.pack_frame(header, encode(frame, drawn))

    async def _keep(self, at: datetime, people: Sequence[dict[str, Any]], cameras_up: int) -> None:
        value = live.now(at=at, people=people, cameras_up=cameras_up)
        await self._redis.set(live.now_key(self._environment_id), value, ex=live.NOW_TTL_S)

    async def _send(self, text: str) -> None:
        await self._group_send(self._state_group, live.layer_text(text))

    async def _group_send(self, group: str, message: dict[str, Any]) -> None:
        await asyncio.wait_for(self._layer.group_send(group, message), SEND_TIMEOUT_S)


def positions_of(people: People) -> list[dict[str, Any]]:
    """Give people as a positions message lists them.

    ``std_m`` is the standard deviation of the position's worst direction, ``cov_m2`` its covariance: xx, xy, yy.
    """
    rows = zip(
        people.person.tolist(),
        people.track.tolist(),
        people.state.tolist(),
        people.covariance[:, :2, :2].tolist(),
        people.cameras,
        strict=True,
    )
    return [
        {
            "person": person,
            "track": track,
            "x_m": round(x, 3),
            "y_m": round(y, 3),
            "vx_mps": round(vx, 3),
            "vy_mps": round(vy, 3),
            "std_m": round(_worst_std(covariance), 3),
            "cov_m2": [round(covariance[row][column], 4) for row, column in ((0, 0), (0, 1), (1, 1))],
            "cameras": list(cameras),
        }
        for person, track, (x, y, vx, vy), covariance, cameras in rows
    ]


def _worst_std(covariance: list[list[float]]) -> float:
    """Give the square root of the larger eigenvalue of a (2, 2) covariance."""
    (a, b), (_, d) = covariance
    mean, half = (a + d) / 2, math.hypot((a - d) / 2, b)
    return math.sqrt(max(mean + half, 0.0))
