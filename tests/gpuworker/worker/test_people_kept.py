"""People keep their numbers when the worker that watches them is killed, or built anew."""

import queue
from datetime import timedelta

import numpy as np
import pytest
from redis import Redis

from gpuworker.pipeline.settings import PipelineSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Detections, Frame, Site
from gpuworker.worker import Parts, Worker
from tests.factories import T0, CalibrationFactory, CameraFactory, EnvironmentFactory, TrackingSessionFactory
from tests.gpuworker.made import redis_in_use
from tests.gpuworker.pipeline.staging import boxes, state, yard
from tests.servers import wait_for
from tracking.models import GalleryState, Person, Track, TrackingSession
from tracking.services import LEASE

pytestmark = pytest.mark.django_db(transaction=True)
CAMERAS = yard()
FPS = 5
LOOKS = np.array([[1, 0, 0, 0], [-1, 0, 0, 0]], np.float32)  # the camera's mean is none from the start


class Watched:
    """A yard in which a test puts people, with its cameras, a detector and an embedder."""

    name, dimension, live = "watched", 4, True

    def __init__(self):
        self.people = state((3, 3), (7, 7))
        self.now = T0
        self.unseen = 0  # frames that nobody has looked at
        self.frames: dict[str, queue.Queue[Frame]] = {key: queue.Queue() for key in CAMERAS}

    def clock(self):
        return self.now

    def detect(self, frames):
        self.unseen -= len(frames)
        found = [boxes(CAMERAS[frame.camera_id], self.people).astype(np.float32) for frame in frames]
        return [Detections(xyxy, np.full(len(xyxy), 0.9, np.float32)) for xyxy in found]

    def embed(self, frames, xyxy):
        everybody = [boxes(CAMERAS[frame.camera_id], self.people) for frame in frames]
        return [
            LOOKS[np.abs(mine[:, None] - all_).sum(axis=2).argmin(axis=1)]
            for mine, all_ in zip(xyxy, everybody, strict=True)
        ]

    def make_pipeline(self, site, take_track, take_person, name):
        return Pipeline(
            detector=self,
            embedder=self,
            site=Site(CAMERAS),
            take_track_number=take_track,
            take_person_number=take_person,
            settings=PipelineSettings(look_again_s=0.0),
        )

    def open(self, url, *, camera_id, started_at, worlds, speed):
        self.unseen = 0  # nobody looks at what a worker that is gone was shown
        return Camera(self.frames[camera_id])

    def shoot(self):
        """Let every camera take a picture, and time go on until the next one; once the last ones are looked at."""
        if self.unseen > 0:
            return
        self.unseen = len(CAMERAS)
        for key, frames in self.frames.items():
            image = np.zeros((CAMERAS[key].height, CAMERAS[key].width, 3), np.uint8)
            frames.put(Frame(key, frames.qsize(), self.now, image))
        self.now += timedelta(seconds=1 / FPS)

    def worker(self, name):
        return Worker(
            name=name,
            parts=Parts(open_source=self.open, make_pipeline=self.make_pipeline, clock=self.clock),
        )


class Camera:
    """Gives the frames of a queue."""

    live = True

    def __init__(self, frames):
        self._frames = frames

    def read(self):
        try:
            return self._frames.get(timeout=0.02)
        except queue.Empty:
            return None

    def close(self):
        pass


@pytest.fixture
def yard_watched(redis_url, settings, tmp_path, monkeypatch):
    monkeypatch.setattr("gpuworker.sinks.rows.WRITE_S", 0.02)
    monkeypatch.setattr("gpuworker.sinks.gallery.CACHE_S", 0.02)
    settings.SPOTON_SPOOL = tmp_path / "spool"
    environment = EnvironmentFactory.create()
    for key, model in CAMERAS.items():
        camera = CameraFactory.create(
            environment=environment, key=key, width=model.width, height=model.height, fps=FPS
        )
        CalibrationFactory.create(camera=camera)
    TrackingSessionFactory.create(environment=environment)
    with Redis.from_url(redis_url) as redis, redis_in_use(settings, redis_url):
        redis.flushall()
        yield Watched()


def watch(place, worker, until):
    def attempt():
        if TrackingSession.objects.get().lease_expires_at and worker.claims and worker.claims[0].run:
            place.shoot()
        worker.step()
        worker.attend(place.clock())
        return until()

    wait_for(attempt, timeout_s=60)


def knows_looks(worker):
    """Say whether enough was seen to tell what looks say."""
    memory = worker.claims[0].run and worker.claims[0].run._pipeline.memory()
    return memory is not None and memory.similarities[:, 0].min() > 100


def numbers():
    return sorted(Person.objects.values_list("number", flat=True))


@pytest.mark.parametrize("redis_survives", [True, False])
def test_numbers_outlive_a_worker_that_is_killed(yard_watched, settings, redis_survives, monkeypatch):
    monkeypatch.setattr("gpuworker.sinks.gallery.STORE_S", 0.0)
    killed = yard_watched.worker("killed")
    watch(yard_watched, killed, lambda: Track.objects.count() == 2 and knows_looks(killed))
    as_of = yard_watched.now
    watch(yard_watched, killed, lambda: GalleryState.objects.filter(at__gt=as_of).exists())
    killed.claims[0].stop_reading()  # a process that is killed does not close, say farewell or give back
    before = numbers()
    if not redis_survives:
        with Redis.from_url(settings.REDIS_URL) as redis:
            redis.flushall()
    yard_watched.now += 1.5 * LEASE
    yard_watched.people = state((4, 3), (6, 7))
    other = yard_watched.worker("other")
    watch(yard_watched, other, lambda: Track.objects.count() == 4)
    assert numbers() == before
    assert sorted(Track.objects.values_list("person__number", flat=True)) == sorted(2 * before)
    for worker in (other, killed):
        worker.close(yard_watched.clock())


def test_numbers_outlive_changes_of_the_place(yard_watched):
    worker = yard_watched.worker("one")
    watch(yard_watched, worker, lambda: Track.objects.count() == 2 and knows_looks(worker))
    run, before = worker.claims[0].run, numbers()
    worker.claims[0].run.setup = "what it was before somebody drew an area"
    watch(yard_watched, worker, lambda: worker.claims[0].run not in (run, None))
    watch(yard_watched, worker, lambda: Track.objects.count() == 4)
    assert numbers() == before
    worker.close(yard_watched.clock())
