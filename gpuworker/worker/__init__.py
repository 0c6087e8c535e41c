"""The worker process: claims tracking sessions, builds their parts, runs the loop."""

from gpuworker.worker.parts import Parts, check_backends, make_pipeline
from gpuworker.worker.worker import Worker, WorkerCrashedError

__all__ = ["Parts", "Worker", "WorkerCrashedError", "check_backends", "make_pipeline"]
