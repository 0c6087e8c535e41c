"""A lean worker for the benchmark of the live view: the simulator's pictures and truth through the real live sink.

Nothing is detected or tracked, so that what is measured is the way from a picture to its viewers. With ``--base64``
frames go out as JSON with the picture in base64, as text to everybody, over the same layer and the same consumers.
"""

import argparse
import base64
import json
import signal
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import numpy as np

from gpuworker.pipeline.values import Detections, Frame, People, Sighting, StepResult
from gpuworker.sinks.live import LiveSink
from gpuworker.sinks.picture import boxes, encode
from gpuworker.sinks.publisher import Publisher
from gpuworker.sinks.rate_limit import RateLimit
from gpuworker.sinks.status import StatusBoard
from gpuworker.sources.pace import Pace
from gpuworker.sources.sim.detect import true_boxes
from gpuworker.sources.sim.draw import CameraView
from gpuworker.sources.sim.scene import plaza_cameras
from gpuworker.sources.sim.source import SimSource
from gpuworker.sources.sim.world import Truth
from gpuworker.sources.sim.worlds import WorldKey, Worlds
from tracking import live

PEOPLE, SEED = 10, 7
SEEN_SHARE = 0.3  # of somebody who has a box


class Base64Publisher(Publisher):
    """Sends frames of the lowest tier as text to all viewers of a place."""

    async def frame(self, frame: Frame, sighting: Sighting | None) -> None:
        """Send a frame where it is due."""
        tier = live.TIERS["low"]
        pace = self._paces.setdefault((frame.camera_id, "base64"), RateLimit(tier.max_fps))
        now_s = time.monotonic()
        if not pace.is_due(now_s):
            return
        pace.pass_one(now_s)
        height, width = frame.image.shape[:2]
        header = live.frame_header(
            camera=frame.camera_id,
            seq=frame.seq,
            captured_at=frame.captured_at,
            published_at=self._clock(),
            width=width,
            height=height,
            tier=tier.name,
            boxes=boxes(sighting),
        )
        picture = base64.b64encode(encode(frame, tier)).decode()
        await self._send(json.dumps(header | {"jpeg": picture}, separators=(",", ":")))


def main() -> None:
    """Publish until told to end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=int, required=True)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--base64", action="store_true")
    arguments = parser.parse_args()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))
    publisher = Base64Publisher if arguments.base64 else Publisher
    publish(arguments.environment, arguments.people, publisher, lambda: bool(stopped))


def publish(
    environment_id: int, people: int, publisher: Callable[..., Publisher], is_over: Callable[[], bool]
) -> None:
    """Publish four cameras at ten frames a second."""
    worlds, cameras = Worlds(), plaza_cameras()
    keys = [camera.camera_id for camera in cameras]
    # drawing the empty views takes seconds, which are not to count
    views = {camera.camera_id: worlds.view(camera, SEED) for camera in cameras}
    began = datetime.now(UTC)
    world = worlds.world(WorldKey(began, people, SEED, 0.0))
    sources = [
        SimSource(
            f"sim://plaza/{key}?people={people}&seed={SEED}",
            camera_id=key,
            pace=Pace(began, paced=True),
            worlds=worlds,
        )
        for key in keys
    ]
    board = StatusBoard(
        session={"id": 1, "state": "running", "message": "", "worker": "benchmark"}, cameras=keys
    )
    sink = LiveSink(environment_id=environment_id, cameras=keys, board=board, make_publisher=publisher)
    for key in keys:
        sink.show_camera(key, "online", "")
    while not is_over():
        frames = [frame for source in sources if (frame := source.read()) is not None]
        if frames:
            truth = world.truth_at((frames[0].captured_at - began).total_seconds())
            sink.put(_result(frames, truth, views), frames)
    sink.close()


def _result(frames: list[Frame], truth: Truth, views: Mapping[str, CameraView]) -> StepResult:
    """Give the truth as a tick's result."""
    return StepResult(
        at=frames[-1].captured_at,
        sightings=tuple(_sighting(frame, truth, views[frame.camera_id]) for frame in frames),
        people=_people(truth, frames[-1].captured_at),
        events=(),
        stages_ms={},
    )


def _sighting(frame: Frame, truth: Truth, view: CameraView) -> Sighting:
    found = true_boxes(view.camera, view.backdrop, truth)
    seen = found.visible > SEEN_SHARE
    ids = found.ids[seen].astype(np.int64)
    boxes_of_people = Detections(found.visible_xyxy[seen], np.full(len(ids), 0.9, np.float32))
    return Sighting(frame.camera_id, frame.seq, frame.captured_at, boxes_of_people, ids, ids)


def _people(truth: Truth, at: datetime) -> People:
    n = len(truth.ids)
    return People(
        at=at,
        track=truth.ids.astype(np.int64),
        person=truth.ids.astype(np.int64),
        state=np.column_stack([truth.position_m, truth.velocity_mps]),
        covariance=np.tile(np.diag([0.01, 0.01, 0.01, 0.01]), (n, 1, 1)),
        height_m=truth.height_m,
        confidence=np.full(n, 0.9),
        cameras=(("c1", "c2"),) * n,
    )


if __name__ == "__main__":
    main()
