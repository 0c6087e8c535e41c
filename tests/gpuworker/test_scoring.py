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


def test_score_of_people_who_swap_identities_by_hand():
    truth = [at((1, 0, 0), (2, 5, 0))] * 4
    published = [at((1, 0, 0), (2, 5, 0))] * 2 + [at((2, 0, 0), (1, 5, 0))] * 2
    result = score(truth, published)
    assert (result.switches, result.mota, result.moda) == (2, (8 - 2) / 8, 1)
    assert result.idf1 == pytest.approx(2 * 4 / (8 + 8))  # each identity is right for two of four ticks
    # association of every match: 2 together, 2 more of the truth's, 2 more of the published
    assert result.hota == pytest.approx(np.sqrt(1 * 2 / 6))


def test_score_of_an_identity_that_breaks_late_by_hand():
    truth = [at((1, 0, 0))] * 4
    result = score(truth, [at((1, 0, 0))] * 3 + [at((2, 0, 0))])
    assert result.idf1 == pytest.approx(2 * 3 / (4 + 4))
    # three matches with association 3 / 4, one with 1 / 4
    assert result.hota == pytest.approx(np.sqrt((3 * 3 / 4 + 1 / 4) / 4))


def test_score_of_a_ghost_by_hand():
    truth = [at((1, 0, 0))] * 4
    result = score(truth, [at((1, 0, 0), (2, 9, 9))] * 4)
    assert (result.mota, result.moda, result.precision, result.recall) == (0, 0, 0.5, 1)
    assert result.idf1 == pytest.approx(2 * 4 / (4 + 8))
    assert result.hota == pytest.approx(np.sqrt(4 / 8 * 1))


def test_score_of_a_person_missed_half_the_time_by_hand():
    truth = [at((1, 0, 0))] * 4
    result = score(truth, [at((1, 0, 0)), at(), at((1, 0, 0)), at()])
    assert (result.mota, result.moda, result.recall, result.switches) == (0.5, 0.5, 0.5, 0)
    assert result.idf1 == pytest.approx(2 * 2 / (4 + 2))
    assert result.hota == pytest.approx(np.sqrt(2 / 4 * 2 / 4))


def test_score_hota_counts_thresholds_up_to_the_similarity():
    # half a metre off is a similarity of 0.75: matched at 0.05, 0.10 ... 0.75 of the nineteen thresholds
    assert score([at((1, 0, 0))], [at((1, 0.5, 0))]).hota == pytest.approx(15 / 19)


def test_score_keeps_to_a_match_while_it_holds():
    truth = [at((1, 0, 0))] * 2
    result = score(truth, [at((1, 0, 0)), at((1, 0.8, 0), (2, 0.1, 0))])
    assert (result.switches, result.mota, result.precision) == (0, 0.5, 2 / 3)
    assert result.motp_m == pytest.approx(0.4)


def test_score_of_a_person_who_comes_back_under_another_identity_counts_one_switch():
    truth = [at((1, 0, 0)), at(), at((1, 3, 0))]
    result = score(truth, [at((1, 0, 0)), at(), at((2, 3, 0))])
    assert (result.switches, result.mota, result.moda) == (1, 0.5, 1)
    assert result.idf1 == pytest.approx(2 * 1 / (2 + 2))


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
