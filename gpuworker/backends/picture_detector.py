"""A detector made of a model that takes batches of pictures, and of what is known about its family."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpuworker.backends.accelerator import accelerator_errors
from gpuworker.backends.candidates import select
from gpuworker.backends.layouts import Layout
from gpuworker.backends.placing import Picture, Placement
from gpuworker.backends.spec import BackendError, Number, Spec
from gpuworker.pipeline.values import Detections, Frame

LARGEST_STRIDE = 32
DEFAULT_SIZE = 640  # for a model that takes any size
# on a GPU only a few batch sizes: memory and kernels are planned anew for each
GPU_BATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class DetectorOptions:
    """What may be asked of any detector that is a model.

    Attributes:
        confidence: least, of a box.
        iou: above which the weaker of two boxes goes.
        person: class of a person, negative for the model's own.
        size: of the input in px where the model leaves it open, 0 for the usual one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: ``auto``, ``fp32``, ``fp16`` or ``bf16``.
    """

    confidence: float
    iou: float
    person: int
    size: int
    device: str
    precision: str


def detector_options(spec: Spec, *, device: str = "auto", also: Sequence[str] = ()) -> DetectorOptions:
    """Read the options that every detector with a model takes.

    Args:
        spec: what was asked for.
        device: where to run unless the spec says it.
        also: names of further options of this back-end.

    Raises:
        BackendError: an option that does not exist, or a value that it cannot have.
    """
    numbers = spec.numbers(
        texts=("device", "precision", *also),
        confidence=Number(0.25, 0.0, 1.0),
        iou=Number(0.6, 0.0, 1.0),
        size=Number(0, 0, 4096),
        **{"class": Number(-1, -1, 10_000)},
    )
    size = int(numbers["size"])
    if size % LARGEST_STRIDE:
        raise BackendError(f"{spec.text!r}: size must be a multiple of {LARGEST_STRIDE}, got {size}")
    return DetectorOptions(
        confidence=numbers["confidence"],
        iou=numbers["iou"],
        person=int(numbers["class"]),
        size=size,
        device=spec.options.get("device", device),
        precision=spec.choice("precision", ("auto", "fp32", "fp16", "bf16")),
    )


class Placer(Protocol):
    """Brings pictures to a model's input."""

    def place(self, pictures: Sequence[Picture], size: int) -> tuple[Any, list[Placement]]:
        """Give a batch of ``size`` rows with the pictures in it, and where each lies."""
        ...


class PictureDetector:
    """Finds people with a model whose layout was recognised.

    Attributes:
        name: of the back-end and the model.
        run: gives the model's outputs for a batch.
    """

    def __init__(
        self,
        name: str,
        *,
        run: Callable[[Any], Sequence[Any]],
        placer: Placer,
        layout: Layout,
        options: DetectorOptions,
        batch: int | None,
        on_gpu: bool,
    ) -> None:
        """Take a model.

        Args:
            name: shown to people.
            run: gives the model's outputs for a batch.
            placer: makes the batches.
            layout: the model's family, with its class of a person.
            options: what was asked for.
            batch: the only size of a batch that the model takes, None for any.
            on_gpu: True where all cameras go into one batch; one after the other is faster on a CPU.
        """
        self.name = name
        self.run, self._placer, self._layout = run, placer, layout
        self._least = options.confidence
        self._iou = options.iou if layout.overlapping else None
        self._batch, self._on_gpu = batch, on_gpu

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Give the people of each frame."""
        found: list[Detections] = []
        step = self._batch or (GPU_BATCHES[-1] if self._on_gpu else 1)
        for start in range(0, len(frames), step):
            found += self._detect([frame.image for frame in frames[start : start + step]])
        return found

    def _detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        size = self._batch or next(b for b in GPU_BATCHES if b >= len(pictures))
        batch, placements = self._placer.place(pictures, size)
        with accelerator_errors(self.name):
            boxes, confidence = self._layout.decode(self.run(batch), self._layout.person)
            return select(boxes, confidence, placements, least=self._least, iou=self._iou)


def input_size(
    spec: Spec, options: DetectorOptions, *, height: int | None, width: int | None
) -> tuple[int, int]:
    """Give the height and width of the input: the model's own, or the one asked for where it leaves them open.

    Raises:
        BackendError: another size than the model's was asked for.
    """
    wanted = options.size or DEFAULT_SIZE
    found = (height or wanted, width or wanted)
    if options.size and found != (options.size, options.size):
        raise BackendError(
            f"{spec.text!r}: the model takes {found[1]}x{found[0]} px and nothing else: leave size out"
        )
    return found


def unknown_layout(where: object, shapes: Sequence[tuple[int, ...]], height: int, width: int) -> BackendError:
    """Say that a model is no detector of a known family."""
    given = ", ".join(str(tuple(shape)) for shape in shapes)
    return BackendError(
        f"{where}: outputs {given} for a {width}x{height} px input are of no known detector: "
        "expected YOLOX (b, n, 5 + classes), Ultralytics detect (b, 4 + classes, n), end-to-end "
        "(b, n, 6), or DETR boxes (b, n, 4) with logits (b, n, classes)"
    )
