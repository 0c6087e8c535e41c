"""A hall that no worker tracks: people who walk where they should, published as a worker does.

What they do is a pure function of the time, so that a test knows when somebody truly crosses a zone's edge. Frames,
positions, events and status go through the worker's own sink; only cameras and tracking are left out.

    manage.py shell -c "from tests.browser import feed; feed.run(people=20)"
"""

import math
import signal
import time
from datetime import UTC, datetime, timedelta

import numpy as np
from django.utils import timezone

from accounts.models import Role
from environments.models import Environment
from gpuworker.pipeline.settings import EventSettings
from gpuworker.pipeline.values import Detections, Frame, People, Sighting, StepResult, Zone
from gpuworker.pipeline.zones import FloorEvents
from gpuworker.sinks.live import LiveSink
from gpuworker.sinks.status import StatusBoard
from tests import factories
from tests.factories import T0
from tests.roles import roles_ensure
from tracking.models import TrackPoint

HALL = "hall"
WIDTH_M, HEIGHT_M = 32.0, 18.0
PX_PER_M = 20
WIDTH_PX, HEIGHT_PX = 640, 360
COURT = [[12.0, 8.0], [18.0, 8.0], [18.0, 12.0], [12.0, 12.0]]
DOOR = [[22.0, 6.0], [22.0, 12.0]]
PACER_SPEED_MPS = 1.5
PACER_FROM_M, PACER_TO_M = 8.0, 26.0
BOX_PX = (16.0, 40.0)


def pacer_x_m(at_s: float) -> float:
    """Give where person 1, who paces up and down at y = 10 m, is at a time of the epoch."""
    way = PACER_TO_M - PACER_FROM_M
    gone = (at_s * PACER_SPEED_MPS) % (2 * way)
    return PACER_FROM_M + (gone if gone < way else 2 * way - gone)


def entries_s(since_s: float, until_s: float) -> list[float]:
    """Give the times at which person 1 truly enters the court: from the left at 12 m, from the right at 18 m."""
    period_s = 2 * (PACER_TO_M - PACER_FROM_M) / PACER_SPEED_MPS
    in_period = [
        (12.0 - PACER_FROM_M) / PACER_SPEED_MPS,
        (2 * PACER_TO_M - PACER_FROM_M - 18.0) / PACER_SPEED_MPS,
    ]
    first = math.floor(since_s / period_s)
    last = math.ceil(until_s / period_s)
    every = [turn * period_s + offset for turn in range(first, last + 1) for offset in in_period]
    return [at_s for at_s in every if since_s <= at_s <= until_s]


def places_at(at_s: float, people: int) -> np.ndarray:
    """Give where everybody is, (n, 4) m and m/s: the pacer, and others on circles of their own."""
    number = np.arange(1, people)
    centre_x = 3.0 + (number * 7.3) % (WIDTH_M - 6.0)
    centre_y = 3.0 + (number * 4.1) % (HEIGHT_M - 6.0)
    radius = 1.0 + (number % 5) * 0.4
    speed = 0.6 + (number % 4) * 0.3
    angle = number + at_s * speed / radius
    circling = np.column_stack(
        [
            centre_x + radius * np.cos(angle),
            centre_y + radius * np.sin(angle),
            -speed * np.sin(angle),
            speed * np.cos(angle),
        ]
    )
    forwards = pacer_x_m(at_s + 1e-3) > pacer_x_m(at_s)
    pacer = [pacer_x_m(at_s), 10.0, PACER_SPEED_MPS if forwards else -PACER_SPEED_MPS, 0.0]
    return np.vstack([pacer, circling])


def make(password: str) -> None:
    """Make the hall, an empty place, and an Operator and a Viewer who may see them and the plaza."""
    roles_ensure()
    hall = factories.EnvironmentFactory.create(slug=HALL, name="Hall")
    h = [[1 / PX_PER_M, 0.0, 0.0], [0.0, -1 / PX_PER_M, HEIGHT_M], [0.0, 0.0, 1.0]]
    for number in range(16):
        camera = factories.CameraFactory.create(
            environment=hall,
            key=f"c{number + 1}",
            width=WIDTH_PX,
            height=HEIGHT_PX,
            position=number,
            enabled=number < 4,
        )
        factories.CalibrationFactory.create(camera=camera, h_image_to_world=h)
    factories.ZoneFactory.create(environment=hall, key="court", name="Court", points_m=COURT, capacity=3)
    factories.ZoneFactory.create(environment=hall, key="door", name="Door", kind="line", points_m=DOOR)
    factories.TrackingSessionFactory.create(
        environment=hall,
        worker="feed",
        actual_state="running",
        lease_expires_at=timezone.now() + timedelta(days=1),
    )
    remember(hall)
    factories.EnvironmentFactory.create(slug="empty", name="Empty place")
    for username, role in (
        ("anna", Role.OPERATOR),
        ("olaf", Role.OPERATOR),
        ("vera", Role.VIEWER),
        ("nobody", Role.VIEWER),
    ):
        user = factories.UserFactory.build(username=username, role=role)
        user.set_password(password)
        user.save()
        if username != "nobody":
            for place in Environment.objects.all():
                factories.GrantFactory.create(environment=place, user=user)


def remember(hall: Environment) -> None:
    """Store two minutes of history from T0 on: three people walk, a metre a second, and the first enters the court."""
    session = hall.sessions.get()
    points = []
    for number in (501, 502, 503):
        person = factories.PersonFactory.create(environment=hall, number=number)
        ends_at = T0 + timedelta(minutes=2)
        track = factories.TrackFactory.create(
            id=number, session=session, person=person, started_at=T0, ended_at=ends_at
        )
        for second in range(121):
            x_m = 2.0 + second % 20
            about = {
                "time": T0 + timedelta(seconds=second),
                "track": track,
                "x_m": x_m,
                "y_m": number - 495.0,
            }
            points.append(
                factories.TrackPointFactory.build(environment=hall, vx_mps=1.0, cameras="c1", **about)
            )
        if number == 501:
            factories.TrackEventFactory.create(
                environment=hall,
                time=T0 + timedelta(seconds=30),
                kind="zone_enter",
                person=person,
                track=track,
                zone=hall.zones.get(key="court"),
            )
    TrackPoint.objects.bulk_create(points)


class Feed:
    """Publishes the hall; ``churn_s`` is after how long everybody but the pacer is somebody new, 0 for never."""

    def __init__(self, *, people: int, cameras: int, fps: int, churn_s: int) -> None:

        hall = Environment.objects.get(slug=HALL)
        session = hall.sessions.get()
        self.people, self.fps, self.churn_s = people, fps, churn_s
        self.cameras = [f"c{number + 1}" for number in range(cameras)]
        about = {"id": session.pk, "state": "running", "message": "", "worker": "feed"}
        self.board = StatusBoard(session=about, cameras=self.cameras)
        for key in self.cameras:
            self.board.set_camera(key, state="online", message="")
        self.sink = LiveSink(environment_id=hall.pk, cameras=self.cameras, board=self.board)
        zones = (Zone("court", "polygon", np.array(COURT)), Zone("door", "line", np.array(DOOR)))
        self.events = FloorEvents(zones, EventSettings())
        rng = np.random.default_rng(7)
        floor = rng.integers(60, 110, (HEIGHT_PX // 20, WIDTH_PX // 20, 3))
        self.backdrop = np.kron(floor, np.ones((20, 20, 1))).astype(np.uint8)

    def run(self, is_stopped: list[bool]) -> None:
        """Publish until stopped, in step with the clock."""
        seq = 0
        while not is_stopped[0]:
            self.tick(seq)
            seq += 1
            time.sleep(max(0.0, 1 / self.fps - time.time() % (1 / self.fps)))
        self.sink.close()

    def tick(self, seq: int) -> None:
        """Publish one instant."""

        at_s = time.time()
        at = datetime.fromtimestamp(at_s, UTC)
        state = places_at(at_s, self.people)
        numbers = np.arange(1, self.people + 1, dtype=np.int64)
        if self.churn_s:
            numbers[1:] += self.people * (int(at_s / self.churn_s) % 100_000)
        seen_by = tuple((self.cameras[index % len(self.cameras)],) for index in range(self.people))
        n = self.people
        people = People(
            at=at,
            track=numbers,
            person=numbers,
            state=state,
            covariance=np.tile(np.diag([0.04, 0.02, 0.01, 0.01]), (n, 1, 1)),
            height_m=np.full(n, 1.75),
            confidence=np.full(n, 0.9),
            cameras=seen_by,
        )
        shown = [self._shown(key, seq, at, people) for key in self.cameras]
        result = StepResult(
            at=at,
            sightings=tuple(sighting for _, sighting in shown),
            people=people,
            events=self.events.step(people),
            stages_ms={"detect": 4.0, "track": 1.0},
        )
        self.sink.put(result, [frame for frame, _ in shown])

    def _shown(self, key: str, seq: int, at: datetime, people: People) -> tuple[Frame, Sighting]:
        """Give a camera's frame and what is seen in it: those whom it is to see, as boxes of their own colour."""

        index = np.flatnonzero([key in cameras for cameras in people.cameras])
        foot = np.column_stack([people.state[index, 0], HEIGHT_M - people.state[index, 1]]) * PX_PER_M
        half = BOX_PX[0] / 2
        boxes = np.column_stack([foot[:, 0] - half, foot[:, 1] - BOX_PX[1], foot[:, 0] + half, foot[:, 1]])
        boxes = boxes.clip(0, [WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX]).astype(np.float32)
        image = self.backdrop.copy()
        for box, number in zip(boxes.astype(int), people.person[index].tolist(), strict=True):
            image[box[1] : box[3], box[0] : box[2]] = [number * 53 % 200 + 50, number * 97 % 200 + 50, 200]
        frame = Frame(key, seq, at, image)
        detections = Detections(boxes, np.full(len(boxes), 0.9, np.float32))
        return frame, Sighting(key, seq, at, detections, people.track[index], people.person[index])


def run(*, people: int = 12, cameras: int = 4, fps: int = 10, churn_s: int = 0) -> None:
    """Publish until told to stop."""
    is_stopped = [False]
    signal.signal(signal.SIGTERM, lambda *_: is_stopped.__setitem__(0, True))
    Feed(people=people, cameras=cameras, fps=fps, churn_s=churn_s).run(is_stopped)
