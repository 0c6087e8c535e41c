"""YOLO models with random weights, small and lively enough to find something in noise."""

import shutil
import warnings
from pathlib import Path
from typing import Any

import torch

from gpuworker.backends.ultralytics_quiet import ultralytics

SIZE = 64


def save_yolo(path: Path, family: str, *, task: str = "", classes: tuple[str, ...] = ("person",)) -> Path:
    """Write weights of a family (``yolo11n``, ``yolo26n``), seeded, for a few classes."""
    torch.manual_seed(7)
    read = ultralytics.utils.YAML.load(
        Path(ultralytics.__file__).parent / f"cfg/models/{family[4:6]}/{family[:6]}{task}.yaml"
    )
    made = path.parent / f"{family}{task}.yaml"
    ultralytics.utils.YAML.save(made, {**read, "nc": len(classes)})
    model = ultralytics.YOLO(str(made))
    model.model.names = dict(enumerate(classes))
    _wake(model.model)
    model.save(str(path))
    return path


def _wake(model: Any) -> None:
    """Let the layers' normalisation fit what passes through, and the head answer differently from place to place."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.5
    with torch.no_grad():
        for _ in range(6):
            blocks = torch.rand(8, 3, SIZE // 8, SIZE // 8)
            model(torch.nn.functional.interpolate(blocks, scale_factor=8.0))
    model.eval()
    head = model.model[-1]
    for name in ("cv3", "one2one_cv3"):
        for branch in getattr(head, name, None) or ():
            last = branch[-1]
            torch.nn.init.zeros_(last.bias)
            torch.nn.init.normal_(last.weight, std=1.0)
    for name in ("cv2", "one2one_cv2"):
        for branch in getattr(head, name, None) or ():
            torch.nn.init.normal_(branch[-1].weight, std=0.5)
            if head.reg_max > 1:  # sides as distributions: small boxes, which do not suppress each other
                branch[-1].bias.data = -0.7 * torch.arange(float(head.reg_max)).repeat(4)


def export_yolo(weights: Path, to: Path, **how: Any) -> Path:
    """Export weights with Ultralytics' own exporter, beside a copy of them."""
    folder = to.parent / f"made-{to.name}"
    folder.mkdir(parents=True)
    copied = Path(shutil.copy(weights, folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own deprecations
        made = Path(ultralytics.YOLO(str(copied)).export(imgsz=SIZE, device="cpu", **how))
    shutil.move(made, to)
    return to
