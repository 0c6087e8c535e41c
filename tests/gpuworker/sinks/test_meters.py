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
    assert stages.percentiles(0.0, (50, 95)) == {
        "detect": {"p50": 2.0, "p95": 2.9},
        "track": {"p50": 1.0, "p95": 1.0},
    }
    assert stages.percentiles(10.0, (50, 95)) == {}


def test_windows_can_be_joined():
    first, second = Window(5.0), Window(5.0)
    first.add(0.0, 1.0)
    second.add(1.0, 3.0)
    assert Window.joined([first, second]).percentiles(1.0, [50]) == [2.0]
    assert Window.joined([]).percentiles(1.0, [50]) is None
