"""What is asked of calibrations' health, and of what cameras can be expected to see."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from django.db.models import QuerySet

from environments.calibrating.models import Disagreement
from environments.geometry import CameraModel, GeometryError, fit_pairs
from environments.geometry.coverage import Coverage, Grid, blind_spots, coverage_of, least_sure
from environments.models import Calibration, Camera, Environment, FloorPlan
from environments.selectors import calibration_problems, camera_models

GOOD_M, BAD_M = 0.3, 0.6  # of disagreement: nothing to do, and do something
TREND_M = 0.15  # by which disagreement must have grown to be said
FEW_PAIRS = 6
MARGIN_M = 2.0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that would make calibrations better; a place of the plan where it is about one."""

    camera: str | None
    code: str
    message: str
    x_m: float | None = None
    y_m: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Everything about a place's calibrations: what is covered, how well, and what to do."""

    coverage: Coverage | None
    problems: Mapping[str, str]
    blind: list[tuple[float, float, float]]
    suggestions: list[Suggestion]


def health_of(*, environment: Environment, since: datetime) -> QuerySet[Disagreement]:
    """Give how the cameras of a place agreed since an instant, in order of time."""
    rows = Disagreement.objects.filter(camera__environment=environment, at__gte=since)
    return rows.select_related("camera", "other").order_by("at", "pk")


def health_summary(*, environment: Environment, since: datetime) -> dict[str, object]:
    """Say how cameras agree: of each camera, each pair and each cell the last word, and each camera's trend."""
    cameras: dict[str, dict[str, object]] = {}
    pairs: dict[tuple[str, str], dict[str, object]] = {}
    cells: dict[tuple[str, int, int], dict[str, object]] = {}
    for row in health_of(environment=environment, since=since).iterator():
        key = row.camera.key
        said = {
            "at": row.at,
            "sights": row.sights,
            "median_m": round(row.median_m, 3),
            "off_m": [round(row.off_x_m, 3), round(row.off_y_m, 3)],
        }
        if row.cell_x is not None and row.cell_y is not None:
            size = Disagreement.CELL_M
            where = {"camera": key, "x_m": row.cell_x * size, "y_m": row.cell_y * size, "size_m": size}
            cells[key, row.cell_x, row.cell_y] = where | said
        elif row.other is not None:
            pairs[key, row.other.key] = {"cameras": [key, row.other.key]} | said
        else:
            known = cameras.setdefault(key, {"camera": key, "trend": []})
            trend = known["trend"]
            assert isinstance(trend, list)  # noqa: S101 - made one line above
            trend.append({"at": row.at, "median_m": said["median_m"], "sights": row.sights})
            known |= said | {"state": _state(row.median_m)}
    return {"cameras": list(cameras.values()), "pairs": list(pairs.values()), "cells": list(cells.values())}


def _state(median_m: float) -> str:
    return "good" if median_m <= GOOD_M else "fair" if median_m <= BAD_M else "bad"


def report_of(*, environment: Environment, now: datetime) -> Report:
    """Work out coverage and expected error of a place, and what would make them better."""
    models = camera_models(environment=environment)
    problems = calibration_problems(environment=environment)
    suggestions = [Suggestion(key, "uncalibrated", message) for key, message in sorted(problems.items())]
    if not models:
        return Report(None, problems, [], suggestions)
    coverage = coverage_of(models, Grid.over(_bounds(environment, models)))
    blind = blind_spots(coverage)
    suggestions += _about_points(environment, coverage)
    suggestions += _about_health(environment, now)
    suggestions += _about_coverage(coverage, blind)
    return Report(coverage, problems, blind, suggestions)


def _bounds(environment: Environment, models: Mapping[str, CameraModel]) -> tuple[float, float, float, float]:
    """Give the floor that a report is about: the plan's, or what the cameras show near them."""
    plan = FloorPlan.objects.filter(environment=environment).first()
    if plan is not None:
        left, top = -plan.origin_x_px * plan.metres_per_px, plan.origin_y_px * plan.metres_per_px
        return (
            left,
            top - plan.height_px * plan.metres_per_px,
            left + plan.width_px * plan.metres_per_px,
            top,
        )
    views = np.vstack([model.field_of_view(max_distance_m=15.0) for model in models.values()])
    if len(views) == 0:
        return (0.0, 0.0, 1.0, 1.0)
    (x0, y0), (x1, y1) = views.min(axis=0) - MARGIN_M, views.max(axis=0) + MARGIN_M
    return (float(x0), float(y0), float(x1), float(y1))


def _about_points(environment: Environment, coverage: Coverage) -> list[Suggestion]:
    found = []
    active = Calibration.objects.filter(camera__environment=environment, is_active=True).select_related(
        "camera"
    )
    for calibration in active.order_by("camera__key"):
        camera: Camera = calibration.camera
        if camera.key not in coverage.sights or not calibration.point_pairs:
            continue
        where = _where_least_sure(calibration, coverage)
        if where is None:
            continue
        x, y, std_m = where
        few = len(calibration.point_pairs) < FEW_PAIRS
        if few or std_m > GOOD_M:
            why = f"{len(calibration.point_pairs)} pairs only; " if few else ""
            found.append(
                Suggestion(
                    camera.key,
                    "add_point",
                    f"{why}add a point pair near {x:.1f}, {y:.1f} m, where it is sure to {std_m:.2f} m only",
                    x,
                    y,
                )
            )
    return found


def _where_least_sure(calibration: Calibration, coverage: Coverage) -> tuple[float, float, float] | None:
    """Fit a calibration's pairs again and give the spot that they leave least sure, and by how much."""
    camera = calibration.camera
    pairs = calibration.point_pairs
    try:
        fit = fit_pairs(
            [[p["u"], p["v"]] for p in pairs],
            [[p["x"], p["y"]] for p in pairs],
            width=camera.width,
            height=camera.height,
            camera_id=camera.key,
        )
    except GeometryError:
        return None
    points = coverage.grid.points_m
    sees = coverage.sights[camera.key].sees
    if not sees.any():
        return None
    covariance = np.full((len(points), 2, 2), np.nan)
    covariance[sees] = fit.floor_covariance(points[sees], sigma_px=0.0)
    i = least_sure(covariance, sees)
    if i is None:
        return None
    return float(points[i, 0]), float(points[i, 1]), float(np.sqrt(np.trace(covariance[i])))


def _about_health(environment: Environment, now: datetime) -> list[Suggestion]:
    rows = health_of(environment=environment, since=now - timedelta(days=1))
    by_camera: dict[str, list[float]] = {}
    for row in rows.filter(other=None, cell_x=None):
        by_camera.setdefault(row.camera.key, []).append(row.median_m)
    found = []
    for key, medians in sorted(by_camera.items()):
        lately = float(np.median(medians[-5:]))
        before = float(np.median(medians[:-5])) if len(medians) > 10 else lately
        if lately > BAD_M:
            text = f"places people {lately:.2f} m from where others do: calibrate it again"
            found.append(Suggestion(key, "disagrees", text))
        elif lately - before > TREND_M:
            text = f"agrees with others less and less: {before:.2f} m before, {lately:.2f} m now"
            found.append(Suggestion(key, "drifts", text))
    return found


def _about_coverage(coverage: Coverage, blind: list[tuple[float, float, float]]) -> list[Suggestion]:
    found = [
        Suggestion(
            None, "blind", f"nobody sees {area:.0f} m² around {x:.1f}, {y:.1f} m: turn or add a camera", x, y
        )
        for x, y, area in blind[:3]
    ]
    for key in sorted(coverage.sights):
        others = [other for other in coverage.sights if other != key]
        if others and max(coverage.shared_m2(key, other) for other in others) < 4.0:
            text = "shares no floor with another camera: people cannot be handed over by place, nor its health be told"
            found.append(Suggestion(key, "alone", text))
    return found
