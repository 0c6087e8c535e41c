"""What this machine carries: the worker itself, over simulated cameras, for a while."""

import os
import platform
import resource
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import redis
from django.conf import settings

from environments.models import Environment
from environments.services import calibration_set, camera_add, environment_create
from gpuworker.sources.sim.scene import FPS, plaza_cameras
from gpuworker.worker import Parts, Worker
from gpuworker.worker.run import SessionRun
from tracking import live
from tracking.services import session_start

WARM_UP_S = 3.0
START_S = 120.0
TIER = "high"


class BenchmarkError(Exception):
    """The load could not be measured; the message says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is carried, for how long."""

    cameras: int
    people: int
    seconds: float


def benchmark_run(load: Load) -> dict[str, Any]:
    """Carry a load in the database and the Redis of the settings, and say how it went.

    Raises:
        BenchmarkError: the cameras did not come on.
    """
    environment = _make_site(load)
    worker = Worker(
        name="benchmark",
        environment_slugs=[environment.slug],
        parts=Parts(meter_span_s=load.seconds),
    )
    thread = threading.Thread(target=worker.run, name="loop")
    thread.start()
    try:
        run = _wait_until_online(worker)
        with _watched(environment, [f"c{i + 1}" for i in range(load.cameras)]):
            time.sleep(WARM_UP_S)
            return _measure(run, load)
    finally:
        worker.stop()
        thread.join()
        environment.delete()


def machine() -> dict[str, Any]:
    """Describe this machine."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.partition(":")[2].strip()
            for line in cpuinfo.read_text().splitlines()
            if "model name" in line
        ]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "detector": settings.SPOTON_DETECTOR,
        "embedder": settings.SPOTON_EMBEDDER,
    }


def _make_site(load: Load) -> Environment:
    """Make an environment whose cameras stand in the corners of the plaza, more than one in each if need be."""
    environment = environment_create(slug="benchmark", name="Benchmark")
    models = plaza_cameras()
    for i in range(load.cameras):
        model = models[i % len(models)]
        camera = camera_add(
            environment=environment,
            key=f"c{i + 1}",
            source_url=f"sim://plaza/{model.camera_id}?people={load.people}",
            width=model.width,
            height=model.height,
            fps=FPS,
        )
        calibration_set(
            camera=camera,
            h_image_to_world=model.h_image_to_world,
            camera_matrix=None if model.lens is None else model.lens.matrix,
            distortion=None if model.lens is None else model.lens.distortion,
            rotation=model.rotation,
            translation_m=model.translation_m,
        )
    session_start(environment=environment)
    return environment


def _wait_until_online(worker: Worker) -> SessionRun:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        for claim in worker.claims:
            if claim.failure:
                raise BenchmarkError(claim.failure)
            if claim.run is not None and claim.run.states.are_online:
                return claim.run
        time.sleep(0.05)
    raise BenchmarkError(f"the simulated cameras did not come on within {START_S:g} s")


@contextmanager
def _watched(environment: Environment, cameras: list[str]) -> Iterator[None]:
    """Watch every camera in the best tier, as one viewer with a big screen does."""
    client = redis.Redis.from_url(settings.REDIS_URL)
    is_over = threading.Event()

    def watch() -> None:
        while True:
            for camera in cameras:
                client.set(live.demand_key(environment.pk, camera, TIER), 1, ex=live.DEMAND_TTL_S)
            if is_over.wait(live.DEMAND_REFRESH_S):
                return

    thread = threading.Thread(target=watch, name="viewer")
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        client.close()


def _measure(run: SessionRun, load: Load) -> dict[str, Any]:
    cpu_s, began_s = _cpu_s_by_part(), time.monotonic()
    time.sleep(load.seconds)
    elapsed_s = time.monotonic() - began_s
    cpu_cores = {
        part: round((seconds - cpu_s.get(part, 0.0)) / elapsed_s, 2)
        for part, seconds in _cpu_s_by_part().items()
    }
    figures = run.board.measured()
    asked = round(FPS * load.seconds)
    return {
        "cameras": load.cameras,
        "people": load.people,
        "seconds": load.seconds,
        "stages_ms": figures["stages_ms"],
        "frame_age_ms": figures["age_ms"],
        "by_camera": {
            key: {"published": min(n, asked), "dropped": max(asked - n, 0), "fps": round(n / elapsed_s, 2)}
            for key, n in figures["frames"].items()
        },
        "rows_dropped": run.rows.dropped,
        "cpu_cores": cpu_cores,
        "memory_mib": {
            "now": round(_resident_mib()),
            "peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        },
    }


def _cpu_s_by_part() -> dict[str, float]:
    """Give the CPU seconds spent so far by the whole process, and by its threads, named by their first word."""
    spent = {"all": time.process_time()}
    for thread in threading.enumerate():
        try:
            stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
        except OSError:
            continue  # it has ended, or this is not Linux
        ticks = stat.rpartition(")")[2].split()[11:13]  # utime and stime. Source: proc_pid_stat(5)
        part = thread.name.split()[0]
        part = "sources" if part.startswith("Thread-") else part
        spent[part] = spent.get(part, 0.0) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return spent


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
