import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from gpuworker.evaluation import evaluate_scene
from gpuworker.scenes import read_scene
from gpuworker.scoring import Scores
from tests.gpuworker.pipeline.staging import boxes, state, yard

ACCURACY = Path(__file__).parents[1] / "accuracy.json"
TICKS = 12
SCORES = {f.name for f in fields(Scores)}


def walkers(tick):
    return state((2 + 0.4 * tick, 4), (8 - 0.4 * tick, 7))


def write_scene(folder, *, truth=True, name="walkers", change=None):
    """Two people who walk past each other, seen by two cameras, at 4 ticks a second."""
    cameras, entries = yard(2), []
    for key, model in cameras.items():
        rows = []
        for tick in range(TICKS):
            for left, top, right, bottom in boxes(model, walkers(tick)):
                rows.append(f"{tick + 1},-1,{left},{top},{right - left},{bottom - top},0.9,-1,-1,-1")
        (folder / f"{key}.txt").write_text("\n".join(rows) + "\n")
        entries.append(
            {
                "id": key,
                "width": model.width,
                "height": model.height,
                "homography_image_to_world": model.h_image_to_world.tolist(),
                "camera_matrix": model.lens.matrix.tolist(),
                "rotation": model.rotation.tolist(),
                "translation_m": model.translation_m.tolist(),
                "detections": f"{key}.txt",
            }
        )
    if truth:
        rows = [
            f"{tick + 1},{i},-1,-1,-1,-1,1,{x},{y},0"
            for tick in range(TICKS)
            for i, (x, y) in enumerate(walkers(tick)[:, :2])
        ]
        (folder / "gt.txt").write_text("\n".join(rows) + "\n")
    scene = {"name": name, "fps": 4, "frames": TICKS, "bounds_m": [0, 0, 10, 10], "cameras": entries}
    (folder / "scene.json").write_text(json.dumps({**scene, **(change or {})}))
    return folder


def test_evaluate_of_clean_boxes_is_perfect(tmp_path, capsys):
    out = tmp_path / "out.json"
    call_command("evaluate", write_scene(tmp_path), json=out)
    got = json.loads(out.read_text())["scenes"]["walkers"]
    assert (got["idf1"], got["mota"], got["moda"], got["switches"], got["identities"]) == (1, 1, 1, 0, 2)
    assert got["motp_m"] < 0.1
    assert got["frames"] == TICKS
    assert set(got["ms_per_frame"]) == {"p50", "p95", "p99"}
    assert {"track", "identify", "events"} <= set(got["stages_ms"])
    assert got["fde_m"]["1"] < got["fde_still_m"]["1"]
    assert got["ade_m"]["5"] is not None is got["fde_m"]["5"]  # the scene is three seconds long
    assert got["motp_stored_m"] < 0.1
    printed = capsys.readouterr().out
    assert "walkers" in printed
    assert "match within 1 m" in printed
    assert "fde 3 s" in printed


def test_evaluate_without_truth_has_no_scores(tmp_path, capsys):
    out = tmp_path / "out.json"
    call_command("evaluate", write_scene(tmp_path, truth=False), json=out)
    got = json.loads(out.read_text())["scenes"]["walkers"]
    assert {got[name] for name in SCORES | {"fde_m", "inside_90", "motp_stored_m"}} == {None}
    assert got["identities"] == 2


def test_evaluate_scores_the_area_only(tmp_path):
    folder = write_scene(tmp_path, change={"bounds_m": [0, 6, 10, 10]})
    result = evaluate_scene(read_scene(folder))
    assert result.scores is not None
    assert (result.identities, result.scores.recall, result.scores.precision) == (1, 1, 1)


def test_evaluate_runs_twice_the_same(tmp_path):
    scene = read_scene(write_scene(tmp_path))
    assert evaluate_scene(scene).scores == evaluate_scene(scene).scores


def test_evaluate_uses_the_offset_of_a_camera(tmp_path):
    folder = write_scene(tmp_path)
    raw = json.loads((folder / "scene.json").read_text())
    raw["cameras"][1]["offset_s"] = -0.05
    (folder / "scene.json").write_text(json.dumps(raw))
    scores = evaluate_scene(read_scene(folder)).scores
    assert scores is not None
    assert scores.mota == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "scene.json").unlink(), "no scene.json"),
        (lambda f: (f / "scene.json").write_text("{"), "not JSON"),
        (lambda f: (f / "scene.json").write_text("{}"), "is missing"),
        (lambda f: (f / "c1.txt").unlink(), "no such file"),
        (lambda f: (f / "c2.txt").write_text("1,2,3\n"), "expected 10 columns, got 3"),
    ],
)
def test_evaluate_of_a_bad_scene_says_what_is_wrong_and_ends_with_2(tmp_path, spoil, message):
    spoil(write_scene(tmp_path))
    with pytest.raises(CommandError, match=message) as error:
        call_command("evaluate", tmp_path)
    assert error.value.returncode == 2
    assert "\n" not in str(error.value)


def test_evaluate_of_an_unknown_detector_ends_with_2(tmp_path):
    with pytest.raises(CommandError, match="nothing_like_it") as error:
        call_command("evaluate", write_scene(tmp_path), detector="nothing_like_it")
    assert error.value.returncode == 2


def test_evaluate_of_a_detector_without_pictures_ends_with_2(tmp_path):
    with pytest.raises(CommandError, match="no pictures") as error:
        call_command("evaluate", write_scene(tmp_path), detector="motion")
    assert error.value.returncode == 2


def test_evaluate_of_two_scenes_with_one_name_ends_with_2(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with pytest.raises(CommandError, match="two scenes"):
        call_command("evaluate", write_scene(tmp_path / "a"), write_scene(tmp_path / "b"))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(json.loads(ACCURACY.read_text())))
def test_accuracy_has_not_fallen(name, shared_dir, tmp_path):
    achieved = json.loads(ACCURACY.read_text())[name]
    detector = achieved["detector"] and f"onnx:{shared_dir / achieved['detector']}"
    out = tmp_path / "out.json"
    call_command("evaluate", shared_dir / "scenes" / name, detector=detector, json=out)
    got = json.loads(out.read_text())["scenes"][name]
    for score in ("idf1", "mota"):
        assert got[score] >= achieved[score] - achieved["tolerance"], score


@pytest.mark.slow
@pytest.mark.parametrize(("name", "people"), [("cmc1", 3), ("cmc2", 10)])
def test_accuracy_of_identities_that_last(name, people, shared_dir):
    result = evaluate_scene(read_scene(shared_dir / "scenes" / name))
    assert abs(result.lasting_identities - people) <= 1
    assert result.scores is None


def test_captured_frames_of_a_scene_are_at_most_the_ticks(tmp_path):
    scene = read_scene(write_scene(tmp_path, change={"frames": 5}))
    assert evaluate_scene(scene).frames == 5
    assert np.isfinite(evaluate_scene(scene).ms_per_frame["p99"])
