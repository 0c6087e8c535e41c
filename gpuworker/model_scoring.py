"""Scores of a detector and of an embedder by themselves, against true boxes in the pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gpuworker.pipeline.boxes import iou
from gpuworker.pipeline.values import Detections, Floats32

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MATCH_IOU = 0.5
COCO_IOUS = tuple(np.arange(0.5, 1.0, 0.05).round(2).tolist())
RECALL_STEPS = np.linspace(0.0, 1.0, 101)
PROTOCOL = (
    "a box matches a true one of its picture at IoU 0.5, the most confident first; boxes that touch no true box are "
    "not judged, as people beside the annotated floor have none; mAP is the mean over IoU 0.5 to 0.95 of the area "
    "under precision by recall"
)


@dataclass(frozen=True, slots=True)
class DetectionScores:
    """How well boxes fit the true ones.

    Attributes:
        precision, recall: of the boxes at least as confident as asked.
        map_50: average precision at IoU 0.5.
        map_50_95: mean of it over IoU 0.5 to 0.95.
        boxes, people: how many were judged, and how many true ones there are.
    """

    precision: float
    recall: float
    map_50: float
    map_50_95: float
    boxes: int
    people: int


def score_detections(
    found: Sequence[Detections], truth: Sequence[Floats32], *, confidence: float
) -> DetectionScores:
    """Compare the boxes found in pictures with the true ones (m, 4) xyxy px of the same pictures.

    Source: COCO's evaluation (Lin et al., 2014): 101 points of recall, precision made to fall.
    """
    people = sum(len(boxes) for boxes in truth)
    judged = [_judged(boxes, true) for boxes, true in zip(found, truth, strict=True)]
    score = np.concatenate([np.zeros(0), *(boxes.confidence for boxes in judged)])
    right = {
        level: np.concatenate(
            [np.zeros(0, bool), *(_matched(b, t, level) for b, t in zip(judged, truth, strict=True))]
        )
        for level in COCO_IOUS
    }
    sure = score >= confidence
    hits = int(right[MATCH_IOU][sure].sum())
    precisions = [average_precision(score, right[level], people) for level in COCO_IOUS]
    return DetectionScores(
        precision=hits / int(sure.sum()) if sure.any() else 0.0,
        recall=hits / people if people else 0.0,
        map_50=precisions[0],
        map_50_95=float(np.mean(precisions)),
        boxes=int(sure.sum()),
        people=people,
    )


def _judged(found: Detections, truth: Floats32) -> Detections:
    order = np.argsort(-found.confidence, kind="stable")
    found = found.select(order)
    return found.select(iou(found.xyxy, truth).max(axis=1, initial=0.0) > 0)


def _matched(found: Detections, truth: Floats32, level: float) -> NDArray[np.bool_]:
    """Say which boxes, the most confident first, match a true one that none before them does."""
    overlap = iou(found.xyxy, truth)
    free = np.ones(len(truth), bool)
    right = np.zeros(len(found), bool)
    for i, row in enumerate(overlap):
        open_ = np.where(free, row, 0.0)
        if open_.size and open_.max() >= level:
            free[open_.argmax()] = False
            right[i] = True
    return right


def average_precision(score: Floats, right: NDArray[np.bool_], people: int) -> float:
    """Give the area under precision by recall of boxes with a score (n,), of which some are right."""
    if not people or not len(score):
        return 0.0
    hits = np.cumsum(right[np.argsort(-score, kind="stable")])
    recall = hits / people
    precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
    at = np.searchsorted(recall, RECALL_STEPS)
    return float(np.mean(np.where(at < len(precision), precision[np.minimum(at, len(precision) - 1)], 0.0)))


def separation_auc(embeddings: Floats32, person: Ints, camera: Ints) -> float:
    """Give how likely two crops of one person are more alike than two of different people.

    Only pairs of different cameras count. NaN where there are not both kinds of pairs, or nothing to tell by.
    """
    known = np.isfinite(embeddings).all(axis=1)
    vectors, person, camera = embeddings[known], person[known], camera[known]
    a, b = np.triu_indices(len(vectors), 1)
    across = camera[a] != camera[b]
    a, b = a[across], b[across]
    alike = np.einsum("nd,nd->n", vectors[a], vectors[b])
    same = person[a] == person[b]
    ones, others = int(same.sum()), int((~same).sum())
    if not ones or not others:
        return float("nan")
    # Source: Mann-Whitney U of the similarities
    ranks = float(rankdata(alike)[same].sum())
    return (ranks - ones * (ones + 1) / 2) / (ones * others)
