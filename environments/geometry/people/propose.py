"""Propose calibrations of a place's cameras from people alone, and a few anchors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from environments.geometry.camera import CameraModel
from environments.geometry.people.bundle import Anchor, Bundle, adjust
from environments.geometry.people.correspond import Shared, find_shared
from environments.geometry.people.horizon import HorizonFit, fit_horizon
from environments.geometry.people.placing import people_of, place_by_marks, place_by_people
from environments.geometry.people.sightings import Ints, Sightings
from environments.geometry.people.view import model_of
from environments.polygons import Floats, GeometryError

ROUNDS_OFF_M = (0.8, 0.4, 0.2)  # how far calibrations may be off when people are matched
INSTANTS = 120
LEAST_SHARED = 30
COMMON = 2.0  # what boxes of all people have in common is not in the covariance: by so much errors are larger
WORST_M = 0.35
WORST_AGREEMENT = 0.6  # share of a camera's shared people whom it places within 3 standard deviations


@dataclass(frozen=True)
class Proposal:
    """What people say of one camera.

    Attributes:
        camera_id: key of the camera.
        model: the camera; None where it is refused.
        error_m: expected error of a foot on the floor where people were seen, median; NaN where it is refused.
        shared: how many people it shares with other cameras, over all instants.
        reason: why it is refused, a sentence; empty where it is not.
    """

    camera_id: str
    model: CameraModel | None
    error_m: float
    shared: int
    reason: str


def propose(
    sightings: Sequence[Sightings],
    anchors: Sequence[Anchor],
    *,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Proposal]:
    """Propose a calibration for each camera, or say why not; progress is told as a share of 1.

    First each camera alone: horizon and height from how large people are where. Then its place on the plan, from
    two anchors or from people whom placed cameras see. Then all together.
    """
    fits, reasons = _alone(sightings)
    progress(0.1)
    theta = _placed(sightings, fits, anchors, reasons)
    progress(0.3)
    usable = [i for i, t in enumerate(theta) if t is not None]
    if not usable:
        return [_refused(s, reasons) for s in sightings]
    used = [sightings[i] for i in usable]
    numbers = np.array([theta[i] for i in usable])
    ticks = _instants(used)
    shared, bundle = _adjusted(used, numbers, anchors, ticks, progress)
    found = {}
    for k, i in enumerate(usable):
        found[i] = _judged(sightings[i], k, bundle, shared)
    return [found.get(i) or _refused(s, reasons) for i, s in enumerate(sightings)]


def _alone(sightings: Sequence[Sightings]) -> tuple[list[HorizonFit | None], dict[str, str]]:
    fits: list[HorizonFit | None] = []
    reasons: dict[str, str] = {}
    for s in sightings:
        try:
            fits.append(fit_horizon(s))
        except GeometryError as error:
            fits.append(None)
            reasons[s.camera_id] = str(error)
    return fits, reasons


def _placed(
    sightings: Sequence[Sightings],
    fits: Sequence[HorizonFit | None],
    anchors: Sequence[Anchor],
    reasons: dict[str, str],
) -> list[Floats | None]:
    theta = [
        None if fit is None else place_by_marks(fit, s, anchors)
        for s, fit in zip(sightings, fits, strict=True)
    ]
    if all(t is None for t in theta):
        reasons |= {
            s.camera_id: "no camera shows two anchors: mark two places of the plan in at least one picture"
            for s, fit in zip(sightings, fits, strict=True)
            if fit is not None
        }
        return theta
    while True:  # the surest camera first: those that it is placed by are placed better then
        seen = [people_of(t, s) for t, s in zip(theta, sightings, strict=True) if t is not None]
        others_tick = np.concatenate([tick for tick, _ in seen])
        others_m = np.concatenate([places for _, places in seen])
        tried = []
        for i, (s, fit) in enumerate(zip(sightings, fits, strict=True)):
            if theta[i] is not None or fit is None:
                continue
            try:
                numbers, lead = place_by_people(fit, s, others_tick, others_m)
            except GeometryError as error:
                reasons[s.camera_id] = str(error)
            else:
                tried.append((lead, i, numbers))
        if not tried:
            return theta
        _, i, numbers = max(tried, key=lambda found: found[0])
        theta[i] = numbers


def _instants(sightings: Sequence[Sightings]) -> Ints:
    every = np.unique(np.concatenate([s.tick for s in sightings]))
    return every[np.linspace(0, len(every) - 1, min(INSTANTS, len(every))).round().astype(np.int64)]


def _adjusted(
    sightings: Sequence[Sightings],
    theta: Floats,
    anchors: Sequence[Anchor],
    ticks: Ints,
    progress: Callable[[float], None],
) -> tuple[Shared, Bundle]:
    whole = [s.whole() for s in sightings]
    for n, off_m in enumerate(ROUNDS_OFF_M):
        models = [
            model_of(t, camera_id=s.camera_id, width=s.width, height=s.height)
            for t, s in zip(theta, whole, strict=True)
        ]
        shared = find_shared(whole, models, off_m=off_m, ticks=ticks)
        bundle = adjust(whole, theta, shared, anchors)
        theta = bundle.theta
        progress(0.3 + 0.7 * (n + 1) / len(ROUNDS_OFF_M))
    return shared, bundle


def _judged(sightings: Sightings, k: int, bundle: Bundle, shared: Shared) -> Proposal:
    mine = shared.camera == k
    count = int(mine.sum())
    try:
        model = model_of(
            bundle.theta[k], camera_id=sightings.camera_id, width=sightings.width, height=sightings.height
        )
    except GeometryError as error:
        return Proposal(sightings.camera_id, None, float("nan"), count, str(error))
    error_m = _expected_error(sightings, bundle, k, model)
    agreement = float((np.abs(bundle.error[mine]).max(axis=1) < 3.0).mean()) if count else 0.0
    reason = ""
    if count < LEAST_SHARED:
        reason = f"it shares {count} people with other cameras, {LEAST_SHARED} are needed: record for longer"
    elif agreement < WORST_AGREEMENT:
        reason = f"it agrees with other cameras on {agreement:.0%} of the people only: mark two anchors in its picture"
    elif not error_m < WORST_M:
        reason = f"it would be {error_m:.2f} m off: mark an anchor in its picture, or record for longer"
    return Proposal(sightings.camera_id, None if reason else model, error_m, count, reason)


def _expected_error(sightings: Sightings, bundle: Bundle, k: int, model: CameraModel) -> float:
    px = sightings.whole().edges[:200, :2]
    total = np.zeros(len(px))
    variance, axes = np.linalg.eigh(bundle.covariance[k])
    for std, axis in zip(np.sqrt(np.maximum(variance, 0.0)), axes.T, strict=True):
        at = [
            model_of(
                bundle.theta[k] + side * 0.5 * std * axis,
                camera_id=model.camera_id,
                width=model.width,
                height=model.height,
            ).to_floor(px)
            for side in (1, -1)
        ]
        total += ((at[0] - at[1]) ** 2).sum(axis=1)
    return COMMON * float(np.sqrt(np.nanmedian(total)))


def _refused(sightings: Sightings, reasons: Mapping[str, str]) -> Proposal:
    return Proposal(
        sightings.camera_id, None, float("nan"), 0, reasons.get(sightings.camera_id, "it was not placed")
    )
