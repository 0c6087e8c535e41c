import json
import sys

import pytest

from gpuworker.scoring import Scores
from tests.benchmarks import simulator
from tests.benchmarks.simulator import Followed, line, row


def run_of(seed):
    """Give a run that is the worse the greater the seed; in the third the camera that moved is not named."""
    scores = Scores(1 - seed / 10, 0.5, 0.1 * seed, 0.5, 0.5, 0.5, 0.5, seed)
    return Followed(scores, named_s=None if seed == 3 else 4.0, blamed=("c1",) * (seed == 3))


def test_row_gives_mean_and_worst_over_the_seeds():
    figures = row(run_of, [1, 2, 3])
    assert figures["idf1"] == {"mean": 0.8, "worst": 0.7, "each": [0.9, 0.8, 0.7]}
    assert figures["switches"] == {"mean": 2.0, "worst": 3.0, "each": [1.0, 2.0, 3.0]}
    assert figures["motp_m"]["worst"] == pytest.approx(0.3)
    assert (figures["named_s"], figures["blamed"]) == ([4.0, 4.0, None], [[], [], ["c1"]])


def test_line_shows_goal_and_whom_it_blames():
    assert line("in step", row(run_of, [1, 3])) == (
        "| in step | 0.800 (0.700) | 0.500 (0.500) | 0.200 (0.300) | 2.0 (3) | 1 blamed wrongly; "
        "named after 4, - s; goal 0.96 / 0.94 |"
    )


def test_benchmark_writes_figures_and_table(monkeypatch, tmp_path, capsys):
    path = tmp_path / "results" / "simulator.json"
    monkeypatch.setitem(simulator.ROWS, "in step", run_of)
    monkeypatch.setattr(sys, "argv", ["simulator", "--only", "in step", "--seeds", "1", "--json", str(path)])
    simulator.main()
    assert json.loads(path.read_text())["rows"]["in step"]["idf1"]["mean"] == 0.9
    table = path.with_suffix(".md").read_text()
    assert table.count("\n") == 3
    assert table in capsys.readouterr().out
