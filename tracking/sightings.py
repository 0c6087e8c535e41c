"""Stored boxes of people as calibration from people reads them."""

from datetime import datetime

import numpy as np

from environments.geometry.people.sightings import Sightings
from environments.models import Environment
from tracking.models import Detection

TICK_S = 0.25  # frames of cameras within this are of one instant
MOST_BOXES = 60_000  # of a camera; more minutes tell no more
LEAST_CONFIDENCE = 0.4


def sightings_between(*, environment: Environment, since: datetime, until: datetime) -> list[Sightings]:
    """Give the boxes that each enabled camera of a place showed between two instants."""
    found = []
    for camera in environment.cameras.filter(enabled=True):
        rows = (
            Detection.objects.filter(camera=camera, time__gte=since, time__lt=until)
            .filter(confidence__gte=LEAST_CONFIDENCE)
            .order_by("time", "ordinal")
            .values_list("time", "left_px", "top_px", "right_px", "bottom_px")[:MOST_BOXES]
        )
        table = [((row[0] - since).total_seconds(), *row[1:]) for row in rows]
        values = np.array(table, dtype=np.float64).reshape(-1, 5)
        ticks = np.floor(values[:, 0] / TICK_S).astype(np.int64)
        found.append(Sightings(camera.key, camera.width, camera.height, ticks, values[:, 1:]))
    return found
