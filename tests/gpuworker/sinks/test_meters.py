"""Figures over the last seconds."""

from gpuworker.sinks.meters import Stages, Window


def test_window_rate_counts_from_the_first_value():
    window = Window(5.0)
    assert window.rate(0.0) == 0.0
    for i in range(11):
        window.add(i / 10, 1.0)
    assert window.rate(1.0) == 10.0


def test_window_forgets_what_is_older_than_its_span():
    window = Window(5.0)
    window.add(0.0, 100.0)
    window.add(4.0, 1.0)
    assert window.percentiles(4.0, [50]) == [50.5]
    assert window.percentiles(6.0, [50]) == [1.0]
    assert window.percentiles(10.0, [50]) is None


def test_stages_give_percentiles_by_stage():
    stages = Stages(5.0)
    for value in (1.0, 2.0, 3.0):
        stages.add(0.0, {"detect": value, "track": 1.0})
    assert stages.percentiles(0.0) == {
        "detect": {"p50_ms": 2.0, "p95_ms": 2.9},
        "track": {"p50_ms": 1.0, "p95_ms": 1.0},
    }
