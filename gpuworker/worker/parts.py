"""What a session's tracking is built from."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import numpy as np
from django.conf import settings

from environments.models import Calibration, Camera, Environment, Zone
from environments.selectors import calibration_problems, camera_models
from gpuworker.backends import make_detector, make_embedder
from gpuworker.pipeline import values
from gpuworker.pipeline.ladder import Effort
from gpuworker.pipeline.memory import Memory
from gpuworker.pipeline.seams import Source, TakeNumber
from gpuworker.pipeline.settings import PipelineSettings, SmoothingSettings
from gpuworker.pipeline.step import Pipeline
from gpuworker.pipeline.values import Frame, Points, Site, StepResult
from gpuworker.recording import SUFFIX, RecordedPipeline, Recorder
from gpuworker.sinks.status import METER_SPAN_S
from gpuworker.sources import open_source
from gpuworker.sources.sim.worlds import Worlds

logger = logging.getLogger(__name__)

RECORDINGS_KEPT = 5  # newest ones of each environment


class Stepper(Protocol):
    """Turns the frames of a tick into people and events."""

    @property
    def embedder(self) -> str:
        """Name what describes looks; empty for nothing."""
        ...

    def memory(self) -> Memory | None:
        """Give what is known of people, to be kept over a restart; None before there was anything to know."""
        ...

    def remember(self, memory: Memory) -> None:
        """Take in what was known before, before the first tick."""
        ...

    def ease(self, effort: Effort) -> None:
        """Do so much from the next tick on."""
        ...

    def step(self, frames: Sequence[Frame]) -> StepResult:
        """Take in the frames of one tick."""
        ...

    def unsettled(self) -> Points:
        """Give the points of paths that later ticks may still correct, as they are by now."""
        ...

    def finish(self) -> Points:
        """Give the points of paths that have not been handed out; no tick comes any more."""
        ...


class OpenSource(Protocol):
    """Opens the source at a URL, as :func:`gpuworker.sources.open_source` does."""

    def __call__(
        self, url: str, *, camera_id: str, started_at: datetime, worlds: Worlds, speed: float
    ) -> Source: ...


MakePipeline = Callable[[Site, TakeNumber, TakeNumber, str], Stepper]
"""Makes the pipeline of a site, with supplies of track and person numbers, and with a name for its recording."""


def model_threads() -> int:
    """Give how many threads a model on the CPU may use: half of the cores; the rest decode and draw."""
    return max(1, len(os.sched_getaffinity(0)) // 2)


def make_pipeline(
    site: Site, take_track: TakeNumber, take_person: TakeNumber, name: str, *, device: str = "auto"
) -> Stepper:
    """Make the pipeline that the settings name, its models on a device; record it where they ask for that.

    Raises:
        BackendError: a detector or an embedder that cannot be made.
    """
    threads = model_threads()
    tuning = PipelineSettings(smoothing=_smoothing())
    make = partial(
        Pipeline,
        detector=make_detector(settings.SPOTON_DETECTOR, site=site, device=device, threads=threads),
        embedder=make_embedder(settings.SPOTON_EMBEDDER, device=device, threads=threads),
        site=site,
        settings=tuning,
    )
    max_bytes = settings.SPOTON_RECORD_MB * 1e6
    if not max_bytes:
        return make(take_track_number=take_track, take_person_number=take_person)
    path = settings.SPOTON_RECORDINGS / f"{name}{SUFFIX}"
    recorder = Recorder(path, site=site, settings=tuning, max_bytes=max_bytes, keep=RECORDINGS_KEPT)
    return RecordedPipeline(make, take_track, take_person, recorder)


def _smoothing() -> SmoothingSettings:
    return SmoothingSettings(settings.SPOTON_POINT_LAG_S, settings.SPOTON_POINT_INTERVAL_S)


def check_backends(device: str) -> None:
    """Check, before anything is claimed, that the detector and the embedder can be made on a device.

    Raises:
        BackendError: one cannot; the message says why.
    """
    make_detector(settings.SPOTON_DETECTOR, site=Site({}), device=device, threads=1)
    make_embedder(settings.SPOTON_EMBEDDER, device=device, threads=1)


def utc_now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Parts:
    """The replaceable parts of a worker."""

    open_source: OpenSource = open_source
    make_pipeline: MakePipeline = make_pipeline
    clock: Callable[[], datetime] = utc_now
    worlds: Worlds = field(default_factory=Worlds)
    meter_span_s: float = METER_SPAN_S


def setup_of(environment_id: int) -> str:
    """Give everything that a session's parts are built from, to tell whether it changed since."""
    cameras = Camera.objects.filter(environment=environment_id, enabled=True).order_by("pk")
    calibrations = Calibration.objects.filter(camera__in=cameras, is_active=True).order_by("pk")
    zones = Zone.objects.filter(environment=environment_id).order_by("pk")
    return repr(
        (
            list(cameras.values_list("pk", "key", "source_url", "width", "height", "fps")),
            list(calibrations.values_list("pk", "h_image_to_world")),
            list(zones.values_list("pk", "key", "kind", "points_m", "capacity")),
        )
    )


def site_of(environment: Environment) -> tuple[Site, dict[str, str]]:
    """Give an environment as the pipeline knows it, and by camera key what is wrong with its calibrations."""
    zones = []
    for zone in environment.zones.all():
        try:
            points_m = np.asarray(zone.points_m, dtype=np.float64)
            zones.append(values.Zone(zone.key, zone.kind, points_m, zone.capacity))
        except ValueError as error:
            logger.warning("Zone %s of %s is left out: %s", zone.key, environment.slug, error)
    return Site(camera_models(environment=environment), tuple(zones)), calibration_problems(
        environment=environment
    )
