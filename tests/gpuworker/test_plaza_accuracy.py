"""How well the parts without weights follow people of the built-in simulator."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from gpuworker.backends import make_detector, make_embedder
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Frame, Site
from gpuworker.scoring import Positions, score
from gpuworker.sources.sim.layout import PLAZA
from gpuworker.sources.sim.scene import plaza_cameras
from gpuworker.sources.sim.world import RATE_HZ, World
from gpuworker.sources.sim.worlds import Worlds

SEED, PEOPLE, SECONDS = 7, 10, 60
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.slow
def test_plaza_is_followed_without_weights():
    cameras, worlds, world = plaza_cameras(), Worlds(), World(SEED, PEOPLE)
    views = [worlds.view(camera, SEED) for camera in cameras]
    site = Site({camera.camera_id: camera for camera in cameras})
    pipeline = Pipeline(
        detector=make_detector("motion", site=site),
        embedder=make_embedder("colour"),
        site=site,
        take_track_number=count(1).__next__,
        take_person_number=count(1).__next__,
    )
    truth, published = [], []
    for tick in range(SECONDS * RATE_HZ):
        world.step_to(tick)
        now, at = world.truth(), BEGIN + timedelta(seconds=tick / RATE_HZ)
        frames = [
            Frame(camera.camera_id, tick, at, view.draw(now, tick))
            for camera, view in zip(cameras, views, strict=True)
        ]
        people = pipeline.step(frames).people
        truth.append(Positions(now.ids, now.position_m).inside(PLAZA.bounds_m))
        published.append(Positions(people.person, people.state[:, :2]).inside(PLAZA.bounds_m))
    scores = score(truth, published)
    assert scores.idf1 >= 0.88
    assert scores.mota >= 0.85
