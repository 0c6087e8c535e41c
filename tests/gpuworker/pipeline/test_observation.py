import numpy as np
import pytest

from gpuworker.pipeline.observation import confidence_evidence, hypothesis_priors, measure
from gpuworker.pipeline.values import Detections
from tests.gpuworker.pipeline.staging import SETTINGS, yard

CAMERA = yard()["c1"]  # 1280 x 720


def measured(*boxes, confidence=0.9, sees_height=True):
    xyxy = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    found = Detections(xyxy, np.full(len(xyxy), confidence, np.float32))
    return measure([CAMERA], [found], SETTINGS, sees_height=np.array([sees_height]))


def test_measure_takes_middle_bottom_and_top():
    got = measured((100, 200, 140, 300))
    assert got.z[0] == pytest.approx([120, 300, 200])
    assert got.valid.all()


@pytest.mark.parametrize(
    ("box", "valid"),
    [
        ((0, 200, 40, 300), [False, True, True]),
        ((1250, 200, 1280, 300), [False, True, True]),
        ((100, 500, 140, 719), [True, False, True]),
        ((100, 1, 140, 100), [True, True, False]),
    ],
)
def test_measure_takes_no_edge_of_the_picture_for_one_of_the_person(box, valid):
    assert measured(box).valid[0].tolist() == valid


@pytest.mark.parametrize("box", [(np.nan, 0, 10, 10), (10, 10, 10, 90), (50, 90, 90, 50), (0, 0, np.inf, 10)])
def test_measure_of_no_box_at_all_measures_nothing(box):
    got = measured(box)
    assert not got.valid.any()
    assert np.isfinite(got.z).all()


def test_measure_of_nothing_is_empty():
    assert len(measured()) == 0


def test_measure_without_heights_takes_no_top():
    assert measured((100, 200, 140, 300), sees_height=False).valid[0].tolist() == [True, True, False]


def test_confidence_evidence_is_nothing_at_the_neutral_one_and_bounded():
    got = confidence_evidence(np.array([0.0, SETTINGS.confidence_neutral, 1.0, np.nan]), SETTINGS)
    assert got == pytest.approx([-2.5, 0.0, 2.5, -2.5], abs=1e-6)


def test_hypothesis_priors_are_probabilities_and_follow_the_feet():
    p = np.exp(hypothesis_priors(np.array([1.0, 0.0]), SETTINGS))
    assert p.sum(axis=1) == pytest.approx([1, 1])
    assert p[:, 1] == pytest.approx([SETTINGS.feet_hidden_base, SETTINGS.feet_hidden_occluded])
