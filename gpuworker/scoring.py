"""How good published positions are against the truth, on the floor.

Positions match within a metre (IDF1, MOTA, MOTP, switches, recall, precision) and within half a metre
(MODA); HOTA uses the similarity max(0, 1 - d / 2 m). Distances are on the floor, identities are persons.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import trackeval
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MATCH_M = 1.0
MODA_MATCH_M = 0.5
HOTA_RANGE_M = 2.0
PROTOCOL = (
    f"positions on the floor as published at each tick, inside the scored area; match within {MATCH_M:g} m; "
    f"identities are tracks; MODA within {MODA_MATCH_M:g} m; HOTA with similarity max(0, 1 - d / {HOTA_RANGE_M:g} m)"
)


@dataclass(frozen=True, slots=True)
class Positions:
    """People on the floor at one tick.

    Attributes:
        ids: (n,) identities, none twice.
        xy_m: (n, 2).
    """

    ids: Ints
    xy_m: Floats

    def inside(self, bounds_m: tuple[float, float, float, float]) -> "Positions":
        """Give those within x_min, y_min, x_max, y_max, borders included."""
        low, high = np.array(bounds_m[:2]), np.array(bounds_m[2:])
        keep = ((self.xy_m >= low) & (self.xy_m <= high)).all(axis=1)
        return Positions(self.ids[keep], self.xy_m[keep])


@dataclass(frozen=True, slots=True)
class Scores:
    """What published positions are worth; shares in [0, 1] (MOTA and MODA may be negative)."""

    idf1: float
    mota: float
    motp_m: float | None  # None where nothing matched
    hota: float
    moda: float
    recall: float
    precision: float
    switches: int


def score(truth: Sequence[Positions], published: Sequence[Positions]) -> Scores:
    """Score published positions against the truth, tick by tick.

    Source: Bernardin & Stiefelhagen 2008 (CLEAR MOT), Ristani et al. 2016 (IDF1), Luiten et al. 2020
    (HOTA), as implemented in the trackeval package.
    """
    distances = [
        np.linalg.norm(t.xy_m[:, None] - p.xy_m[None], axis=-1) for t, p in zip(truth, published, strict=True)
    ]
    at_match = _sequence(truth, published, [_similarity(d, MATCH_M) for d in distances])
    at_moda = _sequence(truth, published, [_similarity(d, MODA_MATCH_M) for d in distances])
    at_hota = _sequence(truth, published, [np.maximum(0.0, 1.0 - d / HOTA_RANGE_M) for d in distances])
    quiet = {"PRINT_CONFIG": False}
    clear = trackeval.metrics.CLEAR(quiet).eval_sequence(at_match)
    moda = trackeval.metrics.CLEAR(quiet).eval_sequence(at_moda)
    identity = trackeval.metrics.Identity(quiet).eval_sequence(at_match)
    hota = trackeval.metrics.HOTA().eval_sequence(at_hota)
    matches = int(clear["CLR_TP"])
    return Scores(
        idf1=float(identity["IDF1"]),
        mota=_accuracy(clear, switches=True),
        motp_m=2 * MATCH_M * (1 - float(clear["MOTP_sum"]) / matches) if matches else None,
        hota=float(np.mean(hota["HOTA"])),
        moda=_accuracy(moda, switches=False),
        recall=matches / max(1, matches + int(clear["CLR_FN"])),
        precision=matches / max(1, matches + int(clear["CLR_FP"])),
        switches=int(clear["IDSW"]),
    )


def _similarity(distance_m: Floats, match_m: float) -> Floats:
    """Give a similarity that is 0.5, the threshold of trackeval, at ``match_m``."""
    return np.asarray(np.maximum(0.0, 1.0 - distance_m / (2 * match_m)))


def _accuracy(clear: dict[str, float], *, switches: bool) -> float:
    # trackeval leaves MOTA at 0 where one side is empty, so it is worked out here
    wrong = clear["CLR_FP"] + (clear["IDSW"] if switches else 0)
    return float((clear["CLR_TP"] - wrong) / max(1, clear["CLR_TP"] + clear["CLR_FN"]))


def _sequence(
    truth: Sequence[Positions], published: Sequence[Positions], similarity: list[Floats]
) -> dict[str, object]:
    """Give the dictionary that trackeval's metrics take, with ids counted from 0."""
    truth_ids, published_ids = _dense([t.ids for t in truth]), _dense([p.ids for p in published])
    return {
        "gt_ids": truth_ids,
        "tracker_ids": published_ids,
        "similarity_scores": similarity,
        "num_gt_dets": sum(map(len, truth_ids)),
        "num_tracker_dets": sum(map(len, published_ids)),
        "num_gt_ids": 1 + max((int(i.max()) for i in truth_ids if len(i)), default=-1),
        "num_tracker_ids": 1 + max((int(i.max()) for i in published_ids if len(i)), default=-1),
        "num_timesteps": len(truth),
    }


def _dense(ids: list[Ints]) -> list[Ints]:
    known = np.unique(np.concatenate([np.zeros(0, np.int64), *ids]))
    return [np.searchsorted(known, i).astype(np.int64) for i in ids]
