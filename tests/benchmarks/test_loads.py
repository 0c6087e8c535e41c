import json
from itertools import pairwise

import numpy as np
import pytest

from gpuworker.scenes import SceneError
from tests.benchmarks.loads import Crowd, crowd_load, scene_load, scored_scenes

SMALL = Crowd(cameras=3, people=8, fps=5.0, seconds=2.0)


@pytest.fixture(scope="module")
def small():
    return crowd_load(SMALL)


def test_crowd_is_the_same_for_the_same_seed(small):
    again = crowd_load(SMALL)
    for one, other in zip(small.ticks, again.ticks, strict=True):
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a.detections.xyxy, b.detections.xyxy)
            assert np.array_equal(a.detections.confidence, b.detections.confidence)
            assert a.captured_at == b.captured_at
    for was, now in zip(small.truth, again.truth, strict=True):
        assert np.array_equal(was.ids, now.ids)
        assert np.array_equal(was.xy_m, now.xy_m)


def test_crowd_of_another_seed_is_another(small):
    other = crowd_load(Crowd(cameras=3, people=8, fps=5.0, seconds=0.2, seed=8))
    assert not np.array_equal(other.truth[0].xy_m, small.truth[0].xy_m)


def test_crowd_has_its_ticks_cameras_and_people(small):
    assert len(small.ticks) == len(small.truth) == 10
    assert [[o.camera_id for o in tick] for tick in small.ticks] == [["c1", "c2", "c3"]] * 10
    assert {len(t.ids) for t in small.truth} == {8}
    seconds = [(tick[0].captured_at - small.ticks[0][0].captured_at).total_seconds() for tick in small.ticks]
    assert seconds == pytest.approx(np.arange(10) / 5)


def test_crowd_walks_between_the_ticks_of_its_world():
    truth = crowd_load(Crowd(cameras=1, people=6, fps=30.0, seconds=1.0)).truth
    steps_m = [np.linalg.norm(b.xy_m - a.xy_m, axis=1) for a, b in pairwise(truth)]
    assert 0.0 < np.max(steps_m) < 0.1
    third = np.array([t.xy_m for t in truth[3:7]])  # within a tick of the world everybody walks straight on
    assert third[1] - third[0] == pytest.approx(third[2] - third[1])


def test_each_camera_sees_most_of_a_crowd():
    load = crowd_load(Crowd(cameras=4, people=60, fps=1.0, seconds=5.0))
    found = np.array([[len(o.detections) for o in tick] for tick in load.ticks])
    assert found.mean(axis=0) == pytest.approx([54] * 4, abs=6)


def test_boxes_of_a_crowd_stand_where_the_people_are(small):
    for tick, truth in zip(small.ticks, small.truth, strict=True):
        for o in tick:
            whole = o.detections.confidence > 0.85
            xyxy = o.detections.xyxy[whole]
            feet = np.column_stack([(xyxy[:, 0] + xyxy[:, 2]) / 2, xyxy[:, 3]])
            floor = small.cameras[o.camera_id].to_floor(feet)
            apart_m = np.linalg.norm(floor[:, None] - truth.xy_m[None], axis=-1)
            assert apart_m.min(axis=1).max(initial=0.0) < 1.0


def test_scored_scenes_are_those_with_truth_and_boxes(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name / "detections").mkdir(parents=True)
    (tmp_path / "b" / "gt.txt").touch()
    assert scored_scenes(tmp_path) == [tmp_path / "b"]
    assert scored_scenes(tmp_path / "absent") == []


def test_scene_load_reads_boxes_and_truth(tmp_path):
    assert scene_load(_scene(tmp_path)).truth[1].xy_m.tolist() == [[1.0, 2.0]]
    load = scene_load(tmp_path)
    assert [[o.detections.xyxy.tolist() for o in tick] for tick in load.ticks] == [
        [[]],
        [[[10.0, 20.0, 40.0, 100.0]]],
    ]


def test_scene_load_without_truth_says_so(tmp_path):
    folder = _scene(tmp_path)
    (folder / "gt.txt").unlink()
    with pytest.raises(SceneError, match="no truth"):
        scene_load(folder)


def _scene(folder):
    camera = {
        "id": "c1",
        "width": 640,
        "height": 480,
        "homography_image_to_world": [[0.01, 0, -3], [0, -0.01, 5], [0, 0, 1]],
        "detections": "detections/c1.txt",
    }
    scene = {"name": "tiny", "fps": 2, "frames": 2, "bounds_m": [-9, -9, 9, 9], "cameras": [camera]}
    (folder / "detections").mkdir()
    (folder / "scene.json").write_text(json.dumps(scene))
    (folder / "detections" / "c1.txt").write_text("2,-1,10,20,30,80,0.9,-1,-1,-1\n")
    (folder / "gt.txt").write_text("2,1,-1,-1,-1,-1,1,1,2,0\n")
    return folder
