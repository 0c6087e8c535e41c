import json

import numpy as np

from tests.benchmarks import gpu
from tests.benchmarks.loads import Crowd, crowd_load
from tests.gpuworker.backends.tiny_models import save_model


def test_the_gpu_benchmark_runs_on_the_cpu_and_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gpu, "POINTS", (100, 10_000))
    detector = save_model(tmp_path / "detector.onnx", [np.zeros((9, 6))], batch="b")
    embedder = save_model(tmp_path / "embedder.onnx", [np.ones(7)], batch="b", height=32, width=16)
    gpu.main(
        [
            "--device", "cpu", "--detector", f"onnx:{detector}", "--embedder", f"onnx:{embedder}", "--cameras", "2", "4",
            "--ticks", "8", "--repeats", "2", "--width", "640", "--json", str(tmp_path / "out.json"),
        ]
    )  # fmt: skip
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["whole"]) == {"2", "4"}
    assert report["whole"]["4"]["people_at_the_end"] > 5
    assert set(report["goals"]) == set(gpu.GOALS_MS)
    assert all(goal["ms"] > 0 for goal in report["goals"].values())
    assert set(report["mapping_ms"]["10000"]) >= {"geometry", "bulk, numpy"}
    if report["machine"]["gpu"] is None:
        assert "no CUDA device here: these are times of the CPU" in capsys.readouterr().out


def test_a_crowds_boxes_take_the_place_of_what_was_found():
    load = crowd_load(Crowd(cameras=2, people=6, fps=5.0, seconds=0.4))
    asked = []

    class Detector:
        name = "none"

        def detect(self, frames):
            asked.append(len(frames))
            return []

    frames = gpu.pictures(load, 1, 36, 64)
    found = gpu.Watched(Detector(), load).detect(frames[::-1])
    assert asked == [2]
    expected = {o.camera_id: o.detections for o in load.ticks[1]}
    assert [f is expected[frame.camera_id] for f, frame in zip(found, frames[::-1], strict=True)] == [
        True,
        True,
    ]
