"""History after a new calibration: stored points move with the boxes that they came from.

A point is what several cameras said together, and only the boxes of each camera are kept beside it. The new calibration
moves a box's foot on the floor; a point near it in time moves by as much where this camera alone saw the person, by half
as much where two did, and so on. Its uncertainty, its velocity and the events of then stay as they were.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from environments import bulk_mapping
from environments.geometry import CameraModel
from environments.models import Calibration
from environments.selectors import calibration_model
from gpuworker.backends.array_library import array_library, to_numpy
from tracking.models import Detection, LateSpan, Remapping, TrackPoint

CHUNK = timedelta(minutes=10)  # of history in one transaction
REACH_S = 2.0  # a box so near in time tells how a point moves

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class RemappingError(ValueError):
    """History that cannot be moved so; the message says why."""


@transaction.atomic
def remapping_create(
    *, before: Calibration, after: Calibration, begins_at: datetime, ends_at: datetime
) -> Remapping:
    """Plan to move what was recorded with one calibration of a camera to another.

    Raises:
        RemappingError: calibrations of two cameras, one calibration, no time, or history that was moved so before.
    """
    if before.camera_id != after.camera_id:
        raise RemappingError("the calibrations are of two cameras: choose two of one camera")
    if before.pk == after.pk:
        raise RemappingError("both are the same calibration: nothing would move")
    if ends_at <= begins_at:
        raise RemappingError("the end is not after the begin")
    same = Remapping.objects.filter(before=before, after=after, begins_at__lt=ends_at, ends_at__gt=begins_at)
    if (earlier := same.first()) is not None:
        raise RemappingError(
            f"{earlier.begins_at:%Y-%m-%d %H:%M} to {earlier.ends_at:%Y-%m-%d %H:%M} UTC was moved so before: "
            "choose another stretch of time"
        )
    return Remapping.objects.create(
        before=before, after=after, begins_at=begins_at, ends_at=ends_at, reached_at=begins_at
    )


def remapping_continue(*, remapping: Remapping) -> int:
    """Move what has not been moved yet, a chunk of time after the other; give how many points."""
    camera = remapping.before.camera
    models = [calibration_model(calibration=c, camera=camera) for c in (remapping.before, remapping.after)]
    moved = 0
    while (step := _move_chunk(remapping.pk, camera.pk, models[0], models[1])) is not None:
        moved += step
    return moved


def _move_chunk(remapping_id: int, camera_id: int, before: CameraModel, after: CameraModel) -> int | None:
    """Move the points of the next chunk; None where there is none left."""
    with transaction.atomic():
        remapping = Remapping.objects.select_for_update().get(pk=remapping_id)
        begins_at = remapping.reached_at
        ends_at = min(begins_at + CHUNK, remapping.ends_at)
        if begins_at >= ends_at:
            return None
        moves = list(_moves(camera_id, before, after, begins_at, ends_at))
        _write(moves)
        if moves:
            LateSpan.objects.create(begins_at=begins_at, ends_at=ends_at)
        remapping.reached_at = ends_at
        remapping.save(update_fields=["reached_at"])
    return len(moves)


def shifts(before: CameraModel, after: CameraModel, foot_px: Floats) -> Floats:
    """Give how far each foot point (n, 2) px moves on the floor, (n, 2) m; NaN where one does not show the floor."""
    xp = array_library(len(foot_px))
    points = xp.asarray(foot_px)
    moved = bulk_mapping.to_floor(xp, after, points) - bulk_mapping.to_floor(xp, before, points)
    return np.asarray(to_numpy(moved), dtype=np.float64)


def _moves(
    camera_id: int, before: CameraModel, after: CameraModel, begins_at: datetime, ends_at: datetime
) -> Iterator[tuple[float, float, int, datetime]]:
    """Give the new place of each point that moves: x and y in m, its track and time."""
    reach = timedelta(seconds=REACH_S)
    boxes = Detection.objects.filter(
        camera=camera_id, track__isnull=False, time__gte=begins_at - reach, time__lt=ends_at + reach
    ).order_by("track_id", "time")
    rows = list(boxes.values_list("track_id", "time", "left_px", "right_px", "bottom_px"))
    if not rows:
        return
    foot_px = np.array([((left + right) / 2, bottom) for _, _, left, right, bottom in rows])
    moved = shifts(before, after, foot_px)
    known = np.isfinite(moved).all(axis=1)
    track = np.array([row[0] for row in rows], dtype=np.int64)[known]
    time_s = np.array([(row[1] - begins_at).total_seconds() for row in rows])[known]
    moved = moved[known]
    points = TrackPoint.objects.filter(
        track__in=np.unique(track).tolist(), time__gte=begins_at, time__lt=ends_at
    )
    for number, at, x_m, y_m, cameras in points.values_list("track_id", "time", "x_m", "y_m", "cameras"):
        seen = cameras.split()
        if before.camera_id in seen:
            of = slice(*np.searchsorted(track, [number, number + 1]))
            by_m = _interpolated(time_s[of], moved[of], (at - begins_at).total_seconds())
            if by_m is not None:
                yield x_m + by_m[0] / len(seen), y_m + by_m[1] / len(seen), number, at


def _interpolated(time_s: Floats, moved: Floats, at_s: float) -> Floats | None:
    """Give the shift at a time between boxes, None where none is near."""
    if not len(time_s) or np.abs(time_s - at_s).min() > REACH_S:
        return None
    return np.array([np.interp(at_s, time_s, moved[:, axis]) for axis in (0, 1)])


def _write(moves: list[tuple[float, float, int, datetime]]) -> None:
    """Write new places; a hypertable's rows are named by track and time."""
    table = connection.ops.quote_name(TrackPoint._meta.db_table)
    rows = [(x, y, track, connection.ops.adapt_datetimefield_value(at)) for x, y, track, at in moves]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET x_m = %s, y_m = %s WHERE track_id = %s AND time = %s",  # noqa: S608 - a constant
            rows,
        )
