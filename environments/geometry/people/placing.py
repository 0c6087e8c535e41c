"""Put a camera that knows its height over the floor onto the plan: by marks, or by people whom placed cameras see."""

from collections.abc import Sequence

import numpy as np

from environments.geometry.people.bundle import Anchor
from environments.geometry.people.horizon import HorizonFit
from environments.geometry.people.sightings import Ints, Sightings
from environments.geometry.people.view import model_of, moved
from environments.polygons import Floats, GeometryError

SEED = 1
HYPOTHESES = 1500
NEAR_M = 0.8
LEAST_WAY_M = 2.0  # between two people who fix a turn
RANGE_M = 25.0  # further away, a horizon that is a little off puts people anywhere
LEAST_MEETING = 0.25  # share of a camera's people who must stand where others see somebody
LEAD = 1.25  # over the best other place


def place_by_marks(fit: HorizonFit, sightings: Sightings, anchors: Sequence[Anchor]) -> Floats | None:
    """Turn, shift and scale a camera so that its marks meet their places, (9,); None with fewer than two marks.

    Source: Umeyama, Least-Squares Estimation of Transformation Parameters (1991), in the complex plane.
    """
    seen = [a for a in anchors if sightings.camera_id in a.marks_px]
    if len(seen) < 2:
        return None
    own = fit.model.to_floor(np.array([a.marks_px[sightings.camera_id] for a in seen], dtype=np.float64))
    if not np.isfinite(own).all():
        return None
    z = own[:, 0] + 1j * own[:, 1]
    w = np.array([complex(*a.place_m) for a in seen])
    dz, dw = z - z.mean(), w - w.mean()
    turn = complex((np.conj(dz) * dw).sum() / max(float((np.abs(dz) ** 2).sum()), 1e-9))
    theta = fit.theta.copy()
    theta[3:6] *= abs(turn)  # the camera stands over the origin, so that this scales its floor
    shift = w.mean() - turn * z.mean()
    return moved(theta, yaw=float(np.angle(turn)), shift_m=np.array([shift.real, shift.imag]))


def place_by_people(
    fit: HorizonFit, sightings: Sightings, others_tick: Ints, others_m: Floats
) -> tuple[Floats, float]:
    """Turn and shift a camera so that its people stand where placed cameras see people at the same time.

    Give its numbers (9,) and how much better this place is than the best other one.

    Raises:
        GeometryError: hardly any of its people are seen by the others, or two places explain them alike.
    """
    whole = sightings.whole()
    own_m = fit.model.to_floor(whole.edges[:, :2])
    near = np.linalg.norm(own_m, axis=1) < RANGE_M
    tick, own_m = whole.tick[near], own_m[near]
    common = np.intersect1d(tick, others_tick)
    if len(common) < 10:
        raise GeometryError("at hardly any instant it and placed cameras see people: record for longer")
    rng = np.random.default_rng(SEED)
    common = np.sort(rng.permutation(common)[:25])
    own = [own_m[tick == t] for t in common]
    others = [others_m[others_tick == t] for t in common]
    guesses = _guesses(own, others, rng)
    if len(guesses) == 0:
        raise GeometryError("no two of its people stand as people seen by other cameras do")
    shares = np.array([_meeting(g, own, others) for g in guesses])
    best = int(np.argmax(shares))
    turn, shift = guesses[best]
    far = (np.abs(np.angle([g[0] / turn for g in guesses])) > 0.3) | (
        np.abs([g[1] - shift for g in guesses]) > 3.0
    )
    lead = float(shares[best] / max(shares[far].max(initial=0.0), 1e-3))
    if shares[best] < LEAST_MEETING or lead < LEAD:
        raise GeometryError(
            f"{shares[best]:.0%} of its people stand where other cameras see somebody, and another place explains "
            f"{shares[best] / lead:.0%}: that does not tell where it is; mark two anchors in its picture"
        )
    return moved(fit.theta, yaw=float(np.angle(turn)), shift_m=np.array([shift.real, shift.imag])), lead


def _guesses(
    own: Sequence[Floats], others: Sequence[Floats], rng: np.random.Generator
) -> list[tuple[complex, complex]]:
    """Give turns and shifts that bring two people of one instant onto two others as far apart."""
    found = []
    for _ in range(HYPOTHESES * 5):
        t = int(rng.integers(len(own)))
        if len(own[t]) < 2 or len(others[t]) < 2:
            continue
        i, j = rng.choice(len(own[t]), 2, replace=False)
        k, m = rng.choice(len(others[t]), 2, replace=False)
        a, b = complex(*own[t][i]), complex(*own[t][j])
        p, q = complex(*others[t][k]), complex(*others[t][m])
        if abs(b - a) < LEAST_WAY_M or not 0.85 < abs(q - p) / abs(b - a) < 1.18:
            continue
        turn = (q - p) / (b - a)
        turn /= abs(turn)
        found.append((turn, (p + q) / 2 - turn * (a + b) / 2))
        if len(found) >= HYPOTHESES:
            break
    return found


def _meeting(guess: tuple[complex, complex], own: Sequence[Floats], others: Sequence[Floats]) -> float:
    """Give the share of a camera's people who stand near somebody."""
    turn, shift = guess
    near, every = 0, 0
    for mine, theirs in zip(own, others, strict=True):
        if len(mine) == 0 or len(theirs) == 0:
            continue
        z = turn * (mine[:, 0] + 1j * mine[:, 1]) + shift
        w = theirs[:, 0] + 1j * theirs[:, 1]
        near += int((np.abs(z[:, None] - w).min(axis=1) < NEAR_M).sum())
        every += len(mine)
    return near / max(every, 1)


def people_of(theta: Floats, sightings: Sightings) -> tuple[Ints, Floats]:
    """Give when and where a placed camera sees people, (n,) and (n, 2)."""
    whole = sightings.whole()
    model = model_of(theta, camera_id=sightings.camera_id, width=sightings.width, height=sightings.height)
    places = model.to_floor(whole.edges[:, :2])
    near = np.linalg.norm(places - model.position_m[:2], axis=1) < RANGE_M
    return whole.tick[near], places[near]
