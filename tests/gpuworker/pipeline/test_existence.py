import numpy as np
import pytest

from gpuworker.pipeline.existence import judged, log_odds_detected, survived
from tests.gpuworker.pipeline.staging import SETTINGS

LN4 = SETTINGS.hit_limit


def judge(
    *, hits, elapsed_s=1.0, fit=50.0, confidence=0.0, detection=0.9, logit=0.0, since_s=0.0, height_m=1.74
):
    hit = np.array(hits)[:, None]
    full = np.ones(hit.shape)
    got = judged(
        np.array([logit]),
        fit * full,
        confidence * full,
        hit,
        np.array([height_m]),
        detection * full,
        np.full(len(hit), elapsed_s),
        since_s * full,
        SETTINGS,
    )
    return float(got[0])


def test_judged_hit_adds_at_most_its_limit():
    assert judge(hits=[True]) == pytest.approx(LN4)


def test_judged_hits_of_ten_frames_a_second_say_no_more_than_those_of_two():
    slow, fast = 0.0, 0.0
    for _ in range(1):
        slow = judge(hits=[True], elapsed_s=0.5, logit=slow)
    for _ in range(5):
        fast = judge(hits=[True], elapsed_s=0.1, logit=fast)
    assert slow == pytest.approx(fast)


def test_judged_sight_by_a_camera_counts_by_the_time_since_its_last():
    assert judge(hits=[True], elapsed_s=0.1, since_s=0.2) == pytest.approx(0.4 * LN4)
    assert judge(hits=[True], elapsed_s=0.1, since_s=0.6) == pytest.approx(LN4)
    assert judge(hits=[True], elapsed_s=0.1, since_s=np.inf) == pytest.approx(LN4)


@pytest.mark.parametrize("fps", [2.0, 5.0, 10.0, 25.0])
def test_judged_somebody_seen_in_every_other_frame_or_less_is_there_at_any_rate(fps):
    rng, logit, since_s, there = np.random.default_rng(1), 2.0, np.zeros((2, 1)), []
    for _ in range(round(60 * fps)):
        since_s = since_s + 1 / fps
        hits = rng.random(2) < 0.45
        logit = judge(
            hits=hits.tolist(), elapsed_s=1 / fps, since_s=since_s, detection=0.45, logit=min(logit, 4.0)
        )
        since_s[hits] = 0.0
        there.append(logit > 0.0)
    assert np.mean(there) > 0.95


def test_judged_thing_too_low_for_a_person_gains_less():
    assert judge(hits=[True], height_m=1.3) == pytest.approx(SETTINGS.odd_hit_limit)


def test_judged_doubtful_box_says_less_and_a_sure_one_no_more():
    assert judge(hits=[True], confidence=-1.0) == pytest.approx(LN4 - 1.0)
    assert judge(hits=[True], confidence=1.5) == pytest.approx(LN4)


def test_judged_miss_is_bounded_by_the_time_gone_by():
    assert judge(hits=[False], elapsed_s=0.1) == pytest.approx(-0.1 * SETTINGS.miss_limit_per_s)
    assert judge(hits=[False], elapsed_s=1.0) == pytest.approx(np.log(0.1))


def test_judged_miss_of_somebody_who_cannot_be_seen_says_little():
    assert judge(hits=[False], detection=0.01) == pytest.approx(np.log(0.99))


def test_judged_never_is_certain():
    assert judge(hits=[True] * 9) == pytest.approx(SETTINGS.logit_limit)


def test_survived_half_is_survival():
    got = survived(np.array([0.0, 9.0]), 2.0, SETTINGS)
    assert 1 / (1 + np.exp(-got[0])) == pytest.approx(0.5 * SETTINGS.survival_per_s**2)
    assert got[1] < 9.0


def test_log_odds_detected_by_hand():
    got = log_odds_detected(np.array([0.0]), np.array([[0.8]]))
    assert got[0, 0] == pytest.approx(np.log(0.4 / 0.6))
