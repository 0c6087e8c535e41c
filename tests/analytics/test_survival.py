"""How long stays last, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.survival import stay_quantiles

QUARTERS = (0.25, 0.5, 0.75)
LENGTHS = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("lengths_s", "has_ended", "expected"),
    [
        ([], [], [None, None, None]),
        ([5.0], [True], [5.0, 5.0, 5.0]),
        ([5.0], [False], [None, None, None]),
        ([4.0, 1.0, 3.0, 2.0], [True] * 4, [1.0, 2.0, 3.0]),
        # one of four goes on at 2: of the two left at 3 one ends, so that 3/4 becomes 3/8
        ([1.0, 2.0, 3.0, 4.0], [True, False, True, True], [1.0, 3.0, 4.0]),
        # who goes on at 2 outlasts who ends at 2: 3/4, then 1/2, and nobody is seen to end later
        ([1.0, 2.0, 2.0, 9.0], [True, True, False, False], [1.0, 2.0, None]),
        ([7.0] * 4, [True] * 4, [7.0, 7.0, 7.0]),
        ([7.0] * 4, [True, False, False, False], [7.0, None, None]),
        ([0.0, 0.0], [True, True], [0.0, 0.0, 0.0]),
    ],
    ids=["none", "one", "one that goes on", "all ended", "one goes on", "tied", "equal", "three", "nothing"],
)
def test_quantiles_are_those_by_hand(lengths_s, has_ended, expected):
    assert stay_quantiles(lengths_s, has_ended, QUARTERS) == expected


def test_stays_and_ends_are_as_many():
    with pytest.raises(ValueError, match="has_ended: expected 2 of them, got 1"):
        stay_quantiles([1.0, 2.0], [True], QUARTERS)


@given(LENGTHS)
def test_when_all_have_ended_quantiles_are_those_of_the_lengths(lengths_s):
    n = len(lengths_s)
    (median,) = stay_quantiles(lengths_s, [True] * n, [0.5])
    assert median == sorted(lengths_s)[(n + 1) // 2 - 1]


@given(LENGTHS, st.data())
def test_who_goes_on_makes_no_quantile_shorter(lengths_s, data):
    ended = data.draw(st.lists(st.booleans(), min_size=len(lengths_s), max_size=len(lengths_s)))
    known = stay_quantiles(lengths_s, [True] * len(lengths_s), QUARTERS)
    for shortest, found in zip(known, stay_quantiles(lengths_s, ended, QUARTERS), strict=True):
        assert shortest is not None
        assert found is None or found >= shortest
