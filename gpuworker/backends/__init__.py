"""Detectors and embedders: one module for each heavy library, imported only when it is asked for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec

from gpuworker.backends.separation import check_separation
from gpuworker.backends.spec import BackendError, parse_spec
from gpuworker.pipeline.gallery import Gallery
from gpuworker.pipeline.seams import Detector, Embedder
from gpuworker.pipeline.values import Site

__all__ = ["BackendError", "make_detector", "make_embedder", "make_gallery"]

# read when ONNX Runtime is imported: it would write an identifier into the home folder, and report to Microsoft
# Source: docs/Privacy.md of ONNX Runtime
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

DETECTORS = "motion, onnx:PATH, yolo:PATH_OR_NAME, faster_rcnn[:PATH]"
EMBEDDERS = "colour, onnx:PATH, clip[:MODEL[:PATH]], none"


# The imports stand inside the functions so that a worker loads only the libraries it uses.
def make_detector(spec: str, *, site: Site, device: str = "auto", threads: int | None = None) -> Detector:
    """Make the detector that a spec names, e.g. ``motion`` or ``onnx:PATH?confidence=0.4``.

    Args:
        spec: kind, path and options, see :mod:`gpuworker.backends.spec`.
        site: the cameras whose frames it will get.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, unless the spec has an option ``device``.
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

            return make_onnx_detector(parsed, device=device, threads=threads)
        case "yolo":
            with installed("ultralytics", "yolo"):
                from gpuworker.backends.yolo import make_yolo_detector  # noqa: PLC0415

            return make_yolo_detector(parsed, device=device, threads=threads)
        case "faster_rcnn":
            with installed("torchvision", "faster_rcnn"):
                from gpuworker.backends.faster_rcnn import make_faster_rcnn_detector  # noqa: PLC0415

            return make_faster_rcnn_detector(parsed, device=device, threads=threads)
    raise BackendError(f"no detector {spec!r}: choose one of {DETECTORS}")


def make_embedder(spec: str, *, device: str = "auto", threads: int | None = None) -> Embedder | None:
    """Make the embedder that a spec names, e.g. ``colour`` or ``clip:ViT-B-16:PATH``; None for ``none``.

    Args:
        spec: kind, path and options, see :mod:`gpuworker.backends.spec`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``, unless the spec has an option ``device``.
        threads: CPU threads of the model; None leaves the choice to its library.

    Raises:
        BackendError: an unknown name or option, a file that is missing or not such a model, or a model that does
            not tell people apart.
    """
    embedder = _open_embedder(spec, device, threads)
    if embedder is not None:
        check_separation(embedder)
    return embedder


def _open_embedder(spec: str, device: str, threads: int | None) -> Embedder | None:
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

            return make_onnx_embedder(parsed, device=device, threads=threads)
        case "clip":
            with installed("open_clip", "clip"):
                from gpuworker.backends.clip import make_clip_embedder  # noqa: PLC0415

            return make_clip_embedder(parsed, device=device, threads=threads)
    raise BackendError(f"no embedder {spec!r}: choose one of {EMBEDDERS}")


def make_gallery(embedder: Embedder, *, device: str = "cpu") -> Gallery:
    """Make an empty gallery of an embedder's looks, with the indexes that are installed."""
    if find_spec("faiss") is None:
        return Gallery(embedder.name, embedder.dimension, make_index=lambda embeddings: None)
    from gpuworker.backends.faiss_index import make_index  # noqa: PLC0415

    return Gallery(embedder.name, embedder.dimension, make_index=partial(make_index, device=device))


@contextmanager
def installed(library: str, kind: str) -> Iterator[None]:
    """Say what to install where a back-end's library is absent.

    Raises:
        BackendError: it is.
    """
    try:
        yield
    except ImportError as error:
        raise BackendError(
            f"{kind} needs {library}, which is not installed ({error}): pip install 'spoton[models]'"
        ) from error
