"""What is known of calibrations beside themselves: proposals, how cameras agree, and which were moved."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from environments.fields import EncryptedBinaryField
from environments.models import Calibration, Camera, Environment


class RunState(models.TextChoices):
    """How far a search for calibrations is."""

    WAITING = "waiting", _("waiting")
    RUNNING = "running", _("running")
    DONE = "done", _("done")
    FAILED = "failed", _("failed")


class ProposalRun(models.Model):
    """A search for calibrations in recorded detections of people.

    Attributes:
        since, until: of the detections.
        anchors: list of {"x", "y" (m), "marks": {camera key: [u, v] (px)}}.
        progress: share of 1.
    """

    environment = models.ForeignKey(Environment, models.CASCADE, related_name="proposal_runs")
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("to"))
    anchors = models.JSONField(_("anchors"), default=list, blank=True)
    state = models.CharField(_("state"), max_length=8, choices=RunState, default=RunState.WAITING)
    progress = models.FloatField(_("progress"), default=0.0)
    message = models.CharField(_("message"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, editable=False
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=RunState.values), name="proposal_run_state_known"),
            models.CheckConstraint(condition=Q(since__lt=models.F("until")), name="proposal_run_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.environment} ({self.created_at:%Y-%m-%d %H:%M})"


class ProposalSource(models.TextChoices):
    """What a proposal was made from."""

    PEOPLE = "people", _("people")
    REFIT = "refit", _("what other cameras see, after a move")


class Proposal(models.Model):
    """A calibration that nobody uses yet, or the reason why there is none.

    Attributes:
        h_image_to_world, camera_matrix, distortion, rotation, translation_m: as of a calibration; null if refused.
        error_m: expected error on the floor; before_m: that of the calibration in use then, where known.
        people: how many sights of people it rests on.
        reason: why it is refused; empty where it is not.
        applied: the calibration that was made from it.
    """

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="proposals")
    run = models.ForeignKey(ProposalRun, models.CASCADE, null=True, blank=True, related_name="proposals")
    source = models.CharField(_("made from"), max_length=6, choices=ProposalSource)
    h_image_to_world = models.JSONField(_("homography, picture to floor"), null=True, blank=True)
    camera_matrix = models.JSONField(_("camera matrix"), null=True, blank=True)
    distortion = models.JSONField(_("distortion k1 k2 p1 p2 k3"), null=True, blank=True)
    rotation = models.JSONField(_("rotation"), null=True, blank=True)
    translation_m = models.JSONField(_("translation, m"), null=True, blank=True)
    error_m = models.FloatField(_("expected error, m"), null=True, blank=True)
    before_m = models.FloatField(_("error before, m"), null=True, blank=True)
    people = models.PositiveIntegerField(_("sights of people"), default=0)
    reason = models.CharField(_("refused because"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    applied = models.OneToOneField(
        Calibration, models.SET_NULL, null=True, blank=True, related_name="proposal"
    )

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=ProposalSource.values), name="proposal_source_known"
            ),
            models.CheckConstraint(
                condition=Q(h_image_to_world__isnull=False) | ~Q(reason=""), name="proposal_or_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera}: {self.get_source_display()}"


class Disagreement(models.Model):
    """How far apart cameras put the same people, over some minutes.

    Attributes:
        camera: whose error it is; other: against this camera, null for all others together.
        cell_x, cell_y: of the plan, in cells of CELL_M; null for the whole floor.
        at: when the minutes began.
        sights: how many were compared.
        median_m: distance; off_x_m, off_y_m: mean way from the others' place to this camera's.
    """

    CELL_M = 2.0

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="disagreements")
    other = models.ForeignKey(Camera, models.CASCADE, null=True, blank=True, related_name="+")
    cell_x = models.IntegerField(null=True, blank=True)
    cell_y = models.IntegerField(null=True, blank=True)
    at = models.DateTimeField()
    sights = models.PositiveIntegerField()
    median_m = models.FloatField()
    off_x_m = models.FloatField()
    off_y_m = models.FloatField()

    class Meta:
        ordering = ["at", "pk"]
        indexes = [
            # the health of an environment's cameras over a time: selectors.health_of, and what is to be deleted
            models.Index(fields=["camera", "at"], name="disagreement_camera_at"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(cell_x__isnull=True, cell_y__isnull=True)
                | Q(cell_x__isnull=False, cell_y__isnull=False),
                name="disagreement_whole_cell",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.camera} {self.at:%Y-%m-%d %H:%M}: {self.median_m:.2f} m"


class CameraMove(models.Model):
    """A camera that was found to have moved, with what it showed before and after, small and sealed."""

    camera = models.ForeignKey(Camera, models.CASCADE, related_name="moves")
    at = models.DateTimeField(_("noticed"))
    moved_px = models.FloatField(_("moved, px"))
    moved_m = models.FloatField(_("moved, m"), null=True, blank=True)
    before = EncryptedBinaryField(_("picture before"), null=True, blank=True)
    after = EncryptedBinaryField(_("picture after"), null=True, blank=True)
    before_at = models.DateTimeField(_("before"), null=True, blank=True)
    after_at = models.DateTimeField(_("after"), null=True, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["camera", "at"], name="camera_move_once")]

    def __str__(self) -> str:
        return f"{self.camera} {self.at:%Y-%m-%d %H:%M}"
