import json
import sys

import numpy as np
import pytest

from gpuworker.pipeline.values import Detections
from gpuworker.sources.sim.detect import TrueBoxes
from tests.benchmarks import tracker
from tests.benchmarks.filters import filters
from tests.benchmarks.loads import Crowd
from tests.benchmarks.machine import machine
from tests.benchmarks.memory import embeddings, growth_mb_per_h, memory


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command on parts that cost nothing, each in this process; give what was written."""
    parts = {"filters": {"ms": 1}, "4x20": {"ms": 2}, "memory": {"ms": 3}}
    monkeypatch.setattr(tracker, "_parts", lambda scenes: parts)
    monkeypatch.setattr(tracker, "_alone", lambda part: part)
    monkeypatch.setattr(tracker, "lines", lambda name, figures: [name])
    path = tmp_path / "results" / "tracker.json"

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["tracker", "--json", str(path), *arguments])
        tracker.main()
        return json.loads(path.read_text())

    return command


def test_benchmark_leaves_the_hour_out_unless_asked(run):
    assert {name: part["ms"] for name, part in run()["parts"].items()} == {"filters": 1, "4x20": 2}
    assert list(run("--hour")["parts"]) == ["filters", "4x20", "memory"]


def test_benchmark_keeps_the_parts_that_it_does_not_measure(run):
    before = run("--only", "memory")
    after = run("--only", "4x20")
    assert after["parts"] == {"memory": before["parts"]["memory"], "4x20": after["parts"]["4x20"]}
    assert after["machine"]["cpu"] == machine()["cpu"]


def test_benchmark_forgets_what_another_processor_did(run, tmp_path):
    run("--only", "memory")
    path = tmp_path / "results" / "tracker.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"machine": {"cpu": "another"}}))
    assert list(run("--only", "4x20")["parts"]) == ["4x20"]


def test_benchmark_of_an_unknown_part_names_the_choices(run):
    with pytest.raises(SystemExit, match="no part 5x5: choose from filters, 4x20, memory"):
        run("--only", "5x5")


def test_lines_name_tracker_times_scores_and_goal():
    times = {"p50": 1.0, "p95": 2.0, "p99": 3.0}
    scores = {"idf1": 0.5, "mota": -0.25, "precision": 0.1, "recall": 0.2, "switches": 4}
    printed = tracker.lines("4x20", {"trackers": {"spoton": {"cpu_ms": times, "wall_ms": times, **scores}}})
    assert [" ".join(line.split()) for line in printed] == [
        "4x20 spoton CPU ms p50 1.000 p95 2.000 p99 3.000 (wall p50 1.000)"
        " IDF1 0.500 MOTA -0.250 precision 0.100 recall 0.200 switches 4",
        "goal of spoton: p50 2.5 ms",
    ]


def test_filters_in_arrays_give_what_single_ones_give():
    found = filters(tracks=4, rounds=3)
    assert found["largest_difference"] < 1e-9
    assert {name: list(found[name]) for name in ("arrays", "filterpy")} == {
        "arrays": ["cpu_ms", "wall_ms"],
        "filterpy": ["cpu_ms", "wall_ms"],
    }


def test_memory_samples_while_people_are_followed():
    found = memory(Crowd(cameras=2, people=3, fps=5.0, seconds=2.0), sample_s=0.4)
    assert len(found["resident_mb"]) == len(found["remembered"]) == len(found["cpu_ms_per_tick"]) == 5
    assert found["persons"] == found["remembered"][-1] == 3
    assert found["growth_mb_per_h"] is None


def test_growth_is_that_after_warm_up():
    seconds = np.array([0.0, 60.0, 120.0, 180.0, 240.0])
    megabytes = np.array([1.0, 50.0, 100.0, 101.0, 102.0])
    assert growth_mb_per_h(seconds, megabytes, 100.0) == pytest.approx(60.0)
    assert growth_mb_per_h(seconds, megabytes, 130.0) is None


def test_embeddings_tell_people_apart_and_leave_false_boxes_out():
    xyxy = np.array([[0, 0, 40, 100], [100, 0, 140, 100]], np.float32)
    boxes = TrueBoxes(np.array([5, 6]), xyxy, xyxy, np.ones(2))
    found = Detections(np.vstack([xyxy, xyxy[:1], xyxy[:1] + 300]), np.ones(4, np.float32))
    rows = embeddings(3)(boxes, found)
    assert np.linalg.norm(rows[:3], axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    assert rows[0] @ rows[2] == pytest.approx(0.8, abs=0.07)
    assert abs(rows[0] @ rows[1]) < 0.2
    assert np.isnan(rows[3]).all()
