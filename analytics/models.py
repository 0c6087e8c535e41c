"""What was counted over time; see aggregates for what each number is.

On TimescaleDB these are continuous aggregates, views that count what is newest at once; elsewhere tables that
services.aggregates_refresh fills. Nothing else writes to them. They refer to nothing by foreign key: a view cannot.
"""

from django.db import models
from django.utils.translation import gettext_lazy as _


class OccupancyMinute(models.Model):
    """How many people a place had in a minute."""

    pk = models.CompositePrimaryKey("environment_id", "bucket")
    environment_id = models.BigIntegerField()
    bucket = models.DateTimeField(_("minute"))
    tracks = models.BigIntegerField(_("different tracks"))
    person_seconds = models.BigIntegerField(_("person-seconds"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="occupancy_minute_bucket")]

    def __str__(self) -> str:
        return f"{self.bucket}: {self.person_seconds / 60:.1f} people"


class ZoneOccupancyMinute(models.Model):
    """How many people were in a set of areas at once, in a minute; an area's sum is over all sets that name it."""

    pk = models.CompositePrimaryKey("environment_id", "bucket", "zones")
    environment_id = models.BigIntegerField()
    zones = models.CharField(_("areas"), max_length=600)
    bucket = models.DateTimeField(_("minute"))
    tracks = models.BigIntegerField(_("different tracks"))
    person_seconds = models.BigIntegerField(_("person-seconds"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="zone_occupancy_minute_bucket")]

    def __str__(self) -> str:
        return f"{self.zones} at {self.bucket}: {self.person_seconds / 60:.1f} people"


class CameraMinute(models.Model):
    """What a camera's stored frames showed in a minute."""

    pk = models.CompositePrimaryKey("camera_id", "bucket")
    camera_id = models.BigIntegerField()
    bucket = models.DateTimeField(_("minute"))
    frames = models.BigIntegerField(_("frames with a box"))
    detections = models.BigIntegerField(_("boxes"))
    tracked = models.BigIntegerField(_("boxes of a track"))
    confidence_sum = models.FloatField(_("sum of confidences"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="camera_minute_bucket")]

    def __str__(self) -> str:
        return f"camera {self.camera_id} at {self.bucket}: {self.detections} boxes"


class HeatCellHour(models.Model):
    """How often people were in a cell of the floor in an hour."""

    pk = models.CompositePrimaryKey("environment_id", "bucket", "cell_x", "cell_y")
    environment_id = models.BigIntegerField()
    cell_x = models.IntegerField()
    cell_y = models.IntegerField()
    bucket = models.DateTimeField(_("hour"))
    points = models.BigIntegerField(_("points"))
    tracks = models.BigIntegerField(_("different tracks"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="heat_cell_hour_bucket")]

    def __str__(self) -> str:
        return f"cell ({self.cell_x}, {self.cell_y}) at {self.bucket}: {self.points} points"


class TransitionHour(models.Model):
    """How often people went from one area to another in an hour; 0 is no area."""

    pk = models.CompositePrimaryKey("environment_id", "bucket", "from_zone_id", "to_zone_id")
    environment_id = models.BigIntegerField()
    from_zone_id = models.BigIntegerField()
    to_zone_id = models.BigIntegerField()
    bucket = models.DateTimeField(_("hour"))
    entries = models.BigIntegerField(_("entries"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="transition_hour_bucket")]

    def __str__(self) -> str:
        return f"{self.from_zone_id} to {self.to_zone_id} at {self.bucket}: {self.entries}"


class HandoverHour(models.Model):
    """How often one camera took people over from another in an hour."""

    pk = models.CompositePrimaryKey("environment_id", "bucket", "handover")
    environment_id = models.BigIntegerField()
    handover = models.CharField(_("cameras"), max_length=65)
    bucket = models.DateTimeField(_("hour"))
    count = models.BigIntegerField(_("hand-overs"))

    class Meta:
        # services.aggregates_refresh: the stretch of time that is counted again
        indexes = [models.Index(fields=["bucket"], name="handover_hour_bucket")]

    def __str__(self) -> str:
        return f"{self.handover} at {self.bucket}: {self.count}"


class Watermark(models.Model):
    """Until when a table of counts is filled; not used on TimescaleDB."""

    table = models.CharField(max_length=64, primary_key=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.table} until {self.until}"
