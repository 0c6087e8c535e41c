"""The load test: its arguments, its table, and one second of it."""

import json

import pytest
from django.core.management import CommandError, call_command

from environments.models import Environment
from gpuworker.management.commands.benchmark import Command, table
from tests.gpuworker.made import redis_in_use

FIGURES = {
    "machine": {
        "cpu": "A chip",
        "cores": 2,
        "load_before": 0.5,
        "python": "3.11.7",
        "opencv": "5.0.0",
        "detector": "motion",
        "embedder": "colour",
    },
    "cameras": 1,
    "people": 3,
    "seconds": 2,
    "stages_ms": {"detect": {"p50": 4.0, "p95": 5.04, "p99": 6.0}},
    "frame_age_ms": {"p50": 50.0, "p95": 80.0, "p99": 120.0},
    "by_camera": {"c1": {"fps": 9.5, "published": 19, "dropped": 1}},
    "rows_dropped": 0,
    "cpu_cores": {"all": 0.5, "loop": 0.3},
    "memory_mib": {"now": 300, "peak": 400},
}


def test_table_shows_the_machine_and_every_figure():
    assert list(table(FIGURES)) == [
        "A chip, 2 cores, load before 0.5, Python 3.11.7, OpenCV 5.0.0",
        "1 cameras, 3 people, 2 s, detector motion, embedder colour",
        "",
        "ms                            p50      p95      p99",
        "detect                        4.0      5.0      6.0",
        "frame age at publication     50.0     80.0    120.0",
        "",
        "camera                        fps  published  dropped",
        "c1                           9.50         19        1",
        "",
        "CPU of all                   0.50 cores",
        "CPU of loop                  0.30 cores",
        "memory 300 MiB, at most 400 MiB",
    ]


def test_counts_are_checked():
    with pytest.raises(CommandError, match="'0' is no count"):
        Command().create_parser("manage.py", "benchmark").parse_args(["--cameras", "0"])


def test_unknown_detector_ends_with_two(settings):
    settings.SPOTON_DETECTOR = "magic"
    with pytest.raises(CommandError, match="magic") as ended:
        call_command("benchmark")
    assert ended.value.returncode == 2


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_benchmark_measures_the_worker_itself(redis_url, settings, tmp_path, capsys):
    file = tmp_path / "figures.json"
    with redis_in_use(settings, redis_url):
        call_command("benchmark", "--here", cameras=1, people=2, seconds=2, json=file)
    figures = json.loads(file.read_text())
    assert set(figures) == set(FIGURES)
    assert set(figures["stages_ms"]) == {"detect", "embed", "track", "identify", "events", "smooth"}
    assert figures["by_camera"]["c1"]["published"] > 0
    assert 0 < figures["frame_age_ms"]["p50"] <= figures["frame_age_ms"]["p95"]
    assert figures["rows_dropped"] == 0
    assert "frame age at publication" in capsys.readouterr().out
    assert not Environment.objects.exists()
