"""What the worker keeps of calibrations' health: rows, pictures of moves, proposals."""

from datetime import timedelta

import cv2
import numpy as np
import pytest

from environments.calibrating.models import CameraMove, Disagreement, Proposal
from gpuworker.pipeline.values import Event, Frame
from gpuworker.sinks.agreement import AgreementSink
from tests.factories import CameraFactory
from tests.gpuworker.pipeline.test_agreement import T0, down, result
from tests.roles import roles_ensure

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cameras():
    roles_ensure()
    first = CameraFactory.create(key="a")
    return {"a": first, "b": CameraFactory.create(key="b", environment=first.environment)}


def sink_of(cameras):
    models = {"a": down("a"), "b": down("b", off_m=(0.3, 0.4))}
    return AgreementSink(cameras=models, keys={key: camera.pk for key, camera in cameras.items()})


def frame(at_s, shade):
    image = np.full((480, 1280, 3), shade, np.uint8)
    return Frame("b", 0, T0 + timedelta(seconds=at_s), image)


def test_rows_are_written_every_two_minutes_and_at_the_end(cameras):
    sink = sink_of(cameras)
    for k in range(130):
        sink.put(result(k, [(-1.0, 0.5)]), [])
    sink.close()
    whole = Disagreement.objects.filter(camera=cameras["b"], other=None, cell_x=None)
    assert [(row.at, row.sights) for row in whole.order_by("at")] == [
        (T0, 121),
        (T0 + timedelta(seconds=120), 9),
    ]
    assert whole[0].median_m == pytest.approx(0.5, abs=1e-5)
    assert Disagreement.objects.filter(camera=cameras["a"], other=cameras["b"]).count() == 2


def test_a_move_keeps_what_was_seen_before_and_after(cameras):
    sink = sink_of(cameras)
    for k in range(0, 60, 5):
        sink.put(result(k, []), [frame(k, k)])
    event = Event(
        kind="camera_moved",
        at=T0 + timedelta(seconds=60),
        camera_id="b",
        payload={"moved_px": 9.0, "moved_m": 0.2},
    )
    told = result(60, [])
    object.__setattr__(told, "events", (event,))
    sink.put(told, [frame(60, 200)])
    for k in range(61, 400, 2):
        sink.put(result(k, [(-1.0, 0.5)]), [])
    sink.close()
    (move,) = CameraMove.objects.all()
    assert (move.camera, move.moved_px, move.moved_m) == (cameras["b"], 9.0, 0.2)
    assert (move.before_at, move.after_at) == (T0 + timedelta(seconds=15), T0 + timedelta(seconds=60))
    before, after = (
        np.asarray(cv2.imdecode(np.frombuffer(p or b"", np.uint8), cv2.IMREAD_COLOR))
        for p in (move.before, move.after)
    )
    assert before.shape == (240, 640, 3)
    assert (round(float(before.mean())), round(float(after.mean()))) == (15, 200)
    (proposal,) = Proposal.objects.all()
    assert (proposal.camera, proposal.h_image_to_world) == (cameras["b"], None)
    assert "in one part of the picture only" in proposal.reason
