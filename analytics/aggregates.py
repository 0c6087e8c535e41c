"""What is counted over time, defined once: as continuous aggregates on TimescaleDB, elsewhere as tables.

Every aggregate counts tracks and events, never persons: whose a track is can be revised at any time, and no count changes
by that. A *person-second* is a second of the clock in which a track has a point, so sixty of them in a minute are one
person on average; it takes a point a second or more (SPOTON_POINT_INTERVAL_S <= 1). Buckets begin at full minutes and hours
of UTC. A definition that changes needs a migration that makes its aggregate anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

CELL_M = 0.5  # side of a heat map's cell
KEPT_DAYS = 3650


class Dialect(StrEnum):
    """How a database writes time."""

    SQLITE = "sqlite"
    POSTGRES = "postgresql"
    TIMESCALE = "timescale"


TIME = {
    Dialect.SQLITE: {
        "minute": "substr(time, 1, 16) || ':00'",
        "hour": "substr(time, 1, 13) || ':00:00'",
        # a track's seconds, as text: SQLite counts no pairs
        "track_second": "track_id || ' ' || substr(time, 1, 19)",
    },
    Dialect.POSTGRES: {
        "minute": "date_trunc('minute', time, 'UTC')",
        "hour": "date_trunc('hour', time, 'UTC')",
        "track_second": "(track_id, date_trunc('second', time, 'UTC'))",
    },
    Dialect.TIMESCALE: {
        "minute": "time_bucket('1 minute', time)",
        "hour": "time_bucket('1 hour', time)",
        "track_second": "(track_id, time_bucket('1 second', time))",
    },
}


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Counts by keys and bucket of time.

    Attributes:
        table: its name.
        source: table that is counted.
        owner: the column that the source's index in order of time begins with.
        step: ``minute`` or ``hour``.
        keys, values: SQL by column.
        where: SQL that chooses the rows; empty for all.
    """

    table: str
    source: str
    owner: str
    step: str
    keys: dict[str, str]
    values: dict[str, str]
    where: str = ""

    @property
    def width(self) -> timedelta:
        """Give the length of a bucket."""
        return timedelta(minutes=1) if self.step == "minute" else timedelta(hours=1)

    @property
    def columns(self) -> tuple[str, ...]:
        """Name the columns in order."""
        return (*self.keys, "bucket", *self.values)

    def floor(self, at: datetime) -> datetime:
        """Give the begin of the bucket that holds an instant."""
        return at.replace(minute=at.minute if self.step == "minute" else 0, second=0, microsecond=0)

    def query(self, dialect: Dialect, *, owners: int | None = None) -> str:
        """Write the SELECT of everything or, with parameters, of a range of time for so many owners.

        The parameters are the first instant, the one after the last, and the owners' keys: named one by one they
        lead the database to its index.
        """
        words = TIME[dialect]
        columns = {**self.keys, "bucket": "{" + self.step + "}", **self.values}
        chosen = ", ".join(f"{sql.format(**words)} AS {column}" for column, sql in columns.items())
        conditions = [self.where] if self.where else []
        if owners is not None:
            named = ", ".join(["%s"] * owners)
            conditions += ["time >= %s", "time < %s", f"{self.owner} IN ({named})"]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        groups = ", ".join(str(place + 1) for place in range(len(self.keys) + 1))
        return f"SELECT {chosen} FROM {self.source}{where} GROUP BY {groups}"  # noqa: S608 - names of ours


OCCUPANCY_MINUTE = Aggregate(
    table="analytics_occupancyminute",
    source="tracking_trackpoint",
    owner="environment_id",
    step="minute",
    keys={"environment_id": "environment_id"},
    values={"tracks": "count(DISTINCT track_id)", "person_seconds": "count(DISTINCT {track_second})"},
)
# a set of areas at once, as points name it: what lies in two areas counts in both, and each sum is exact
ZONE_OCCUPANCY_MINUTE = Aggregate(
    table="analytics_zoneoccupancyminute",
    source="tracking_trackpoint",
    owner="environment_id",
    step="minute",
    keys={"environment_id": "environment_id", "zones": "zones"},
    values={"tracks": "count(DISTINCT track_id)", "person_seconds": "count(DISTINCT {track_second})"},
    where="zones <> ''",
)
CAMERA_MINUTE = Aggregate(
    table="analytics_cameraminute",
    source="tracking_detection",
    owner="camera_id",
    step="minute",
    keys={"camera_id": "camera_id"},
    values={
        "frames": "count(DISTINCT time)",
        "detections": "count(*)",
        "tracked": "count(track_id)",
        "confidence_sum": "sum(confidence)",
    },
)
# cell (i, j) is the square from (i, j) to (i + 1, j + 1) times CELL_M
HEAT_CELL_HOUR = Aggregate(
    table="analytics_heatcellhour",
    source="tracking_trackpoint",
    owner="environment_id",
    step="hour",
    keys={
        "environment_id": "environment_id",
        "cell_x": f"CAST(floor(x_m / {CELL_M}) AS integer)",
        "cell_y": f"CAST(floor(y_m / {CELL_M}) AS integer)",
    },
    values={"points": "count(*)", "tracks": "count(DISTINCT track_id)"},
)
# entries to an area by the area that the same person had entered before in the same stay; 0 for none
TRANSITION_HOUR = Aggregate(
    table="analytics_transitionhour",
    source="tracking_trackevent",
    owner="environment_id",
    step="hour",
    keys={
        "environment_id": "environment_id",
        "from_zone_id": "coalesce(previous_zone_id, 0)",
        "to_zone_id": "zone_id",
    },
    values={"entries": "count(*)"},
    where="kind = 'zone_enter' AND zone_id IS NOT NULL",
)
# a person's way from camera to camera, as points name it: one key is the first camera of a stay
HANDOVER_HOUR = Aggregate(
    table="analytics_handoverhour",
    source="tracking_trackpoint",
    owner="environment_id",
    step="hour",
    keys={"environment_id": "environment_id", "handover": "handover"},
    values={"count": "count(*)"},
    where="handover <> ''",
)
AGGREGATES = (
    OCCUPANCY_MINUTE,
    ZONE_OCCUPANCY_MINUTE,
    CAMERA_MINUTE,
    HEAT_CELL_HOUR,
    TRANSITION_HOUR,
    HANDOVER_HOUR,
)
