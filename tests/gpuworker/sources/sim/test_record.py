"""Scene folders written by the simulator, read back by the reader of scenes and by sources."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gpuworker.scenes import read_scene
from gpuworker.sources import open_source
from gpuworker.sources.sim.record import Recorded, RecordError, record_scene
from gpuworker.sources.sim.scene import plaza_cameras
from gpuworker.sources.sim.world import World
from gpuworker.sources.sim.worlds import Worlds

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def scene_folder(tmp_path_factory: pytest.TempPathFactory, worlds: Worlds) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "market"
    recorded = record_scene(folder, seconds=0.5, people=5, seed=3, pictures="video", worlds=worlds)
    assert recorded == Recorded(5, 5)
    return folder


def test_recorded_scene_can_be_read(scene_folder):
    scene = read_scene(scene_folder)
    assert (scene.name, scene.fps, scene.frames) == ("market", 10.0, 5)
    assert scene.bounds_m == (0.0, 0.0, 20.0, 14.0)
    for camera, original in zip(scene.cameras, plaza_cameras(), strict=True):
        assert camera.model.camera_id == original.camera_id
        assert camera.model.projection == pytest.approx(original.projection)
        assert camera.detections is not None
        assert camera.video is not None
        assert camera.images is None


def test_recorded_truth_is_that_of_the_world(scene_folder):
    world = World(3, 5)
    rows = np.loadtxt(scene_folder / "gt.txt", delimiter=",")
    for frame in range(1, 6):
        world.step_to(frame - 1)
        truth, row = world.truth(), rows[rows[:, 0] == frame]
        assert row[:, 1].tolist() == truth.ids.tolist()
        assert row[:, 7:9] == pytest.approx(truth.position_m, abs=6e-4)
        assert (row[:, 2:6] == -1).all()


def test_recorded_video_shows_what_the_simulator_shows(scene_folder, worlds):
    sources = [
        open_source(url, camera_id="c2", started_at=START, worlds=worlds, paced=False)
        for url in (str(scene_folder / "video" / "c2.mp4"), "sim://plaza/c2?people=5&seed=3")
    ]
    for index in range(5):
        film, live = (source.read() for source in sources)
        assert film is not None
        assert live is not None
        assert film.captured_at == live.captured_at == START + timedelta(seconds=index / 10)
        assert np.abs(film.image.astype(int) - live.image.astype(int)).mean() < 4  # compression


def test_boxes_have_the_ids_of_the_truth(scene_folder):
    boxes = np.loadtxt(scene_folder / "gt_boxes" / "c1.txt", delimiter=",")
    assert set(boxes[:, 1]) <= {1, 2, 3, 4, 5}
    detections = np.loadtxt(scene_folder / "detections" / "c1.txt", delimiter=",")
    assert detections.shape[1] == 10
    assert (detections[:, 1] == -1).all()


def test_command_writes_images_and_no_detections(tmp_path, capsys, monkeypatch, worlds):
    monkeypatch.setattr("gpuworker.sources.sim.record.Worlds", lambda: worlds)
    folder = tmp_path / "few"
    call_command(
        "record_sim", str(folder), "--seconds", "0.2", "--people", "2", "--images", "--no-detections"
    )
    assert capsys.readouterr().out == f"{folder}: 2 frames, 2 people\n"
    scene = read_scene(folder)
    assert scene.cameras[0].detections is None
    assert sorted(p.name for p in (folder / "images" / "c4").iterdir()) == ["000001.jpg", "000002.jpg"]


def test_folder_in_use_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecordError, match="is in use: choose a folder"):
        record_scene(tmp_path, seconds=1)
    with pytest.raises(CommandError, match="is in use") as caught:
        call_command("record_sim", str(tmp_path), "--seconds", "1")
    assert caught.value.returncode == 2


@pytest.mark.parametrize(
    "numbers", [{"seconds": 0}, {"seconds": 1, "people": -1}, {"seconds": 1, "seed": -2}]
)
def test_nonsense_is_refused(tmp_path, numbers):
    with pytest.raises(RecordError, match="at least one frame"):
        record_scene(tmp_path / "x", **numbers)
