import numpy as np
import pytest

from gpuworker.scoring import Positions, score


def at(*people):
    """Positions of (id, x, y) triples."""
    table = np.array(people, dtype=np.float64).reshape(-1, 3)
    return Positions(table[:, 0].astype(np.int64), table[:, 1:])


def test_score_of_the_truth_itself_is_perfect():
    truth = [at((7, 0, 0), (9, 5, 5)), at((7, 1, 0), (9, 5, 6))]
    published = [at((1, 0, 0), (2, 5, 5)), at((1, 1, 0), (2, 5, 6))]
    result = score(truth, published)
    assert (result.idf1, result.mota, result.moda, result.hota) == pytest.approx((1, 1, 1, 1))
    assert (result.recall, result.precision, result.switches, result.motp_m) == (1, 1, 0, 0)


def test_score_of_half_a_metre_off_gives_its_distance():
    result = score([at((1, 0, 0))], [at((1, 0.5, 0))])
    assert result.motp_m == pytest.approx(0.5)
    assert (result.mota, result.moda) == (1, 1)


def test_score_between_half_a_metre_and_a_metre_matches_for_mota_only():
    result = score([at((1, 0, 0))], [at((1, 0.75, 0))])
    assert (result.mota, result.moda) == (1, -1)


def test_score_beyond_a_metre_is_a_miss_and_a_false_position():
    result = score([at((1, 0, 0))], [at((1, 1.01, 0))])
    assert (result.mota, result.recall, result.precision, result.motp_m) == (-1, 0, 0, None)


def test_score_of_exactly_a_metre_matches():
    assert score([at((1, 0, 0))], [at((1, 1.0, 0))]).mota == 1


def test_score_counts_a_switch():
    truth = [at((1, 0, 0))] * 4
    published = [at((1, 0, 0)), at((1, 0, 0)), at((2, 0, 0)), at((2, 0, 0))]
    result = score(truth, published)
    assert result.switches == 1
    assert (result.mota, result.idf1) == pytest.approx((0.75, 0.5))


def test_score_of_nothing_published_misses_everybody():
    result = score([at((1, 0, 0)), at((1, 0, 0))], [at(), at()])
    assert (result.idf1, result.mota, result.recall, result.hota, result.motp_m) == (0, 0, 0, 0, None)


def test_score_of_people_where_nobody_is_counts_them_as_false():
    result = score([at(), at((5, 0, 0))], [at((1, 3, 3)), at((1, 0, 0))])
    assert (result.mota, result.precision, result.recall) == (0, 0.5, 1)


def test_score_takes_any_identity_numbers():
    truth = [at((10**12, 0, 0), (-4, 3, 3))]
    assert score(truth, [at((99, 0, 0), (10**9, 3, 3))]).idf1 == 1


def test_positions_inside_includes_the_border():
    people = at((1, 0, 0), (2, 2, 1), (3, 2.01, 0), (4, -0.01, 0))
    assert people.inside((0, 0, 2, 1)).ids.tolist() == [1, 2]
