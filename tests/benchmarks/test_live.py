"""How the benchmark of the live view sums up what viewers got; it runs whole by hand."""

from tests.benchmarks.live import SAMPLE_S, _figures, _growth
from tests.benchmarks.live_viewers import FRAME, HEADER_BYTES
from tests.tracking.sockets import AT, frame
from tracking import live

HIGH, LOW = "high", "low"


def test_frame_is_known_by_the_beginning_of_its_message():
    found = FRAME.search(frame("c2", seq=17, tier="low"), 0, HEADER_BYTES)
    assert found is not None
    assert [found[1], found[2], found[4]] == [b"c2", b"17", b"low"]
    assert FRAME.search(live.positions(at=AT, people=[]).encode()) is None


def test_slow_viewer_is_judged_by_when_the_tier_fell_and_by_ages_after_that():
    slow = [(0.1, 700.0, HIGH), (1.0, 900.0, HIGH), (2.5, 300.0, LOW), (3.5, 200.0, LOW), (4.0, 400.0, LOW)]
    report = {"frames": 100, "seconds": 10.0, "slow": [slow]}
    figures = _figures(report, 0.05, [100.0, 101.0])
    assert figures["web_cpu_ms_a_frame"] == 0.5
    assert figures["slow"] == [
        {
            "mbit_per_s": 1.0,
            "lower_tier_after_s": 2.5,
            "tiers": [HIGH, LOW],
            "frames": 5,
            "oldest_before_settled_ms": 900,
            "age_settled_ms": {"p50": 300, "p95": 390, "p100": 400},
        }
    ]


def test_growth_is_the_slope_of_the_second_half():
    assert _growth([0.0, 50.0, 100.0, 100.0, 100.0, 100.0]) == 0.0
    assert _growth([0.0, 0.0, 0.0, 0.0, *[SAMPLE_S / 60 * k for k in range(4)]]) == 1.0
