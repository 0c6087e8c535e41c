import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuworker.pipeline import intervals
from gpuworker.pipeline.intervals import meeting

SOME = st.lists(st.tuples(st.integers(0, 9), st.integers(-1, 4), st.integers(0, 2)), max_size=9)


def columns(some):
    table = np.array(some, dtype=np.int64).reshape(-1, 3)
    return table[:, 0].astype(float), (table[:, 0] + table[:, 1]).astype(float), table[:, 2]


@pytest.mark.parametrize("few", [0, intervals.FEW])
@given(SOME, SOME)
def test_meeting_finds_each_pair_that_shares_a_point_once(few, some, others):
    before, intervals.FEW = intervals.FEW, few
    try:
        i, j = meeting(*columns(some), *columns(others))
    finally:
        intervals.FEW = before
    expected = {
        (a, b)
        for a, (low, size, group) in enumerate(some)
        for b, (other_low, other_size, other_group) in enumerate(others)
        if group == other_group
        and min(size, other_size) >= 0
        and low <= other_low + other_size
        and other_low <= low + size
    }
    got = list(zip(i.tolist(), j.tolist(), strict=True))
    assert len(got) == len(expected)
    assert set(got) == expected


def test_meeting_of_many_that_are_apart_is_none():
    low = np.arange(300.0) * 10
    groups = np.zeros(300, dtype=np.int64)
    i, j = meeting(low, low + 4, groups, low + 5, low + 9, groups)
    assert len(i) == len(j) == 0
