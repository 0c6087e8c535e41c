import json

import cv2
import numpy as np
import pytest

from gpuworker.scenes import SceneError, read_detections, read_pictures, read_scene

# 100 px a metre, straight down from the picture's lower left corner
HOMOGRAPHY = [[0.01, 0, 0], [0, -0.01, 4.8], [0, 0, 1]]


def write(folder, *, scene=None, camera=None, detections=None, truth=None):
    entry = {
        "id": "c1",
        "width": 640,
        "height": 480,
        "homography_image_to_world": HOMOGRAPHY,
        **(camera or {}),
    }
    if detections is not None:
        (folder / "d.txt").write_text(detections)
        entry["detections"] = "d.txt"
    if truth is not None:
        (folder / "gt.txt").write_text(truth)
    raw = {
        "name": "yard",
        "fps": 2,
        "frames": 2,
        "bounds_m": [0, 0, 6, 5],
        "cameras": [entry],
        **(scene or {}),
    }
    raw = {k: v for k, v in raw.items() if v != "gone"}
    (folder / "scene.json").write_text(json.dumps(raw))
    return folder


def test_read_scene_gives_cameras_and_truth(tmp_path):
    scene = read_scene(write(tmp_path, truth="1,7,-1,-1,-1,-1,1,2.5,3.5,0\n", camera={"offset_s": 0.1}))
    assert (scene.name, scene.fps, scene.frames, scene.bounds_m) == ("yard", 2.0, 2, (0, 0, 6, 5))
    assert (scene.cameras[0].model.camera_id, scene.cameras[0].offset_s) == ("c1", 0.1)
    assert scene.truth is not None
    assert [t.ids.tolist() for t in scene.truth] == [[7], []]
    assert scene.truth[0].xy_m.tolist() == [[2.5, 3.5]]


def test_read_scene_without_truth_has_none(tmp_path):
    assert read_scene(write(tmp_path)).truth is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scene": {"fps": "gone"}}, "the key 'fps' is missing"),
        ({"scene": {"fps": "fast"}}, "fps must be a number"),
        ({"scene": {"fps": 0}}, "fps must be positive"),
        ({"scene": {"frames": 1.5}}, "positive whole number"),
        ({"scene": {"bounds_m": [0, 0, 1]}}, "bounds_m: expected numbers of shape"),
        ({"scene": {"bounds_m": [1, 0, 0, 1]}}, "bounds_m must be x_min"),
        ({"scene": {"cameras": []}}, "expected cameras"),
        ({"scene": {"cameras": {}}}, "cameras must be a list"),
        ({"scene": {"cameras": [3]}}, "expected an object"),
        ({"camera": {"homography_image_to_world": [[0, 0, 0]] * 3}}, "singular"),
        ({"camera": {"homography_image_to_world": [[1, 2], [3]]}}, "numbers only"),
        ({"camera": {"detections": "nowhere.txt"}}, "no such file"),
        ({"camera": {"width": -1}}, "not positive"),
        ({"truth": "1,7,-1\n"}, "line 1: expected 10 columns, got 3"),
        ({"truth": "1,7,-1,-1,-1,-1,1,x,y,0\n"}, "expected numbers"),
        ({"truth": "1,7,-1,-1,-1,-1,1,nan,1,0\n"}, "not finite"),
        ({"truth": "1,7,-1,-1,-1,-1,1,1,1,0\n" * 2}, "frame 1 has an id twice"),
    ],
)
def test_read_scene_says_what_is_wrong(tmp_path, change, message):
    with pytest.raises(SceneError, match=message) as error:
        read_scene(write(tmp_path, **change))
    assert "\n" not in str(error.value)


def test_read_scene_of_no_folder_or_no_json_says_so(tmp_path):
    with pytest.raises(SceneError, match="no scene folder"):
        read_scene(tmp_path / "nowhere")
    (tmp_path / "scene.json").write_text("{")
    with pytest.raises(SceneError, match="not JSON"):
        read_scene(tmp_path)


def test_read_detections_gives_boxes_tick_by_tick(tmp_path):
    text = "2,-1,10,20,30,40,0.5,-1,-1,-1\n1,-1,0,0,5,5,0.9,-1,-1,-1\n9,-1,0,0,5,5,0.9,-1,-1,-1\n"
    scene = read_scene(write(tmp_path, detections=text))
    first, second = read_detections(scene.cameras[0], scene.frames)
    assert first[0].xyxy.tolist() == [[0, 0, 5, 5]]
    assert second[0].xyxy.tolist() == [[10, 20, 40, 60]]
    assert second[0].confidence.tolist() == [0.5]
    assert second[1].shape == (1, 0)


def test_read_detections_takes_embeddings_row_by_row(tmp_path):
    np.save(tmp_path / "e.npy", np.eye(2, dtype=np.float32))
    text = "2,-1,10,20,30,40,0.5,-1,-1,-1\n1,-1,0,0,5,5,0.9,-1,-1,-1\n"
    scene = read_scene(write(tmp_path, detections=text, camera={"embeddings": "e.npy"}))
    ticks = read_detections(scene.cameras[0], scene.frames)
    assert [looks.tolist() for _, looks in ticks] == [[[0, 1]], [[1, 0]]]


def test_read_detections_refuses_embeddings_that_do_not_fit(tmp_path):
    np.save(tmp_path / "e.npy", np.zeros((3, 4), np.float32))
    scene = read_scene(
        write(tmp_path, detections="1,-1,0,0,5,5,0.9,-1,-1,-1\n", camera={"embeddings": "e.npy"})
    )
    with pytest.raises(SceneError, match=r"expected 1 rows"):
        read_detections(scene.cameras[0], scene.frames)


def test_read_pictures_gives_none_for_a_missing_one(tmp_path):
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/000001.jpg"), np.full((480, 640, 3), 200, np.uint8))
    scene = read_scene(write(tmp_path, camera={"images": "pictures"}))
    first, second = read_pictures(scene.cameras[0], scene.frames)
    assert first is not None
    assert first.shape == (480, 640, 3)
    assert second is None


def test_read_pictures_refuses_another_size(tmp_path):
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/000001.jpg"), np.zeros((48, 64, 3), np.uint8))
    scene = read_scene(write(tmp_path, camera={"images": "pictures"}))
    with pytest.raises(SceneError, match="expected pictures of 640x480, got 64x48"):
        list(read_pictures(scene.cameras[0], scene.frames))


def test_read_pictures_refuses_what_is_no_video(tmp_path):
    (tmp_path / "v.mp4").write_bytes(b"no video at all")
    scene = read_scene(write(tmp_path, camera={"video": "v.mp4"}))
    with pytest.raises(SceneError, match="cannot be read as a video"):
        list(read_pictures(scene.cameras[0], scene.frames))
