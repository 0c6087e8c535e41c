"""Detectors and embedders: one module for each heavy library, imported only when it is asked for."""

from gpuworker.backends.spec import BackendError, parse_spec
from gpuworker.pipeline.seams import Detector, Embedder
from gpuworker.pipeline.values import Site

__all__ = ["BackendError", "make_detector", "make_embedder"]

DETECTORS = "motion, onnx:PATH"
EMBEDDERS = "colour, onnx:PATH, none"


# The imports stand inside the functions so that a worker loads only the libraries it uses.
def make_detector(spec: str, *, site: Site, threads: int | None = None) -> Detector:
    """Make the detector that a spec names, e.g. ``motion`` or ``onnx:PATH?confidence=0.4``.

    Args:
        spec: kind, path and options, see :mod:`gpuworker.backends.spec`.
        site: the cameras whose frames it will get.
        threads: CPU threads of the model; None leaves the choice to its library.

    Raises:
        BackendError: an unknown name or option, or a file that is missing or not such a model.
    """
    parsed = parse_spec(spec)
    match parsed.kind:
        case "motion":
            from gpuworker.backends.motion import make_motion_detector  # noqa: PLC0415

            return make_motion_detector(parsed, site=site)
        case "onnx":
            from gpuworker.backends.onnx import make_onnx_detector  # noqa: PLC0415

            return make_onnx_detector(parsed, threads=threads)
    raise BackendError(f"no detector {spec!r}: choose one of {DETECTORS}")


def make_embedder(spec: str, *, threads: int | None = None) -> Embedder | None:
    """Make the embedder that a spec names, e.g. ``colour`` or ``onnx:PATH``; None for ``none``.

    Raises:
        BackendError: an unknown name or option, or a file that is missing or not such a model.
    """
    parsed = parse_spec(spec)
    match parsed.kind:
        case "none":
            parsed.no_argument()
            parsed.numbers()
            return None
        case "colour":
            from gpuworker.backends.colour import make_colour_embedder  # noqa: PLC0415

            return make_colour_embedder(parsed)
        case "onnx":
            from gpuworker.backends.onnx_embedder import make_onnx_embedder  # noqa: PLC0415

            return make_onnx_embedder(parsed, threads=threads)
    raise BackendError(f"no embedder {spec!r}: choose one of {EMBEDDERS}")
