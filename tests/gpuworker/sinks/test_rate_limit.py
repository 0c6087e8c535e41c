"""Evenly, at most so often."""

from gpuworker.sinks.rate_limit import RateLimit


def passed(limit: RateLimit, times: list[float]) -> list[float]:
    through = []
    for t in times:
        if limit.is_due(t):
            limit.pass_one(t)
            through.append(t)
    return through


def test_an_even_stream_at_the_rate_passes_whole_despite_jitter():
    times = [0.0, 0.13, 0.18, 0.32, 0.39, 0.5]
    assert passed(RateLimit(10.0), times) == times


def test_a_faster_stream_is_thinned_to_the_rate():
    times = [i / 40 for i in range(400)]
    assert len(passed(RateLimit(10.0), times)) in (100, 101)


def test_a_pause_is_not_made_up_for():
    limit = RateLimit(10.0)
    passed(limit, [0.0])
    assert len(passed(limit, [10 + i / 100 for i in range(100)])) <= 11
